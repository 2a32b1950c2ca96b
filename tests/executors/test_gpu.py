"""Choosing GPUs, on machines made of plain data."""

import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.executors.gpu import (
    Choice,
    Gpu,
    GpuError,
    GpuProcess,
    choose_gpus,
    list_gpus,
    lock_gpus,
    visible_gpus,
)
from cockpit.executors.locks import FileLock


def gpu(index: int, *pids: int) -> Gpu:
    users = tuple(GpuProcess(pid, "python, user anna") for pid in pids)
    return Gpu(index, f"GPU-{index}{index}-abc", "NVIDIA H100", 80 << 30, "580.1", users)


FOUR = [gpu(0, 4242), gpu(1), gpu(2), gpu(3)]


def indices(gpus: object) -> list[int]:
    return [one.index for one in gpus]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("variable", "seen"),
    [
        (None, [0, 1, 2, 3]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,1", [2, 1]),
        ("1, 3", [1, 3]),
        ("1,7,2", [1]),
        ("1,1", [1]),
        ("GPU-22,GPU-11-abc", [2, 1]),
        ("GPU-", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(
    variable: str | None, seen: list[int]
) -> None:
    assert indices(visible_gpus(FOUR, variable)) == seen


def test_without_a_wish_the_first_free_gpu_is_taken() -> None:
    choice = choose_gpus(FOUR, visible_devices=None)
    assert (indices(choice.gpus), choice.count) == ([1, 2, 3], 1)


def test_gpus_that_were_asked_for_are_all_taken() -> None:
    choice = choose_gpus(FOUR, visible_devices=None, wanted="2,3")
    assert (indices(choice.gpus), choice.count) == ([2, 3], 2)
    choice = choose_gpus(FOUR, visible_devices="3,1")
    assert (indices(choice.gpus), choice.count) == ([3, 1], 2)


def test_a_machine_without_gpus_gives_none() -> None:
    assert choose_gpus([], visible_devices=None) == Choice((), 0)
    assert choose_gpus(FOUR, visible_devices="") == Choice((), 0)


def test_a_gpu_in_use_is_refused_with_the_process_and_the_way_out() -> None:
    with pytest.raises(GpuError, match="user anna") as refusal:
        choose_gpus(FOUR, visible_devices=None, wanted="0,1")
    assert str(refusal.value) == (
        "GPU 0 (NVIDIA H100) is used by process 4242 (python, user anna):"
        " choose another with --gpus, or share it with --force-gpus"
    )
    with pytest.raises(GpuError, match="process 4242"):
        choose_gpus(FOUR[:1], visible_devices=None)


def test_a_gpu_in_use_is_given_when_forced_or_used_by_ourselves() -> None:
    for wish in ({"force": True}, {"ours": {4242}}, {"adopted": {FOUR[0].uuid}}):
        choice = choose_gpus(FOUR, visible_devices=None, wanted="0", **wish)  # type: ignore[arg-type]
        assert indices(choice.gpus) == [0]


@pytest.mark.parametrize("wanted", ["9", "x", "-1", "1.5", "GPU-"])
def test_an_unknown_gpu_is_refused_with_those_there_are(wanted: str) -> None:
    with pytest.raises(GpuError, match="this machine has 0, 1, 2, 3"):
        choose_gpus(FOUR, visible_devices=None, wanted=wanted)


def test_a_hidden_gpu_is_refused() -> None:
    with pytest.raises(GpuError, match="GPU 3 is hidden by CUDA_VISIBLE_DEVICES=1,2"):
        choose_gpus(FOUR, visible_devices="1,2", wanted="3")


def test_a_gpu_of_another_lab_is_passed_over_or_refused(tmp_path: Path) -> None:
    one = choose_gpus(FOUR, visible_devices=None)
    first = lock_gpus(one, tmp_path, "/labs/first")
    second = lock_gpus(one, tmp_path, "/labs/second")
    assert indices(held for held, _ in first + second) == [1, 2]
    with pytest.raises(GpuError, match="GPU 2 is taken by the lab /labs/second: choose another"):
        lock_gpus(Choice((FOUR[3], FOUR[2]), 2), tmp_path, "/labs/third")
    for _, lock in first + second:
        lock.close()
        lock.close()
    # The refused lab kept nothing.
    assert len(lock_gpus(Choice(tuple(FOUR), 4), tmp_path, "/labs/fourth")) == 4


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "lock"
    with FileLock.take(path, "me") as lock:  # type: ignore[union-attr]
        assert lock is not None
        assert FileLock.take(path) is None
        assert FileLock.owner_of(path) == "me"
    again = FileLock.take(path)
    assert again is not None
    again.close()


def test_listing_gpus_never_fails_and_never_imports_torch() -> None:
    assert all(isinstance(one, Gpu) for one in list_gpus())
    code = (
        "import sys, cockpit.executors.gpu as g; g.list_gpus(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
