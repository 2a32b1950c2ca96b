"""Compiled kernels, kept from run to run without letting one run speak to the next.

What is in the lab's store was compiled by the baseline and by runs that were kept, which an audit
has passed. Every run gets a copy of its own in `cache/` of its run directory: a file that two runs
share would be a letter from one to the other. Copies, and not hard links, because a link can be
written through.

A compile that finds its kernels costs 2 s instead of 15 to 60.
"""

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path

STORE = "compiled"
"""Directory of the store in a lab's state directory."""
CACHE = "cache"
"""Directory of a run's copy in its run directory."""
STORE_BYTES = 2_000_000_000
"""A store that grows over this starts anew: most of it belongs to models of long ago."""


def seed_cache(store: Path, run_directory: Path) -> None:
    """Give a run its copy; a store that is not there, or a full disk, costs time and no more."""
    with contextlib.suppress(OSError, shutil.Error):
        shutil.copytree(store, run_directory / CACHE, symlinks=True, dirs_exist_ok=True)


def keep_cache(run_directory: Path) -> None:
    """Move what a kept run has compiled into the store of its lab, and drop its copy.

    Call it once the run is over and judged. What the store has already is left as it is.
    """
    source, store = run_directory / CACHE, run_directory.parents[2] / STORE
    if _size(source) + _size(store) > STORE_BYTES:
        shutil.rmtree(store, ignore_errors=True)
    for place, _, files in os.walk(source):
        there = store / Path(place).relative_to(source)
        for name in files:
            _keep(Path(place, name), there / name)
    drop_cache(run_directory)


def drop_cache(run_directory: Path) -> None:
    """Remove a run's copy."""
    shutil.rmtree(run_directory / CACHE, ignore_errors=True)


def _keep(source: Path, target: Path) -> None:
    """Copy a file unless it is there; links, pipes and what can't be read are passed over."""
    temporary = target.with_name(f".{secrets.token_hex(8)}")
    with contextlib.suppress(OSError):
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as content:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return
            # A copy: the file itself may have another name, which a run could write to later.
            with open(temporary, "xb") as made:
                shutil.copyfileobj(content, made)
        temporary.chmod(0o755 if status.st_mode & 0o100 else 0o644)
        os.replace(temporary, target)
    temporary.unlink(missing_ok=True)


def _size(directory: Path) -> int:
    total = 0
    for place, _, files in os.walk(directory):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
