"""A run directory, read from the outside.

A run directory is written by three processes that do not trust each other: the engine
(`train.py`, `spec.json`), the training under test (`metrics.jsonl`, `result.json`, `train.log`)
and its supervisor (`exit.json`). Whoever reads it checks what comes in, here and only here: a
training may have written anything, also a pipe that never ends.

Who the supervisor is, and that it lives, stands beside the directory, where no training can
write: in `NAME.supervisor.json`, on which the supervisor holds a lock. An exit.json counts once
that lock is free, because the supervisor's comes after all that its training could write.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cockpit.lab.flocks import is_held
from cockpit.lab.metrics import Evaluation, MetricsTail, Phase, Step, named_metrics
from cockpit.lab.record import RunDirectoryError, open_regular, read_record

__all__ = [
    "Evaluation",
    "ExitReason",
    "MetricsTail",
    "Phase",
    "RunDirectory",
    "RunDirectoryError",
    "RunExit",
    "RunResult",
    "Stage",
    "Step",
    "SupervisorIdentity",
    "plain_text",
]

Stage = Literal["warming", "ready", "assigned"]
"""How far a supervisor got: torch is being imported, waiting for a run, the run is under way."""

ExitReason = Literal[
    "finished", "crashed", "wall", "memory", "log", "size", "processes", "disk", "stopped"
]
"""Why a run ended, as its supervisor saw it. `size`: its own files; `disk`: the disk is full."""

STAGES: tuple[Stage, ...] = ("warming", "ready", "assigned")
EXIT_REASONS: tuple[ExitReason, ...] = (
    "finished",
    "crashed",
    "wall",
    "memory",
    "log",
    "size",
    "processes",
    "disk",
    "stopped",
)

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS and friends, up to their terminator
    r"|\x1b[ -/]*[0-~]"  # two-character escapes
)


@dataclass(frozen=True, slots=True)
class RunResult:
    """`result.json`: what the harness measured. Nothing of it is trusted before the audit."""

    val_bpb: float | None
    """Validation bits per byte; None when the loss was not finite."""
    training_seconds: float
    """First real batch to last optimizer step, seconds."""
    total_seconds: float
    """Assignment to result, seconds."""
    startup_seconds: float
    """Assignment to the start of the clock, seconds."""
    evaluation_seconds: float
    """Scoring on the validation rows, seconds."""
    peak_memory_bytes: int | None
    """Largest device memory in use (resident memory on the CPU), bytes."""
    tokens: int
    """Training tokens seen."""
    steps: int
    """Optimizer steps taken."""
    parameters: int
    """Parameters of the model."""
    evaluation_rows: int
    """Validation rows scored."""
    checkpoint_sha256: str | None
    """Hash that the supervisor told the harness, hexadecimal."""
    loss_tenths: tuple[float | None, ...]
    """Training loss at each tenth of the budget, nats per token."""
    dynamics: Mapping[str, object]
    """How the training went, as the harness tells it; see `core.dynamics`."""
    named: Mapping[str, float]
    """Metrics under names of train.py's own choice, as it last reported them."""
    scored_at: float
    """When the score was known, Unix seconds."""
    monotonic: float
    """The same moment on this boot's monotonic clock, seconds."""


@dataclass(frozen=True, slots=True)
class RunExit:
    """`exit.json`: how the training ended, by the process that watched it."""

    exit_code: int | None
    """Exit status of the training; None when a signal ended it."""
    signal: int | None
    """Number of the signal that ended it, if one did."""
    reason: ExitReason
    """The limit it went over, or how it ended by itself."""
    stage: Stage
    """How far it was; a run that ended before `assigned` never saw its train.py."""
    message: str | None
    """One line for a person: the last line of the log, or the limit."""
    checkpoint_sha256: str | None
    """Hash of checkpoint.pt before the validation rows were handed in; None: never handed in."""
    ended_at: float
    """Unix seconds."""
    monotonic: float
    """Seconds on this boot's monotonic clock."""
    clock_seconds: float | None = None
    """From the training rows' handing in to the checkpoint, by the supervisor's clock; None where
    either was missing."""


@dataclass(frozen=True, slots=True)
class SupervisorIdentity:
    """`NAME.supervisor.json`: who watches the run, and whom."""

    pid: int
    """Process id of the supervisor."""
    create_time: float
    """Its start, as `cockpit.executors.processes.start_time` tells it."""
    inner_pid: int | None
    """Process id of the training; None before it was started."""
    inner_create_time: float | None
    """Its start."""
    token: str
    """COCKPIT_RUN_TOKEN in the environment of every process of the run."""
    stage: Stage
    """How far the run is."""


