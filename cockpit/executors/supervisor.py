"""Watches one training: `python -m cockpit.executors.supervisor SETTINGS`.

A supervisor is a small trusted process between the engine, which may be killed at any moment, and
the training, which may do anything. It starts the training warm, waits for one line on its
standard input (the assignment), lets the training go, keeps the limits, hands in the training
rows when the clock starts and the validation rows when the checkpoint can no longer change, ends
everything the training started, and writes exit.json as its last act. It holds a lock on the file
beside the run directory for its whole life: that, and not a pid, says that the run is alive. The
lock's descriptor is inherited from the engine, so that there is no moment between the engine's
spawn and the supervisor's end at which the lock is free.

Its working directory is the run directory, which the engine renames under its feet: every path
here is relative, and a spare that became a run needs no new ones.

If standard input ends before an assignment came, the engine is gone or wants the spare no more:
the supervisor ends too and removes the spare. After the assignment nothing of the engine matters.
"""

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

from cockpit.executors.atomic import ReservedFile
from cockpit.executors.checkpoint import CheckpointError, sha256_of_checkpoint
from cockpit.executors.compiled import CACHE, snapshot_path, take_snapshot
from cockpit.executors.handing import opened_to_read
from cockpit.executors.limits import WATCH_SECONDS, Watch, hand_to_kernel
from cockpit.executors.lines import JsonLines
from cockpit.executors.orders import Limits, Settings
from cockpit.executors.processes import LINUX, RUN_TOKEN, start_time
from cockpit.executors.sandbox import release
from cockpit.executors.training import Training, become_subreaper
from cockpit.lab.rundir import ExitReason, RunDirectory, Stage

READY_SECONDS = 600.0
"""From assignment to ready; importing torch from a cold network disk can take minutes."""
SAID_BYTES = 512
"""More than who we are ever takes."""
STANDARD_INPUT = 0
"""The pipe from the engine."""


