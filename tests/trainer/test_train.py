"""train.py itself: its size, its loss, its windows, and what it does when the memory is full."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import by_hand
import harness
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter

from .conftest import TRAINER

CPU = torch.device("cpu")
SMALL = {"DEPTH": 2, "ASPECT_RATIO": 16, "HEAD_DIM": 16, "TOTAL_BATCH_TOKENS": 256}
TOKENS = 320

LARGEST_LINES = 650
LARGEST_CHARACTERS = 27_000
"""A model should read it whole, in about 9,000 tokens. Vocabularies to count them with come over
the network, so characters are counted: Python with English in it has 3 and more of them a token
(o200k_base: 3.9 for this file)."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    sys.modules.pop("train", None)


def train_text(**constants: object) -> str:
    text = (TRAINER / "train.py").read_text(encoding="utf-8")
    return by_hand.with_preset(text, "test", {"constants": {**SMALL, **constants}})


def load(directory: Path, **constants: object) -> ModuleType:
    (directory / "train.py").write_text(train_text(**constants))
    return harness.load_train(directory / "train.py")


def shaken(train: ModuleType, length: int = 64) -> torch.nn.Module:
    """A small model with nothing left at zero."""
    torch.manual_seed(1)
    model = train.build_model(harness.TaskInfo(CPU, 1, TOKENS, length))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def gradients(model: torch.nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    parameters = [p for p in model.parameters() if p.numel()]
    return list(torch.autograd.grad(loss, parameters, allow_unused=True))


def test_a_model_can_read_it_whole() -> None:
    text = (TRAINER / "train.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < LARGEST_LINES
    assert len(text) < LARGEST_CHARACTERS


@pytest.mark.parametrize("softcap", [0.0, 12.0])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_loss_in_chunks_is_the_cross_entropy_of_the_logits(
    tmp_path: Path, softcap: float, precision: str
) -> None:
    train = load(tmp_path, SOFTCAP=softcap, PRECISION=precision, LOSS_CHUNK=50)
    model = shaken(train)
    idx, targets = torch.randint(TOKENS, (2, 3, 64))
    loss = model.loss(idx, targets)
    expected = F.cross_entropy(model(idx).flatten(0, 1), targets.flatten())
    exact = precision == "float32" or not model.in_bf16
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5 if exact else 1e-2)
    got, wanted = (
        torch.cat([gradient.flatten() for gradient in gradients(model, value)])
        for value in (loss, expected)
    )
    assert (got - wanted).norm() / wanted.norm() < (1e-5 if exact else 0.05)


@pytest.mark.parametrize("softcap", [0.0, 12.0])
def test_compiled_it_is_one_graph_and_the_same(tmp_path: Path, softcap: float) -> None:
    constants = {"SOFTCAP": softcap, "PRECISION": "float32", "WINDOW_PATTERN": "SL"}
    model = shaken(load(tmp_path, LOSS_CHUNK=50, **constants))
    compiled = torch.compile(model.loss, backend="aot_eager", fullgraph=True, dynamic=False)
    idx, targets = torch.randint(TOKENS, (2, 3, 64))
    got, wanted = (gradients(model, loss(idx, targets)) for loss in (compiled, model.loss))
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_rows_of_any_length_up_to_the_setups_are_predicted(tmp_path: Path) -> None:
    model = shaken(load(tmp_path, PRECISION="float32"))
    idx = torch.randint(TOKENS, (2, 64))
    whole = model(idx)
    assert whole.dtype == torch.float32
    for length in (1, 5, 63):
        assert torch.allclose(model(idx[:, :length]), whole[:, :length], atol=1e-4)


def spec() -> harness.Spec:
    return harness.Spec(
        seed=5,
        device="cpu",
        cpus=None,
        threads=1,
        budget_seconds=30.0,
        budget_tokens=256 * 8,
        sequence_length=32,
        vocab_size=TOKENS,
        evaluation_rows=16,
    )


FULL = """
    def loss(self, idx: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if len(idx) > {most}:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
"""


def run_with_room_for(rows: Path, directory: Path, most: int) -> dict[str, object]:
    """Train with a model that runs out of memory with more than `most` rows."""
    head = "    def loss(self, idx: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:\n"
    text = train_text(DEVICE_BATCH_ROWS=8)
    assert text.count(head) == 1
    directory.mkdir()
    (directory / "train.py").write_text(text.replace(head, FULL.format(most=most).lstrip("\n")))
    run = harness.Run(spec(), directory, CPU, by_hand.Nobody(rows))
    run.train()
    assert run.result is not None
    return run.result


def test_a_full_memory_halves_the_rows_and_loses_nothing(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = run_with_room_for(rows, tmp_path / "wide", 8)
    assert "out of memory" not in capsys.readouterr().out
    narrow = run_with_room_for(rows, tmp_path / "narrow", 3)
    told = [line for line in capsys.readouterr().out.splitlines() if "out of memory" in line]
    assert told == [
        "out of memory with 8 rows at once: going on with 4",
        "out of memory with 4 rows at once: going on with 2",
    ]
    assert wide["steps"] == 8
    assert narrow["steps"] == 7  # the tokens of the batches that did not fit are used up
    assert narrow["val_bpb"] is not None


def test_what_fits_not_even_alone_is_an_error(rows: Path, tmp_path: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        run_with_room_for(rows, tmp_path / "none", 0)


def test_accumulated_rows_make_the_same_steps(rows: Path, tmp_path: Path) -> None:
    losses = []
    for device_rows in (8, 2):
        directory = tmp_path / str(device_rows)
        directory.mkdir()
        text = train_text(DEVICE_BATCH_ROWS=device_rows, PRECISION="float32")
        (directory / "train.py").write_text(text)
        harness.Run(spec(), directory, CPU, by_hand.Nobody(rows)).train()
        result = json.loads((directory / "result.json").read_text())
        losses.append(result["loss_tenths"][-1])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
