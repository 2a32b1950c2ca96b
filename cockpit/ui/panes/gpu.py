"""The GPU pane: the run under way, its loss over its base's at equal time, and its figures."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.core.curve import HALF_LIFE_SHARE, Point, lead, smooth, thin
from cockpit.ui.charts import Scale, bar, braille, loss_scale
from cockpit.ui.idle_lines import idle_lines
from cockpit.ui.lines import TextLines
from cockpit.ui.messages import Begin
from cockpit.ui.snapshot import CurrentRun, Snapshot
from cockpit.ui.text import (
    NOTHING,
    Line,
    Span,
    clean,
    clock,
    count,
    decimal,
    fit,
    percent,
    size,
)
from cockpit.ui.words import PHASES

AXIS_CELLS = 7
"""Cells left of the chart, for the labels of its axis."""
LEAST_CHART_LINES = 3
DEFAULT_CPU_BUDGET_SECONDS = 60.0


class GpuPane(TextLines):
    """The run under way."""

    DEFAULT_CSS = """
    GpuPane { border: round $pane-border; overflow-y: hidden; }
    GpuPane:focus { border: round $pane-focus; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket,n", "slot(1)", "next slot"),
        Binding("left_square_bracket,p", "slot(-1)", "slot before", show=False),
        Binding("enter", "begin", "begin", show=False),
    ]
    can_focus = True

    def __init__(self) -> None:
        super().__init__("gpu")
        self.border_title = "3 GPU"
        self.snapshot: Snapshot | None = None
        self.slot = 0
        """Which of the slots is shown, by position."""

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        self.snapshot = snapshot
        self._title(snapshot)
        if self.is_attached and self.size:
            self.relayout()
            self.refresh_changed()

    def relayout(self) -> None:
        """Draw for the present size."""
        if self.snapshot is not None:
            self._lines = gpu_lines(self.snapshot, self.slot, self.line_width, self.page_height)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only the keys that do something now."""
        if action == "slot":
            return self.snapshot is not None and len(self.snapshot.slots or {}) > 1
        if action == "begin":
            return self.snapshot is not None and not self.snapshot.engine.alive
        return True

    def action_slot(self, step: int) -> None:
        """Show the next slot."""
        self.slot = (self.slot + step) % max(1, len((self.snapshot and self.snapshot.slots) or {}))
        if self.snapshot is not None:
            self.show(self.snapshot)

    def action_begin(self) -> None:
        """Begin a night, or repair one."""
        self.post_message(Begin())

    def _title(self, snapshot: Snapshot) -> None:
        slots = sorted((snapshot.slots or {}).items())
        self.slot = min(self.slot, max(0, len(slots) - 1))
        words = ""
        if slots:
            words = (
                f"{clean(slots[self.slot][1].device, 40)} · slot {self.slot + 1} of {len(slots)}"
            )
        # Brackets would be read as markup in a title.
        words = words.replace("[", "(")
        title = f"3 GPU  {words}" if words else "3 GPU"
        if self.border_title != title:
            self.border_title = title


def gpu_lines(snapshot: Snapshot, position: int, width: int, height: int) -> list[Line]:
    """Return the pane's content for a size."""
    slots = sorted((snapshot.slots or {}).items())
    number = slots[position][0] if position < len(slots) else 0
    run = next((r for r in snapshot.current if r.slot == number), None)
    if run is None and len(slots) <= 1 and snapshot.current:
        run = snapshot.current[0]
    if width < 8 or height < 1:
        return []
    if run is None:
        return idle_lines(snapshot, width)
    figures = _figures(snapshot, run, width)
    room = height - len(figures)
    chart = _chart(run, width, room) if room >= LEAST_CHART_LINES + 1 else []
    return [*chart, *figures][-height:] if chart else figures[:height]


