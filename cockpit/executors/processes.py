"""Processes of a run: known by a token in their environment, ended without hitting strangers.

A process id alone names nothing: it may have been given to somebody else a moment ago. A process
of a run is known by its start time and by COCKPIT_RUN_TOKEN in the environment it was started
with, which its children inherit.
"""

import contextlib
import hashlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

RUN_TOKEN = "COCKPIT_RUN_TOKEN"  # noqa: S105 - the name of a variable, and no secret
"""Environment variable that marks every process of a run."""

LINUX = sys.platform == "linux"
KILL_SECONDS = 5.0
"""A killed process that is still there after this hangs in the kernel; we go on without it."""


def lab_prefix(state_directory: Path) -> str:
    """What all tokens minted for this lab begin with."""
    return hashlib.sha256(os.fsencode(state_directory.resolve())).hexdigest()[:16] + "-"


def new_token(state_directory: Path) -> str:
    """A token for one run; also the name of the spare's directory."""
    return lab_prefix(state_directory) + secrets.token_hex(6)


def start_time(pid: int) -> float | None:
    """When `pid` started, to compare with a later look at the same pid; None: no such process.

    Seconds since boot on Linux, where the time of day that psutil computes moves whenever the
    clock is set; Unix seconds elsewhere.
    """
    try:
        if not LINUX:
            return float(psutil.Process(pid).create_time())
        # proc(5): field 22 of stat is the start in ticks; the name, field 2, may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, psutil.Error):
        return None


def token_of(pid: int) -> str | None:
    """The run token in the environment of `pid`; None for strangers and the dead."""
    try:
        if not LINUX:
            token = psutil.Process(pid).environ().get(RUN_TOKEN)
            return None if token is None else str(token)
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except (OSError, psutil.Error):
        return None
    mark = RUN_TOKEN.encode() + b"="
    for entry in environment.split(b"\0"):
        if entry.startswith(mark):
            return entry[len(mark) :].decode("ascii", "replace")
    return None


def tokens_by_pid() -> dict[int, str]:
    """Every process of this user that carries a run token; not the one that asks."""
    found = {pid: token_of(pid) for pid in psutil.pids() if pid != os.getpid()}
    return {pid: token for pid, token in found.items() if token is not None}


def signal_process(pid: int, number: signal.Signals, is_right: Callable[[], bool]) -> bool:
    """Send a signal if `is_right` says, with the process pinned, that it is the one meant."""
    with contextlib.ExitStack() as stack:
        pinned = None
        with contextlib.suppress(AttributeError, OSError):  # not on macOS, nor before Linux 5.3
            pinned = os.pidfd_open(pid)
            stack.callback(os.close, pinned)
        if not is_right():
            return False
        try:
            if pinned is None:
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(pinned, number)
        except OSError:
            return False  # it has just ended, or was never ours
    return True


def kill_until_gone(
    find: Callable[[], Iterable[int]], pause: Callable[[float], object]
) -> set[int]:
    """Kill what `find` gives, again and again until it gives nothing; returns whom it killed.

    One pass is not enough: what is killed may have just forked. `pause` waits that many seconds
    or less for something to change.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        alive = list(find())
        if not alive:
            break
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        pause(0.02)
    return killed


def is_inside(pid: int, directory: Path) -> bool:
    """Whether `pid` works in `directory` or below."""
    try:
        return Path(psutil.Process(pid).cwd()).is_relative_to(directory.resolve())
    except (OSError, psutil.Error):
        return False


def kill_tokens(is_ours: Callable[[int, str], bool]) -> set[int]:
    """Kill every process whose pid and run token `is_ours` accepts; returns whom it killed."""

    def find() -> list[int]:
        # A zombie has no environment any more, so that this ends.
        return [pid for pid, token in tokens_by_pid().items() if is_ours(pid, token)]

    return kill_until_gone(find, time.sleep)
