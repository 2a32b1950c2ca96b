"""This machine without a GPU: its cores, as far as we may use them, and Apple's chip."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from cockpit.executors.base import Device

CGROUPS = Path("/sys/fs/cgroup")


def cpu_device() -> Device:
    """The CPU as one slot: all usable cores but the last, which is kept for everything else.

    A busy neighbour on a training's core costs it far more than its share, so the last core
    belongs to engine, spare, proposers and screen. Ask before binding this process to a core.
    """
    cores = _allowed_cores()
    return Device(
        kind="cpu",
        name=_cpu_name(),
        uuid="cpu",
        memory_bytes=_memory_bytes(),
        threads=training_threads(len(cores), _cgroup_limits("cpu.max")),
        cpus=tuple(cores[:-1]) if hasattr(os, "sched_setaffinity") else (),
    )


def mps_device() -> Device | None:
    """Apple's GPU; None on other machines. Whether torch can use it is for torch to say."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return None
    threads = training_threads(len(_allowed_cores()), [])
    return Device("mps", _cpu_name(), "mps", psutil.virtual_memory().total, threads)


def training_threads(cores: int, quotas: Sequence[str]) -> int:
    """Threads of a training: one less than the cores, or than the time that a cgroup grants.

    `quotas` are contents of cpu.max files: "max 100000", or microseconds per period.
    """
    for quota in quotas:
        granted, _, period = quota.partition(" ")
        if granted.isdigit() and period.isdigit() and int(period) > 0:
            cores = min(cores, int(granted) // int(period))
    return max(1, cores - 1)


def _allowed_cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _memory_bytes() -> int:
    limits = [int(limit) for limit in _cgroup_limits("memory.max") if limit.isdigit()]
    return min([int(psutil.virtual_memory().total), *limits])


def _cgroup_limits(name: str) -> list[str]:
    """Contents of file `name` of this process's cgroup (version 2) and of all above it."""
    return [path.read_text().strip() for path in _cgroup_files(name)]


def _cgroup_files(name: str) -> Iterator[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    place = CGROUPS / own.lstrip("/")
    for directory in (place, *place.parents):
        if directory.is_relative_to(CGROUPS) and (directory / name).is_file():
            yield directory / name


def _cpu_name() -> str:
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
