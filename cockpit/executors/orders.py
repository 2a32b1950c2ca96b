"""What an engine tells a supervisor: one JSON object on its command line, one on its standard
input. Both ends use these classes, so that they cannot drift apart.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """How to start a training; the supervisor's one argument."""

    spare: str
    """Absolute path at which the spare was made."""
    lock_descriptor: int
    """Inherited descriptor of the supervisor's file, which holds the lock."""
    sandbox: dict[str, Any]
    """Where the training is put, as `Sandbox.encode` gives it."""
    device: dict[str, Any]
    """The fields of its `Device`."""
    compiled: str
    """The lab's store of compiled kernels, of which the training gets a copy."""
    trainer_directory: str
    """Where harness.py is."""
    cpus: list[int]
    """Cores for the supervisor and a spare without a run; empty: any."""

    def encode(self) -> str:
        """As JSON, to be read by `Settings(**json.loads(...))`."""
        return json.dumps(dataclasses.asdict(self))


@dataclass(frozen=True, slots=True)
class Limits:
    """A run and its limits; the line on standard input."""

    run_directory: str
    """Where the run directory is now."""
    train_rows: str
    """File to hand in when the clock starts."""
    validation_rows: str
    """File to hand in after the checkpoint."""
    token_bytes: str
    """File to hand in together with the validation rows."""
    wall_seconds: float
    """From go to end."""
    memory_bytes: int | None
    """Resident memory of all processes together; None: no limit."""
    log_bytes: int
    """Size of train.log."""
    disk_bytes: int | None
    """Everything in the run directory together; None: no limit."""
    processes: int | None
    """Processes at one time; None: no limit."""
    keep_checkpoint: bool
    """Whether checkpoint.pt stays."""

    def encode(self) -> str:
        """As a line of JSON, to be read by `Limits(**json.loads(...))`."""
        return json.dumps(dataclasses.asdict(self)) + "\n"
