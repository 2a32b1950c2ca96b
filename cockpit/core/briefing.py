"""What a proposer is told: everything it knows of the night, as plain data.

The engine gathers it, a line of JSON carries it to the proposer's own process, and
`core.prompt` makes the text of it that a model or an agent reads. The classical search
reads the figures alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cockpit.core.effects import Effects
from cockpit.core.experiment import Hint
from cockpit.core.noise import Noise

VERSION_CHARACTERS = 12


def version_of(brief: str) -> str:
    """Return the version of a brief: the beginning of its SHA-256, in hex."""
    return hashlib.sha256(brief.encode()).hexdigest()[:VERSION_CHARACTERS]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What a proposer is told of one experiment."""

    id: int
    parent: int | None
    status: str
    val_bpb: float | None
    constants: dict[str, Any] | None
    """What it changed against its parent; None where it brought edits or a whole train.py."""
    title: str
    reason: str | None
    delta: float | None = None
    """val_bpb minus the parent's."""
    proposer: str = "search"
    hypothesis: str = ""
    runs: int = 0
    """Runs that have a score."""
    probability: float | None = None
    """Of being truly better than its parent, as the judge has it."""
    predicted: float | None = None
    """The change of val_bpb that its author expected."""
    diff: tuple[str, ...] = ()
    """Its change as lines of a diff; empty where it is left out."""
    log: tuple[str, ...] = ()
    """The last lines of a crashed run's log: untrusted."""
    gain: float | None = None
    """The honest change of val_bpb: what a replication would find."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An answer that could not be used."""

    answer: str
    """As it was written."""
    problem: str
    """What is wrong with it, for who wrote it."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A training that ended in an exception in its first seconds: it looks like a slip."""

    experiment: int
    title: str
    hypothesis: str
    diff: tuple[str, ...]
    log: tuple[str, ...]
    """The end of its log, with the traceback: untrusted."""


@dataclass(frozen=True, slots=True)
class Stale:
    """An idea whose edits do not apply to the present base any more."""

    experiment: int | None
    """None where it had not become one yet."""
    title: str
    hypothesis: str
    diff: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question of the human, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Briefing:
    """The whole of it."""

    tag: str
    base: int
    """The experiment that the proposal edits."""
    base_train_py: str
    baseline_train_py: str
    history: tuple[HistoryEntry, ...]
    """All experiments of the tag, queued and running ones included, oldest first."""
    hints: tuple[Hint, ...] = ()
    """Those that are open, orders left out."""
    order: Hint | None = None
    """What the next proposal has to be."""
    seed: int = 0
    program: str = ""
    """The text of program.md."""
    program_version: str = ""
    """Of the brief in it, as `version_of` gives it."""
    contract: str = ""
    """What train.py may ask of the harness."""
    setup: Mapping[str, Any] = field(default_factory=dict)
    """The measuring setup: budget, device, corpus and the rest, by name."""
    noise: Noise = Noise(None, 0, 0)  # noqa: RUF009 frozen
    effects: tuple[float, ...] = Effects().learned
    """What changes have done so far: see `core.effects`."""
    constraints: tuple[str, ...] = ()
    dynamics: tuple[str, ...] = ()
    """How the training of the last scored run went, in lines."""
    dynamics_of: int | None = None
    """The experiment whose run that was."""
    findings: str = ""
    conversation: tuple[Exchange, ...] = ()
    """The last questions of the human and their answers."""
    crash: Crash | None = None
    """A crash to mend, once."""
    stale: Stale | None = None
    """An idea to propose anew on the present base."""
    attempts: tuple[Attempt, ...] = ()
    """Answers to this very briefing that could not be used, oldest first."""
    question: str | None = None
    """Where the human asks something: the answer is text, no proposal."""
    token_limit: int = 48_000
    """Tokens that the prompt may have."""

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Briefing":
        """Return the briefing that `asdict` made JSON of."""
        given = dict(fields)
        for name, kind in MANY.items():
            given[name] = tuple(_made(kind, one) for one in given.get(name) or ())
        for name, kind in ONE.items():
            if given.get(name) is not None:
                given[name] = _made(kind, given[name])
        for name in ("constraints", "dynamics", "effects"):
            given[name] = tuple(given.get(name) or ())
        return cls(**given)


MANY: Mapping[str, type] = {
    "history": HistoryEntry,
    "hints": Hint,
    "attempts": Attempt,
    "conversation": Exchange,
}
ONE: Mapping[str, type] = {"order": Hint, "crash": Crash, "stale": Stale, "noise": Noise}
"""What the fields of a briefing are made of."""


def _made(kind: type, fields: Mapping[str, Any]) -> Any:
    """Return an object of a dataclass; JSON's lists become tuples again."""
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})
