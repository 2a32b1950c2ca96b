"""A results table, `results.tsv`: what karpathy/autoresearch keeps its night in.

Five columns, separated by tabs, the baseline first:

    commit  val_bpb  memory_gb  status  description

Tables of others have more columns, in another order: columns are found by the names in the
header. What a row does not say well enough is told with its line number, and the other rows are
read all the same: a table is written by agents, in pieces, and the last line may be torn.
"""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cockpit.core.experiment import Status
from cockpit.core.quoting import one_line

COLUMNS = ("commit", "val_bpb", "memory_gb", "status", "description")
NEEDED = ("val_bpb", "status")
"""Without these columns a table says nothing that could be held against anything."""
LINE_CHARACTERS = 20_000
"""A longer line is no row."""
TITLE_CHARACTERS = 500
COMMIT_CHARACTERS = 40
MOST_MEMORY_GB = 1e6
"""A table that says more has another unit."""

_SYNONYMS = {
    "commit": ("commit_hash", "hash", "sha"),
    "val_bpb": ("bpb", "validation_bpb"),
    "memory_gb": ("peak_memory_gb", "peak_vram_gb", "vram_gb"),
    "status": ("verdict", "decision"),
    "description": ("title", "idea", "experiment", "change"),
}
"""How others call a column; the name itself goes before these."""
_STATUSES = {
    "keep": Status.KEPT,
    "kept": Status.KEPT,
    "baseline": Status.KEPT,
    "discard": Status.DISCARDED,
    "discarded": Status.DISCARDED,
    "crash": Status.CRASHED,
    "crashed": Status.CRASHED,
    "borderline": Status.BORDERLINE,
    "invalid": Status.INVALID,
    "stopped": Status.STOPPED,
}
_WRITTEN = {Status.KEPT: "keep", Status.DISCARDED: "discard", Status.CRASHED: "crash"}
"""Upstream's words; the other verdicts are written as they are called here."""
_SCORED = frozenset({Status.KEPT, Status.BORDERLINE})
"""Verdicts that nobody gives without a score."""
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_LINE_ENDS = re.compile(r"\r\n|\n|\r")


class TableError(ValueError):
    """A file is no results table; the message says why, in one line."""


class _RowError(ValueError):
    """A line is no row; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment, as a table tells it."""

    line: int
    """Its line in the file, from 1; 0 for one that is to be written."""
    commit: str
    """Empty where the table has none."""
    val_bpb: float | None
    """None where it says nothing, `nan` or 0.000000, as crashes do."""
    memory_gb: float | None
    """Peak memory in GiB, as upstream counts it; None where it says nothing."""
    status: Status
    description: str
    others: tuple[tuple[str, str], ...] = ()
    """Filled cells of further columns, by the name of the column."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that could not be read."""

    line: int
    says: str


@dataclass(frozen=True, slots=True)
class Table:
    """What could be read of a file, and what could not."""

    rows: tuple[Row, ...]
    """The first is kept and has a score: it is the baseline."""
    problems: tuple[Problem, ...]


# ---- reading -----------------------------------------------------------------------------------


def read_table(content: bytes) -> Table:
    """Return the rows of a file; raises `TableError` where it is no table, or has no baseline."""
    lines = _LINE_ENDS.split(_text(content))
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise TableError("it is empty")
    columns = _Columns(lines[first])
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines[first + 1 :], first + 2):
        if not line.strip():
            continue
        try:
            rows.append(columns.row(number, line, torn=number == len(lines)))
        except _RowError as error:
            problems.append(Problem(number, str(error)))
    return _from_the_baseline(rows, problems)


def _from_the_baseline(rows: list[Row], problems: list[Problem]) -> Table:
    """Return the rows from the first kept one on: what stands above it was held against nothing."""
    first = next((n for n, row in enumerate(rows) if row.status is Status.KEPT), None)
    if first is None:
        found = f"of {len(rows)} rows" if rows else "of its lines"
        told = f" (line {problems[0].line}: {problems[0].says})" if problems else ""
        raise TableError(f"none {found} is a kept experiment with a val_bpb{told}")
    above = [Problem(row.line, "it stands above the first kept row") for row in rows[:first]]
    return Table(tuple(rows[first:]), tuple(sorted([*problems, *above], key=lambda p: p.line)))


def _text(content: bytes) -> str:
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    if encoding != "utf-16" and b"\0" in content:
        raise TableError("it is not text")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        # An editor's old encoding: figures and statuses are the same, a letter may be another.
        return content.decode("cp1252", "replace")


