"""Runs seen from their directories alone: whoever started them may be long gone."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

from cockpit.executors.base import Observation
from cockpit.executors.cgroups import remove_groups
from cockpit.executors.processes import (
    is_inside,
    kill_tokens,
    lab_prefix,
    signal_process,
    start_time,
    token_of,
    tokens_by_pid,
)
from cockpit.lab.flocks import is_held
from cockpit.lab.rundir import RunDirectory, RunDirectoryError, RunExit, SupervisorIdentity


def observe(run_directory: Path) -> Observation:
    """Whether the run lives, how it ended, or that its supervisor was killed."""
    run = RunDirectory(run_directory)
    # In this order: exit.json is written before the lock is released, and means nothing before.
    is_alive = run.is_held()
    ended = None if is_alive else _exit(run)
    identity = _identity(run)
    stage = ended.stage if ended else identity.stage if identity else None
    if is_alive:
        return Observation("alive", None, stage)
    return Observation("ended" if ended else "lost", ended, stage)


def stop(run_directory: Path, force: bool = False) -> bool:
    """End the run: ask its supervisor, or kill what is left of it where that is gone.

    Returns at once; `observe` tells when it is over. False when there is nobody to ask, because
    the run is over or its supervisor has not yet said who it is: ask again while it is alive.
    With `force` the supervisor is killed, and then all of the run: for one that does not answer,
    perhaps because its training stopped it. The run is lost then.
    """
    run = RunDirectory(run_directory)
    identity = _identity(run)
    if identity is None:
        return False

    def is_supervisor() -> bool:
        same = start_time(identity.pid) == identity.create_time
        return same and token_of(identity.pid) == identity.token

    if run.is_held():
        number = signal.SIGKILL if force else signal.SIGTERM
        asked = signal_process(identity.pid, number, is_supervisor)
        if not asked or not force:
            return asked
    state_directory = run_directory.absolute().parents[2]
    killed = kill_tokens(
        lambda pid, token: token == identity.token and _is_of_this_lab(pid, token, state_directory)
    )
    remove_groups(identity.token)
    return bool(killed)


def lab_processes(state_directory: Path) -> set[int]:
    """Process ids of all supervisors, trainings and their children of this lab."""
    prefix = lab_prefix(state_directory)
    return {pid for pid, token in tokens_by_pid().items() if token.startswith(prefix)}


def reap_leftovers(state_directory: Path) -> set[int]:
    """Kill what is left of runs without a supervisor, and clear their spares away.

    A process is killed only if it is of this lab and the lock of its run is free; returns whom
    it killed. Call it while no spare is being started.
    """
    held: dict[str, bool] = {}

    def is_leftover(pid: int, token: str) -> bool:
        if not _is_of_this_lab(pid, token, state_directory):
            return False
        if token not in held:
            run = _run_of(state_directory, token)
            # No directory any more: the run was deleted under a living process.
            held[token] = run is not None and run.is_held()
        return not held[token]

    killed = kill_tokens(is_leftover)
    remove_groups(lab_prefix(state_directory))
    spares = state_directory / "spares"
    for path in list(spares.iterdir()) if spares.is_dir() else []:
        if is_held(path) or RunDirectory(path.resolve()).is_held():
            continue
        if path.is_symlink() or path.is_file():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return killed


def _is_of_this_lab(pid: int, token: str, state_directory: Path) -> bool:
    """Whether the token was minted here, or the process works here: then the lab was moved.

    That a supervisor.json of this lab names the token is not enough: in a copy of a lab it names
    trainings of the original.
    """
    return token.startswith(lab_prefix(state_directory)) or is_inside(pid, state_directory)


def _run_of(state_directory: Path, token: str) -> RunDirectory | None:
    """The run with that token: by the spare's name or the link it left, else by looking at all."""
    spare = state_directory / "spares" / token
    if os.sep not in token and spare.exists():
        return RunDirectory(spare.resolve())
    for path in state_directory.glob("runs/*/*/"):
        run = RunDirectory(path)
        identity = _identity(run)
        if identity is not None and identity.token == token:
            return run
    return None


def _exit(run: RunDirectory) -> RunExit | None:
    with contextlib.suppress(RunDirectoryError):
        return run.read_exit()
    return None


def _identity(run: RunDirectory) -> SupervisorIdentity | None:
    with contextlib.suppress(RunDirectoryError):
        return run.read_supervisor()
    return None
