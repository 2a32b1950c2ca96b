"""What a training may see of the machine: system, Python, libraries, its device. Nothing else.

A list of what is shown, and not of what is hidden: whatever nobody thought of stays out of sight.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cockpit.executors.base import Device, ExecutorError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
"""Programs and libraries of the system."""
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",  # where /usr/bin/cc leads to
    "/etc/localtime",
    "/etc/nvidia",
)
"""All of /etc that is shown: no accounts, no hosts, no keys."""
MACHINE = ("/sys/devices/system",)
"""Cores and memory nodes."""
GPU_MACHINE = ("/sys/devices", "/sys/bus/pci", "/sys/module", "/proc/driver/nvidia")
GPU_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "dxg")
"""What every GPU of NVIDIA needs beside its own device file; dxg is the one of WSL."""
PLAIN_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
LIBRARY_VARIABLES = (
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_ROOT",
)
COMPILER_VARIABLES = ("CC", "CXX", "TRITON_PTXAS_PATH")
ASK_SECONDS = 60.0
"""A Python on a cold network disk takes its time."""
HOMES = ("/home", "/root", "/var/home")
PARTS_OF_A_PREFIX = ("bin", "lib", "lib64", "include", "share")
"""What belongs to Python in a home that is its prefix."""

QUESTION = """
import importlib.util, json, os, site, sys
found = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
if site.ENABLE_USER_SITE:
    found.append(site.getusersitepackages())
# Those of another environment, laid under this one: packages there lean on their neighbours.
found += [p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")]
for name in ("torch", "numpy", "triton", "flash_attn", "flash_attn_interface", "kernels"):
    spec = importlib.util.find_spec(name)
    found += list(spec.submodule_search_locations or ()) if spec else []
print(json.dumps({"places": found, "executable": sys.executable}))
"""
"""Asked of the training's Python: where it and its packages are, also those in a home."""


def of_python(python: str, environment: Mapping[str, str]) -> list[Path]:
    """Everything that `python` needs to start and to import torch. Raises ExecutorError."""
    try:
        answered = subprocess.run(
            [python, "-P", "-c", QUESTION],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=True,
            timeout=ASK_SECONDS,
        )
        answer = json.loads(answered.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ExecutorError(f"{python} could not be asked where it lives: {error}") from error
    found = [Path(place) for place in (*answer["places"], answer["executable"])]
    return [place for place in (*found, Path(python).absolute()) if place.exists()]


def of_libraries(environment: Mapping[str, str]) -> list[Path]:
    """Directories that the environment and the loader's settings name."""
    named: list[str] = []
    for variable in LIBRARY_VARIABLES:
        named += environment.get(variable, "").split(os.pathsep)
    for variable in COMPILER_VARIABLES:
        tool = environment.get(variable, "")
        named.append(os.path.dirname(tool) if os.path.isabs(tool) else "")
    for settings in Path("/etc/ld.so.conf.d").glob("*.conf"):
        named += settings.read_text(errors="replace").split()
    return [Path(name) for name in named if os.path.isabs(name) and os.path.isdir(name)]


def of_device(device: Device) -> list[Path]:
    """Device files that a training on `device` may open; of GPUs only its own."""
    if device.kind != "cuda":
        return []
    found = [Path("/dev") / name for name in GPU_DEVICES]
    minor = gpu_minor(device.uuid)
    if minor is not None:
        found.append(Path(f"/dev/nvidia{minor}"))
    else:  # a slice of a GPU, or one that only CUDA_VISIBLE_DEVICES tells
        found += [*Path("/dev").glob("nvidia[0-9]*"), Path("/dev/nvidia-caps")]
    return [path for path in found if path.exists()]


def gpu_minor(uuid: str, driver: Path = Path("/proc/driver/nvidia/gpus")) -> int | None:
    """Number of the device file of the GPU with that UUID; None where the driver tells none."""
    for information in driver.glob("*/information"):
        lines = information.read_text(errors="replace").splitlines()
        told = {key.strip(): value.strip() for key, _, value in (s.partition(":") for s in lines)}
        if told.get("GPU UUID") == uuid and told.get("Device Minor", "").isdigit():
            return int(told["Device Minor"])
    return None


def split(shown: Iterable[Path], hidden: Iterable[Path]) -> list[Path]:
    """The real paths of `shown`, without any directory that holds a hidden one.

    Such a directory is taken apart: all of its entries are shown but the hidden ones, so that a
    lab in /usr/local does not show itself. Of a home that is Python's prefix its parts are shown.
    """
    unseen = {path.resolve() for path in hidden}
    found: set[Path] = set()
    for path in shown:
        real = path.resolve()
        parts = [real / name for name in PARTS_OF_A_PREFIX] if real in unseen else [real]
        for part in parts:
            found.update(_split(part, unseen))
    return sorted(path for path in found if not found.intersection(path.parents))


def _split(path: Path, unseen: set[Path]) -> Iterator[Path]:
    if path in unseen or path == Path("/") or not path.exists():
        return
    if not any(path in one.parents for one in unseen):
        yield path
        return
    for entry in path.iterdir():
        if not entry.is_symlink():
            yield from _split(entry, unseen)


def links(paths: Iterable[Path]) -> dict[Path, str]:
    """Every symbolic link on the way to `paths`: where it really lies, and what it says."""
    found: dict[Path, str] = {}
    for path in paths:
        _follow(Path(os.path.abspath(path)), found)
    return found


def _follow(path: Path, found: dict[Path, str]) -> None:
    real = Path("/")
    for part in path.parts[1:]:
        step = real / part
        if step.is_symlink() and step not in found:
            found[step] = os.readlink(step)
            _follow(real / found[step], found)
        real = step.resolve()
