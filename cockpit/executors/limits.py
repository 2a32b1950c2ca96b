"""The limits of a run, as its supervisor looks after them.

The kernel limits what it can: the size of one file. The rest is looked at, four times a second
or less: memory, files and processes over all of the run, since a limit for one process is none
for somebody who can start many.
"""

import contextlib
import os
import resource
import stat
import time
from collections.abc import Iterator

import psutil

from cockpit.executors.orders import Limits
from cockpit.executors.processes import LINUX
from cockpit.executors.training import Training
from cockpit.lab.rundir import ExitReason

WATCH_SECONDS = 0.25
"""Between two looks at what is cheap to see: log, free space, number of all processes."""
COUNT_SECONDS = 1.0
"""Between two counts of the run's memory, files and processes; one costs some milliseconds."""
SUDDENLY = 64
"""So many more processes on the machine since the last look, and they are counted at once."""
FILES = 200_000
"""Of a run; a compiler's cache has a few thousand. A million empty files take no space at all,
and no look at them would ever end."""
FREE_BYTES = 64 << 20
"""With less free space than this the run is ended, whoever has filled the disk."""
HOG_BYTES = 1 << 30
"""A run whose files take that much of a full disk is to blame for it."""
THREADS = 16
"""To each process that is allowed: the kernel's limit counts both alike."""
BLOCK = 512
"""Unit of st_blocks, stat(2)."""

Over = tuple[ExitReason, str]


def hand_to_kernel(limits: Limits, training: Training) -> None:
    """Have the kernel keep the limits that it knows; what they start inherits them.

    Without a control group none of them is a limit on all of a run, and the number of processes
    is none on those of root.
    """
    if not LINUX:
        return
    if training.group is not None:
        training.group.limit(limits.memory_bytes, limits.processes)
    family = training.family()
    tasks = _tasks_by_user() if limits.processes is not None else {}
    for process in family:
        with contextlib.suppress(OSError, psutil.Error):
            if limits.disk_bytes is not None:
                _limit(process.pid, resource.RLIMIT_FSIZE, limits.disk_bytes)
            if limits.processes is not None:
                others = tasks.get(process.uids().real, 0)
                _limit(process.pid, resource.RLIMIT_NPROC, others + THREADS * limits.processes)


def _limit(pid: int, which: int, value: int) -> None:
    _, hard = resource.prlimit(pid, which)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.prlimit(pid, which, (value, value))


def _tasks_by_user() -> dict[int, int]:
    found: dict[int, int] = {}
    for process in psutil.process_iter(["uids", "num_threads"]):
        if process.info["uids"] is not None:
            user = process.info["uids"].real
            found[user] = found.get(user, 0) + (process.info["num_threads"] or 1)
    return found


class Watch:
    """Looks after the limits of one run, in its directory."""

    def __init__(self, limits: Limits, training: Training) -> None:
        self._limits = limits
        self._training = training
        self._next_count = 0.0
        self._processes = len(psutil.pids())

    def look(self) -> Over | None:
        """The limit that the run is over, with a line about it; None while all is well."""
        if over := self._log() or self.scarcity():
            return over
        now, processes = time.monotonic(), len(psutil.pids())
        if now < self._next_count and processes < self._processes + SUDDENLY:
            return None
        self._next_count, self._processes = now + COUNT_SECONDS, processes
        return self._count()

    def scarcity(self) -> Over | None:
        """What there is not enough of: memory, as its control group says, or space on the disk.

        Also the reason of a failure, where there is one.
        """
        if self._training.group is not None and self._training.group.ran_out_of_memory:
            allowed = self._limits.memory_bytes
            return "memory", f"used more than the {allowed} bytes of memory that are allowed"
        return self._disk()

    def _log(self) -> Over | None:
        if self._training.log_bytes() > self._limits.log_bytes:
            return "log", f"train.log grew over {self._limits.log_bytes} bytes"
        return None

    def _disk(self) -> Over | None:
        found = os.statvfs(".")
        if found.f_bavail * found.f_frsize >= FREE_BYTES:
            return None
        own = held_bytes(self._training.family()) + directory_bytes(".", HOG_BYTES)
        if own > HOG_BYTES:
            return "size", f"the disk is full, and its own files take {own} bytes or more of it"
        return "disk", "the disk is full"

    def _count(self) -> Over | None:
        limits, group, family = self._limits, self._training.group, self._training.family()
        if limits.processes is not None and len(family) > limits.processes:
            return "processes", f"started {len(family)} processes, {limits.processes} are allowed"
        if limits.memory_bytes is not None and not (group and group.limits_memory):
            used = resident_bytes(family)
            if used > limits.memory_bytes:
                return "memory", f"used {used} bytes of memory, {limits.memory_bytes} are allowed"
        if limits.disk_bytes is not None:
            held = held_bytes(family)
            used = held + directory_bytes(".", limits.disk_bytes - held)
            if used > limits.disk_bytes:
                return (
                    "size",
                    f"its files take more than the {limits.disk_bytes} bytes that are allowed"
                    f" (or are more than {FILES})",
                )
        return None


def resident_bytes(family: list[psutil.Process]) -> int:
    """Resident memory of all of them; what they share counts several times."""
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def directory_bytes(directory: str, enough: int) -> int:
    """Space that everything in a directory takes. Stops, above `enough`, once it is over that or
    there are too many files.
    """
    total = 0
    for count, entry in enumerate(_entries(directory)):
        with contextlib.suppress(OSError):
            total += entry.stat(follow_symlinks=False).st_blocks * BLOCK
        if count >= FILES:
            return max(total, enough + 1)
        if total > enough:
            break
    return total


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    waiting = [directory]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def held_bytes(family: list[psutil.Process]) -> int:
    """Space of files that have no name any more, or never had one, but are open.

    Shared memory is among them (memfd): it counts here, because it is part of no process.
    """
    if not LINUX:
        return 0
    found: dict[tuple[int, int], int] = {}
    for process in family:
        place = f"/proc/{process.pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(place):
                with contextlib.suppress(OSError):
                    status = os.stat(f"{place}/{name}")
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        found[status.st_dev, status.st_ino] = status.st_blocks * BLOCK
    return sum(found.values())
