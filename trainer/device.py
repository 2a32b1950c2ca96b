"""The device a run trains on: choosing it, describing it, and keeping to its share of the machine.

CUDA when it is usable, MPS on Apple silicon, else the CPU. An NVIDIA device that torch cannot use
is an error and never a silent fall to the CPU: a night on the wrong device is a lost night. Beside
a GPU, the CPU is used only when it is asked for by name.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attention
import torch
import torch._functorch.config as functorch

PEAK_FLOPS = {
    "GB200": 2500e12,
    "B300": 2500e12,
    "B200": 2250e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "A40": 149.7e12,
    "A30": 165e12,
    "A10G": 70e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX PRO 6000": 503.8e12,
    "RTX 6000 Ada": 364.2e12,
    "RTX A6000": 154.8e12,
    "RTX 5090": 209.5e12,
    "RTX 5080": 112.6e12,
    "RTX 4090": 165.2e12,
    "RTX 4080": 97.5e12,
    "RTX 3090 Ti": 80e12,
    "RTX 3090": 71e12,
    "RTX 3080": 59.5e12,
    "V100": 125e12,
    "T4": 65e12,
    "MI300X": 1307.4e12,
    "MI250X": 383e12,
}
"""Dense 16-bit peak (fp32 sums, no sparsity) by a part of the device's name, first match; from the
makers' data sheets."""

COMPILING_SECONDS = 60.0
"""What compiling a step costs a CPU when nothing of it is cached: 12 to 64 s were measured."""
COMPILING_GAIN = 0.2
"""How much faster a compiled step is on a CPU: a tenth to a half, by its instructions."""


class DeviceError(Exception):
    """The device cannot be used; the message names what is there and what to install."""


def choose(requested: str = "auto") -> torch.device:
    """The device for `requested` (auto, cpu, cuda, mps), tried with a small product on a GPU.

    Raises DeviceError when it is not there, or when an NVIDIA device is there that torch cannot
    use and the CPU was not asked for by name.
    """
    if requested not in ("auto", "cpu", "cuda", "mps"):
        raise DeviceError(f"unknown device {requested!r}; choose cpu, cuda or mps")
    if requested == "cpu":
        return torch.device("cpu")
    if requested in ("auto", "cuda"):
        if torch.cuda.is_available():
            return _tried(torch.device("cuda"))
        driver = nvidia_driver()
        if driver is not None:
            hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
            raise DeviceError(unusable(driver, torch.__version__, torch.version.cuda, hidden))
        if requested == "cuda":
            raise DeviceError("no NVIDIA device found; use --device cpu")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    if requested == "mps":
        raise DeviceError("this torch has no usable MPS device; use --device cpu")
    return torch.device("cpu")


def unusable(driver: str, version: str, cuda_build: str | None, hidden: str | None) -> str:
    """Why torch cannot use the NVIDIA device that is there, and what to do about it."""
    here = f"an NVIDIA device is here (driver {driver}) but torch {version} cannot use it"
    if hidden is not None and cuda_build is not None and hidden.strip() in ("", "-1"):
        return f"{here}: CUDA_VISIBLE_DEVICES={hidden!r} hides it; unset it or use --device cpu"
    if cuda_build is None:
        return (
            f"{here}: this build has no CUDA; install a CUDA build, for example "
            "pip install 'torch>=2.9,<2.14' --index-url https://download.pytorch.org/whl/cu128, "
            "or use --device cpu"
        )
    return (
        f"{here}: it is built for CUDA {cuda_build}; install a driver that supports CUDA "
        f"{cuda_build}, or a torch built for this driver's CUDA (nvidia-smi shows it), "
        "or use --device cpu"
    )


def nvidia_driver() -> str | None:
    """The version of the NVIDIA driver (or "unknown") when a device is there, else None.

    /proc alone proves nothing: a container without a device sees its host's driver there.
    """
    if sys.platform == "darwin":
        return None
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        command = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            asked = None
        if asked is not None and asked.returncode == 0 and asked.stdout.strip():
            return asked.stdout.split()[0]
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return None
    version = Path("/proc/driver/nvidia/version")
    words = version.read_text(errors="replace").split() if version.exists() else []
    return next((word for word in words if word[:1].isdigit() and "." in word), "unknown")


def _tried(device: torch.device) -> torch.device:
    """`device`, after one product on it: an architecture that torch lacks shows only then."""
    try:
        torch.ones(8, 8, device=device).matmul(torch.ones(8, 8, device=device)).sum().item()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(
            f"{torch.cuda.get_device_name(device)} (driver {nvidia_driver()}) fails under "
            f"torch {torch.__version__} for CUDA {torch.version.cuda}: {reason}; "
            "install a torch build for this device or use --device cpu"
        ) from error
    return device


def probe(requested: str = "auto") -> dict[str, Any]:
    """What the doctor shows about the device; `error` says why there is none."""
    found: dict[str, Any] = {
        "torch": torch.__version__,
        "cuda_build": torch.version.cuda,
        "device": None,
        "name": None,
        "memory_bytes": None,
        "bf16": None,
        "error": None,
    }
    try:
        device = choose(requested)
    except DeviceError as error:
        return {**found, "error": str(error)}
    return {
        **found,
        "device": device.type,
        "name": name(device),
        "memory_bytes": memory_bytes(device),
        "bf16": has_bf16(device),
    }