def _chart(run: CurrentRun, width: int, height: int) -> list[Line]:
    """Draw the loss, raw over the base's, with axes; the last line is the time axis."""
    columns = width - AXIS_CELLS - 1
    end = run.budget_seconds or max(
        [p[0] for curve in (run.curve, run.base_curve) for p in curve[-1:]], default=60.0
    )
    base = [point for point in run.base_curve if point[0] <= end]
    curves: list[list[Point]] = [_drawn(run.curve, columns, end), _drawn(base, columns, end)]
    scale = loss_scale(curves)
    rows = height - 1
    if scale is None or columns < 4:
        text = f"{PHASES.get(run.phase, run.phase)}: no loss yet"
        blank: list[Line] = [()] * (height // 2)
        return [*blank, ((text.center(width), "muted"),), *[()] * (height - height // 2 - 1)]
    drawn = braille(curves, columns, rows, (0.0, end), scale)
    lines: list[Line] = []
    for number, runs in enumerate(drawn):
        spans: list[Span] = [(_label(scale, number, rows), "muted")]
        spans += [(text, ("base", "curve", "base")[owner + 1]) for text, owner in runs]
        lines.append(tuple(spans))
    return [*lines, _time_axis(run, end, columns)]


def _drawn(curve: tuple[Point, ...] | list[Point], columns: int, end: float) -> list[Point]:
    """Smooth a curve a little: what one step more or less costs is not what one looks for."""
    return thin(smooth(curve, end * HALF_LIFE_SHARE / 4), columns * 2)


def _label(scale: Scale, row: int, rows: int) -> str:
    if row == 0:
        return f"{scale.high:>5.2f} ┤"
    if row == rows - 1:
        return f"{scale.low:>5.2f} ┤"
    return f"{'':5} │"


def _time_axis(run: CurrentRun, end: float, columns: int) -> Line:
    left, right = "0:00", clock(end)
    legend = f"#{run.experiment} ⠤⠤" + (f"  base #{run.base} ⠄⠠" if run.base_curve else "")
    space = columns - len(left) - len(right)
    middle = legend.center(space) if len(legend) + 2 <= space else " " * max(1, space)
    return ((" " * AXIS_CELLS + left + middle + right, "muted"),)


def _figures(snapshot: Snapshot, run: CurrentRun, width: int) -> list[Line]:
    step = run.step
    phase = PHASES.get(run.phase, clean(run.phase, 20))
    lines: list[Line] = [
        (
            (f"#{run.experiment} ", "heading"),
            (fit(clean(run.title, 200), max(0, width - 20)), ""),
            (f" {phase:>12.12}", "running"),
        ),
        _progress(run, width),
    ]
    pace = _pace(run, width)
    if pace:
        lines.append(pace)
    loss = NOTHING if step is None or step.loss is None else f"{step.loss:.3f}"
    rate = step.tokens_per_second if step else None
    cells = [
        ("loss", f"{loss:>7}"),
        ("tok/s", f"{count(rate):>6}"),
        ("MFU", f"{percent(step.mfu if step else None):>5}"),
        ("step", f"{step.step if step else 0:>6}"),
        ("memory", f"{size(step.memory_bytes if step else None):>8}"),
        ("lr", f"{percent(step.lr_factor if step else None):>5}"),
        ("grad", f"{decimal(step.grad_norm if step else None):>6}"),
    ]
    named = dict(step.named) if step else {}
    cells += [(clean(name, 20), f"{decimal(value):>6}") for name, value in named.items()]
    return lines + _cells(cells, width) + _budget_note(snapshot, run.budget_seconds, width)


def _cells(cells: list[tuple[str, str]], width: int) -> list[Line]:
    """Lay labelled figures out in as few lines as they need."""
    lines: list[Line] = []
    line: list[Span] = []
    used = 0
    for label, value in cells:
        length = len(label) + 1 + len(value) + 3
        if line and used + length - 3 > width:
            lines.append(tuple(line))
            line, used = [], 0
        line += [(f"{label} ", "muted"), (f"{value}   ", "")]
        used += length
    return [*lines, tuple(line)]


def _progress(run: CurrentRun, width: int) -> Line:
    if run.phase == "evaluating" and run.evaluation and run.evaluation.rows:
        share = run.evaluation.done_rows / run.evaluation.rows
        words = f" {run.evaluation.done_rows:>5} of {run.evaluation.rows} rows"
    elif run.budget_tokens:
        share = run.progress
        words = f" {count(run.step.tokens if run.step else 0)}/{count(run.budget_tokens)} tokens"
    else:
        share = run.progress
        seconds = run.step.seconds if run.step else 0.0
        left = max(0.0, run.budget_seconds - seconds) if run.budget_seconds else None
        words = f" {clock(seconds):>5}/{clock(run.budget_seconds)}  left {clock(left):>5}"
    full, empty = bar(share, max(4, width - len(words)))
    return ((full, "running"), (empty, "queued"), (words, ""))


def _pace(run: CurrentRun, width: int) -> Line | None:
    if not run.curve or not run.base_curve or not run.budget_seconds:
        return None
    ahead = lead(run.curve, run.base_curve, run.budget_seconds * HALF_LIFE_SHARE)
    if ahead is None:
        return None
    seconds, difference = ahead
    where = "below" if difference < 0 else "above"
    key = "kept" if difference < 0 else "muted"
    text = f"{abs(difference):.3f} {where} base #{run.base}"
    at = f" at {clock(seconds)}"
    room = width - len("pace ") - len(text)
    after = next((a for a in (f"{at} (training loss)", at) if len(a) <= room), "")
    return (("pace ", "muted"), (fit(text, len(text) + min(0, room)), key), (after, "muted"))


def _budget_note(snapshot: Snapshot, seconds: float | None, width: int) -> list[Line]:
    device = (snapshot.setup or {}).get("device")
    if device != "cpu" or seconds != DEFAULT_CPU_BUDGET_SECONDS:
        return []
    text = "1 minute a run, as there is no GPU (see --budget)"
    return [((fit(text, width), "muted"),)]
