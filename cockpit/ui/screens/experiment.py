"""One experiment: what was hoped, what came of it, the verdict's story, the change itself."""

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from cockpit.core.curve import Point, smooth, thin
from cockpit.core.experiment import Run
from cockpit.core.judge import probability_better
from cockpit.ui.charts import braille, loss_scale
from cockpit.ui.lines import TextLines
from cockpit.ui.messages import Send
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.snapshot import Details, Snapshot
from cockpit.ui.text import Line, bpb, clean, clock, count, signed, size, wrap
from cockpit.ui.words import glyph, status_word, style_key

DIFF_LINES = 400
CHART_LINES = 8


class ExperimentScreen(Screen[None]):
    """Everything about one experiment."""

    DEFAULT_CSS = """
    ExperimentScreen #details { border: round $pane-focus; padding: 0 1; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "back", key_display="esc"),
        Binding("a", "decide('accept')", "accept"),
        Binding("r", "decide('reject')", "reject"),
    ]

    def __init__(self, details: Details, snapshot: Snapshot) -> None:
        super().__init__()
        self.details, self.snapshot = details, snapshot

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield _DetailLines(self.details, self.snapshot)
        yield KeyLine()

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_decide(self, verb: str) -> None:
        """Accept or reject."""
        self.post_message(Send(verb, {"id": self.details.experiment.id}))


class _DetailLines(TextLines):
    can_focus = True

    def __init__(self, details: Details, snapshot: Snapshot) -> None:
        super().__init__("details")
        self._details, self._snapshot = details, snapshot
        self.border_title = f"#{details.experiment.id}"

    def relayout(self) -> None:
        self._lines = detail_lines(self._details, self._snapshot, self.line_width)


def detail_lines(details: Details, snapshot: Snapshot, width: int) -> list[Line]:
    """Return the page for a width."""
    own, parent = details.experiment, details.parent
    best = snapshot.best.id if snapshot.best else None
    word = "best, kept" if own.id == best else status_word(own.status)
    if own.id in snapshot.awaiting:
        word = "borderline · yours to decide"
    lines: list[Line] = [
        *[((line, "heading"),) for line in wrap(clean(own.title, 500), width)],
        ((f"{glyph(own, best)} {word}", style_key(own, best)),),
        ((_origin(details), "muted"),),
        (),
    ]
    if own.hypothesis:
        for paragraph in own.hypothesis.split("\n")[:40]:
            lines += [((line, ""),) for line in wrap(clean(paragraph), width)]
        lines.append(())
    if own.val_bpb is not None:
        lines += _figures(details, snapshot)
    lines += _chart(details, width)
    if own.runs:
        lines += [(("Runs", "heading"),), *[_run(run) for run in own.runs], ()]
    if details.verdicts:
        lines.append((("Verdict", "heading"),))
        for event in details.verdicts:
            at = time.strftime("%H:%M", time.localtime(event.at))
            lead = f"  {at}  {event.status} by {clean(event.decided_by, 30)}: "
            lines += [((line, ""),) for line in wrap(lead + clean(event.reason, 600), width)]
        lines.append(())
    lines += _change(details)
    if parent is not None and details.log:
        lines += [(("Log, last lines", "heading"),)]
        lines += [((f"  {clean(line, 300)}", "muted"),) for line in details.log]
    return lines


def _origin(details: Details) -> str:
    own, parent = details.experiment, details.parent
    on = f"on #{parent.id} {clean(parent.title, 60)}" if parent else f"baseline of {own.tag}"
    commit = f" · commit {own.commit[:10]}" if own.commit else ""
    return f"{on} · proposed by {clean(own.proposer, 30)}{commit}"


def _figures(details: Details, snapshot: Snapshot) -> list[Line]:
    own, parent, noise = details.experiment, details.parent, snapshot.noise
    first = [(("val_bpb ", "muted"), (bpb(own.val_bpb), "heading"))]
    told = ""
    if parent is not None and parent.val_bpb is not None and own.val_bpb is not None:
        told = f"   gain {signed(own.val_bpb - parent.val_bpb)}"
        chance = probability_better(own, parent, noise)
        if chance is not None:
            told += f"   P(better) {chance:.2f}"
    if noise.sigma is not None:
        told += f"   noise ±{noise.sigma:.4f} ({noise.runs} runs)"
    lines: list[Line] = [(*first[0], (told, ""))]
    if parent is not None and parent.scores:
        scores = "  ".join(bpb(score) for score in parent.scores)
        lines.append((("parent  ", "muted"), (scores, "")))
    return [*lines, ()]


def _run(run: Run) -> Line:
    figures = [
        f"  {run.number}",
        f"seed {run.seed:<10}",
        f"val_bpb {bpb(run.val_bpb):>7}",
        f"{count(run.tokens):>6} tokens",
        f"{run.steps if run.steps is not None else '—':>6} steps",
        f"trained {clock(run.training_seconds):>5}",
        f"memory {size(run.peak_memory_bytes):>8}",
    ]
    reason = f"   {run.state}: {clean(run.reason, 200)}" if run.reason else ""
    return (("  ".join(figures), ""), (reason, "crashed" if run.state == "failed" else "muted"))


def _chart(details: Details, width: int) -> list[Line]:
    columns = max(8, min(width - 8, 120))
    end = max([curve[-1][0] for curve in (details.curve, details.parent_curve) if curve] or [0.0])
    curves: list[list[Point]] = [
        thin(smooth(curve, end / 100), columns * 2)
        for curve in (details.curve, details.parent_curve)
    ]
    scale = loss_scale(curves)
    if scale is None or end <= 0:
        return []
    rows = braille(curves, columns, CHART_LINES, (0.0, end), scale)
    lines: list[Line] = []
    for number, runs in enumerate(rows):
        value = {0: scale.high, CHART_LINES - 1: scale.low}.get(number)
        label = f"{value:>5.2f} ┤" if value is not None else f"{'':5} │"
        drawn = [(text, ("base", "curve", "base")[owner + 1]) for text, owner in runs]
        lines.append(((label, "muted"), *drawn))
    legend = f"{'':7}0:00   loss, over the parent's (dotted) at equal time   {clock(end)}"
    return [*lines, ((legend[:width], "muted"),), ()]


def _change(details: Details) -> list[Line]:
    lines: list[Line] = []
    if details.diff:
        lines.append((("Change to train.py", "heading"),))
        for text in details.diff[:DIFF_LINES]:
            key = {"+": "added", "-": "removed"}.get(text[:1], "muted")
            lines.append(((f"  {clean(text, 500)}", key),))
        if len(details.diff) > DIFF_LINES:
            more = len(details.diff) - DIFF_LINES
            lines.append(((f"  {more} more lines: cockpit show --diff", "muted"),))
        return [*lines, ()]
    if details.proposal.constants:
        lines.append((("Change to train.py", "heading"),))
        for name, value in details.proposal.constants.items():
            lines.append(((f"  {clean(name, 80)} = {clean(repr(value), 200)}", "added"),))
        return [*lines, ()]
    return lines