class RunDirectory:
    """One `.cockpit/runs/<experiment>/<run>/`, or a warm spare that has no run yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def supervisor_path(self) -> Path:
        """The file that its supervisor locks and writes; it lies beside the directory."""
        return self.path.with_name(f"{self.path.name}.supervisor.json")

    def read_spec(self) -> dict[str, object] | None:
        """What the harness was told; None when there is no spec.json. Raises RunDirectoryError."""
        record = read_record(self.path / "spec.json")
        return None if record is None else record.values

    def read_result(self) -> RunResult | None:
        """The result; None when the run has none. Raises RunDirectoryError."""
        record = read_record(self.path / "result.json")
        if record is None:
            return None
        tenths, dynamics = record.values.get("loss_tenths"), record.values.get("dynamics")
        if not isinstance(tenths, list) or len(tenths) > 10:
            raise record.wrong("loss_tenths", "at most 10 numbers")
        return RunResult(
            val_bpb=record.number_or_none("val_bpb", minimum=0.0),
            training_seconds=record.number("training_seconds", minimum=0.0),
            total_seconds=record.number("total_seconds", minimum=0.0),
            startup_seconds=record.number("startup_seconds", minimum=0.0),
            evaluation_seconds=record.number("evaluation_seconds", minimum=0.0),
            peak_memory_bytes=record.whole_or_none("peak_memory_bytes", minimum=0),
            tokens=record.whole("tokens", minimum=0),
            steps=record.whole("steps", minimum=0),
            parameters=record.whole("parameters", minimum=0),
            evaluation_rows=record.whole("evaluation_rows", minimum=0),
            checkpoint_sha256=record.text_or_none("checkpoint_sha256"),
            loss_tenths=tuple(record.check_number("loss_tenths", value) for value in tenths),
            dynamics=dynamics if isinstance(dynamics, dict) else {},
            named=named_metrics(record.values.get("named")),
            scored_at=record.number("scored_at"),
            monotonic=record.number("monotonic"),
        )

    def read_exit(self) -> RunExit | None:
        """How the run ended; None while it lives or when its supervisor was killed.

        Only meaningful while the lock is free: see `executors.local.observe`.
        Raises RunDirectoryError.
        """
        record = read_record(self.path / "exit.json")
        if record is None:
            return None
        return RunExit(
            exit_code=record.whole_or_none("exit_code"),
            signal=record.whole_or_none("signal"),
            reason=record.one_of("reason", EXIT_REASONS),
            stage=record.one_of("stage", STAGES),
            message=record.text_or_none("message"),
            checkpoint_sha256=record.text_or_none("checkpoint_sha256"),
            ended_at=record.number("ended_at"),
            monotonic=record.number("monotonic"),
            clock_seconds=record.number_or_none("clock_seconds", minimum=0.0),
        )

    def read_supervisor(self) -> SupervisorIdentity | None:
        """Who watches the run; None before there is one. Raises RunDirectoryError."""
        record = read_record(self.supervisor_path)
        if record is None:
            return None
        return SupervisorIdentity(
            pid=record.whole("pid", minimum=1),
            create_time=record.number("create_time"),
            inner_pid=record.whole_or_none("inner_pid", minimum=1),
            inner_create_time=record.number_or_none("inner_create_time"),
            token=record.text("token"),
            stage=record.one_of("stage", STAGES),
        )

    def is_held(self) -> bool:
        """Whether the supervisor lives: it holds the lock for as long as it does."""
        return is_held(self.supervisor_path)

    def log_tail(self, lines: int, limit: int) -> list[str]:
        """The last `lines` lines of train.log, each at most `limit` characters, safe to print."""
        size = 4 * lines * limit  # a character is at most four bytes
        try:
            with open_regular(self.path / "train.log") as descriptor:
                start = max(0, os.fstat(descriptor).st_size - size)
                text = os.pread(descriptor, size, start).decode("utf-8", "replace")
        except OSError:
            return []
        kept = text.rstrip().split("\n")[-lines:]
        # A progress bar rewrites its line: what follows the last carriage return is what one sees.
        shown = (plain_text(line.rstrip("\r").rpartition("\r")[2]) for line in kept)
        return [line[:limit] for line in shown] if text.strip() else []


def plain_text(text: str) -> str:
    """`text` as one printable line: escape sequences and control characters are dropped."""
    text = _ESCAPE.sub("", text).replace("\t", "    ")
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())
