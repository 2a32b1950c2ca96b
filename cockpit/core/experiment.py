"""What the night is made of, and the one table that says how an experiment may live.

An *experiment* is a proposal, its runs and a verdict. It is born QUEUED, a slot
claims it (RUNNING), and it leaves with one of six verdicts. A verdict is about the
experiment against its parent and nothing else; whether its ancestors still stand is
derived (`core.tree.sound`) and never written into it. A person may change a verdict
afterwards: that is another event on the same table, so what is possible for a person,
for the rule and for the recovery after a crash can be read in one place.

Everything here is frozen: the journal holds the truth, these are pictures of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cockpit.core.edits import Edit, edits_from_json


class Status(StrEnum):
    """Where an experiment stands; the last six are verdicts."""

    QUEUED = "queued"
    RUNNING = "running"
    KEPT = "kept"
    DISCARDED = "discarded"
    BORDERLINE = "borderline"
    CRASHED = "crashed"
    INVALID = "invalid"
    STOPPED = "stopped"


VERDICTS = frozenset(Status) - {Status.QUEUED, Status.RUNNING}
"""The statuses that end an experiment (a person may still change them)."""


BY_RULE = "rule"
"""Who decides where no person does."""


class Event(StrEnum):
    """What can happen to an experiment."""

    CLAIM = "claim"
    """A slot takes it from the queue."""
    RETURN = "return"
    """Its run was lost to a fault that is not its own: back to the queue."""
    KEEP = "keep"
    DISCARD = "discard"
    ASK = "ask"
    """The rule leaves it to a person."""
    CRASH = "crash"
    REFUSE = "refuse"
    """It can't be measured fairly, or its edits do not apply."""
    STOP = "stop"
    """A person ended its run, or dropped it from the queue."""
    ACCEPT = "accept"
    """A person keeps it."""
    REJECT = "reject"
    """A person discards it."""
    BRANCH = "branch"
    """A person makes it the base, or gives the base back to the best."""
    UNDO = "undo"
    """A person's last decision is taken back."""


ASIDE = frozenset({Event.BRANCH, Event.UNDO})
"""Events without a pair in `TRANSITIONS`: a branch leaves the status as it is, and undo leads
back to where the decision came from, whatever that was."""


TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.QUEUED, Event.CLAIM): Status.RUNNING,
    (Status.QUEUED, Event.REFUSE): Status.INVALID,
    (Status.QUEUED, Event.STOP): Status.STOPPED,
    (Status.RUNNING, Event.RETURN): Status.QUEUED,
    (Status.RUNNING, Event.KEEP): Status.KEPT,
    (Status.RUNNING, Event.DISCARD): Status.DISCARDED,
    (Status.RUNNING, Event.ASK): Status.BORDERLINE,
    (Status.RUNNING, Event.CRASH): Status.CRASHED,
    (Status.RUNNING, Event.REFUSE): Status.INVALID,
    (Status.RUNNING, Event.STOP): Status.STOPPED,
    (Status.BORDERLINE, Event.KEEP): Status.KEPT,
    (Status.BORDERLINE, Event.DISCARD): Status.DISCARDED,
    (Status.BORDERLINE, Event.ASK): Status.BORDERLINE,
    (Status.BORDERLINE, Event.REFUSE): Status.INVALID,
    (Status.BORDERLINE, Event.ACCEPT): Status.KEPT,
    (Status.BORDERLINE, Event.REJECT): Status.DISCARDED,
    (Status.DISCARDED, Event.ACCEPT): Status.KEPT,
    (Status.STOPPED, Event.ACCEPT): Status.KEPT,
    (Status.KEPT, Event.REJECT): Status.DISCARDED,
    (Status.KEPT, Event.ACCEPT): Status.KEPT,
}
"""The whole life cycle, but for what is `ASIDE`. A pair that is not here does not happen."""


class TransitionError(ValueError):
    """Raised by `after` when an event makes no sense in a status; says why in one line."""


