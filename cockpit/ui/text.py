"""Text for the screen: foreign text made harmless, and numbers in columns that do not jump.

Titles, messages and log lines come from models and from the code under test. None of it
reaches the terminal raw: control characters and escape sequences are dropped, lengths are
bounded, and nothing in it is read as markup (the panes draw segments, never markup).
"""

from collections.abc import Iterable

from rich.cells import cell_len, chop_cells, set_cell_size

from cockpit.lab.rundir import plain_text

Span = tuple[str, str]
"""A piece of text and the palette key it is drawn with (`""` is plain)."""
Line = tuple[Span, ...]
"""One line of a pane, compared as a value: what is equal is not drawn again."""

LINE_CHARACTERS = 2_000
"""No foreign line is looked at further than this."""
NOTHING = "—"
"""What stands for a figure that is not known."""


def clean(text: str, limit: int = LINE_CHARACTERS) -> str:
    """Return foreign text as one harmless line of at most `limit` characters."""
    cut = text[: 4 * limit].replace("\r", " ").replace("\n", " ").replace("\t", " ")
    # A variation selector changes a width that terminals do not agree about.
    safe = plain_text(cut).translate(VARIATION_SELECTORS)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


VARIATION_SELECTORS = dict.fromkeys(range(0xFE00, 0xFE10))


def fit(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells, with an ellipsis where it was cut."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    return set_cell_size(text, width - 1) + "…"


def width_of(line: Iterable[Span]) -> int:
    """Return the cells a line takes."""
    return sum(cell_len(text) for text, _ in line)


def wrap(text: str, width: int) -> list[str]:
    """Break one clean line into lines of at most `width` cells, at spaces where there are any."""
    width = max(1, width)
    lines, line, used = [], "", 0
    for word in text.split(" "):
        length = cell_len(word)
        if line and used + 1 + length <= width:
            line, used = f"{line} {word}", used + 1 + length
            continue
        if line:
            lines.append(line)
        *whole, word = chop_cells(word, width) if length > width else [word]
        lines += whole
        line, used = word, cell_len(word)
    return [*lines, line]


def bpb(value: float | None) -> str:
    """Return a val_bpb, six characters wide up to 9.9999."""
    return NOTHING if value is None else f"{value:.4f}"


def signed(value: float | None, digits: int = 4) -> str:
    """Return a difference with a true minus sign."""
    if value is None:
        return NOTHING
    return f"{value:+.{digits}f}".replace("-", "−")


def clock(seconds: float | None) -> str:
    """Return a span as `3:12`, or `4:10 h` from an hour on."""
    if seconds is None:
        return NOTHING
    whole = max(0, int(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def age(seconds: float) -> str:
    """Return how long ago, short: `now`, `12m`, `4h`, `3d`.

    Whole hours: a column of minutes would be sent anew every minute, of no use to anybody.
    """
    whole = max(0, int(seconds))
    if whole < 60:
        return "now"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 100 * 3600:
        return f"{whole // 3600}h"
    return f"{whole // 86400}d"


def budget(seconds: float) -> str:
    """Return a budget as it is typed: `10s`, `5m`, `2h`."""
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds >= unit and seconds % unit == 0:
            return f"{int(seconds // unit)}{name}"
    return f"{seconds:g}s"


def count(value: float | None) -> str:
    """Return a large number as `1.71M` or `16.4k`, five characters at most."""
    if value is None:
        return NOTHING
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            digits = 2 if abs(value) < 10 * unit else 1 if abs(value) < 100 * unit else 0
            return f"{value / unit:.{digits}f}{name}"
    return f"{value:.0f}"


def size(value: int | None) -> str:
    """Return bytes as `59.2 GB`."""
    if value is None:
        return NOTHING
    text = count(value)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def decimal(value: float | None) -> str:
    """Return a number of any size in a few characters."""
    return NOTHING if value is None else f"{value:.3g}"


def percent(share: float | None) -> str:
    """Return a share of one as `46 %`."""
    return NOTHING if share is None else f"{share * 100:.0f} %"
