"""Pure: what an experiment changes in train.py, as lines."""

from cockpit.core.edits import diff_lines
from cockpit.ui.snapshot import Details
from cockpit.ui.text import Line, clean

DIFF_LINES = 400


def change_lines(details: Details, most: int = DIFF_LINES) -> list[Line]:
    """Return the diff, or the constants where the texts are not there; empty for a baseline."""
    # The edits themselves where the texts are not there yet: it waits in the queue.
    diff = details.diff or tuple(diff_lines(details.proposal.edits or ()))
    lines: list[Line] = []
    for text in diff[:most]:
        key = {"+": "added", "-": "removed"}.get(text[:1], "muted")
        lines.append(((f"  {clean(text, 500)}", key),))
    if len(diff) > most:
        lines.append(((f"  {len(diff) - most} more lines: cockpit show --diff", "muted"),))
    if not diff and details.proposal.constants:
        for name, value in details.proposal.constants.items():
            old = f"{details.base_values[name]!r} → " if name in details.base_values else ""
            lines.append(((f"  {clean(name, 80)} = {clean(f'{old}{value!r}', 300)}", "added"),))
    return lines
