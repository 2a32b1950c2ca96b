"""The checkpoint's hash, taken before the validation rows are handed in."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from cockpit.lab.record import open_regular

CHUNK_BYTES = 1 << 20


class CheckpointError(RuntimeError):
    """There is no checkpoint to hash, or no time left to do it."""


def sha256_of_checkpoint(path: Path, is_too_late: Callable[[], bool]) -> str:
    """Hash of the file, hexadecimal.

    Raises CheckpointError when it cannot be read, and between two chunks once `is_too_late`: a
    training may have left a sparse file of a petabyte.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(path) as descriptor:
            while chunk := os.read(descriptor, CHUNK_BYTES):
                digest.update(chunk)
                if is_too_late():
                    raise CheckpointError(f"{path.name} is too large to be hashed in time")
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
