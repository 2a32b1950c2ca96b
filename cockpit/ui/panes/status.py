"""The line on top: what is this, does it live, how far is it, what awaits me."""

import time

from rich.cells import cell_len

from cockpit.ui.lines import TextLines
from cockpit.ui.snapshot import CurrentRun, Snapshot
from cockpit.ui.text import (
    NOTHING,
    Line,
    Span,
    bpb,
    budget,
    clean,
    clock,
    percent,
    signed,
    width_of,
)
from cockpit.ui.words import PHASES, engine_word

Piece = tuple[int, tuple[Span, ...]]
"""How dear it is (the lowest goes first when space is short), and its text."""
GAP = "   "


class StatusLine(TextLines):
    """One line that is always there."""

    DEFAULT_CSS = "StatusLine { height: 1; width: 1fr; overflow-y: hidden; }"

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        self.snapshot = snapshot
        self.show_lines([status_line(snapshot, self.line_width)])

    def relayout(self) -> None:
        """Fill the new width."""
        if hasattr(self, "snapshot"):
            self._lines = [status_line(self.snapshot, self.line_width)]


def status_line(snapshot: Snapshot, width: int) -> Line:
    """Return the line for a width: what matters least is left out first."""
    pieces, right = _pieces(snapshot), _awaiting(snapshot)
    room = width - 2 - width_of(right)
    chosen: set[int] = set()
    for place in sorted(range(len(pieces)), key=lambda place: -pieces[place][0]):
        needed = width_of(pieces[place][1]) + len(GAP)
        if needed <= room or not chosen:
            room -= needed
            chosen.add(place)
    spans: list[Span] = [(" ", "")]
    for place in sorted(chosen):
        spans += [*pieces[place][1], (GAP, "")]
    space = width - width_of(spans) - width_of(right)
    return (*spans, (" " * max(0, space), ""), *right)


def _pieces(snapshot: Snapshot) -> list[Piece]:
    lab = [(clean(snapshot.lab, 24), "heading")]
    if snapshot.problem:
        return [(1, tuple(lab)), (9, ((clean(snapshot.problem, 300), "error"),))]
    pieces: list[Piece] = [(2, tuple(lab))]
    if snapshot.tag:
        about = [clean(snapshot.tag.name, 30)]
        corpus = (snapshot.setup or {}).get("corpus")
        if isinstance(corpus, str):
            about.append(clean(corpus, 20))
        pieces.append((3, ((about[0], "heading"),)))
        if about[1:]:
            pieces.append((0, ((about[1], "muted"),)))
    pieces.append((9, (ended_word(snapshot) or engine_word(snapshot.engine),)))
    if snapshot.current:
        pieces.append((7, _running(snapshot.current[0])))
    if snapshot.best:
        pieces.append((6, _best(snapshot)))
    if snapshot.busy is not None:
        pieces.append((1, ((f"{percent(snapshot.busy)} busy", "muted"),)))
    if snapshot.total:
        pieces.append((4, ((_ideas(snapshot), "muted"),)))
    return pieces


def ended_word(snapshot: Snapshot) -> Span | None:
    """Return the words for a night that has ended, or None."""
    night = snapshot.night
    if night is None or snapshot.engine.state != "stopped":
        return None
    if night.ended_at is None:
        return "■ stopped: b goes on", "yours"
    at = time.strftime("%H:%M", time.localtime(night.ended_at))
    return f"■ night ended {at}: b begins another", "yours"


def _running(run: CurrentRun) -> tuple[Span, ...]:
    seconds = run.step.seconds if run.step else 0.0
    limit = clock(run.budget_seconds) if run.budget_seconds else NOTHING
    return (
        (f"#{run.experiment} ", ""),
        (f"{PHASES.get(run.phase, run.phase):<10.10}", "running"),
        (f" {clock(seconds)}/{limit}", ""),
    )


def _best(snapshot: Snapshot) -> tuple[Span, ...]:
    best, baseline, noise = snapshot.best, snapshot.baseline, snapshot.noise
    spans: list[Span] = [("best ", "muted"), (bpb(best.val_bpb if best else None), "best")]
    if best and baseline and best.val_bpb is not None and baseline.val_bpb is not None:
        spans.append((f" {signed(best.val_bpb - baseline.val_bpb)}", ""))
    if noise.sigma is not None:
        spans.append((f" ±{noise.sigma:.4f}", "muted"))
    return tuple(spans)


def _ideas(snapshot: Snapshot) -> str:
    limit = snapshot.night.options.get("max_experiments") if snapshot.night else None
    of = f" of {limit}" if isinstance(limit, int) and snapshot.night else ""
    tried = snapshot.night.claimed if of and snapshot.night else snapshot.total
    return f"{tried}{of} ideas"


def _awaiting(snapshot: Snapshot) -> tuple[Span, ...]:
    number = len(snapshot.awaiting)
    if not number:
        return ()
    return ((f"{number} {'is' if number == 1 else 'are'} yours ", "yours"),)


class TabLine(TextLines):
    """In a narrow terminal: which pane is shown, and a word on the others."""

    DEFAULT_CSS = "TabLine { height: 1; width: 1fr; overflow-y: hidden; }"

    def show(self, snapshot: Snapshot, names: dict[str, str], active: str) -> None:
        """Show the tabs; `names` maps keys to names of panes."""
        spans: list[Span] = [(" ", "")]
        for key, name in names.items():
            label = f"{key} {name}"
            spans.append((f"[{label}]", "heading") if name == active else (f" {label} ", "muted"))
        spans.append(("  ", ""))
        spans += _strip(snapshot, self.line_width - width_of(spans))
        self.show_lines([tuple(spans)])


def _strip(snapshot: Snapshot, room: int) -> list[Span]:
    words = []
    run = snapshot.current[0] if snapshot.current else None
    if run and run.step:
        loss = NOTHING if run.step.loss is None else f"{run.step.loss:.3f}"
        words.append(f"loss {loss}")
        words.append(f"step {run.step.step}")
    elif snapshot.engine.activity:
        words.append(clean(snapshot.engine.activity, 40))
    if run and run.budget_seconds:
        words.append(f"{budget(run.budget_seconds)} a run")
    spans: list[Span] = []
    for word in words:
        if cell_len(word) + 2 > room:
            break
        spans.append((f"{word}  ", "muted"))
        room -= cell_len(word) + 2
    return spans
