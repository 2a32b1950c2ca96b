"""The environment of a training: made from an allow-list, so that no key can slip through."""

import os
import site
from collections.abc import Mapping
from pathlib import Path

from cockpit.executors.base import Device
from cockpit.executors.processes import RUN_TOKEN

ALLOWED = frozenset(
    {
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "USER",  # torch.compile asks for the user's name to name its directories
        "LOGNAME",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "LIBRARY_PATH",  # a C++ compiler is part of torch.compile on the CPU
        "CPATH",
        "CC",
        "CXX",
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_DEVICE_ORDER",
        "NVIDIA_DRIVER_CAPABILITIES",
        "TORCH_CUDA_ARCH_LIST",
        "TRITON_PTXAS_PATH",
    }
)
"""Variables that a training gets from whoever started the engine, besides LC_*."""


def training_environment(
    outer: Mapping[str, str], device: Device, directory: Path, cache: Path, token: str
) -> dict[str, str]:
    """Environment of supervisor and training; PYTHONPATH is left to the supervisor.

    `directory` is the spare's: it goes on to lead to the run directory after the rename, by a
    link. `cache` is where compiled kernels are looked for and left.
    """
    kept = {
        name: value for name, value in outer.items() if name in ALLOWED or name.startswith("LC_")
    }
    if site.ENABLE_USER_SITE and site.USER_BASE:
        kept["PYTHONUSERBASE"] = site.USER_BASE  # HOME moves, a torch in ~/.local stays
    return kept | {
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "CUDA_CACHE_PATH": str(cache / "cuda"),
        "OMP_NUM_THREADS": str(device.threads),
        "MKL_NUM_THREADS": str(device.threads),
        # On the CPU the empty list hides every GPU.
        "CUDA_VISIBLE_DEVICES": device.uuid if device.kind == "cuda" else "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COCKPIT_DEVICE": device.kind,
        RUN_TOKEN: token,
    }


def reserved_cpus(device: Device) -> tuple[int, ...]:
    """Cores where a spare may warm without disturbing a training; empty: nothing is reserved."""
    if not device.cpus or not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0) - set(device.cpus)))
