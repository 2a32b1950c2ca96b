"""Pure: the findings, a text in Markdown, as lines."""

import re

from cockpit.ui.text import Line, clean, wrap

_LEAD = re.compile(r"[-*] |\d{1,3}[.)] ")
NONE_YET = "There are no findings yet: they are written after every verdict."


def findings_lines(text: str | None, width: int) -> list[Line]:
    """Return the lines of the findings for a width; foreign text is made harmless."""
    if text is None or not text.strip():
        return [((line, "muted"),) for line in wrap(NONE_YET, max(8, width))]
    lines: list[Line] = []
    for raw in text.rstrip().split("\n"):
        line = clean(raw)
        if line.startswith("#"):
            shown = line.lstrip("#").strip()
            lines += [((piece, "heading"),) for piece in wrap(shown, max(8, width))]
        elif not line.startswith("<!--"):
            lines += _paragraph(line, width)
    return lines


def _paragraph(line: str, width: int) -> list[Line]:
    """Return a paragraph or an item of a list, whose further lines hang below its first."""
    text = line.lstrip(" ")
    indent = min(len(line) - len(text), max(0, width // 3))
    item = _LEAD.match(text)
    lead = item[0] if item else ""
    hang = indent + len(lead)
    first, *rest = wrap(text[len(lead) :], max(8, width - hang))
    lines: list[Line] = [((f"{' ' * indent}{lead}{first}", ""),)]
    return lines + [((" " * hang + piece, ""),) for piece in rest]
