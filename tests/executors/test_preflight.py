"""Rehearsals of small train.py texts, by real processes."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cockpit.executors.base import Device
from cockpit.executors.local import lab_processes
from cockpit.executors.preflight import Preflight, PreflightOrder, preflight
from cockpit.executors.probing import probe
from cockpit.executors.sandbox import Sandbox
from cockpit.executors.trying import with_constants

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
CPU = Device("cpu", "test", "cpu", 8 << 30, 1)
GPU = Device("cuda", "test", "GPU-of-nobody", 8 << 30, 1)

TRAIN = """
import harness
import torch
import torch.nn.functional as F
from torch import nn

DEPTH = 8
TOTAL_BATCH_TOKENS = 1048576
DEVICE_BATCH_ROWS = 64
COMPILE = True
WIDTH = 32

class Model(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.embedding = nn.Embedding(task.vocab_size, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH))
        self.out = nn.Linear(WIDTH, task.vocab_size)
        nn.init.zeros_(self.out.weight)

    def see(self, h):
        return F.scaled_dot_product_attention(h, h, h, is_causal=True)

    def forward(self, idx):
        h = self.embedding(idx)
        for layer in self.layers:
            h = h + self.see(layer(h))
        return self.out(h)

def build_model(task):
    return Model(task).to(task.device)

def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    rows = max(1, TOTAL_BATCH_TOKENS // task.sequence_length)
    device_rows = min(rows, DEVICE_BATCH_ROWS)
    def step():
        for _ in range(rows // device_rows):
            inputs, targets = task.next_batch(device_rows)
            logits = model(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        task.report(loss=loss)
    task.warm_up(step, model, [optimizer], compiled=COMPILE)
    while not task.done:
        step()
    task.finish(model)
"""

SEE = "return F.scaled_dot_product_attention(h, h, h, is_causal=True)"

REFUSED = {
    "a syntax error": ("DEPTH = 8", "DEPTH = = 8", "line 7: invalid syntax"),
    "a name that is not there": (SEE, "return h + halo", "line 22: NameError: name 'halo'"),
    "no main()": ("def main():", "def mean():", "no function main()"),
    "shapes that do not fit": (SEE, "return h @ h", "line 22: RuntimeError"),
    "the future": (SEE, "return h + h.roll(-1, dims=1)", "sees the future"),
    "its neighbours": (SEE, "return h + h.roll(1, dims=0)", "other rows of its batch"),
    "logits of another shape": (
        "return self.out(h)",
        "return self.out(h) if self.training else h",
        "logits of shape (2, 64, 32)",
    ),
    "what it keeps elsewhere": (
        "return self.out(h)",
        "self.seen = getattr(self, 'seen', 0) + 1; return self.out(h) * self.seen",
        "gives other logits",
    ),
    "another model at the end": (
        "task.finish(model)",
        "task.finish(nn.Sequential(model))",
        "state_dicts differ",
    ),
    "an end of its own": ("    task.finish(model)", "    raise SystemExit(0)", "status 0"),
    "no end": ("while not task.done:", "while True:", "while not task.done"),
    "more than its device holds": ("WIDTH = 32", "WIDTH = 2**15", "the device has 8.0 GiB"),
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The best that works here."""
    return probe(tmp_path_factory.mktemp("probed"), CPU)


@pytest.fixture
def rehearse(
    tmp_path: Path, sandbox: Sandbox, wait_until: Callable[..., object]
) -> Iterator[Callable[..., Preflight]]:
    """Rehearse TRAIN with one text put in the place of another; nothing may be left of it."""

    def rehearse(old: str = "", new: str = "", **changes: object) -> Preflight:
        assert old in TRAIN
        fields: dict[str, object] = {
            "train_py": TRAIN.replace(old, new, 1) if old else TRAIN,
            "device": CPU,
            "python": sys.executable,
            "trainer_directory": TRAINER,
            "work_directory": tmp_path / "state" / "preflight",
            "sequence_length": 256,
            "vocab_size": 300,
            "sandbox": sandbox,
        }
        return preflight(PreflightOrder(**(fields | changes)))  # type: ignore[arg-type]

    (tmp_path / "state").mkdir()
    yield rehearse
    assert not list((tmp_path / "state" / "preflight").iterdir())
    wait_until(lambda: not lab_processes(tmp_path / "state"), 10, "no process to be left")


def test_what_works_passes_and_is_counted_at_its_true_size(
    rehearse: Callable[..., Preflight],
) -> None:
    found = rehearse()
    assert (found.ok, found.reason, found.advice) == (True, None, ())
    assert found.parameters == 300 * 32 + 8 * (32 * 32 + 32) + 300 * 33
    assert found.bytes == 4 * found.parameters


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_in_a_sentence(
    rehearse: Callable[..., Preflight], name: str
) -> None:
    old, new, expected = REFUSED[name]
    found = rehearse(old, new)
    assert not found.ok
    assert found.reason is not None
    assert expected in found.reason
    assert len(found.reason) <= 300


def test_what_only_works_at_true_length_passes(rehearse: Callable[..., Preflight]) -> None:
    found = rehearse(SEE, "return h.unfold(1, 128, 128).mean() * 0")
    assert found.ok, found.reason


def test_what_cannot_be_built_without_data_is_advised_of(
    rehearse: Callable[..., Preflight],
) -> None:
    found = rehearse("nn.init.zeros_(self.out.weight)", "self.out.weight.mean().item()")
    assert found.ok
    assert found.parameters is None
    assert "can't be built on the meta device" in found.advice[0]


def test_code_for_a_gpu_passes_with_advice_where_the_slot_has_one(
    rehearse: Callable[..., Preflight],
) -> None:
    change = (SEE, "return h.cuda()")
    found = rehearse(*change, device=GPU)
    assert found.ok
    assert found.needs_device
    assert "can't be tried on the CPU" in found.advice[0]
    assert not rehearse(*change).ok


@pytest.mark.slow
def test_a_step_that_takes_too_long_is_advised_of(rehearse: Callable[..., Preflight]) -> None:
    found = rehearse(SEE, "import time; time.sleep(600)", deadline_seconds=20.0)
    assert found.ok
    assert "took too long" in found.advice[0]


def test_only_constants_that_are_there_are_made_tiny() -> None:
    small = {"DEPTH": 2, "COMPILE": False, "DEVICE_BATCH_ROWS": 2}
    assert with_constants("DEPTH = 8\nCOMPILE = None\n", small) == "DEPTH = 2\nCOMPILE = None\n"
    assert with_constants("DEPTH = 3\n", small) == "DEPTH = 3\n"
