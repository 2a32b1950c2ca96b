"""A user for every run, where the engine is root: its directory is lent to it, and taken back."""

import contextlib
import hashlib
import os
import pwd
from collections.abc import Iterable
from pathlib import Path

USERS = range(52_000, 60_000)
"""Ids of users for runs: seldom anybody's, and mapped in every container."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the system's own place for it
OTHERS = 0o077


def user_of(token: str) -> int:
    """The user of a run: hardly ever that of another run, never one who is known here."""
    number = int.from_bytes(hashlib.sha256(token.encode()).digest()[:8])
    while _is_known(USERS[number % len(USERS)]):
        number += 1
    return USERS[number % len(USERS)]


def lend(directory: Path, user: int) -> None:
    """Make a user the owner of a directory and of all in it."""
    for place, folders, files in os.walk(directory):
        for name in (*folders, *files):
            os.chown(Path(place, name), user, user, follow_symlinks=False)
    os.chown(directory, user, user)


def take_back(directory: Path) -> None:
    """Own a directory again, once all that ran there is dead; only root reads its files then.

    Does nothing about a directory that was not lent. Files with several names keep their owner:
    the other name may be somebody else's. Raises OSError.
    """
    user = os.stat(directory).st_uid
    if os.geteuid() != 0 or user not in USERS:
        return
    for place, folders, files in os.walk(directory, topdown=False):
        for name in files:
            path = Path(place, name)
            found = os.lstat(path)
            if found.st_nlink == 1:
                os.chown(path, 0, 0, follow_symlinks=False)
                if not path.is_symlink():
                    path.chmod(found.st_mode & 0o700)
        for name in folders:
            os.chown(Path(place, name), 0, 0, follow_symlinks=False)
    os.chown(directory, 0, 0)
    directory.chmod(0o711)
    for path in SHARED_MEMORY.glob("*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == user:
                path.unlink()


def shut(paths: Iterable[Path]) -> None:
    """Keep other users out of what is ours; for kernels that have no better means."""
    for path in paths:
        with contextlib.suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.geteuid() and not path.is_symlink():
                path.chmod(found.st_mode & ~OTHERS & 0o7777)


def _is_known(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True
