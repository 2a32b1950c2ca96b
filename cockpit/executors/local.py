"""Training on this machine: warm spares, and the start of a run."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cockpit
from cockpit.executors.base import Assignment, Device, ExecutorError, SpareState
from cockpit.executors.compiled import CACHE, STORE, drop_cache
from cockpit.executors.environment import reserved_cpus, training_environment
from cockpit.executors.locks import FileLock
from cockpit.executors.orders import Limits, Settings
from cockpit.executors.probing import probe
from cockpit.executors.processes import new_token
from cockpit.executors.sandbox import Sandbox
from cockpit.executors.watching import (
    lab_processes,
    observe,
    reap_leftovers,
    stop,
)
from cockpit.lab.rundir import RunDirectory, RunDirectoryError

__all__ = ["LocalExecutor", "lab_processes", "observe", "reap_leftovers", "stop"]

SUPERVISOR = (sys.executable, "-P", "-m", "cockpit.executors.supervisor")
CLOSE_SECONDS = 5.0
"""A spare has this long to end by itself when it is not wanted any more."""
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0
"""A spare that failed is tried again after the first, doubling up to the last."""


@dataclass(frozen=True, slots=True)
class _Spare:
    """A supervisor with a training that has no run yet."""

    process: subprocess.Popen[str]
    directory: Path


class LocalExecutor:
    """One slot of this machine. Not for several threads."""

    def __init__(
        self,
        device: Device,
        python: str,
        trainer_directory: Path,
        spares_directory: Path,
        log_path: Path,
        sandbox: Sandbox | None = None,
    ) -> None:
        """`python` has torch; `spares_directory` is `.cockpit/spares`, on the file system of the
        runs; what supervisors have to say goes to the end of `log_path`. Without a `sandbox` the
        best that works is used.
        """
        self._sandbox = sandbox
        self.device = device
        self.python = python
        self.spares_directory = spares_directory
        self.log_path = log_path
        self._trainer_directory = trainer_directory
        self._spare: _Spare | None = None
        self._started: list[subprocess.Popen[str]] = []
        self._failure: str | None = None
        self._failures = 0
        self._retry_at = 0.0

    @property
    def sandbox(self) -> Sandbox:
        """Where trainings are put. Raises ExecutorError when that can't be found out."""
        if self._sandbox is None:
            self._sandbox = probe(self.spares_directory.parent, self.device, python=self.python)
        return self._sandbox

    @property
    def spare_state(self) -> SpareState:
        """How far the spare is."""
        self._bury()
        if self._spare is None:
            return SpareState("failed", self._failure) if self._failure else SpareState("none")
        with contextlib.suppress(RunDirectoryError):
            identity = RunDirectory(self._spare.directory).read_supervisor()
            if identity is not None and identity.stage == "ready":
                self._failures = 0
                return SpareState("ready")
        return SpareState("warming")

    def warm(self) -> None:
        """Start a spare unless there is one. After a failure it waits: 5 s, 10 s, ... 5 minutes."""
        self._bury()
        if self._spare is None and time.monotonic() >= self._retry_at:
            self._failure = None
            try:
                self._spare = self._spawn()
            except ExecutorError as error:
                self._give_up(str(error))

    def start(self, assignment: Assignment) -> None:
        """Start a run with the spare, or with a fresh one where there is none.

        Raises ExecutorError when the run directory is in use or cannot be made.
        """
        self._bury()
        spare, self._spare = self._spare, None
        if spare is not None and self._assign(spare, assignment):
            return
        # Without a spare, or if it died under our hands. What becomes of a fresh one is told by
        # the run directory: a trainer that cannot start is a crashed run.
        self._assign(self._spawn(), assignment)

    def close(self) -> None:
        """End the spare and wait for it. Runs go on."""
        spare, self._spare = self._spare, None
        self._failure = None
        if spare is None:
            return
        assert spare.process.stdin is not None
        spare.process.stdin.close()
        try:
            spare.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            spare.process.kill()
            spare.process.wait()
        _remove(spare.directory)

    def _spawn(self) -> _Spare:
        state_directory = self.spares_directory.parent.resolve()
        sandbox = self.sandbox
        token = new_token(state_directory)
        directory = state_directory / self.spares_directory.name / token
        try:
            (directory / "tmp").mkdir(parents=True)
            # Locked here and inherited: the lock is never free between spawn and end.
            lock = FileLock.take(RunDirectory(directory).supervisor_path)
            assert lock is not None  # nobody else knows of this directory
            with lock, open(self.log_path, "ab") as log:
                process = subprocess.Popen(
                    [*SUPERVISOR, self._settings(sandbox, directory, lock.descriptor).encode()],
                    cwd=directory,
                    env=self._environment(directory, token),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock.descriptor],
                    start_new_session=True,
                    text=True,
                )
        except OSError as error:
            _remove(directory)
            raise ExecutorError(
                f"no supervisor could be started in {directory}: {error}"
            ) from error
        return _Spare(process, directory)

    def _settings(self, sandbox: Sandbox, directory: Path, lock: int) -> Settings:
        return Settings(
            spare=str(directory),
            lock_descriptor=lock,
            sandbox=sandbox.encode(),
            device=dataclasses.asdict(self.device),
            compiled=str(self.spares_directory.parent.resolve() / STORE),
            trainer_directory=str(self._trainer_directory.absolute()),
            cpus=list(reserved_cpus(self.device)),
        )

    def _environment(self, directory: Path, token: str) -> dict[str, str]:
        made = training_environment(os.environ, self.device, directory, directory / CACHE, token)
        # The supervisor finds this very package, installed or not.
        return made | {"PYTHONPATH": str(Path(cockpit.__file__).parents[1])}

    def _assign(self, spare: _Spare, assignment: Assignment) -> bool:
        """Turn the spare into the run; False when its supervisor has died."""
        assert spare.process.stdin is not None
        final = assignment.run_directory.absolute()
        try:
            _clear(final)
            (spare.directory / "train.py").write_text(assignment.train_py, encoding="utf-8")
            (spare.directory / "spec.json").write_text(json.dumps(dict(assignment.spec)))
            final.parent.mkdir(parents=True, exist_ok=True)
            # The lock first: there is no moment at which the run is there and looks dead.
            os.rename(
                RunDirectory(spare.directory).supervisor_path, RunDirectory(final).supervisor_path
            )
            os.rename(spare.directory, final)
            # What the training computed from its old place (HOME, TMPDIR) stays true by a link.
            link_target = os.path.relpath(final.resolve(), spare.directory.parent)
            os.symlink(link_target, spare.directory)
        except (OSError, ExecutorError) as error:
            spare.process.stdin.close()  # it ends and, if it was not renamed, removes itself
            self._started.append(spare.process)
            raise ExecutorError(f"the run {final} could not be prepared: {error}") from error
        limits = Limits(
            run_directory=str(final),
            train_rows=str(assignment.train_rows.absolute()),
            validation_rows=str(assignment.validation_rows.absolute()),
            token_bytes=str(assignment.token_bytes.absolute()),
            wall_seconds=assignment.wall_seconds,
            memory_bytes=assignment.memory_bytes,
            log_bytes=assignment.log_bytes,
            disk_bytes=assignment.disk_bytes,
            processes=assignment.processes,
            keep_checkpoint=assignment.keep_checkpoint,
        )
        self._started.append(spare.process)
        try:
            with spare.process.stdin as line:
                line.write(limits.encode())
        except BrokenPipeError:
            spare.directory.unlink(missing_ok=True)
            return False
        return True

    def _bury(self) -> None:
        """Notice dead children: runs that are over, and a spare that failed."""
        self._started = [process for process in self._started if process.poll() is None]
        spare = self._spare
        if spare is None or spare.process.poll() is None:
            return
        assert spare.process.stdin is not None
        spare.process.stdin.close()
        self._spare = None
        self._give_up(_last_words(spare))
        _remove(spare.directory)

    def _give_up(self, message: str) -> None:
        self._failure = message
        delay = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._retry_at = time.monotonic() + delay


def _last_words(spare: _Spare) -> str:
    with contextlib.suppress(RunDirectoryError):
        ended = RunDirectory(spare.directory).read_exit()
        if ended is not None and ended.message:
            return ended.message
    return f"the spare's supervisor ended with status {spare.process.returncode}"


def _clear(directory: Path) -> None:
    """Remove the remains of a run that is over; raises ExecutorError for anything else."""
    run = RunDirectory(directory)
    if run.is_held():
        raise ExecutorError("a run is under way there")
    if directory.exists() and any(directory.iterdir()) and not run.supervisor_path.exists():
        raise ExecutorError("it holds files and is no run directory")
    drop_cache(directory)
    if directory.exists():
        shutil.rmtree(directory)


def _remove(spare: Path) -> None:
    """Remove a spare's directory and its supervisor's file."""
    shutil.rmtree(spare, ignore_errors=True)
    RunDirectory(spare).supervisor_path.unlink(missing_ok=True)
