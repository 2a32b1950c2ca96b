"""Audits as the engine sees them: ordered, waited for, read back.

An audit is a process of its own (`cockpit.executors.auditor`), because it becomes the parent of
untrusted code and computes for seconds. It ends when the engine does: the pipe on its standard
input closes. What it found lies beside the run directory, where a sandboxed training can't write.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cockpit
from cockpit.core.audit import Gain, gain
from cockpit.executors.base import Device, ExecutorError
from cockpit.executors.environment import reserved_cpus, training_environment
from cockpit.executors.processes import new_token
from cockpit.executors.sandbox import Sandbox
from cockpit.lab.losses import ROW_LOSSES, read_losses
from cockpit.lab.record import RunDirectoryError, read_record

AUDITOR = (sys.executable, "-P", "-m", "cockpit.executors.auditor")
DEADLINE_SECONDS = {"cuda": 120.0, "mps": 120.0, "cpu": 300.0}
"""From start to verdict; usual are 5 to 20 s. A CPU's slot trains on meanwhile."""
GRACE_SECONDS = 10.0
"""An auditor that is this much late hangs, and is killed."""
STOP_SECONDS = 3.0
"""What it gets to clear up when it is stopped."""


@dataclass(frozen=True, slots=True)
class AuditOrder:
    """A run to be audited, and what only trusted processes know of it."""

    run_directory: Path
    """Its run is over; what is found is written beside it."""
    checkpoint_sha256: str
    """As the supervisor noted it."""
    validation_rows: Path
    """val.bin."""
    sealed_rows: Path
    """sealed.bin."""
    token_bytes: Path
    """token_bytes.npy."""
    evaluation_rows: int
    """The first so many validation rows were scored."""
    sequence_length: int
    vocab_size: int
    device: Device
    """Where the model is asked; the same kind as it was trained on."""
    python: str
    """Interpreter with torch."""
    trainer_directory: Path
    """Where answering.py and harness.py are."""
    train_py: str | None = None
    """The text under test; None takes the file in the run directory, which the run may have
    changed."""
    base_directory: Path | None = None
    """A run of the base: half of the compared rows are those that gained most over it."""
    sandbox: Sandbox | None = None
    """For the witnesses; None tries out again which is the best that works."""
    deadline_seconds: float | None = None
    """From start to verdict; None: as usual for the device."""
    draw: int | None = None
    """Seed of the choice of rows and cuts; None, as in earnest, draws from the system."""

    def encode(self, deadline: float) -> str:
        """As a line of JSON, to be read by `decode`."""
        fields = dataclasses.asdict(self) | {"deadline": deadline}
        for name in _PATHS:
            fields[name] = None if fields[name] is None else str(fields[name].absolute())
        return json.dumps(fields) + "\n"

    @classmethod
    def decode(cls, line: str) -> "tuple[AuditOrder, float]":
        """The order, and the deadline on this boot's monotonic clock."""
        fields = json.loads(line)
        deadline = float(fields.pop("deadline"))
        device = fields["device"] | {"cpus": tuple(fields["device"]["cpus"])}
        for name in _PATHS:
            fields[name] = None if fields[name] is None else Path(fields[name])
        sandbox = None if fields["sandbox"] is None else Sandbox.decode(fields["sandbox"])
        return cls(**fields | {"device": Device(**device), "sandbox": sandbox}), deadline


_PATHS = (
    "run_directory",
    "validation_rows",
    "sealed_rows",
    "token_bytes",
    "trainer_directory",
    "base_directory",
)


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found. Figures are None where it did not get that far."""

    ok: bool | None
    """True: the score is the checkpoint's, and honest. False: it is not. None: the audit could
    not be carried out, for no fault of the script's that could be told."""
    reason: str | None
    """Why not, one line."""
    seconds: float = 0.0
    """How long it took."""
    rows: int | None = None
    """Validation rows compared."""
    worst: float | None = None
    """Largest difference of a row from what was recorded, nats a token."""
    mean: float | None = None
    """Mean difference from what was recorded, nats a token."""
    noise: float | None = None
    """Mean change of a token's loss when its row was shown again, nats."""
    cuts: int | None = None
    """Rows cut."""
    future: float | None = None
    """What the next token is worth to the model that is to predict it, nats a token."""
    validation_bpb: float | None = None
    """The score that the recorded losses make."""
    validation_bytes: int | None = None
    """Bytes of text behind it."""
    sealed_bpb: float | None = None
    """The score on the sealed rows: for people, never for a proposer."""
    sealed_bytes: int | None = None
    """Bytes of text behind it."""
    sealed_rows: int | None = None
    """Sealed rows scored."""

    @property
    def says(self) -> str:
        """One line for a person."""
        if self.ok is None:
            return f"audit: it could not be carried out: {self.reason}"
        if not self.ok:
            return f"audit: {self.reason}"
        sealed = "" if self.sealed_bpb is None else f", sealed {self.sealed_bpb:.4f} bpb"
        return (
            f"audit passed: {self.rows} rows as recorded to {abs(self.worst or 0.0):.0e} nats a"
            f" token, no future seen in {self.cuts} cuts{sealed} ({self.seconds:.0f} s)"
        )


