"""Preflight: a proposal is rehearsed on a spare core before it may take a slot.

It costs some seconds and no GPU. What cannot work is refused with a sentence that its author can
act on; what cannot be tried here, because it was made for a GPU or is too slow on a CPU, passes
with advice.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cockpit
from cockpit.executors.base import Device, ExecutorError
from cockpit.executors.environment import training_environment
from cockpit.executors.processes import new_token
from cockpit.executors.sandbox import Sandbox

TRYING = (sys.executable, "-P", "-m", "cockpit.executors.trying")
DEADLINE_SECONDS = 60.0
"""For all tries together; usual are 3 to 8 s."""
GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PreflightOrder:
    """A train.py to be rehearsed."""

    train_py: str
    device: Device
    """The slot it is meant for."""
    python: str
    """Interpreter with torch."""
    trainer_directory: Path
    """Where preflight.py and harness.py are."""
    work_directory: Path
    """Made if it is not there; everything in it is removed again."""
    sequence_length: int
    vocab_size: int
    seed: int = 1
    sandbox: Sandbox | None = None
    """For the rehearsal; None tries out again which is the best that works."""
    deadline_seconds: float = DEADLINE_SECONDS
    """What is not found out by then is not found out."""
    on_device: bool = False
    """Try on the slot's own device, between two runs, instead of the CPU."""

    def encode(self) -> str:
        """As a line of JSON, to be read by `decode`."""
        fields = dataclasses.asdict(self)
        for name in ("trainer_directory", "work_directory"):
            fields[name] = str(fields[name].absolute())
        return json.dumps(fields) + "\n"

    @classmethod
    def decode(cls, line: str) -> "PreflightOrder":
        """The order in such a line."""
        fields = json.loads(line)
        device = fields["device"] | {"cpus": tuple(fields["device"]["cpus"])}
        for name in ("trainer_directory", "work_directory"):
            fields[name] = Path(fields[name])
        sandbox = None if fields["sandbox"] is None else Sandbox.decode(fields["sandbox"])
        return cls(**fields | {"device": Device(**device), "sandbox": sandbox})

    @property
    def tried_on(self) -> Device:
        """Where it is rehearsed."""
        return self.device if self.on_device else dataclasses.replace(self.device, kind="cpu")


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a rehearsal showed."""

    ok: bool
    """Whether it may take a slot."""
    reason: str | None
    """Why not, one sentence for its author."""
    advice: tuple[str, ...] = ()
    """What its author may want to know all the same."""
    parameters: int | None = None
    """Parameters at its true size; None where they could not be counted."""
    bytes: int | None = None
    """Bytes of its weights and buffers."""
    seconds: float = 0.0
    """How long it took."""
    needs_device: bool = False
    """Only its own device can run it: a step can be tried there with `on_device`."""


def preflight(order: PreflightOrder) -> Preflight:
    """Rehearse; takes seconds, a minute at most. Safe in a worker thread.

    Raises ExecutorError where it can't be carried out.
    """
    work = order.work_directory.absolute()
    try:
        work.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryFile() as words,
            subprocess.Popen(
                TRYING,
                cwd=work,
                env=_environment(order, work),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
                text=True,
            ) as process,
        ):
            told = _converse(process, order)
            words.seek(0)
            last = words.read()[-4096:].decode("utf-8", "replace").strip().rpartition("\n")[2]
    except OSError as error:
        raise ExecutorError(f"no preflight could be started in {work}: {error}") from error
    if process.returncode != 0 or not told:
        raise ExecutorError(f"the preflight ended with status {process.returncode}: {last[:200]}")
    fields = json.loads(told)
    return Preflight(**fields | {"advice": tuple(fields["advice"])})


def _converse(process: subprocess.Popen[str], order: PreflightOrder) -> str:
    """Give the order and read the answer. Standard input stays open: its end would stop it."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(order.encode())
        process.stdin.flush()
        process.wait(order.deadline_seconds + GRACE_SECONDS)
    except BrokenPipeError:  # it has died; its status says so
        process.wait()
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return process.stdout.read()


def _environment(order: PreflightOrder, work: Path) -> dict[str, str]:
    # The token is one of this lab: what is left behind when we are killed is found by it.
    token = new_token(work.parent)
    made = training_environment(os.environ, order.tried_on, work, work / "cache", token)
    return made | {"PYTHONPATH": str(Path(cockpit.__file__).parents[1])}