class Supervisor:
    """One run, from spare to exit.json. Single-threaded; everything happens in `run`'s loop."""

    def __init__(self, settings: Settings, wakeups: int) -> None:
        self.settings = settings
        self.token = os.environ[RUN_TOKEN]
        self.stage: Stage = "warming"
        self.limits: Limits | None = None
        self.training: Training | None = None
        self.clock_started: float | None = None
        self.clock_stopped: float | None = None
        self.checkpoint_sha256: str | None = None
        self.stop_asked = False
        self.failure: str | None = None
        self.deadline = float("inf")
        self.watch: Watch | None = None
        self.wakeups = wakeups
        self.exit_file = ReservedFile("exit.json")
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Start the training and watch it until everything is over."""
        self.selector.register(self.wakeups, selectors.EVENT_READ)
        self.say_where_we_are()
        try:
            self.training = Training.start(self.settings)
        except (OSError, subprocess.SubprocessError) as error:
            self.finish("crashed", f"the training could not be started: {error}")
            return
        self.say_where_we_are()
        self.listen(STANDARD_INPUT, self.hear_engine)
        self.listen(self.training.control.fileno(), self.hear_training)
        while not self.is_over():
            self.wait(self.patience())

    def listen(self, descriptor: int, hear: Callable[[dict[str, object]], None]) -> None:
        """Have `hear` called with every object that comes in."""
        self.selector.register(descriptor, selectors.EVENT_READ, (JsonLines(descriptor), hear))

    def wait(self, seconds: float | None) -> None:
        """Sleep until something happens, and take it in."""
        for key, _ in self.selector.select(seconds):
            if key.fd == self.wakeups:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeups, 4096)
            else:
                lines, hear = key.data
                for record in lines.read():
                    hear(record)
                if lines.is_closed:  # else `select` would return at once, for ever
                    self.selector.unregister(key.fd)

    def patience(self) -> float | None:
        """Seconds until the limits have to be looked at; None without a run."""
        if self.limits is None:
            return None
        return max(0.0, min(WATCH_SECONDS, self.deadline - time.monotonic()))

    def is_over(self) -> bool:
        """Look at the training and its limits; True when all is done and written down."""
        assert self.training is not None
        nothing_left = self.training.reap()
        if self.stop_asked:
            self.end("stopped", "stopped by the engine")
        elif self.training.status is not None:
            self.end_by_itself(nothing_left)
        elif self.limits is not None and (over := self.limit_passed(self.limits)):
            self.end(*over)
        elif self.failure is not None:
            self.end("crashed", self.failure)
        elif self.limits is None and STANDARD_INPUT not in self.selector.get_map():
            self.end("stopped", "the engine ended before it gave this spare a run")
        else:
            return False
        return True

    def limit_passed(self, limits: Limits) -> tuple[ExitReason, str] | None:
        """The limit that the training is over, with a line about it."""
        now = time.monotonic()
        if now >= self.deadline:
            if self.stage == "warming":
                return "wall", f"not ready {READY_SECONDS:.0f} s after it was given its run"
            return "wall", f"still running after {limits.wall_seconds:.0f} s"
        return self.watch.look() if self.watch else None

    def hear_engine(self, record: dict[str, object]) -> None:
        """The assignment."""
        if self.limits is not None:
            return
        assert self.training is not None
        self.limits = Limits(**record)  # type: ignore[arg-type] # the engine is ours
        self.watch = Watch(self.limits, self.training)
        self.deadline = time.monotonic() + READY_SECONDS
        if self.stage == "ready":
            self.go(self.limits)

    def hear_training(self, record: dict[str, object]) -> None:
        """What the harness says; each event counts once."""
        event = record.get("event")
        if event == "ready" and self.stage == "warming":
            self.stage = "ready"
            if self.limits is not None:
                self.go(self.limits)
            else:
                self.say_where_we_are()
        elif self.limits is None or self.stage != "assigned" or self.clock_stopped is not None:
            return
        elif event == "clock" and self.clock_started is None:
            self.start_clock(self.limits)
        elif event == "checkpoint":
            self.hand_in_rows(self.limits)

    def go(self, limits: Limits) -> None:
        """Let the training see its train.py; the wall clock starts."""
        assert self.training is not None
        self.stage = "assigned"
        self.deadline = time.monotonic() + limits.wall_seconds
        hand_to_kernel(limits, self.training)
        self.say_where_we_are()  # first: from here on the training may do anything to us
        self.training.send({"event": "go", "run_directory": limits.run_directory})

    def start_clock(self, limits: Limits) -> None:
        """Note the time and pass the training rows: before it there was nothing to learn from.

        So what it has compiled until now can tell the runs after it nothing that it has learnt.
        """
        assert self.training is not None
        take_snapshot(Path(self.settings.compiled), Path(CACHE), self.snapshot_path(limits))
        self.clock_started = time.monotonic()
        try:
            with opened_to_read(limits.train_rows) as descriptors:
                self.training.send({"event": "rows"}, *descriptors)
        except OSError as error:
            self.failure = str(error)

    def hand_in_rows(self, limits: Limits) -> None:
        """Note time and hash of the checkpoint; pass the validation rows to the training."""
        assert self.training is not None
        self.clock_stopped = time.monotonic()
        try:
            self.checkpoint_sha256 = sha256_of_checkpoint(
                Path("checkpoint.pt"), lambda: self.stop_asked or time.monotonic() > self.deadline
            )
            with opened_to_read(limits.validation_rows, limits.token_bytes) as descriptors:
                self.training.send(
                    {
                        "event": "validation",
                        "checkpoint_sha256": self.checkpoint_sha256,
                        "rows_offset": 0,
                    },
                    *descriptors,
                )
        except (CheckpointError, OSError) as error:
            self.failure = str(error)

    @staticmethod
    def snapshot_path(limits: Limits) -> Path:
        """Where what was compiled before the clock goes, beside the run directory."""
        return snapshot_path(Path("..", Path(limits.run_directory).name))

    @property
    def clock_seconds(self) -> float | None:
        """How long the training had its rows before the checkpoint; None if either is missing."""
        if self.clock_started is None or self.clock_stopped is None:
            return None
        return self.clock_stopped - self.clock_started

    def end_by_itself(self, nothing_left: bool) -> None:
        """The training ended; say how, and end what it left behind."""
        assert self.training is not None
        if not nothing_left or not LINUX:
            self.training.kill_everything(self.wait_for_deaths)
        if self.training.exit_code == 0 and os.path.isfile("result.json"):
            self.finish("finished", None)
            return
        tail = RunDirectory(Path()).log_tail(20, 300)
        last = next((line for line in reversed(tail) if line.strip()), None)
        if self.training.signal is not None:
            hint = " (out of memory?)" if self.training.signal == signal.SIGKILL else ""
            last = f"killed by signal {self.training.signal}{hint}"
        elif last is None:
            last = f"ended with exit code {self.training.exit_code} and without a result"
        scarcity = self.watch.scarcity() if self.watch else None
        if scarcity is not None:
            self.finish(scarcity[0], f"{last} ({scarcity[1]})")
        else:
            self.finish("crashed", last)

    def end(self, reason: ExitReason, message: str) -> None:
        """Kill everything and finish."""
        assert self.training is not None
        self.training.kill_everything(self.wait_for_deaths)
        if self.limits is not None:
            self.training.cut_log(self.limits.log_bytes)
        self.finish(reason, message)

    def wait_for_deaths(self, seconds: float) -> None:
        """Wait for a child to die; nothing else is taken in any more."""
        for descriptor in list(self.selector.get_map()):
            if descriptor != self.wakeups:
                self.selector.unregister(descriptor)
        self.wait(seconds)

    def finish(self, reason: ExitReason, message: str | None) -> None:
        """Tidy up and write exit.json, the last act; a spare that never had a run just goes."""
        spare = Path(self.settings.spare)
        if self.training is not None and self.training.group is not None:
            self.training.group.remove()
        if self.limits is None and reason == "stopped" and is_here(spare):
            shutil.rmtree(spare, ignore_errors=True)
            RunDirectory(spare).supervisor_path.unlink(missing_ok=True)
            return
        for ours in ("tmp", CACHE):
            shutil.rmtree(ours, ignore_errors=True)
        with contextlib.suppress(OSError):
            release(Path())
        # That of a run that failed is worth nothing, and may be what filled the disk.
        keep = self.limits is not None and self.limits.keep_checkpoint
        if reason != "finished" and self.limits is not None:
            shutil.rmtree(self.snapshot_path(self.limits), ignore_errors=True)
        if not keep or reason != "finished":
            with contextlib.suppress(OSError):
                Path("checkpoint.pt").unlink()
        if spare.is_symlink():
            spare.unlink(missing_ok=True)
        training = self.training
        self.exit_file.write(
            {
                "exit_code": training.exit_code if training else None,
                "signal": training.signal if training else None,
                "reason": reason,
                "stage": self.stage,
                "message": message,
                "checkpoint_sha256": self.checkpoint_sha256,
                "clock_seconds": self.clock_seconds,
                "ended_at": time.time(),
                "monotonic": time.monotonic(),
            },
        )

    def say_where_we_are(self) -> None:
        """Fill the file that is locked. A full disk must not end the run: what is read is old."""
        inner = self.training.inner_pid if self.training else None
        said = {
            "pid": os.getpid(),
            "create_time": start_time(os.getpid()),
            "inner_pid": inner,
            "inner_create_time": start_time(inner) if inner else None,
            "token": self.token,
            "stage": self.stage,
        }
        with contextlib.suppress(OSError):
            # In place and of one length, since the lock is on this very file.
            os.pwrite(self.settings.lock_descriptor, json.dumps(said).encode().ljust(SAID_BYTES), 0)


def is_here(path: Path) -> bool:
    """Whether `path` is the working directory itself, and no link to it."""
    try:
        return not path.is_symlink() and path.samefile(".")
    except OSError:
        return False


def main() -> None:
    """Set up signals, affinity and the lock; then watch."""
    settings = Settings(**json.loads(sys.argv[1]))
    os.set_inheritable(settings.lock_descriptor, False)
    fcntl.flock(settings.lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    become_subreaper()
    if settings.cpus and LINUX:
        with contextlib.suppress(OSError):  # a container's set of cores may have changed
            os.sched_setaffinity(0, settings.cpus)

    wakeups, wakeup_end = os.pipe()
    for descriptor in (wakeups, wakeup_end):
        os.set_blocking(descriptor, False)
    # Every handled signal writes a byte there, which ends the wait in `select` at once.
    signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
    supervisor = Supervisor(settings, wakeups)

    def ask_to_stop(number: int, frame: types.FrameType | None) -> None:
        supervisor.stop_asked = True

    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    supervisor.run()
    os._exit(0)  # no clean-up of the interpreter: the lock is wanted


if __name__ == "__main__":
    main()
