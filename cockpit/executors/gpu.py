"""Which GPUs the slots get: those asked for, visible, not in use by others, not another lab's."""

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cockpit.executors.base import Device
from cockpit.executors.host import cpu_device, mps_device
from cockpit.executors.locks import FileLock

__all__ = [
    "Choice",
    "Gpu",
    "GpuError",
    "GpuProcess",
    "choose_gpus",
    "cpu_device",
    "list_gpus",
    "lock_gpus",
    "mps_device",
]

FORCE_FLAG = "--force-gpus"


class GpuError(RuntimeError):
    """A GPU that was asked for cannot be had; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that computes on a GPU."""

    pid: int
    """Its process id; in a container perhaps that of the host."""
    description: str
    """Name and user, as far as they can be told."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its driver sees it."""

    index: int
    """Its number in nvidia-smi."""
    uuid: str
    """What CUDA_VISIBLE_DEVICES of a training names."""
    name: str
    """Model."""
    memory_bytes: int
    """All of its memory."""
    driver: str
    """Version of the driver."""
    processes: tuple[GpuProcess, ...] = ()
    """Who computes on it."""

    def device(self) -> Device:
        """The slot's device. CPU threads are few: they only feed it."""
        threads = min(8, max(1, len(os.sched_getaffinity(0)) // 2))
        return Device("cuda", self.name, self.uuid, self.memory_bytes, threads)


@dataclass(frozen=True, slots=True)
class Choice:
    """GPUs that may be used, and how many of them are meant to be."""

    gpus: tuple[Gpu, ...]
    """In order of preference."""
    count: int
    """The first so many that no other lab holds; all of them where they were asked for."""


def list_gpus() -> list[Gpu]:
    """All NVIDIA GPUs of the machine; none where there is no driver. Does not import torch."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        gpus = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):  # one that fell off the bus
                gpus.append(_read_gpu(pynvml, index, driver))
        return gpus
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def choose_gpus(
    gpus: Sequence[Gpu],
    *,
    visible_devices: str | None,
    wanted: str | None = None,
    force: bool = False,
    ours: Collection[int] = (),
    adopted: Collection[str] = (),
) -> Choice:
    """The GPUs for the slots: `wanted` (--gpus), else all that CUDA_VISIBLE_DEVICES names, else
    the first one that is free.

    `visible_devices` is that variable, None where it is not set. `ours` are processes of this
    lab, `adopted` UUIDs of GPUs on which its runs go on: neither counts as use by others, which
    `force` overlooks altogether. Raises GpuError.
    """
    visible = visible_gpus(gpus, visible_devices)
    if wanted is not None:
        asked = [_find(entry.strip(), gpus) for entry in wanted.split(",") if entry.strip()]
        if not asked:
            raise GpuError("--gpus names no GPU: give numbers as in nvidia-smi, like --gpus 0,1")
        for gpu in asked:
            if gpu not in visible:
                raise GpuError(
                    f"GPU {gpu.index} is hidden by CUDA_VISIBLE_DEVICES={visible_devices}:"
                    " choose another with --gpus, or unset it"
                )
    else:
        asked = visible
    asked = list(dict.fromkeys(asked))
    refusals = {}
    for gpu in asked:
        others = [process for process in gpu.processes if process.pid not in ours]
        if others and not force and gpu.uuid not in adopted:
            refusals[gpu] = _in_use(gpu, others)
    if wanted is not None or visible_devices is not None:
        if refusals:
            raise GpuError("; ".join(refusals.values()))
        return Choice(tuple(asked), len(asked))
    free = tuple(gpu for gpu in asked if gpu not in refusals)
    if asked and not free:
        raise GpuError("; ".join(refusals.values()))
    return Choice(free, min(1, len(free)))


def visible_gpus(gpus: Sequence[Gpu], visible_devices: str | None) -> list[Gpu]:
    """What CUDA shows under CUDA_VISIBLE_DEVICES: numbers or beginnings of UUIDs; the list ends
    at the first entry that names none. (CUDA C++ Programming Guide, environment variables.)
    Numbers are taken as nvidia-smi's, as CUDA_DEVICE_ORDER=PCI_BUS_ID makes them.
    """
    if visible_devices is None:
        return list(gpus)
    found: list[Gpu] = []
    for entry in visible_devices.split(","):
        try:
            gpu = _find(entry.strip(), gpus)
        except GpuError:
            break
        if gpu not in found:
            found.append(gpu)
    return found


def lock_gpus(choice: Choice, cache_directory: Path, owner: str) -> list[tuple[Gpu, FileLock]]:
    """Take the GPUs for this lab, against other labs of the same user.

    The locks hold until they are closed or this process ends. `owner` says in a refusal of
    another lab who has it. Raises GpuError if fewer than `choice.count` can be had.
    """
    held: list[tuple[Gpu, FileLock]] = []
    refusals = []
    for gpu in choice.gpus:
        if len(held) == choice.count:
            break
        path = cache_directory / "locks" / f"{gpu.uuid}.lock"
        lock = FileLock.take(path, owner)
        if lock is not None:
            held.append((gpu, lock))
        else:
            refusals.append(f"GPU {gpu.index} is taken by the lab {FileLock.owner_of(path)}")
    if len(held) < choice.count:
        for _, lock in held:
            lock.close()
        raise GpuError("; ".join(refusals) + ": choose another with --gpus")
    return held


def _find(entry: str, gpus: Sequence[Gpu]) -> Gpu:
    if entry.isdecimal():
        matches = [gpu for gpu in gpus if gpu.index == int(entry)]
    else:
        matches = [gpu for gpu in gpus if entry.startswith("GPU-") and gpu.uuid.startswith(entry)]
    if len(matches) != 1:
        there = ", ".join(str(gpu.index) for gpu in gpus) or "none"
        raise GpuError(f"no GPU {entry!r}: this machine has {there}")
    return matches[0]


def _in_use(gpu: Gpu, others: Sequence[GpuProcess]) -> str:
    who = ", ".join(f"process {process.pid} ({process.description})" for process in others)
    return (
        f"GPU {gpu.index} ({gpu.name}) is used by {who}: choose another with --gpus,"
        f" or share it with {FORCE_FLAG}"
    )


def _read_gpu(pynvml: Any, index: int, driver: str) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    try:
        memory_bytes = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError:  # a GPU that shares the CPU's memory
        memory_bytes = psutil.virtual_memory().total
    try:
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:  # not told in some containers
        running = []
    return Gpu(
        index=index,
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        memory_bytes=memory_bytes,
        driver=driver,
        processes=tuple(GpuProcess(entry.pid, _describe(entry.pid)) for entry in running),
    )


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{process.name()}, user {process.username()}"
    except psutil.Error:
        return "of another user or container"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
