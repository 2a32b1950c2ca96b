"""Files without a name, to be handed to another process as descriptors.

In memory on Linux, where a kernel's seals promise what a permission does not (a process of the
same user opens a read-only descriptor again for writing, by /proc/self/fd). Not in /dev/shm, of
which a container has 64 MB. Elsewhere unlinked temporary files, without that promise.
"""

import fcntl
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

from cockpit.lab.record import open_regular

COPY_BYTES = 1 << 20


class MemoryFileError(RuntimeError):
    """A file could not be copied; the message names it and says why."""


def blank(size: int) -> int:
    """Return a descriptor of `size` bytes that others may fill but not shorten or lengthen.

    Raises OSError where there is no room.
    """
    descriptor = _nameless()
    os.ftruncate(descriptor, size)
    if sys.platform == "linux":
        _seal(descriptor, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return descriptor


def hashed_copy(path: Path, most_bytes: int, deadline: float) -> tuple[int, str]:
    """Return a descriptor of a copy that nobody changes any more, and its SHA-256.

    Raises MemoryFileError where there is no such file, or where it is larger than `most_bytes` or
    not copied before `deadline` (monotonic): it may be a sparse file of a petabyte.
    """
    digest = hashlib.sha256()
    copy = _nameless()
    try:
        with open_regular(path) as descriptor:
            size = os.fstat(descriptor).st_size
            if size > most_bytes:
                raise MemoryFileError(f"{path.name} has {size / 2**30:.1f} GiB")
            while chunk := os.read(descriptor, COPY_BYTES):
                digest.update(chunk)
                os.write(copy, chunk)
                if time.monotonic() > deadline:
                    raise MemoryFileError(f"{path.name} is too large to be copied in time")
    except OSError as error:
        raise MemoryFileError(f"{path.name} can't be copied: {error.strerror or error}") from error
    os.lseek(copy, 0, os.SEEK_SET)
    if sys.platform == "linux":
        _seal(copy, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return copy, digest.hexdigest()


def _nameless() -> int:
    if sys.platform == "linux":
        return os.memfd_create("cockpit", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor


def _seal(descriptor: int, seals: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)
