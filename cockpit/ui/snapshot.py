"""What the screen knows of a lab at one moment; everything in it is frozen.

Parts that did not change are the very same objects as in the snapshot before, so that a
pane tells by `is` whether it has anything to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cockpit.core.curve import Point
from cockpit.core.experiment import Experiment, Hint, Proposal, Status
from cockpit.core.noise import Noise
from cockpit.lab.metrics import Evaluation, Step
from cockpit.lab.rows import (
    AuditRow,
    DecisionEvent,
    Message,
    Night,
    Remark,
    Stream,
    Tag,
    Wanted,
)
from cockpit.ui.past import PastNight
from cockpit.ui.spent import NOTHING_SPENT, Spent
from cockpit.ui.tally import TagSummary, limit_of

UNKNOWN_NOISE = Noise(None, 0, 0)
STALE_SECONDS = 12.0
"""A heartbeat older than this is worth a word."""


def names_of(schedule: str) -> frozenset[str]:
    """Return the proposers of a schedule such as `llm:3,search:1`."""
    return frozenset(part.partition(":")[0].strip() for part in schedule.split(","))


@dataclass(frozen=True, slots=True)
class EngineState:
    """Whether the night goes on."""

    state: str
    """`fresh` (nothing was ever started), `running`, `paused`, `stopped` or `dead`."""
    heartbeat_age: float | None = None
    """Seconds since the engine last said something."""
    activity: str = ""
    reason: str | None = None
    sandbox: str = ""
    """What trainings are confined by; empty where nobody has said so."""

    @property
    def unsandboxed(self) -> bool:
        """Return whether trainings run with nothing to confine them."""
        return self.alive and self.sandbox == "none"

    @property
    def alive(self) -> bool:
        """Return whether an engine holds the lab."""
        return self.state in {"running", "paused"}

    @property
    def stale(self) -> bool:
        """Return whether it lives and has not been heard of for long."""
        return self.alive and (self.heartbeat_age or 0.0) > STALE_SECONDS


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """A run under way, with its curve over its base's."""

    experiment: int
    run: int
    slot: int
    title: str
    device: str
    phase: str
    """starting, warming, training, evaluating or done."""
    step: Step | None
    evaluation: Evaluation | None
    budget_seconds: float | None
    budget_tokens: int | None
    curve: tuple[Point, ...]
    base: int | None
    """The experiment whose curve is drawn below it: its parent."""
    base_curve: tuple[Point, ...]

    @property
    def progress(self) -> float:
        """Return the share of the training budget used, 0 to 1."""
        if self.step is None:
            return 0.0
        return min(1.0, max(0.0, self.step.progress))


