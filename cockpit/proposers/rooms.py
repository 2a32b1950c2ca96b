"""The private directories of an agent: made for one errand, removed with all that is in them."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cockpit.lab.flocks import is_held
from cockpit.proposers.exporting import remove

PREFIX = "cockpit-agent-"
STALE_SECONDS = 60.0
"""A directory that is younger is perhaps being made."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """The directories of one agent, as they are outside."""

    root: Path

    @property
    def work(self) -> Path:
        """Return where it works."""
        return self.root / "work"

    @property
    def home(self) -> Path:
        """Return its HOME."""
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        """Return its /tmp."""
        return self.root / "tmp"

    @property
    def memory(self) -> Path:
        """Return its /dev/shm."""
        return self.root / "shm"

    def make(self) -> None:
        """Make all but `work`."""
        for place in (self.home, self.temporary, self.memory):
            place.mkdir(0o700)


@contextlib.contextmanager
def private_rooms() -> Iterator[Rooms]:
    """Make rooms that nobody else may enter, and remove them in the end.

    A lock says that they are in use: what a killed process left is known by that.
    """
    root = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = os.open(root / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rooms = Rooms(root)
        rooms.make()
        yield rooms
    finally:
        remove(root)
        os.close(lock)


def sweep() -> None:
    """Remove the rooms that killed processes of this user have left."""
    for root in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            lock, found = root / "lock", root.lstat()
            ours = found.st_uid == os.geteuid() and root.is_dir() and not root.is_symlink()
            if ours and time.time() - lock.lstat().st_mtime > STALE_SECONDS and not is_held(lock):
                remove(root)
