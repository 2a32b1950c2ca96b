"""Pure: hints as lines, each with its number and what became of it."""

from collections.abc import Sequence

from cockpit.core.experiment import Hint
from cockpit.ui.text import Line, clean, fit, wrap

HINTS_SHOWN = 3
STATE_SHARE = 0.45
"""Of a line's width at most, for what became of a hint: the hint itself must be read too."""
SEARCH_NOTE = "search reads no hints: they are kept for when a model proposes"
LABEL_CELLS = 10
STATE_KEYS = {"queued": "queued", "seen": "live", "applied": "kept", "declined": "warning"}


def hint_label(hint: Hint) -> str:
    """Return what a hint is called: its kind and its number."""
    kind = "try" if hint.order else "once" if hint.once else "hint"
    return f"{kind} {hint.id}"


def hint_word(hint: Hint) -> str:
    """Return what became of a hint."""
    where = f" in #{hint.experiment}" if hint.experiment is not None else ""
    if hint.state == "declined":
        why = clean(hint.why, 200)
        return f"not now: {why}" if why else "not now"
    if hint.state == "applied":
        return f"applied{where}"
    return clean(hint.state, 20)


def standing(hints: Sequence[Hint], since: float) -> list[Hint]:
    """Return the hints worth a line: those that are read, and this night's that were."""
    return [h for h in hints if h.open or (h.at >= since and h.state != "withdrawn")]


def hint_lines(
    hints: Sequence[Hint], width: int, *, since: float = 0.0, note: str = ""
) -> list[Line]:
    """Return the newest hints that stand, each with its state, and a note below them."""
    lines: list[Line] = []
    for hint in standing(hints, since)[-HINTS_SHOWN:]:
        state = hint_word(hint)
        if len(state) > width * STATE_SHARE:
            state = fit(state, int(width * STATE_SHARE)).rstrip()
        text = f"{hint_label(hint)}  {clean(hint.text, 300)}"
        room = width - len(state) - 2
        key = STATE_KEYS.get(hint.state, "muted")
        lines.append(((fit(text, room), "yours"), (f"  {state}", key)))
    if note:
        lines.append(((fit(note, width), "muted"),))
    return lines


def all_hint_lines(hints: Sequence[Hint], width: int) -> list[Line]:
    """Return every hint in full, the newest first, with what its reader said to it."""
    lines: list[Line] = []
    for hint in reversed(hints):
        key = STATE_KEYS.get(hint.state, "muted")
        room = max(8, width - LABEL_CELLS)
        for number, piece in enumerate(wrap(clean(hint.text), room)):
            lead = fit("" if number else hint_label(hint), LABEL_CELLS)
            lines.append(((lead, "yours"), (piece, "")))
        told = f"{hint_word(hint)} · {clean(hint.author, 30)}"
        if hint.why and hint.state != "declined":
            told = f"{hint_word(hint)}: {clean(hint.why, 500)} · {clean(hint.author, 30)}"
        lines += [((" " * LABEL_CELLS, ""), (piece, key)) for piece in wrap(told, room)]
        lines.append(())
    return lines or [(("There are no hints.", "muted"),)]