@dataclass(frozen=True, slots=True)
class Gains:
    """An experiment against its base, row by row."""

    validation: Gain | None
    """On the rows that were scored."""
    sealed: Gain | None
    """On rows that nobody has optimized for."""


class AuditProcess:
    """An audit under way."""

    def __init__(
        self, process: subprocess.Popen[str], words: IO[bytes], directory: Path, deadline: float
    ) -> None:
        self._process = process
        self._words = words
        self._directory = directory
        self._deadline = deadline
        self._found: Audit | None = None

    def poll(self) -> Audit | None:
        """What it found, None while it goes on. Does not wait."""
        if self._found is None:
            if self._process.poll() is None:
                if time.monotonic() < self._deadline + GRACE_SECONDS:
                    return None
                self.stop()
            self._found = self._collect()
            self._close()
        return self._found

    def stop(self) -> None:
        """End it, and what it has started."""
        self._close_input()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _collect(self) -> Audit:
        status = self._process.returncode
        found = read_audit(self._directory) if status == 0 else None
        if found is not None:
            return found
        self._words.seek(0)
        lines = self._words.read()[-4096:].decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        return Audit(None, f"the auditor ended with status {status}: {last[:200]}")

    def _close(self) -> None:
        self._close_input()
        self._words.close()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()


def start_audit(order: AuditOrder) -> AuditProcess:
    """Start an audit. Raises ExecutorError where the run directory can't be worked in."""
    directory = order.run_directory.absolute()
    seconds = order.deadline_seconds or DEADLINE_SECONDS[order.device.kind]
    deadline = time.monotonic() + seconds
    try:
        audit_path(directory).unlink(missing_ok=True)
        words = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the audit
        process = subprocess.Popen(
            AUDITOR,
            cwd=directory,
            env=_environment(order, directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,
            text=True,
        )
    except OSError as error:
        raise ExecutorError(f"no audit could be started in {directory}: {error}") from error
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has died; `poll` tells why
        process.stdin.write(order.encode(deadline))
        process.stdin.flush()
    return AuditProcess(process, words, directory, deadline)


def read_audit(run_directory: Path) -> Audit | None:
    """What the last audit of a run found; None where there was none, or it can't be read."""
    with contextlib.suppress(RunDirectoryError):
        record = read_record(audit_path(run_directory))
        if record is None:
            return None
        ok = record.values.get("ok")
        if ok is not None and not isinstance(ok, bool):
            raise record.wrong("ok", "true, false or null")
        return Audit(
            ok=ok,
            reason=record.text_or_none("reason"),
            seconds=record.number("seconds", minimum=0.0),
            rows=record.whole_or_none("rows", minimum=0),
            worst=record.number_or_none("worst"),
            mean=record.number_or_none("mean"),
            noise=record.number_or_none("noise"),
            cuts=record.whole_or_none("cuts", minimum=0),
            future=record.number_or_none("future"),
            validation_bpb=record.number_or_none("validation_bpb"),
            validation_bytes=record.whole_or_none("validation_bytes", minimum=0),
            sealed_bpb=record.number_or_none("sealed_bpb"),
            sealed_bytes=record.whole_or_none("sealed_bytes", minimum=0),
            sealed_rows=record.whole_or_none("sealed_rows", minimum=0),
        )
    return None


def gains(own_directory: Path, base_directory: Path) -> Gains | None:
    """What a run gained over one of its base, paired row by row; None without an audit.

    Both are runs of one setup, so that their rows are the same.
    """
    audit = read_audit(own_directory)
    if audit is None:
        return None

    def paired(own: Path, base: Path, text_bytes: int | None) -> Gain | None:
        with contextlib.suppress(RunDirectoryError):
            return gain(read_losses(own), read_losses(base), text_bytes or 0)
        return None

    return Gains(
        paired(own_directory / ROW_LOSSES, base_directory / ROW_LOSSES, audit.validation_bytes),
        paired(sealed_path(own_directory), sealed_path(base_directory), audit.sealed_bytes),
    )


def audit_path(run_directory: Path) -> Path:
    """Where an audit writes what it found."""
    return run_directory.with_name(f"{run_directory.name}.audit.json")


def sealed_path(run_directory: Path) -> Path:
    """Where an audit writes the losses of the sealed rows, float64 [rows], nats a row."""
    return run_directory.with_name(f"{run_directory.name}.sealed.npy")


def state_directory(run_directory: Path) -> Path:
    """Where the lab of `.cockpit/runs/<experiment>/<run>` keeps its state."""
    return run_directory.parents[2] if len(run_directory.parents) > 2 else run_directory


def _environment(order: AuditOrder, directory: Path) -> dict[str, str]:
    # The token is one of this lab: what an auditor leaves when it is killed is found by it.
    token = new_token(state_directory(directory))
    cache = directory / "cache"
    made = training_environment(os.environ, order.device, directory, cache, token)
    return made | {"PYTHONPATH": str(Path(cockpit.__file__).parents[1])}


def audit_cpus(device: Device) -> list[int]:
    """Cores to compute on, beside a training that goes on: on the CPU the reserved ones."""
    return list(reserved_cpus(device))


def audit_threads(device: Device) -> int:
    """Threads to compute with: a GPU's run is over when it is audited, a CPU's goes on."""
    return max(1, len(reserved_cpus(device))) if device.kind == "cpu" else device.threads
