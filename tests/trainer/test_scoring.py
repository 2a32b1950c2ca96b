"""The score, where the device has less memory than the batch needs."""

import device as devices
import numpy as np
import pytest
import scoring
import torch

CPU = torch.device("cpu")
TOKEN_BYTES = np.array([0, *range(1, 12)])


class Narrow(torch.nn.Module):
    """Runs out of memory with more rows than `most`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(12, 12, generator=torch.manual_seed(1)))
        self.most = most
        self.seen: list[int] = []

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(idx))
        if len(idx) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.table[idx]


def rows() -> np.ndarray:
    return np.random.default_rng(1).integers(12, size=(100, 9)).astype(np.uint16)


def test_out_of_memory_halves_the_batch_and_changes_no_figure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wide = scoring.score(Narrow(10**6), rows(), TOKEN_BYTES, CPU)
    narrow = Narrow(20)
    score = scoring.score(narrow, rows(), TOKEN_BYTES, CPU)
    assert narrow.seen == [64, 32, 16, 16, 16, 16, 16, 16, 4]
    assert score.val_bpb == pytest.approx(wide.val_bpb, rel=1e-6)
    assert np.allclose(score.row_nats, wide.row_nats, rtol=1e-5)
    assert "going on with 16" in capsys.readouterr().out


def test_a_model_of_which_one_row_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        scoring.score(Narrow(0), rows(), TOKEN_BYTES, CPU)


def test_the_batch_is_a_rule_of_device_and_setup() -> None:
    assert scoring.batch_rows(CPU, 256, 2048) == 8
    assert scoring.batch_rows(CPU, 8, 12) == scoring.MAXIMUM_BATCH
    assert scoring.batch_rows(torch.device("mps"), 512, 4096) == 32
    assert devices.memory_bytes(CPU) > 0
