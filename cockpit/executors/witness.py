"""A process of untrusted code that is asked questions: started confined, heard with a deadline,
ended with all it started.

It talks JSON lines over a socket, like a training. Whoever asks must be a process made for it: it
becomes the parent of whatever the witness leaves behind, and ends when its own standard input
does, because whoever wanted the answers is gone then.
"""

import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from cockpit.executors.base import Device
from cockpit.executors.lines import JsonLines
from cockpit.executors.processes import LINUX, RUN_TOKEN, kill_until_gone, tokens_by_pid
from cockpit.executors.sandbox import Sandbox, confine
from cockpit.lab.rundir import plain_text

PR_SET_PDEATHSIG = 1  # prctl(2)
STANDARD_INPUT = 0
LOOK_SECONDS = 0.5
"""Between two looks at the witness's memory."""
WORDS_BYTES = 4096
"""What is kept of the end of its standard error."""
DEATH_SECONDS = 2.0
"""From the end of its socket to its own, before its status is not waited for any more."""


class WitnessError(RuntimeError):
    """It gave no answer; the message says what happened instead, without naming the witness."""


class LateError(WitnessError):
    """It was silent until the deadline."""


class KilledError(WitnessError):
    """SIGKILL ended it: itself, a person or the kernel, where memory was short."""


class TooLargeError(WitnessError):
    """It took more memory than it may."""


class NobodyWaitsError(RuntimeError):
    """Standard input has ended: nobody wants the answers any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a witness runs."""

    directory: Path
    """Its own, absolute; the only one it may write to, and where it works."""
    sandbox: Sandbox
    """What keeps it there."""
    trainer_directory: Path
    """Where its code is imported from."""
    device: Device
    """The one it may use."""
    token: str
    """Marks its processes; no other witness's, for in some sandboxes it makes the user."""
    memory_bytes: int
    """Resident memory of all witnesses of one asker together."""


class Witness:
    """One such process. Single-threaded, until it has been started at least."""

    def __init__(self, place: Place, code: str) -> None:
        """Start it with `python -c CODE` and a control channel in COCKPIT_CONTROL_FD.

        Its other words go nowhere but into what `hear` raises. Raises OSError or SubprocessError.
        """
        self.started = time.monotonic()
        self._memory_bytes = place.memory_bytes
        confined = confine(
            code,
            sandbox=place.sandbox,
            run_directory=place.directory,
            trainer_directory=place.trainer_directory,
            device=place.device,
            token=place.token,
            environ=os.environ,
        )
        self._control, theirs = socket.socketpair()
        words, their_words = os.pipe()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    confined.command,
                    cwd=place.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=their_words,
                    env=confined.environment
                    | {
                        "COCKPIT_CONTROL_FD": str(theirs.fileno()),
                        # What a script compiles is looked at, not raced: a cold compilation
                        # costs more than all that is asked.
                        "TORCHDYNAMO_DISABLE": "1",
                    },
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    preexec_fn=_preparation(),
                )
            finally:
                os.close(their_words)
        self._lines = JsonLines(self._control.fileno())
        self._messages: list[dict[str, object]] = []
        self._words = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._lines.descriptor, selectors.EVENT_READ)
        self._selector.register(words, selectors.EVENT_READ)
        self._selector.register(STANDARD_INPUT, selectors.EVENT_READ)

    def tell(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        """Say something; that it has gone is noticed by `hear`."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BlockingIOError, ConnectionError):
            socket.send_fds(self._control, [line], list(descriptors))

    def hear(self, deadline: float) -> dict[str, object]:
        """Return the next thing it says, before `deadline` on the monotonic clock.

        Raises WitnessError when it ends, is silent or takes too much memory, and NobodyWaitsError.
        """
        while not self._messages:
            left = deadline - time.monotonic()
            if left <= 0:
                waited = time.monotonic() - self.started
                raise LateError(f"it did not answer within {waited:.0f} s")
            for key, _ in self._selector.select(min(left, LOOK_SECONDS)):
                self._take(key.fd)
            used = _resident_bytes()
            if used > self._memory_bytes:
                raise TooLargeError(f"it took {used / 2**30:.1f} GiB of memory")
        return self._messages.pop(0)

    def end(self) -> None:
        """Kill it, its group with it; what left the group falls to `end_all`."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DEATH_SECONDS)

    def _take(self, descriptor: int) -> None:
        if descriptor == STANDARD_INPUT:
            if not os.read(STANDARD_INPUT, 4096):
                raise NobodyWaitsError
        elif descriptor == self._lines.descriptor:
            self._messages += self._lines.read()
            if self._lines.is_closed and not self._messages:
                raise self._ended()
        else:
            more = os.read(descriptor, WORDS_BYTES)
            self._words = (self._words + more)[-WORDS_BYTES:]
            if not more:
                self._selector.unregister(descriptor)

    def _ended(self) -> WitnessError:
        try:
            status = self._process.wait(DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            return WitnessError("it closed its channel")
        # A shell and a sandbox tell a signal as 128 more.
        number = -status if status < 0 else status - 128 if status > 128 else None
        how = f"signal {number} ended it" if number else f"it ended with status {status}"
        lines = [plain_text(line) for line in self._words.decode("utf-8", "replace").split("\n")]
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        kind = KilledError if number == signal.SIGKILL else WitnessError
        return kind(f"{how}: {last[:200]}" if last else how)


def said(message: Mapping[str, object], name: str) -> str:
    """Return a text that a witness said, as one printable line of at most 300 characters."""
    return plain_text(str(message.get(name)))[:300]


def end_all() -> None:
    """Kill every process below this one, also those that left their group."""

    def find() -> set[int]:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        found = {process.pid for process in psutil.Process().children(recursive=True)}
        if not LINUX and RUN_TOKEN in os.environ:  # no orphans fall to us there
            token = os.environ[RUN_TOKEN]
            found |= {pid for pid, own in tokens_by_pid().items() if own.startswith(token)}
        return found

    kill_until_gone(find, time.sleep)


def _preparation() -> Callable[[], None]:
    """What a witness does between fork and exec; its parent must have one thread."""
    asker, prctl = os.getpid(), ctypes.CDLL(None).prctl if LINUX else None

    def prepare() -> None:
        for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != asker:
                os._exit(1)
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
                score.write("500")

    return prepare


def _resident_bytes() -> int:
    total = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total
