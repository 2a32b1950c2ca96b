"""Whether somebody holds the flock on a file: how a process is known to live."""

import fcntl
import os
from pathlib import Path


def is_held(path: Path) -> bool:
    """Tell whether a process holds an exclusive flock on `path`; False where there is no file.

    Asked with a shared lock, so that two who ask at once do not take each other for the holder.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
