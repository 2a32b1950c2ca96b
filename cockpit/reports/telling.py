"""What every report is made of, whatever it is written in: sections, tables and cells of text.

All text of others is one clean line here already; what a writer still has to do is to escape it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cockpit.core.judge import signed
from cockpit.core.quoting import one_line

_Value = TypeVar("_Value")

TITLE_CHARACTERS = 90
DETAIL_CHARACTERS = 400
NOTHING = "—"
"""What stands for a figure that is not known."""
LEVEL = 1.96
"""Standard deviations to each side of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Titled:
    """A title with a line of its own beneath it."""

    title: str
    detail: str = ""
    mark: str = ""
    """A word that sets it apart, such as `unsound`."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A share of a whole, 0 to 1, and the figure that it stands for."""

    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Commands:
    """What may be typed."""

    lines: tuple[str, ...]


Cell = str | Titled | Bar | Commands


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings."""

    columns: tuple[str, ...]
    """Headings; one that begins with `>` is of figures, which stand right."""
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0
    """Rows that were left out."""

    @property
    def filled(self) -> "Table":
        """Return the table without columns in which nothing is known of any row."""
        empty = [
            all(row[place] == NOTHING for row in self.rows) for place in range(len(self.columns))
        ]
        rows = tuple(_left(row, empty) for row in self.rows)
        return Table(_left(self.columns, empty), rows, self.more)


def _left(values: tuple[_Value, ...], empty: Sequence[bool]) -> tuple[_Value, ...]:
    return tuple(value for value, gone in zip(values, empty, strict=True) if not gone)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, some sentences, and tables; then what to keep in mind."""

    anchor: str
    title: str
    lead: str = ""
    tables: tuple[Table, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the headline."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A whole report in words, but for its picture."""

    title: str
    under: str
    """Lab, setup and date in a line."""
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    note: str
    """How to read it."""


def bpb(value: float | None) -> str:
    """Return a score."""
    return NOTHING if value is None else f"{value:.4f}"


def change(value: float | None, error: float | None = None) -> str:
    """Return a change of val_bpb with its error, as in `−0.0031 ±0.0008`."""
    if value is None:
        return NOTHING
    return signed(value) + (f" ±{error:.4f}" if error is not None else "")


def interval(value: float, error: float | None) -> str:
    """Return the 95 % interval of an estimate in words, empty where its error is not known."""
    if error is None:
        return ""
    return f"95 %: {signed(value - LEVEL * error)} to {signed(value + LEVEL * error)}"


def chance(value: float | None) -> str:
    """Return a probability."""
    return NOTHING if value is None else f"{value:.2f}"


def counted(count: int, what: str) -> str:
    """Return a number with its noun in the right number."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def span(seconds: float) -> str:
    """Return a length of time as one reads it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d} h"


def dollars(value: float, unpriced: int = 0) -> str:
    """Return an amount; `+` where more was spent at prices that are not known."""
    if unpriced and not value:
        return "$?"
    digits = 4 if 0 < value < 0.01 else 2
    return f"${value:,.{digits}f}" + ("+" if unpriced else "")


def title(text: str) -> str:
    """Return a title of others as a short clean line."""
    return one_line(text, TITLE_CHARACTERS) or "(no title)"


def detail(text: str) -> str:
    """Return a longer text of others as one clean line."""
    return one_line(text, DETAIL_CHARACTERS)


def named(numbers: Iterable[int], titles: dict[int, str]) -> str:
    """Return experiments by number and title."""
    return " · ".join(f"#{number} {one_line(titles.get(number, ''), 50)}" for number in numbers)