def name(device: torch.device) -> str:
    """The model of the device, as its driver or the kernel calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if device.type == "cpu" and info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def memory_bytes(device: torch.device) -> int:
    """The memory of the device: a GPU's own, else the machine's."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 by its own instructions."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    info = Path("/proc/cpuinfo")
    return info.exists() and computes_bf16(info.read_text(errors="replace"))


def computes_bf16(cpuinfo: str) -> bool:
    """Whether Linux names bf16 products among the CPU's abilities: x86 flags or ARM features."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint(value.split())
    return False


def compiling_pays(device: torch.device, budget_seconds: float) -> bool:
    """Whether torch.compile wins more time within the budget than it costs before it.

    On CUDA always: steps become two and more times as fast. On a CPU, with a compiler there, when
    the gain over the whole budget is more than the price. Never on MPS.
    """
    if device.type == "cpu":
        compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
        return bool(compiler) and budget_seconds * COMPILING_GAIN >= COMPILING_SECONDS
    return device.type == "cuda"


def peak_flops(device: torch.device) -> float | None:
    """Dense 16-bit peak of the device in FLOP/s, or None where nobody has written it down."""
    return peak_flops_of(name(device)) if device.type == "cuda" else None


def peak_flops_of(model: str) -> float | None:
    """The peak of a model by its full name, like "NVIDIA H100 80GB HBM3"."""
    return next((flops for part, flops in PEAK_FLOPS.items() if part in model), None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device (or the machine) had no memory left; torch has three ways to say it."""
    text = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "not enough memory" in text
    )


def halved(rows: int, error: BaseException) -> int:
    """Half as many rows, when `error` says that so many did not fit into the memory.

    Says so on standard output, which is the run's log. Raises `error` itself when it says anything
    else, or when one row alone does not fit. Compute again outside of the except block: as long as
    the error is handled its traceback holds the memory.
    """
    if rows <= 1 or not is_out_of_memory(error):
        raise error
    print(f"out of memory with {rows} rows at once: going on with {rows // 2}", flush=True)
    return rows // 2


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory this process has used so far: of the GPU, else resident.

    Linux carries `ru_maxrss` over from the parent at exec, so the kernel's own mark is read there.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def keep_to(cpus: list[int] | None, threads: int) -> None:
    """Compute on these cores with this many threads, threads that run already included."""
    if cpus and hasattr(os, "sched_setaffinity"):
        for thread in os.listdir("/proc/self/task"):
            try:
                os.sched_setaffinity(int(thread), cpus)
            except ProcessLookupError:  # it has just ended
                continue
    torch.set_num_threads(max(1, threads))


def keep_memory() -> None:
    """Have glibc keep freed blocks of up to 32 MiB instead of giving them back to the system.

    Logits are such blocks: fetching their pages anew at every step costs a sixth of a CPU step.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        import ctypes

        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, at its largest
        libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


def settle_libraries(device: torch.device) -> None:
    """Choose torch's settings for the device, once a process and before a model is built."""
    attention.prepare(device)
    keep_memory()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        # Else a graph with an autograd function of one's own is traced anew in every process; what
        # it does is part of the graph, and so of the key it is kept by.
        functorch.autograd_cache_allow_custom_autograd_functions = True


def rehearse(device: torch.device) -> None:
    """One training step of a tiny network: what torch loads at first use is loaded afterwards.

    The first optimizer alone imports torch._dynamo, about a second of an experiment's start.
    """
    import torch.nn.functional as F  # noqa: N812 - the field's own letter

    settle_libraries(device)
    torch.set_num_threads(1)  # a pool of threads would keep the spare's cores
    table = torch.nn.Parameter(torch.randn(64, 32, device=device))
    weight = torch.nn.Parameter(torch.randn(96, 32, device=device) * 0.1)
    optimizers = [
        torch.optim.AdamW([table], lr=1e-3),
        torch.optim.AdamW([weight], lr=1e-3, fused=device.type in ("cpu", "cuda")),
    ]
    index = torch.zeros(2, 16, dtype=torch.int64, device=device)  # [B, T]
    x = F.rms_norm(F.embedding(index, table), (32,))  # [B, T, 32]
    q, k, v = F.linear(x, weight).view(2, 16, 2, 48).transpose(1, 2).chunk(3, dim=-1)
    y = attention.attend(q, k, v, 8).transpose(1, 2).reshape(2, 16, 32)
    y = y + F.scaled_dot_product_attention(q, k, v, is_causal=True).sum() + F.relu(y).square()
    loss = F.cross_entropy(F.linear(y, table).view(-1, 64).float().tanh(), index.view(-1))
    loss.backward()
    momentum = weight.grad.bfloat16() @ weight.grad.bfloat16().mT
    momentum = torch.addmm(momentum.float(), weight.grad, weight.grad.mT)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    float((loss + momentum.norm()).detach())
    synchronize(device)
