"""A control group for each run, where we may make one: the kernel then counts and kills.

Version 2 only. The group is made beside our own, because a group that hands controllers on may
have no processes of its own; in most sessions of systemd that is allowed to root, and to a user
below user@.service. In a container the file system is mostly read-only. Then there is none, and
the supervisor watches.

A group without the controllers of memory and processes is good for one thing still: whatever is
in it is killed at once, which no fork outruns.

Source: Documentation/admin-guide/cgroup-v2.rst of the kernel.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

PREFIX = "cockpit-"
TASKS = 16
"""To each process that is allowed: the kernel counts threads."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group, which is there until it is removed."""

    path: Path

    def enter(self) -> None:
        """Put this process in, and with it all that it starts. Raises OSError."""
        (self.path / "cgroup.procs").write_text("0")

    def limit(self, memory_bytes: int | None, processes: int | None) -> None:
        """Have the kernel keep the limits that it can."""
        limits = {}
        if memory_bytes is not None:
            # All of it is killed at once, and none of it moved to a swap first.
            limits = {
                "memory.max": memory_bytes, "memory.swap.max": 0, "memory.oom.group": 1,
            }  # fmt: skip
        if processes is not None:
            limits["pids.max"] = TASKS * processes
        for name, value in limits.items():
            with contextlib.suppress(OSError):
                if (self.path / name).exists():
                    (self.path / name).write_text(str(value))

    @property
    def limits_memory(self) -> bool:
        """Whether the kernel keeps a limit of memory here."""
        with contextlib.suppress(OSError):
            return (self.path / "memory.max").read_text().strip() != "max"
        return False

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has killed for that limit."""
        with contextlib.suppress(OSError):
            for line in (self.path / "memory.events").read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill" and count != "0":
                    return True
        return False

    def kill(self) -> None:
        """Kill all that is in it, at once (Linux 5.14 and up)."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Remove it; it stays while anything is in it."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


def make_group(name: str, place: Path | None = None) -> Group | None:
    """A new group, in `place` or where ours is; None where we may not make one."""
    place = place or _place_for_groups()
    if place is None:
        return None
    group = Group(place / f"{PREFIX}{name}")
    try:
        group.path.mkdir()
    except OSError:
        return None
    if not os.access(group.path / "cgroup.procs", os.W_OK):
        group.remove()
        return None
    return group


def remove_groups(prefix: str) -> None:
    """Remove groups of that name and what follows, as far as nothing is in them any more."""
    place = _place_for_groups()
    for path in place.glob(f"{PREFIX}{prefix}*") if place is not None else ():
        Group(path).remove()


def _place_for_groups() -> Path | None:
    """The group above ours; the root of the tree where we are in that.

    None where ours has limits: whoever set them meant them for the trainings as well.
    """
    with contextlib.suppress(OSError, StopIteration):
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        # proc(5): root and mount point are fields 4 and 5, the type follows " - ".
        fields = next(line.split() for line in mounts if " - cgroup2 " in line)
        root, mounted = Path(fields[3]), Path(fields[4])
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        ours = Path(next(line[3:] for line in lines if line.startswith("0::")))
        place = mounted / ours.relative_to(root)
        if place == mounted:
            return place
        return place.parent if not is_limited(place) else None
    return None


def is_limited(group: Path) -> bool:
    """Whether somebody has given a group less than all of memory or processor."""
    for name in ("memory.max", "memory.high", "cpu.max", "cpuset.cpus"):
        with contextlib.suppress(OSError):
            if not f"{(group / name).read_text().strip()} ".startswith(("max ", " ")):
                return True
    return False