@dataclass(frozen=True, slots=True)
class Slot:
    """One GPU, or the CPU."""

    device: str
    category: str
    """What the ledger says it is doing."""
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command that this screen dropped."""

    verb: str
    done: bool
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A lab at one moment."""

    lab: str
    at: float
    """Unix seconds."""
    engine: EngineState
    problem: str | None = None
    """Why the journal can't be read, one line."""
    tag: Tag | None = None
    setup: Mapping[str, Any] | None = None
    night: Night | None = None
    experiments: Mapping[int, Experiment] | None = None
    """By id, ascending; the same object as before when nothing changed."""
    counts: Mapping[Status, int] | None = None
    """Experiments of the tag by status, the baseline not counted."""
    ideas: int = 0
    """Those of them that have a verdict."""
    done_tonight: int = 0
    """Experiments of this night that are done, as its limit counts them; 0 without one."""
    others: tuple[TagSummary, ...] = ()
    """The other tags of the lab, the newest first."""
    baseline: Experiment | None = None
    best: Experiment | None = None
    base: Experiment | None = None
    """What the next proposal edits: the best, or what grew best from the pinned one."""
    best_line: frozenset[int] = frozenset()
    """Ids from the baseline to the best."""
    sound: frozenset[int] = frozenset()
    noise: Noise = UNKNOWN_NOISE
    awaiting: tuple[int, ...] = ()
    """Borderline experiments that are a person's to decide, most valuable first."""
    queue: tuple[int, ...] = ()
    """Experiments that wait for a slot, the next one first."""
    wanted: tuple[Wanted, ...] = ()
    """Runs that were asked for and have not begun."""
    seen: int = 0
    """The newest event of any verdict that is in this picture: see `Journal.verdicts`."""
    by_hand: DecisionEvent | None = None
    """What a person has decided last."""
    offer: Message | None = None
    """What the engine offers and nobody has taken up."""
    hints: tuple[Hint, ...] = ()
    messages: tuple[Message, ...] = ()
    """Those of the present night, or the last."""
    earlier: int = 0
    """How many more of that night there are in the journal."""
    past: tuple[PastNight, ...] = ()
    """The nights before it, oldest first."""
    streams: tuple[Stream, ...] = ()
    """What is being written at this moment; nothing where no engine lives."""
    spent: Spent = NOTHING_SPENT
    """What the calls of models have taken this night."""
    slots: Mapping[int, Slot] | None = None
    current: tuple[CurrentRun, ...] = ()
    """The runs under way; none where no engine lives."""
    stranded: tuple[int, ...] = ()
    """Experiments whose run a dead engine left behind."""
    outcomes: tuple[Outcome, ...] = ()
    """Answers that arrived since the snapshot before."""

    @property
    def limit(self) -> int | None:
        """Return how many experiments this night may claim, or None."""
        return limit_of(self.night)

    @property
    def kept(self) -> int:
        """Return how many ideas are kept."""
        return (self.counts or {}).get(Status.KEPT, 0)

    @property
    def gain(self) -> float | None:
        """Return how far the best lies from the baseline; None while the baseline is the best."""
        best, baseline = self.best, self.baseline
        if best is None or baseline is None or best.id == baseline.id:
            return None
        own, first = best.val_bpb, baseline.val_bpb
        return own - first if own is not None and first is not None else None

    @property
    def busy(self) -> float | None:
        """Return the share of the slots' time spent training and evaluating, 0 to 1."""
        slots = (self.slots or {}).values()
        whole = sum(sum(slot.seconds.values()) for slot in slots)
        if whole < 1.0:
            return None
        work = ("training", "evaluation")
        return sum(slot.seconds.get(name, 0.0) for slot in slots for name in work) / whole

    @property
    def proposer(self) -> str | None:
        """Return who has the ideas this night: a name, or a schedule; None without a night."""
        if self.night is None:
            return None
        return str(self.night.options.get("proposer") or "search")

    @property
    def proposers(self) -> frozenset[str]:
        """Return the names of those who have the ideas."""
        return names_of(self.proposer) if self.proposer else frozenset()

    @property
    def hints_unread(self) -> bool:
        """Return whether nobody is there to read a hint."""
        return self.proposers == {"search"}


@dataclass(frozen=True, slots=True)
class Details:
    """Everything about one experiment, for its own screen."""

    experiment: Experiment
    parent: Experiment | None
    proposal: Proposal
    verdicts: tuple[DecisionEvent, ...]
    audits: tuple[AuditRow, ...]
    dynamics: tuple[str, ...]
    """How the training of the first scored run went, in words."""
    diff: tuple[str, ...]
    """Unified diff of train.py against the parent's, where both texts are still there."""
    log: tuple[str, ...]
    """Last lines of the newest run's log."""
    curve: tuple[Point, ...]
    parent_curve: tuple[Point, ...]
    remarks: tuple[Remark, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    """Runs of it that were asked for and have not begun."""
    sealed_gain: float | None = None
    """Its score on sealed rows minus its parent's, where both passed an audit; never in a note."""
    base_values: Mapping[str, object] = field(default_factory=dict)
    """The parent's values of the constants that the proposal changes, as far as known."""
