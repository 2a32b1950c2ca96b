"""Locks by file: held while their descriptor is open, also in a child that inherited it, and
released by the kernel however the holder ends.
"""

import fcntl
import os
from pathlib import Path
from typing import Self


class FileLock:
    """An exclusive lock on a file. As a context manager it is released at the end."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        """Open descriptor, to be handed to a child or closed by `close`."""

    @classmethod
    def take(cls, path: Path, owner: str = "") -> Self | None:
        """The lock at `path`, which is made with its directories; None if it is held.

        `owner` is written into the file, for whoever is refused. Raises OSError.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if owner:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, owner.encode(), 0)
        return cls(descriptor)

    @staticmethod
    def owner_of(path: Path) -> str:
        """What the holder wrote into it."""
        try:
            return path.read_text("utf-8", "replace").strip() or "unknown"
        except OSError:
            return "unknown"

    def close(self) -> None:
        """Let go of it, unless a child still holds it. May be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
