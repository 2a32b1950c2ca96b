"""One experiment: what was hoped, what came of it, the verdict's story, the change itself."""

import asyncio
import time
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from cockpit.core.constraints import named_metrics
from cockpit.core.curve import Point, smooth, thin
from cockpit.core.edits import diff_lines
from cockpit.core.experiment import Proposal, Run
from cockpit.core.judge import probability_better
from cockpit.ui.charts import braille, loss_scale
from cockpit.ui.client import Client
from cockpit.ui.deciding import why_not
from cockpit.ui.lines import TextLines
from cockpit.ui.messages import Decide, Say
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.screens.following import FollowingScreen
from cockpit.ui.snapshot import Details, Snapshot
from cockpit.ui.text import Line, bpb, clean, clock, count, signed, size, wrap
from cockpit.ui.words import glyph, status_word, style_key

DIFF_LINES = 400
CHART_LINES = 8


class ExperimentScreen(FollowingScreen):
    """Everything about one experiment."""

    DEFAULT_CSS = """
    ExperimentScreen #details { border: round $pane-focus; padding: 0 1; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "back", key_display="esc"),
        Binding("a", "decide('accept')", "accept"),
        Binding("r", "decide('reject')", "reject"),
        Binding("a", "say_why('accept')", show=False),
        Binding("r", "say_why('reject')", show=False),
    ]

    def __init__(self, client: Client, details: Details, snapshot: Snapshot) -> None:
        super().__init__()
        self.client = client
        self.details, self.snapshot = details, snapshot

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield _DetailLines(self.details, self.snapshot)
        yield KeyLine()

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only the verdicts that are possible."""
        if action in {"decide", "say_why"}:
            possible = why_not(self.details.experiment, str(parameters[0])) is None
            return possible == (action == "decide")
        return True

    def action_decide(self, verb: str) -> None:
        """Accept or reject."""
        self.post_message(Decide(verb, self.details.experiment.id))

    def action_say_why(self, verb: str) -> None:
        """Say why it can't be accepted or rejected."""
        if told := why_not(self.details.experiment, verb):
            self.post_message(Say(told, good=False))

    def follow(self, snapshot: Snapshot) -> None:
        """Show what has become of it meanwhile, where anything has."""
        shown = self.details.experiment
        if (snapshot.experiments or {}).get(shown.id, shown) is not shown:
            self._read_again(snapshot)

    @work(exclusive=True)
    async def _read_again(self, snapshot: Snapshot) -> None:
        details = await asyncio.to_thread(self.client.details, self.details.experiment.id)
        if details is not None and self.is_attached:
            self.details, self.snapshot = details, snapshot
            self.query_one(_DetailLines).show_details(details, snapshot)
            self.refresh_bindings()


class _DetailLines(TextLines):
    can_focus = True

    def __init__(self, details: Details, snapshot: Snapshot) -> None:
        super().__init__("details")
        self._details, self._snapshot = details, snapshot
        self.border_title = f"#{details.experiment.id}"

    def show_details(self, details: Details, snapshot: Snapshot) -> None:
        self._details, self._snapshot = details, snapshot
        self.show_lines(detail_lines(details, snapshot, self.line_width))

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
        *[((line, "muted"),) for line in wrap(_origin(details), width)],
        (),
    ]
    if own.hypothesis:
        for paragraph in own.hypothesis.split("\n")[:40]:
            lines += [((line, ""),) for line in wrap(clean(paragraph), width)]
        lines.append(())
    lines += _hint_answers(details.proposal, width)
    if own.val_bpb is not None:
        lines += _figures(details, snapshot)
    lines += _chart(details, width)
    if own.runs:
        lines += [(("Runs", "heading"),), *[_run(run) for run in own.runs], ()]
    if details.dynamics:
        lines += [(("Training", "heading"),)]
        for figure in details.dynamics:
            lines += [((f"  {line}", ""),) for line in wrap(figure, width - 2)]
        lines.append(())
    for audit in details.audits:
        key = {"passed": "", "failed": "crashed"}.get(audit.outcome, "muted")
        told = f"  run {audit.run}: {clean(audit.says, 600)}"
        lines += [(("Audit", "heading"),), *[((line, key),) for line in wrap(told, width)], ()]
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
    return f"{on} · proposed by {clean(own.proposer, 30)}{_made_with(details.proposal)}{commit}"


def _made_with(proposal: Proposal) -> str:
    """Return the model of a proposal, what it mends, and what its author expected."""
    model = f" ({clean(proposal.model, 40)})" if proposal.model else ""
    mends = f" to mend #{proposal.repair_of}" if proposal.repair_of is not None else ""
    expected = proposal.predicted
    predicted = f" · predicted {signed(expected)}" if expected is not None else ""
    return f"{model}{mends}{predicted}"


def _hint_answers(proposal: Proposal, width: int) -> list[Line]:
    """Return what the proposal did with each hint that stood."""
    lines: list[Line] = []
    for answer in proposal.hints:
        done, key = ("applied", "kept") if answer.applied else ("not now", "warning")
        told = f"hint {answer.hint}: {done}" + (f": {clean(answer.why, 300)}" if answer.why else "")
        lines += [((line, key),) for line in wrap(told, width)]
    return [*lines, ()] if lines else []


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
    figures += [f"{clean(name, 40)} {value:.4g}" for name, value in named_metrics(run).items()]
    reason = f"   {run.state}: {clean(run.reason, 200)}" if run.reason else ""
    key = "crashed" if run.state in ("failed", "invalid") else "muted"
    return (("  ".join(figures), ""), (reason, key))


def _chart(details: Details, width: int) -> list[Line]:
    if not details.curve:
        return []
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
    over = ", over the parent's (dotted)" if details.parent_curve else ""
    words = next(
        (w for w in (f"loss{over} at equal time", f"loss{over}") if len(w) + 20 <= width), "loss"
    )
    left, right = "0:00", clock(end)
    legend = left + words.center(columns - len(left) - len(right)) + right
    return [*lines, ((f"{'':7}{legend}", "muted"),), ()]


def _change(details: Details) -> list[Line]:
    lines: list[Line] = []
    # The edits themselves where the texts are not there yet: it waits in the queue.
    diff = details.diff or tuple(diff_lines(details.proposal.edits or ()))
    if diff:
        lines.append((("Change to train.py", "heading"),))
        for text in diff[:DIFF_LINES]:
            key = {"+": "added", "-": "removed"}.get(text[:1], "muted")
            lines.append(((f"  {clean(text, 500)}", key),))
        if len(diff) > DIFF_LINES:
            more = len(diff) - DIFF_LINES
            lines.append(((f"  {more} more lines: cockpit show --diff", "muted"),))
        return [*lines, ()]
    if details.proposal.constants:
        lines.append((("Change to train.py", "heading"),))
        for name, value in details.proposal.constants.items():
            old = f"{details.base_values[name]!r} → " if name in details.base_values else ""
            lines.append(((f"  {clean(name, 80)} = {clean(f'{old}{value!r}', 300)}", "added"),))
        return [*lines, ()]
    return lines
