"""A report as one page: everything in it, nothing from elsewhere, no script.

What models, logs and files say is escaped here, all of it, and a policy in the head forbids the
page every request, so that even a fault of ours could not make it call anybody.
"""

from html import escape
from importlib import resources

from cockpit.reports.palette import style_sheet
from cockpit.reports.telling import Bar, Cell, Commands, Fact, Section, Table, Titled, Told

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(told: Told, drawings: tuple[str, ...]) -> str:
    """Return the page; `drawings` are elements, of which the style sheet shows the one that fits.

    Their text was escaped by who drew them.
    """
    style = resources.files("cockpit.reports").joinpath("page.css").read_text("utf-8")
    plot = f'<figure class="progress">{"".join(drawings)}</figure>' if drawings else ""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escape(told.title)}</title>",
            f"<style>{style_sheet()}\n{style}</style></head><body>",
            f"<header><h1>{escape(told.title)}</h1><p>{escape(told.under)}</p></header>",
            "<main>",
            _facts(told.facts),
            plot,
            _contents(told.sections),
            *(_section(each) for each in told.sections),
            f'<p class="note">{escape(told.note)}</p>',
            "</main></body></html>\n",
        )
    )


def _facts(facts: tuple[Fact, ...]) -> str:
    if not facts:
        return ""
    items = "".join(
        f"<div><dt>{escape(fact.name)}</dt><dd>{escape(fact.value)}"
        f"<small>{escape(fact.detail)}</small></dd></div>"
        for fact in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _contents(sections: tuple[Section, ...]) -> str:
    links = "".join(f'<a href="#{s.anchor}">{escape(s.title)}</a>' for s in sections)
    return f"<nav>{links}</nav>" if len(sections) > 2 else ""


def _section(section: Section) -> str:
    lead = f"<p>{escape(section.lead)}</p>" if section.lead else ""
    note = f'<p class="note">{escape(section.note)}</p>' if section.note else ""
    tables = "".join(_table(table) for table in section.tables)
    return (
        f'<section id="{section.anchor}"><h2>{escape(section.title)}</h2>{lead}{tables}{note}'
        "</section>"
    )


def _table(table: Table) -> str:
    right = [column.startswith(">") for column in table.columns]
    head = "".join(
        f"<th{_side(is_right)}>{escape(column.removeprefix('>'))}</th>"
        for column, is_right in zip(table.columns, right, strict=True)
    )
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_side(is_right)}>{_cell(cell)}</td>"
            for cell, is_right in zip(row, right, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    more = f'<p class="note">… and {table.more:,} more</p>' if table.more else ""
    # Focusable, so that it can be scrolled by keys.
    return (
        f'<div class="table" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more}"
    )


def _side(is_right: bool) -> str:
    return ' class="n"' if is_right else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, Titled):
        mark = f' <em class="mark">{escape(cell.mark)}</em>' if cell.mark else ""
        small = f"<small>{escape(cell.detail)}</small>" if cell.detail else ""
        # The name of a constant may break after a part of it.
        name = escape(cell.title).replace("_", "_<wbr>")
        return f'<div class="titled"><b>{name}</b>{mark}{small}</div>'
    if isinstance(cell, Bar):
        width = max(0.0, min(1.0, cell.share)) * 100
        return (
            f'<div class="bar"><i style="width:{width:.1f}%"></i></div>'
            f'<span class="share">{escape(cell.text)}</span>'
        )
    if isinstance(cell, Commands):
        return "".join(f"<code>{escape(line)}</code>" for line in cell.lines)
    return escape(cell)
