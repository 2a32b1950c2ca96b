"""Pure: one experiment, or one folded tag, becomes a line of the history."""

from dataclasses import dataclass

from cockpit.core.experiment import Experiment, Status
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.tally import TagSummary
from cockpit.ui.text import Line, Span, bpb, clean, fit, signed
from cockpit.ui.tree_rows import Fold
from cockpit.ui.words import GLYPHS, PHASES, glyph, status_word, style_key

COLUMNS = (
    ("word", 10, 0),
    ("delta", 8, 46),
    ("honest", 10, 72),
    ("bpb", 8, 36),
    ("proposer", 9, 84),
    ("age", 5, 56),
)
"""Right-hand columns in order: name, cells, and from which width on they are shown."""
LEAST = {name: least for name, _, least in COLUMNS}
MARKED_UNSOUND = frozenset({Status.KEPT, Status.BORDERLINE, Status.QUEUED})
"""Of the others it makes no difference."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An experiment and what its line says beside it."""

    snapshot: Snapshot
    own: Experiment
    parent: Experiment | None
    phase: str | None
    """That of its run under way."""
    age: str
    wanted: int = 0
    """Runs of it that were asked for and have not begun."""

    @property
    def best(self) -> int | None:
        """Return the best of the present tag."""
        return self.snapshot.best.id if self.snapshot.best else None

    @property
    def is_stranded(self) -> bool:
        """Return whether it is called running, and no engine lives."""
        return self.own.status is Status.RUNNING and not self.snapshot.engine.alive


def experiment_line(shown: Shown, connectors: str, width: int) -> Line:
    """Return the line of an experiment for a width."""
    own, best = shown.own, shown.best
    on_line = own.id in shown.snapshot.best_line
    title = clean(own.title, 200)
    if own.parent is None:
        title = f"{title} · {clean(own.tag, 30)}"
    columns = [(name, cells) for name, cells, least in COLUMNS if width >= least]
    room = width - 1 - sum(cells for _, cells in columns)
    # Deep down the nearest ancestors are enough: the title is what one reads.
    connectors = connectors[-max(4, room // 4) :]
    room -= len(connectors) + 2
    sign = GLYPHS[Status.QUEUED] if shown.is_stranded else glyph(own, best)
    spans: list[Span] = [
        (" ", ""),
        (connectors, "best" if on_line else "muted"),
        (sign + " ", style_key(own, best)),
        (fit(f"#{own.id} {title}", room), _title_style(own, on_line)),
    ]
    for name, cells in columns:
        text, key = _column(name, shown, width)
        spans.append((f"{fit(text, cells - 1) if name == 'word' else text:>{cells}}", key))
    return tuple(spans)


def _column(name: str, shown: Shown, width: int) -> Span:
    own = shown.own
    chance = own.probability if own.status is Status.BORDERLINE else None
    if name == "word":
        return _word(shown)
    if name == "delta":
        score, base = own.val_bpb, shown.parent.val_bpb if shown.parent else None
        if score is None or base is None:
            return "", ""
        sigma = shown.snapshot.noise.sigma or 0.0
        # What noise alone can do is said quietly.
        return signed(score - base), "muted" if abs(score - base) < 2 * sigma else ""
    if name == "honest":
        return (f"({signed(own.gain)})" if own.gain is not None else ""), "muted"
    if name == "bpb":
        return (bpb(own.val_bpb) if own.val_bpb is not None else ""), ""
    if name == "proposer":
        if chance is not None:
            return f"P {chance:.2f}", "yours"
        return clean(own.proposer, 8), "muted"
    if chance is not None and width < LEAST["proposer"]:
        # Where there is no room for both, how probable it is counts for more than its age.
        return "P" + f"{min(chance, 0.99):.2f}"[1:], "yours"
    return shown.age, "muted"


def _word(shown: Shown) -> Span:
    own, snapshot = shown.own, shown.snapshot
    if shown.is_stranded:
        return "waits", "warning"
    if own.status is Status.RUNNING:
        measured = own.runs and all(run.state != "running" for run in own.runs)
        phase = shown.phase or ("auditing" if measured else "running")
        return PHASES.get(phase, phase), "running"
    if shown.phase is not None:  # another run of what has its verdict
        return PHASES.get(shown.phase, shown.phase), "running"
    word, key = _verdict_word(shown)
    if shown.wanted and own.status is not Status.QUEUED:
        more = f"{word} +{shown.wanted}"
        return (more if len(more) < COLUMNS[0][1] else f"+{shown.wanted} due"), key
    if own.status is Status.QUEUED and key != "warning" and own.id in snapshot.queue:
        return f"queue {snapshot.queue.index(own.id) + 1}", key
    return word, key


def _verdict_word(shown: Shown) -> Span:
    own, snapshot = shown.own, shown.snapshot
    if own.status in MARKED_UNSOUND and own.id not in snapshot.sound:
        return "unsound", "warning"
    pinned = snapshot.tag.pinned if snapshot.tag else None
    if own.id == pinned:
        return "pinned", "yours"
    if pinned is not None and snapshot.base is not None and own.id == snapshot.base.id:
        return "base", "yours"
    word = "best" if own.id == shown.best else status_word(own.status)
    return word, style_key(own, shown.best)


def _title_style(experiment: Experiment, on_line: bool) -> str:
    if on_line:
        return "heading"
    return "muted" if experiment.status in {Status.DISCARDED, Status.STOPPED} else ""


def fold_line(row: Fold, about: TagSummary, width: int) -> Line:
    """Return the one line of another tag."""
    told = f"{about.ideas} idea{'s' * (about.ideas != 1)}, {about.kept} kept"
    best = f" · best {bpb(about.best)}" if about.best is not None else ""
    sign = "▾" if row.is_open else "▸"
    room = max(4, width - len(told) - len(best) - 6)
    name = clean(row.tag, 30)
    name = fit(name, room) if len(name) > room else name
    return ((fit(f" {sign} {name} · {told}{best}", width), "muted"),)
