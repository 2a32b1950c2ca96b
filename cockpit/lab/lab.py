"""A lab: a git repository with `program.md` and `trainer/`, and its state under `.cockpit/`."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cockpit.lab.flocks import is_held

STATE = ".cockpit"
LOCK_SECONDS = 0.3
"""How long the engine's lock is tried for."""


class LabError(Exception):
    """Something about the lab is not as it must be; the message says what to do."""


class NoLabError(LabError):
    """There is no lab here."""


class SettingsError(LabError):
    """A setting can't be used; the message names it and says what is expected."""


class LockedError(LabError):
    """Another process holds the engine's lock."""


@dataclass(frozen=True, slots=True)
class Lab:
    """The places of one lab. Making a `Lab` touches nothing on disk."""

    root: Path
    """Top of the working tree, absolute."""

    @property
    def name(self) -> str:
        """Return what the screen calls it."""
        return self.root.name

    @property
    def state(self) -> Path:
        """Return the state directory; a link when it was moved with `--state-dir`."""
        return self.root / STATE

    @property
    def journal(self) -> Path:
        """Return the path of the journal."""
        return self.state / "journal.db"

    @property
    def lock(self) -> Path:
        """Return the file whose flock says that an engine lives."""
        return self.state / "engine.lock"

    @property
    def log(self) -> Path:
        """Return where tracebacks go."""
        return self.state / "engine.log"

    @property
    def spares(self) -> Path:
        """Return where warm spares wait for their run."""
        return self.state / "spares"

    @property
    def trainer(self) -> Path:
        """Return the directory of the trainer in the working tree."""
        return self.root / "trainer"

    @property
    def program(self) -> Path:
        """Return the researcher's brief."""
        return self.root / "program.md"

    @property
    def findings(self) -> Path:
        """Return what the lab has learnt, written anew after every verdict."""
        return self.state / "findings.md"

    def fixed_trainer(self, digest: str) -> Path:
        """Return where the fixed trainer files of a setup are laid out for its runs."""
        return self.state / "trainer" / digest

    @property
    def runs(self) -> Path:
        """Return where run directories are, by experiment and run."""
        return self.state / "runs"

    def run_directory(self, experiment: int, run: int) -> Path:
        """Return the directory of one run."""
        return self.runs / str(experiment) / str(run)

    def engine_lives(self) -> bool:
        """Tell whether some process holds the engine's lock."""
        return is_held(self.lock)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the engine's lock and give its descriptor.

        Raises `LockedError` when another process has it, `LabError` where there is no place
        for it.
        """
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LabError(
                f"can't keep the lab's state in {self.state}: {error.strerror}; make it writable, "
                "or remove it and name another place with --state-dir"
            ) from error
        try:
            if not _lock(descriptor):
                raise LockedError(f"an engine runs already in {self.root}")
            yield descriptor
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Take the engine's lock; tell whether it was to be had.

    Whoever asks `engine_lives` holds a shared lock for microseconds, so it is tried for a moment.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def find(start: Path) -> Lab:
    """Return the lab that `start` lies in.

    Raises `NoLabError` with what is missing and how to make one.
    """
    start = start.resolve()
    for directory in (start, *start.parents):
        if not (directory / ".git").exists():
            continue
        if not (directory / "program.md").is_file():
            raise NoLabError(
                f"{directory} is a git repository without program.md: "
                "`cockpit init` adds what a lab needs"
            )
        if not (directory / "trainer" / "train.py").is_file():
            raise NoLabError(
                f"{directory} has no trainer/train.py: `cockpit init` adds what a lab needs"
            )
        return Lab(directory)
    raise NoLabError(f"{start} is not in a git repository: `cockpit init DIR` makes a lab")


def place_state(lab: Lab, directory: Path | None) -> None:
    """Keep the state of a lab in `directory`: `.cockpit` becomes a link to it, so that every
    later verb finds it.

    Raises `LabError` when the lab has its state elsewhere already.
    """
    if directory is None:
        return
    wanted = directory.expanduser().resolve()
    if lab.state.resolve() == wanted:
        return
    if lab.state.exists() or lab.state.is_symlink():
        raise LabError(
            f"{lab.state} exists already: stop its engine, move what is in it to {wanted}, "
            "remove it, and try again"
        )
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        lab.state.symlink_to(wanted)
    except OSError as error:
        raise LabError(f"can't keep the state in {wanted}: {error.strerror}") from error