class _Columns:
    """Where a table has what."""

    def __init__(self, header: str) -> None:
        if len(header) > LINE_CHARACTERS:
            raise TableError("its first line is too long for the header of a table")
        self._comma = "\t" not in header
        try:
            cells = self._cells(header)
        except _RowError as error:
            raise TableError(f"its first line is no header: {error}") from error
        self._names = [re.sub(r"[\s-]+", "_", cell.lower()) for cell in cells]
        self._at = {column: self._find(column) for column in COLUMNS}
        missing = [column for column in NEEDED if self._at[column] is None]
        if missing:
            found = ", ".join(filter(None, self._names[:8]))
            raise TableError(
                f"its header has no column {' and no column '.join(missing)}: its first line must "
                f"name the columns, as {' '.join(COLUMNS)} (found: {one_line(found, 80)})"
            )

    def _find(self, column: str) -> int | None:
        for name in (column, *_SYNONYMS[column]):
            if self._names.count(name) > 1:
                raise TableError(f"its header has the column {name} twice")
            if name in self._names:
                return self._names.index(name)
        return None

    def _cells(self, line: str) -> list[str]:
        if not self._comma:
            return [cell.strip() for cell in line.split("\t")]
        try:
            return [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True), [])]
        except csv.Error as error:
            raise _RowError(f"its cells can't be told apart ({error})") from error

    def row(self, number: int, line: str, *, torn: bool) -> Row:
        """Return a line as a row; raises `_RowError`. `torn`: nothing ends the line."""
        if len(line) > LINE_CHARACTERS:
            raise _RowError(f"it is {len(line):,} characters long")
        cells = self._fitted(self._cells(line), torn)
        said = {c: cells[at] if at is not None else "" for c, at in self._at.items()}
        status = _status(said["status"])
        val_bpb = _score(said["val_bpb"])
        if status in _SCORED and val_bpb is None:
            raise _RowError(f"it is {status} without a val_bpb")
        taken = set(self._at.values())
        return Row(
            line=number,
            commit=one_line(said["commit"], COMMIT_CHARACTERS),
            val_bpb=None if status is Status.CRASHED else val_bpb,
            memory_gb=_memory(said["memory_gb"]),
            status=status,
            description=one_line(said["description"], TITLE_CHARACTERS),
            others=tuple(
                (one_line(name, 40), one_line(cells[at]))
                for at, name in enumerate(self._names)
                if at not in taken and cells[at]
            ),
        )

    def _fitted(self, cells: list[str], torn: bool) -> list[str]:
        """Return as many cells as there are columns: a description may have tabs in it."""
        wanted = len(self._names)
        if torn and len(cells) < wanted:
            raise _RowError(f"it is torn off: {len(cells)} of {wanted} cells")
        while len(cells) > wanted and not cells[-1]:
            cells.pop()
        if len(cells) > wanted:
            if self._at["description"] != wanted - 1:
                raise _RowError(f"it has {len(cells)} cells in {wanted} columns")
            cells = [*cells[: wanted - 1], (", " if self._comma else " ").join(cells[wanted - 1 :])]
        return cells + [""] * (wanted - len(cells))


def _status(text: str) -> Status:
    if not text:
        raise _RowError("it has no status")
    if (status := _STATUSES.get(text.lower())) is None:
        raise _RowError(f"its status is {one_line(text, 40)!r}, none of {', '.join(_STATUSES)}")
    return status


def _score(text: str) -> float | None:
    """Return a val_bpb, None where there is none; raises `_RowError` for what is no number."""
    value = _number(text)
    if value is None and text and text.lower() not in ("-", "none", "null", "n/a"):
        raise _RowError(f"its val_bpb is {one_line(text, 40)!r}, not a number")
    if value is None or not math.isfinite(value) or value == 0:
        return None
    if value < 0:
        raise _RowError(f"its val_bpb is {value:g}: it can't be negative")
    return value


def _memory(text: str) -> float | None:
    value = _number(text)
    return value if value is not None and 0 < value <= MOST_MEMORY_GB else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# ---- writing -----------------------------------------------------------------------------------


def write_table(rows: Iterable[Row]) -> str:
    """Return a table with upstream's five columns; every cell is one line without tabs."""
    lines = [COLUMNS, *(_written(row) for row in rows)]
    return "".join("\t".join(cells) + "\n" for cells in lines)


def _written(row: Row) -> Sequence[str]:
    return (
        one_line(row.commit, COMMIT_CHARACTERS),
        f"{row.val_bpb or 0.0:.6f}",
        f"{row.memory_gb or 0.0:.1f}",
        _WRITTEN.get(row.status, str(row.status)),
        one_line(row.description, TITLE_CHARACTERS),
    )
