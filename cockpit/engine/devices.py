"""Which devices a night may use: found, tried with torch, and locked against other labs."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cockpit.executors.base import Device
from cockpit.executors.environment import reserved_cpus
from cockpit.executors.gpu import GpuError, choose_gpus, list_gpus, lock_gpus
from cockpit.executors.host import cpu_device, mps_device
from cockpit.executors.local import lab_processes
from cockpit.lab.corpus import cache_directory
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.settings import Settings

PROBE_SECONDS = 120.0
"""A cold start of CUDA on a busy machine takes its time."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The devices of a night, one a slot, in the order of the slots."""

    devices: list[Device]
    reserved_cpus: tuple[int, ...]
    """Cores for everything but the trainings; empty: no core needs to be left alone."""


@contextlib.contextmanager
def claim_devices(lab: Lab, settings: Settings, lock: bool = True) -> Iterator[Claimed]:
    """Hold the devices that the settings ask for while the night lasts.

    CUDA where there is an NVIDIA device, MPS on Apple silicon, else the CPU; beside a GPU the
    CPU only when it is asked for. `lock=False` only looks. Raises `LabError` when a device is
    there and can't be used, or is used by others.
    """
    wanted = settings.device
    if wanted not in (None, "cuda", "mps", "cpu"):
        raise LabError(f"unknown device {wanted}: --device takes cuda, mps or cpu")
    with contextlib.ExitStack() as held:
        devices = _gpus(lab, settings, held, lock) if wanted in (None, "cuda") else []
        if not devices and wanted in (None, "mps") and (mps := mps_device()) is not None:
            _probe(lab, "mps")
            devices = [mps]
        if not devices and wanted in (None, "cpu"):
            if settings.gpus:
                raise LabError(f"--gpus {settings.gpus}: no NVIDIA device is found here")
            devices = [cpu_device()]
        if not devices:
            raise LabError(f"no {wanted} device is found here: use --device cpu")
        if len({device.name for device in devices}) > 1:
            names = ", ".join(device.name for device in devices)
            raise LabError(
                f"the slots have different devices ({names}), and scores are only compared on one "
                "kind: name GPUs of one kind with --gpus"
            )
        yield Claimed(devices, reserved_cpus(devices[0]))


def _gpus(lab: Lab, settings: Settings, held: contextlib.ExitStack, lock: bool) -> list[Device]:
    gpus = list_gpus()
    if not gpus and not _device_files():
        return []
    ours: Collection[int] = lab_processes(lab.state) if lab.state.exists() else ()
    found = _probe(lab, "cuda")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        choice = choose_gpus(
            gpus,
            visible_devices=visible,
            wanted=settings.gpus,
            force=bool(settings.force_gpus),
            ours=ours,
            adopted=_used_by(ours),
        )
        if not choice.gpus:
            # A slice of a GPU, or a container in which only torch sees the device.
            return [_as_torch_sees_it(found, visible)]
        if not lock:
            return [gpu.device() for gpu in choice.gpus[: choice.count]]
        locks = lock_gpus(choice, cache_directory(), str(lab.root))
    except GpuError as error:
        raise LabError(str(error)) from error
    for _, taken in locks:
        held.callback(taken.close)
    return [gpu.device() for gpu, _ in locks]


def _device_files() -> bool:
    """Tell whether the kernel shows an NVIDIA device, even where its driver does not answer."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _used_by(processes: Collection[int]) -> set[str]:
    """Return the UUIDs of the GPUs on which processes of this lab go on.

    In a container the driver tells the host's pids, so that ours can't be told by them.
    """
    found = set()
    for pid in processes:
        with contextlib.suppress(psutil.Error):
            found.add(psutil.Process(pid).environ().get("CUDA_VISIBLE_DEVICES", ""))
    return found - {""}


def _as_torch_sees_it(answer: dict[str, Any], visible: str | None) -> Device:
    name = str(answer.get("name") or "NVIDIA device")
    memory = int(answer.get("memory_bytes") or 0)
    return Device("cuda", name, visible or "0", memory, threads=1)


def _probe(lab: Lab, kind: str) -> dict[str, Any]:
    """Let torch try the device in a process of its own, and return what it says of it.

    Raises `LabError` with what to install.
    """
    answer = _ask_torch(lab.trainer, kind)
    if answer.get("error"):
        raise LabError(f"{answer['error']} (or use the CPU on purpose: --device cpu)")
    return answer


def _ask_torch(trainer: Path, kind: str) -> dict[str, Any]:
    command = [sys.executable, str(trainer / "harness.py"), "--probe", "--device", kind]
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
        answer = json.loads(ran.stdout.strip().rpartition("\n")[2])
    except subprocess.TimeoutExpired:
        return {"error": f"torch did not find the {kind} device within {PROBE_SECONDS:.0f} s"}
    except ValueError:
        told = ran.stderr.strip().rpartition("\n")[2]
        return {"error": f"torch can't be asked for its {kind} device: {told}"}
    return answer if isinstance(answer, dict) else {"error": f"torch answered {answer}"}
