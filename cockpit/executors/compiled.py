"""Compiled kernels, kept from run to run without letting one run speak to the next.

Every run gets a copy of the lab's store in `cache/` of its run directory: a file that two runs
share would be a letter from one to the other. Copies, and not hard links, because a link can be
written through.

What a run adds is copied beside its directory, out of its reach, before it is handed any rows:
at that time it has nothing to tell. This snapshot, and nothing that was written later, reaches
the store, once an audit has passed what was measured. `cache/` itself ends with the run.

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
SNAPSHOT_BYTES = 1_000_000_000
"""What one run may add; autotuning all of a large model leaves a tenth of it."""
SNAPSHOT_FILES = 20_000
DEEPEST = 16
"""Folders in folders; Inductor and Triton go three deep."""
BLOCK_BYTES = 1 << 20


def snapshot_path(run_directory: Path) -> Path:
    """Where a run's snapshot is: beside its directory, and so not in sight of a sandbox."""
    return run_directory.with_name(f"{run_directory.name}.compiled")


def seed_cache(store: Path, run_directory: Path) -> None:
    """Give a run its copy; a store that is not there, or a full disk, costs time and no more."""
    with contextlib.suppress(OSError, shutil.Error):
        shutil.copytree(store, run_directory / CACHE, symlinks=True, dirs_exist_ok=True)


def take_snapshot(
    store: Path, cache: Path, snapshot: Path, most_bytes: int = SNAPSHOT_BYTES
) -> None:
    """Copy what is new in a living run's cache; what can't be copied is left out.

    The run may change its cache at the same time: folders are walked by their descriptors, so
    that no link that it puts there leads the walk, which no sandbox holds, to other files.
    """
    with contextlib.suppress(OSError):
        bytes_left = min(most_bytes, shutil.disk_usage(cache.parent).free // 4)
        files_left = SNAPSHOT_FILES
        for place, folders, files, descriptor in os.fwalk(cache):
            inside = Path(place).relative_to(cache)
            if len(inside.parts) >= DEEPEST:
                folders.clear()
            for name in files:
                if (store / inside / name).exists():
                    continue
                if files_left == 0:
                    return
                files_left -= 1
                if not snapshot.exists():
                    snapshot.mkdir(mode=0o700)  # also where a user alone is the sandbox
                bytes_left -= _copy(name, descriptor, snapshot / inside / name, bytes_left)


def keep_cache(run_directory: Path) -> None:
    """Move what a run had compiled before it saw any rows into the store of its lab.

    Call it once the run is over and its audit has passed. What the store has already is left as
    it is.
    """
    source, store = snapshot_path(run_directory), run_directory.parents[2] / STORE
    if _size(source) + _size(store) > STORE_BYTES:
        shutil.rmtree(store, ignore_errors=True)
    for place, _, files in os.walk(source):
        there = store / Path(place).relative_to(source)
        for name in files:
            with contextlib.suppress(OSError):
                if not (there / name).exists():
                    there.mkdir(parents=True, exist_ok=True)
                    os.replace(Path(place, name), there / name)
    drop_cache(run_directory)


def drop_cache(run_directory: Path) -> None:
    """Remove a run's snapshot, and its copy where its supervisor could not."""
    shutil.rmtree(snapshot_path(run_directory), ignore_errors=True)
    shutil.rmtree(run_directory / CACHE, ignore_errors=True)


def _copy(name: str, folder: int, target: Path, most_bytes: int) -> int:
    """Copy a plain file of a folder and return its bytes; 0 for what is none or too large."""
    temporary = target.with_name(f".{secrets.token_hex(8)}")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    copied = 0
    with contextlib.suppress(OSError):
        with open(os.open(name, flags, dir_fd=folder), "rb") as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > most_bytes:
                return 0
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as made:
                # Not to its end, which may move on while it is read.
                while block := content.read(min(BLOCK_BYTES, status.st_size - copied)):
                    made.write(block)
                    copied += len(block)
        temporary.chmod(0o755 if status.st_mode & 0o100 else 0o644)
        os.replace(temporary, target)
    with contextlib.suppress(OSError):
        temporary.unlink()
    return copied


def _size(directory: Path) -> int:
    total = 0
    for place, _, files in os.walk(directory):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
