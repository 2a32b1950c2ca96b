"""A report as Markdown that also reads well in a terminal: tables are padded to their columns."""

import re
import unicodedata

from cockpit.core.quoting import one_line
from cockpit.reports.telling import Bar, Cell, Commands, Section, Table, Titled, Told

BAR_CHARACTERS = 16
TITLE_CHARACTERS = 56
"""Of a title in a table; where it is cut, the list below has all of it."""
_SPECIAL = re.compile(r"[\\`*\[\]<>|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_BEGINNING = re.compile(r"^(?:(\d+)(?=[.)])|(?=[#+=-]))")


def text(told: Told, drawing: str | None) -> str:
    """Return the report; `drawing` is the name of the picture beside it, None without one."""
    parts = [f"# {escaped(told.title)}\n\n{paragraph(told.under)}\n"]
    if told.facts:
        width = max(len(fact.name) for fact in told.facts)
        parts.append(
            "\n".join(
                f"- {fact.name:<{width}}  **{escaped(fact.value)}**"
                + (f"  {escaped(fact.detail)}" if fact.detail else "")
                for fact in told.facts
            )
            + "\n"
        )
    if drawing:
        parts.append(f"![val_bpb of every experiment, and the running best]({drawing})\n")
    parts += [_section(section) for section in told.sections]
    parts.append(f"---\n\n{paragraph(told.note)}\n")
    return "\n".join(parts)


def escaped(line: str) -> str:
    """Return a line in which nothing is markup; underscores within a name stay as they are."""
    return _SPECIAL.sub(lambda found: "\\" + found[0], line)


def paragraph(line: str) -> str:
    """Return a line that begins no heading, list or rule either."""
    return _BEGINNING.sub(lambda found: f"{found[1] or ''}\\", escaped(line))


def _section(section: Section) -> str:
    parts = [f"## {escaped(section.title)}\n"]
    if section.lead:
        parts.append(paragraph(section.lead) + "\n")
    parts += [_table(table) for table in section.tables]
    if section.note:
        parts.append(paragraph(section.note) + "\n")
    return "\n".join(parts)


def _table(table: Table) -> str:
    heads = [column.removeprefix(">") for column in table.columns]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    widths = [max(map(_width, column)) for column in zip(heads, *rows, strict=True)]
    right = [column.startswith(">") for column in table.columns]
    rule = [
        "-" * (max(3, width) - 1) + (":" if is_right else "-")
        for width, is_right in zip(widths, right, strict=True)
    ]
    lines = [_line(row, widths, right) for row in (heads, rule, *rows)]
    details = [
        f"- {_name(row, cell)}{escaped(cell.detail)}"
        for row in table.rows
        for cell in row
        if isinstance(cell, Titled) and (cell.detail or cell.title != _cut(cell))
    ]
    more = [f"… and {table.more:,} more", ""] if table.more else []
    return "\n".join([*lines, "", *more, *details, *([""] if details else [])])


def _name(row: tuple[Cell, ...], cell: Titled) -> str:
    """Return what an item below a table is about: its number, and a title that was cut."""
    number = row[0] if isinstance(row[0], str) and row[0].startswith("#") else ""
    name = escaped(cell.title) if not number or cell.title != _cut(cell) else ""
    return f"{number} {name}".strip() + (": " if cell.detail else "")


def _cut(cell: Titled) -> str:
    return one_line(cell.title, TITLE_CHARACTERS)


def _cell(cell: Cell) -> str:
    if isinstance(cell, Titled):
        return escaped(_cut(cell)) + (f" ({escaped(cell.mark)})" if cell.mark else "")
    if isinstance(cell, Bar):
        filled = round(max(0.0, min(1.0, cell.share)) * BAR_CHARACTERS)
        return f"{'█' * filled}{'·' * (BAR_CHARACTERS - filled)} {escaped(cell.text)}"
    if isinstance(cell, Commands):
        return " ".join(f"`{line}`" for line in cell.lines)
    return escaped(cell)


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        gap = " " * max(0, max(3, width) - _width(cell))
        padded.append(gap + cell if is_right else cell + gap)
    return f"| {' | '.join(padded)} |"


def _width(line: str) -> int:
    """Return the cells that a line takes in a terminal."""
    if line.isascii():
        return len(line)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    return len(line) + wide - sum(unicodedata.combining(c) > 0 for c in line)
