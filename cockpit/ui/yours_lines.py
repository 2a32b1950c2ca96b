"""Pure: what waits for a person, as rows, and the selected one with curve and change."""

from collections.abc import Sequence
from itertools import zip_longest

from cockpit.core.experiment import Experiment
from cockpit.core.tree import delta
from cockpit.ui.change_lines import change_lines
from cockpit.ui.chart_lines import chart_lines
from cockpit.ui.figure_lines import figure_lines
from cockpit.ui.snapshot import Details, Snapshot
from cockpit.ui.text import NOTHING, Line, Span, clean, fit, signed, width_of, wrap
from cockpit.ui.words import ago

COLUMNS = (
    ("P(better)", 10, 0),
    ("honest gain", 18, 40),
    ("gain", 9, 68),
    ("runs", 7, 60),
    ("age", 6, 72),
)
"""Name, cells, and from which width on it is shown."""
SIDE_BY_SIDE = 110
"""From here on the curve stands beside the change."""
CHART_LINES = 6
WIDE_CHART_LINES = 12
SHORT_CHANGE = 8
"""Lines of a change that stands before the curve where they are not side by side."""
NOTHING_WAITS = (
    "Nothing waits for you.",
    "What the rule can't tell from noise comes here, the most valuable first: "
    "accept (a), reject (r), or one more run of it (R). The night goes on without you.",
)


def head_line(width: int) -> Line:
    """Return the names of the columns."""
    columns = [(name, cells) for name, cells, least in COLUMNS if width >= least]
    room = width - 1 - sum(cells for _, cells in columns)
    return (
        (fit(" what", room), "muted"),
        *((f"{name:>{cells}}", "muted") for name, cells in columns),
    )


def row_line(snapshot: Snapshot, own: Experiment, at: float, width: int) -> Line:
    """Return the row of one that waits."""
    columns = [(name, cells) for name, cells, least in COLUMNS if width >= least]
    room = width - 1 - sum(cells for _, cells in columns)
    title = fit(f" #{own.id} {clean(own.title, 200)}", room)
    spans: list[Span] = [(title, "")]
    for name, cells in columns:
        text, key = _figure(name, snapshot, own, at)
        spans.append((f"{text:>{cells}}", key))
    return tuple(spans)


def _figure(name: str, snapshot: Snapshot, own: Experiment, at: float) -> Span:
    if name == "P(better)":
        return (f"{own.probability:.2f}" if own.probability is not None else NOTHING), "yours"
    if name == "honest gain":
        error = f" ±{own.gain_error:.4f}" if own.gain_error is not None else ""
        return f"{signed(own.gain)}{error}", "heading"
    if name == "gain":
        return signed(delta(snapshot.experiments or {}, own)), "muted"
    if name == "runs":
        wanted = sum(wish.experiment == own.id for wish in snapshot.wanted)
        return f"{len(own.scores)}" + (f" +{wanted}" if wanted else ""), ""
    return ago(own.decided_at or own.created_at, at), "muted"


def nothing_lines(width: int) -> list[Line]:
    """Return what stands there while nothing waits."""
    head, text = NOTHING_WAITS
    return [((head, "heading"),), (), *(((line, "muted"),) for line in wrap(text, max(8, width)))]


def selected_lines(details: Details, snapshot: Snapshot, width: int) -> list[Line]:
    """Return the selected one: what was hoped, what was measured, curve and change."""
    own, parent = details.experiment, details.parent
    on = f"on #{parent.id} {clean(parent.title, 60)}" if parent else ""
    lines: list[Line] = [
        *[((line, "heading"),) for line in wrap(f"#{own.id} {clean(own.title, 300)}", width)],
        *[((line, "muted"),) for line in wrap(f"{on} · by {clean(own.proposer, 30)}", width)],
    ]
    if own.hypothesis:
        first = clean(own.hypothesis.split("\n")[0], 400)
        lines += [((line, ""),) for line in wrap(first, width)]
    lines += [(), *figure_lines(details, snapshot.noise, width)]
    change = change_lines(details) or [(("  its train.py is not there", "muted"),)]
    if width < SIDE_BY_SIDE:
        chart = chart_lines(details.curve, details.parent_curve, width, CHART_LINES)
        top, below = (change, chart) if len(change) <= SHORT_CHANGE else (chart, change)
        gap: list[Line] = [()] if chart else []
        return [*lines, *top, *gap, *below, *_notes(details, width)]
    half = width // 2 - 2
    chart = chart_lines(details.curve, details.parent_curve, half, WIDE_CHART_LINES)
    return [*lines, *_beside(chart, change, half), *_notes(details, width)]


def _beside(left: Sequence[Line], right: Sequence[Line], cells: int) -> list[Line]:
    """Return two columns of lines as one."""
    if not left:
        return list(right)
    rows: list[Line] = []
    for one, other in zip_longest(left, right, fillvalue=()):
        rows.append((*one, (" " * max(0, cells + 3 - width_of(one)), ""), *other))
    return rows


def _notes(details: Details, width: int) -> list[Line]:
    """Return what people have noted on it."""
    lines: list[Line] = [()] if details.remarks else []
    for remark in details.remarks:
        told = f"{clean(remark.author, 30)} notes: {clean(remark.text)}"
        lines += [((line, "yours"),) for line in wrap(told, width)]
    return lines
