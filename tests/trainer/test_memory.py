"""What a step needs is estimated well enough to choose batches by, and the presets fit by it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import by_hand
import harness
import memory
import pytest
import torch

from .conftest import TRAINER

SMALLEST_HOST_GB = 4
"""What a machine without a card of its own should get by with."""


@pytest.fixture(autouse=True)
def no_module_left() -> Iterator[None]:
    yield
    sys.modules.pop("train", None)


def load(directory: Path, name: str, preset: dict[str, Any]) -> ModuleType:
    text = (TRAINER / "train.py").read_text(encoding="utf-8")
    (directory / "train.py").write_text(by_hand.with_preset(text, name, preset))
    return harness.load_train(directory / "train.py")


@pytest.mark.parametrize("name", list(by_hand.presets()))
def test_a_step_of_every_preset_fits_the_memory_it_is_made_for(name: str, tmp_path: Path) -> None:
    preset = by_hand.presets()[name]
    train = load(tmp_path, name, preset)
    need = memory.estimate(train, preset["vocab_size"], preset["sequence_length"])
    assert need.total < preset.get("memory_gb", SMALLEST_HOST_GB) * 1e9
    rows = preset["constants"]["TOTAL_BATCH_TOKENS"] // preset["sequence_length"]
    assert rows % preset["constants"]["DEVICE_BATCH_ROWS"] == 0


def test_the_h100_preset_is_the_size_that_its_description_says(tmp_path: Path) -> None:
    preset = by_hand.presets()["h100"]
    train = load(tmp_path, "h100", preset)
    need = memory.estimate(train, preset["vocab_size"], preset["sequence_length"])
    assert need.parameters == pytest.approx(50e6, rel=0.03)
    assert need.states == 2 * 4 * need.parameters
    model = train.build_model(harness.TaskInfo(torch.device("meta"), 0, 8192, 2048))
    # 12 matrices of width² a layer and the output's, and the windows of 8 layers: 2 long, 6 short
    matrices = 8 * 12 * 512**2 + 8192 * 512
    windows = 2 * 2048 + 6 * 256
    assert model.flops_per_token() == 6 * matrices + 12 * 512 * windows


def test_each_row_more_needs_the_same_more(tmp_path: Path) -> None:
    preset = by_hand.presets()["gpu8"]
    train = load(tmp_path, "gpu8", preset)
    needs = []
    for rows in (8, 16, 32):
        train.DEVICE_BATCH_ROWS = rows
        needs.append(memory.estimate(train, preset["vocab_size"], preset["sequence_length"]))
    few, more, most = (need.passes for need in needs)
    assert most - more == pytest.approx(2 * (more - few), rel=0.05)
    assert needs[2].weights == needs[0].weights


def test_a_storage_counts_from_its_making_to_the_end_of_its_last_tensor() -> None:
    known = torch.zeros(1000)
    meter = memory.Meter([known])
    with meter:
        known.mul_(2)
        assert meter.peak_bytes == 0
        a = torch.zeros(1000)
        b = a.view(10, 100)[3:]
        del a
        c = torch.zeros(500)
        assert meter.peak_bytes == 6000
        del b, c
        d = torch.zeros(1400)
        assert meter.peak_bytes == 6000
        e = torch.zeros(200)
        assert meter.peak_bytes == 6400
    assert d.numel() + e.numel() == 1600


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_a_step_stays_below_its_estimate(tmp_path: Path) -> None:
    preset = by_hand.presets()["gpu8"]
    preset["constants"] |= {"COMPILE": False, "DEVICE_BATCH_ROWS": 4}
    train = load(tmp_path, "gpu8", preset)
    need = memory.estimate(train, preset["vocab_size"], preset["sequence_length"])
    device = torch.device("cuda")
    model = train.build_model(harness.TaskInfo(device, 1, 8192, 1024))
    optimizers = train.build_optimizers(model)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        for _ in range(2):
            idx = torch.zeros(4, 1024, dtype=torch.int64, device=device)
            model.loss(idx, idx).backward()
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
    assert 0.3 * need.total < torch.cuda.max_memory_allocated() + memory.OVERHEAD_BYTES < need.total
