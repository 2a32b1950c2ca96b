"""What is known of a device: its peak, its instructions, and what to do when it is full."""

import device as devices
import pytest
import torch

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA H200", 989),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA H20", 148),
        ("NVIDIA B200", 2250),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A10G", 70),
        ("NVIDIA A10", 125),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("NVIDIA GeForce RTX 5090", 209.5),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA GeForce RTX 3090", 71),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 503.8),
        ("Tesla T4", 65),
        ("AMD Instinct MI300X", 1307.4),
    ],
)
def test_mfu_is_measured_against_the_dense_peak_of_the_card(name: str, teraflops: float) -> None:
    assert devices.peak_flops_of(name) == pytest.approx(teraflops * 1e12)


def test_a_card_that_nobody_has_written_down_has_no_mfu() -> None:
    assert devices.peak_flops_of("NVIDIA Quadro K420") is None
    assert devices.peak_flops(CPU) is None


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("model name : Xeon\nflags\t\t: fpu avx512f amx_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx512_bf16\n", True),
        ("Features\t: fp asimd i8mm bf16 dgh\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd\nHardware\t: bf16 board\n", False),
    ],
)
def test_a_cpu_computes_bf16_where_it_says_so(cpuinfo: str, has: bool) -> None:
    assert devices.computes_bf16(cpuinfo) is has


def test_compiling_pays_on_a_gpu_and_on_a_cpu_with_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "c++")
    assert devices.compiling_pays(CUDA, 10)
    assert not devices.compiling_pays(CPU, 60)
    assert devices.compiling_pays(CPU, 600)
    assert not devices.compiling_pays(torch.device("mps"), 600)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    assert not devices.compiling_pays(CPU, 600)


def test_a_full_memory_halves_the_rows_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    assert devices.halved(64, full) == 32
    assert capsys.readouterr().out == "out of memory with 64 rows at once: going on with 32\n"
    on_cpu = RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")
    assert devices.halved(3, on_cpu) == 1


def test_what_is_no_full_memory_or_one_row_is_raised() -> None:
    wrong = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        devices.halved(64, wrong)
    with pytest.raises(torch.OutOfMemoryError):
        devices.halved(1, torch.OutOfMemoryError("out of memory"))
