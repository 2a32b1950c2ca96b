"""What every executor offers: a place where a train.py is trained, and what is seen of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cockpit.lab.rundir import RunExit, Stage


class ExecutorError(RuntimeError):
    """A run could not be started; the message says what was tried and what stands in the way."""


@dataclass(frozen=True, slots=True)
class Device:
    """What one slot trains on."""

    kind: Literal["cpu", "cuda", "mps"]
    """The device type, in torch's words."""
    name: str
    """Model, as the maker calls it; part of the measuring setup."""
    uuid: str
    """What tells it from its neighbours; a GPU's UUID, else the kind."""
    memory_bytes: int
    """All of its memory, bytes."""
    threads: int
    """Threads of a training's CPU work."""
    cpus: tuple[int, ...] = ()
    """Cores that a CPU training is bound to; empty: not bound."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One run to be started."""

    run_directory: Path
    """Its final place; must not exist, or hold the remains of a run that is over."""
    train_py: str
    """The text under test."""
    spec: Mapping[str, object]
    """What the harness is told: spec.json."""
    train_rows: Path
    """The file handed to the harness when its clock starts."""
    validation_rows: Path
    """The file handed to the harness once the checkpoint has been noted."""
    token_bytes: Path
    """Bytes of each token, .npy; handed in together with the validation rows."""
    wall_seconds: float
    """Outer limit, counted from the moment the training sees its train.py."""
    memory_bytes: int | None
    """Limit of resident memory over all processes of the run; None: no limit."""
    log_bytes: int
    """Limit of train.log."""
    disk_bytes: int | None
    """Limit of everything in the run directory; None: no limit."""
    processes: int | None
    """Limit of processes at one time; None: no limit."""
    keep_checkpoint: bool
    """Whether checkpoint.pt stays after the run."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look at a run directory tells."""

    state: Literal["alive", "ended", "lost"]
    """Lost: the supervisor is gone and left no word."""
    exit: RunExit | None
    """How it ended; only with `ended`."""
    stage: Stage | None
    """How far it was; None where no supervisor ever said so."""


@dataclass(frozen=True, slots=True)
class SpareState:
    """The warm spare of a slot."""

    state: Literal["none", "warming", "ready", "failed"]
    """Failed: it died before it had a run; `warm` tries again, ever more slowly."""
    message: str | None = None
    """Why it failed, one line."""


class Executor(Protocol):
    """Starts runs on one device. A run belongs to nobody once it is started: it is watched and
    ended through its directory (`observe`, `stop`), also by an engine that was started later.
    """

    @property
    def spare_state(self) -> SpareState:
        """How far the spare is; a look at files, no waiting."""
        ...

    def warm(self) -> None:
        """See to it that a spare exists or is on its way; does not wait for it."""
        ...

    def start(self, assignment: Assignment) -> None:
        """Start the run, with the spare if there is one. Raises ExecutorError."""
        ...

    def close(self) -> None:
        """End the spare. Runs go on."""
        ...
