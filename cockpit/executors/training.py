"""The training process as its supervisor holds it: started, talked to, measured, killed."""

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from cockpit.executors.base import Device
from cockpit.executors.cgroups import Group, make_group
from cockpit.executors.compiled import seed_cache
from cockpit.executors.orders import Settings
from cockpit.executors.processes import (
    LINUX,
    RUN_TOKEN,
    kill_until_gone,
    tokens_by_pid,
)
from cockpit.executors.sandbox import Sandbox, confine

SERVE = "import harness; harness.serve()"
LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW

# prctl(2)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Make every orphan below this process its child, so that none gets lost. Linux only."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(slots=True)
class Training:
    """The one training of this supervisor, started in the present working directory."""

    pid: int
    """Process id, also of its session and process group."""
    control: socket.socket
    """Our end of the control channel, non-blocking."""
    log: int
    """Descriptor of train.log."""
    group: Group | None = None
    """Its control group, where there is one."""
    is_wrapped: bool = False
    """Whether `pid` is a bubblewrap that waits for the training."""
    status: int | None = None
    """Wait status once it has ended, see waitpid(2)."""

    @classmethod
    def start(cls, settings: Settings) -> "Training":
        """Start it in its sandbox. Raises OSError, SubprocessError."""
        sandbox = Sandbox.decode(settings.sandbox)
        seed_cache(Path(settings.compiled), Path())
        confined = confine(
            SERVE,
            sandbox=sandbox,
            run_directory=Path.cwd(),
            trainer_directory=Path(settings.trainer_directory),
            device=Device(**settings.device),
            token=os.environ[RUN_TOKEN],
            environ=os.environ,
        )
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        log = os.open("train.log", LOG_FLAGS, 0o644)
        group = make_group(os.environ[RUN_TOKEN])
        supervisor, prctl = os.getpid(), ctypes.CDLL(None).prctl if LINUX else None

        def prepare() -> None:
            # Between fork and exec; safe here, because a supervisor has one thread.
            for ignored in (signal.SIGHUP, signal.SIGINT):
                signal.signal(ignored, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if group is not None:
                with contextlib.suppress(OSError):  # it may not be let in
                    group.enter()
            if prctl is not None:
                prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != supervisor:
                    os._exit(1)
                # Short of memory, the kernel is to end the training and nobody else.
                with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
                    score.write("500")

        with theirs:
            process = subprocess.Popen(
                confined.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=confined.environment | {"COCKPIT_CONTROL_FD": str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                preexec_fn=prepare,
            )
        # It is waited for by `reap`, together with the orphans: Popen must not wait as well.
        process.returncode = 0
        return cls(process.pid, ours, log, group, sandbox.level == "bubblewrap")

    @property
    def inner_pid(self) -> int:
        """Whom to kill so that all of it ends: in bubblewrap the first process inside."""
        if self.is_wrapped:
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(self.pid).children():
                    return int(child.pid)
        return self.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit status; None while it runs and when a signal ended it."""
        if self.status is None or not os.WIFEXITED(self.status) or self.signal is not None:
            return None
        return os.WEXITSTATUS(self.status)

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did."""
        if self.status is None:
            return None
        if os.WIFSIGNALED(self.status):
            return os.WTERMSIG(self.status)
        # bubblewrap passes a death by signal on as shells do.
        told = os.WEXITSTATUS(self.status) - 128
        return told if self.is_wrapped and 0 < told < signal.NSIG else None

    def send(self, message: dict[str, object], *descriptors: int) -> None:
        """Tell the harness something. If it has gone, its end is noticed elsewhere."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BlockingIOError, ConnectionError):
            socket.send_fds(self.control, [line], list(descriptors))

    def reap(self) -> bool:
        """Collect all dead children, orphans too; True when no child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.pid:
                self.status = status

    def log_bytes(self) -> int:
        """Size of train.log."""
        return os.fstat(self.log).st_size

    def cut_log(self, limit: int) -> None:
        """Shorten train.log to `limit` bytes: a flood is not worth keeping."""
        with contextlib.suppress(OSError):
            if self.log_bytes() > limit:
                os.ftruncate(self.log, limit)

    def family(self) -> list[psutil.Process]:
        """The training and all that came of it."""
        return list(psutil.Process().children(recursive=True))

    def kill_everything(self, pause: Callable[[float], object]) -> None:
        """Kill it and all its descendants, also those that left its process group.

        `pause` waits that many seconds or less for a child to die.
        """
        if self.group is not None:
            self.group.kill()
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        kill_until_gone(lambda: [] if self.reap() and LINUX else self._left(), pause)

    def _left(self) -> set[int]:
        """All that it started. On Linux orphans fall to us; elsewhere the token finds them."""
        # Zombies too: they are gone only when they have been collected.
        found = {process.pid for process in psutil.Process().children(recursive=True)}
        if not LINUX:
            token = os.environ[RUN_TOKEN]
            found |= {pid for pid, theirs in tokens_by_pid().items() if theirs == token}
        return found
