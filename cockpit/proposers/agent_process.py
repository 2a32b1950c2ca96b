"""An agent's process: started, listened to, and ended with all that came of it.

It is in our process group, so that whoever kills ours kills it; in the sandbox it dies with us
in any case, and what it forked with it. Outside of one its descendants are found by a token in
their environment. When the engine has gone, which holds the other end of our standard input, the
agent is ended as well: it costs money for nothing.
"""

import contextlib
import os
import secrets
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.executors.processes import RUN_TOKEN, kill_tokens
from cockpit.proposers.base import ProposerError

CHUNK_BYTES = 1 << 16
TICK_SECONDS = 0.2
"""How often is looked at what no pipe tells."""
DISK_SECONDS = 5.0
LEAST_FREE_BYTES = 1 << 30
"""An agent that leaves the disk less is ended: a run would be lost next."""
END_SECONDS = 10.0
"""What is killed and still there after this hangs in the kernel."""


class EngineGoneError(Exception):
    """Nobody waits for an answer any more."""


@dataclass(frozen=True, slots=True)
class Start:
    """How an agent is started."""

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    """Where it starts, and whose disk is watched."""
    task: Path | None
    """Its standard input; None: nothing."""
    timeout_seconds: float


def run(start: Start, heard: Callable[[int, bytes], None], tick: Callable[[], None]) -> int:
    """Run an agent to its end and return its exit code.

    `heard` gets its output with 1 or 2 for where it wrote; `tick` is called several times a
    second. Raises `ProposerError` of kind `fault` when it takes too long or fills the disk, and
    `EngineGoneError`. In every case nothing of it is left when this returns.
    """
    token = f"agent-{secrets.token_hex(8)}"
    try:
        with contextlib.ExitStack() as stack:
            task = stack.enter_context(start.task.open("rb")) if start.task else subprocess.DEVNULL
            process = subprocess.Popen(
                list(start.command),
                cwd=start.directory,
                env={**start.environment, RUN_TOKEN: token},
                stdin=task,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
    except OSError as error:
        raise ProposerError(f"can't start the agent: {error}", "fault") from error
    try:
        return _Listening(process, start, heard, tick).until_the_end()
    finally:
        _end(process, token)


class _Listening:
    """Listens to one process."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        start: Start,
        heard: Callable[[int, bytes], None],
        tick: Callable[[], None],
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._start = start
        self._heard = heard
        self._tick = tick
        self._poll = select.poll()
        self._open = {process.stdout.fileno(): 1, process.stderr.fileno(): 2}
        for descriptor in self._open:
            self._poll.register(descriptor, select.POLLIN)
        self._poll.register(0, 0)  # no event but the hang-up, which is always reported
        self._began = time.monotonic()
        self._looked = self._began
        self._roomy = _free(start.directory) > LEAST_FREE_BYTES

    def until_the_end(self) -> int:
        """Return the exit code."""
        while True:
            events = self._poll.poll(TICK_SECONDS * 1000)
            said = [self._read(*event) for event in events]
            self._check()
            self._tick()
            code = self._process.poll()
            # What it left behind outside of a sandbox may hold the pipes for ever.
            if code is not None and (not self._open or not any(said)):
                return code

    def _read(self, descriptor: int, event: int) -> bool:
        """Take what has come from one descriptor; tell whether anything has."""
        if descriptor == 0:
            if event & select.POLLHUP:
                raise EngineGoneError
            self._poll.unregister(0)
            return False
        content = os.read(descriptor, CHUNK_BYTES)
        if not content:
            self._poll.unregister(descriptor)
            del self._open[descriptor]
            return False
        self._heard(self._open[descriptor], content)
        return True

    def _check(self) -> None:
        now = time.monotonic()
        if now - self._began > self._start.timeout_seconds:
            raise ProposerError(
                f"the agent was not done after {self._start.timeout_seconds:.0f} s", "fault"
            )
        if now - self._looked < DISK_SECONDS:
            return
        self._looked = now
        if self._roomy and _free(self._start.directory) < LEAST_FREE_BYTES:
            raise ProposerError("the agent was filling the disk, and was ended", "fault")


def _free(directory: Path) -> int:
    return shutil.disk_usage(directory).free


def _end(process: subprocess.Popen[bytes], token: str) -> None:
    """End a process and whatever came of it."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    kill_tokens(lambda _, found: found == token)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