def after(status: Status, event: Event) -> Status:
    """Return the status that follows, or raise `TransitionError` with a line for a person."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise TransitionError(f"{event} is not possible: it is {status}") from None


@dataclass(frozen=True, slots=True)
class HintAnswer:
    """What a proposer did with a hint."""

    hint: int
    applied: bool
    why: str = ""
    """Why not now; or how, where it was."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An idea and its change: exactly one of `constants`, `edits`, `train_py` is set."""

    title: str
    proposer: str
    """Who had the idea: `search`, `llm`, `command`, `baseline` or a person's login."""
    hypothesis: str = ""
    constants: dict[str, Any] | None = None
    """New values of UPPER_CASE constants of the base's train.py; re-applied on a newer base."""
    train_py: str | None = None
    """A whole train.py."""
    edits: tuple[Edit, ...] | None = None
    """Search and replace on the base's train.py; re-applied on a newer base."""
    predicted: float | None = None
    """The change of val_bpb that its author expects; negative is better."""
    hints: tuple[HintAnswer, ...] = ()
    """What became of the hints that stood."""
    program: str | None = None
    """Version of program.md that it was made under: see `core.briefing.version_of`."""
    model: str | None = None
    """The model that had it, where one did."""
    repair_of: int | None = None
    """The experiment whose crash it mends."""
    order: int | None = None
    """The hint that ordered it: it goes before all others."""
    reapplies: int | None = None
    """The kept experiment whose change this is, on a base that was kept meanwhile."""
    ablates: tuple[int, ...] | None = None
    """The kept experiments whose changes it takes out of the base, to see what they are worth."""

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Proposal":
        """Return the proposal that `asdict` made JSON of; fields of a newer cockpit are left out.

        Raises `KeyError`, `TypeError` or `EditError` where it is none.
        """
        known = {name: value for name, value in fields.items() if name in cls.__slots__}
        edits = known.get("edits")
        known["edits"] = edits_from_json(edits) if edits is not None else None
        known["hints"] = tuple(HintAnswer(**answer) for answer in known.get("hints") or ())
        known["ablates"] = tuple(known["ablates"]) if known.get("ablates") is not None else None
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of an experiment's train.py with one seed."""

    experiment: int
    number: int
    """1 for the first run of its experiment."""
    seed: int
    setup: str
    """Hash of the measuring setup; val_bpb is compared only within one."""
    slot: int
    state: str
    """`running`, `finished`, `failed` (its own fault), `invalid` (its result was not measured as
    all others are), `lost` (a fault of the world under way),
    `unstarted` (a fault of the machine: it never saw its train.py, or the disk was full) or
    `stopped` (by a person, or because its engine had died)."""
    started_at: float
    """Unix seconds."""
    ended_at: float | None = None
    val_bpb: float | None = None
    """Validation bits per byte, lower is better; None until scored or when not finite."""
    training_seconds: float | None = None
    total_seconds: float | None = None
    startup_seconds: float | None = None
    evaluation_seconds: float | None = None
    peak_memory_bytes: int | None = None
    tokens: int | None = None
    steps: int | None = None
    parameters: int | None = None
    reason: str | None = None
    """Why it failed or was lost, one line."""
    named: str | None = None
    """A JSON object: metrics that train.py reported under names of its own, as it last did."""
    purpose: str = "verdict"
    """`verdict` (it counts towards the score), `confirm` (it does too, and was made when the
    verdict was there: an estimate that no choice has biased) or `horizon` (another budget: never
    compared with the others)."""
    spared: str | None = None
    """Why it is not stopped early: `hand` (a person let it finish) or `drawn` (one in ten is,
    so that the rule for stopping stays checked); None otherwise."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A proposal with its runs and its verdict."""

    id: int
    """Unique in the lab; the first baseline of a lab is 0."""
    tag: str
    parent: int | None
    """None for a baseline."""
    title: str
    proposer: str
    status: Status
    created_at: float
    commit: str | None = None
    """Hash of its git commit; None until a slot claims it."""
    hypothesis: str = ""
    decided_by: str | None = None
    """`rule` or a person's login."""
    reason: str | None = None
    """Why the verdict is what it is, one line."""
    claimed_at: float | None = None
    decided_at: float | None = None
    place: float | None = None
    """Where a person has put it in the queue: the lowest first; None: where its id says."""
    probability: float | None = None
    """Of being truly better than its parent, as the rule last said; None before."""
    gain: float | None = None
    """The honest change of val_bpb against its parent (negative is better): see `core.judge`."""
    gain_error: float | None = None
    """Standard deviation of that estimate."""
    runs: tuple[Run, ...] = field(default=())

    @property
    def scored(self) -> tuple[Run, ...]:
        """Return the runs that have a score which may be compared within the setup."""
        return tuple(r for r in self.runs if r.val_bpb is not None and r.purpose != "horizon")

    @property
    def scores(self) -> tuple[float, ...]:
        """Return their val_bpb."""
        return tuple(run.val_bpb for run in self.scored if run.val_bpb is not None)

    @property
    def val_bpb(self) -> float | None:
        """Return the mean val_bpb over runs, or None."""
        scores = self.scores
        return sum(scores) / len(scores) if scores else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule or a person says of an experiment."""

    event: Event
    reason: str
    decided_by: str = BY_RULE
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The figures it rests on."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A nudge from the human; it stays in every prompt until withdrawn."""

    id: int
    text: str
    author: str
    at: float
    """Unix seconds."""
    state: str = "queued"
    """`queued`, `seen`, `applied`, `declined` (not now, and why) or `withdrawn`."""
    experiment: int | None = None
    """The experiment that answered it last."""
    once: bool = False
    """For the next proposal only."""
    order: bool = False
    """A direct order: the next proposal is this."""
    why: str = ""
    """What its reader said to it."""

    @property
    def open(self) -> bool:
        """Tell whether it belongs into the next prompt."""
        spent = (self.once or self.order) and self.state != "queued"
        return self.state != "withdrawn" and not spent
