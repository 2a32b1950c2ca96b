"""The score: bits per byte of text that was never trained on, from nothing but logits.

`val_bpb` = sum of nats over counted targets / (ln 2 * sum of their true bytes). A target counts by
the bytes of text that its token stands for: a token that is half of a UTF-8 character counts its
own bytes, a special token none (and its nats are left out too). Rows, their order and the batch
they are computed in depend on the setup alone, never on how train.py batches its training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import device as devices
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter

LOGIT_BYTES = {"cpu": 16 << 20, "mps": 256 << 20, "cuda": 1 << 30}
"""Memory for the fp32 logits of one batch; their log-softmax and the model's own come on top."""

MAXIMUM_BATCH = 64


@dataclass(frozen=True, slots=True)
class Score:
    """What the evaluation found."""

    val_bpb: float | None
    """Bits per byte, or None when it is not finite."""
    row_nats: np.ndarray
    """float32 [rows], the summed loss of each row's counted targets, in nats."""


def batch_rows(device: torch.device, sequence_length: int, vocab_size: int) -> int:
    """Rows evaluated at once: a rule of device and setup, the same for every experiment."""
    row_bytes = 4 * sequence_length * vocab_size
    return max(1, min(MAXIMUM_BATCH, LOGIT_BYTES[device.type] // row_bytes))


def score(
    model: torch.nn.Module,
    rows: np.ndarray,
    token_bytes: np.ndarray,
    device: torch.device,
    show: Callable[[int], None] = lambda done: None,
) -> Score:
    """Score `model` on `rows` (integers [rows, T+1]) with `token_bytes` (int [V], specials 0).

    `show` is called with the number of rows done. Out of memory halves the batch and says so.
    """
    batch = batch_rows(device, rows.shape[1] - 1, len(token_bytes))
    was_training = model.training
    model.eval()
    try:
        nats = None
        while nats is None:
            try:
                nats = _row_nats(model, rows, token_bytes, device, batch, show)
            except RuntimeError as error:
                batch = devices.halved(batch, error)
    finally:
        model.train(was_training)
    total_bytes = int(token_bytes[rows[:, 1:]].sum())
    bits = float(nats.sum()) / math.log(2) / total_bytes if total_bytes else math.nan
    return Score(bits if math.isfinite(bits) else None, nats.astype(np.float32))


@torch.no_grad()
def _row_nats(
    model: torch.nn.Module,
    rows: np.ndarray,
    token_bytes: np.ndarray,
    device: torch.device,
    batch: int,
    show: Callable[[int], None],
) -> np.ndarray:
    """float64 [rows]: nats of each row's counted targets."""
    counted = torch.from_numpy(token_bytes > 0).to(device)  # [V]
    nats = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), batch):
        chunk = torch.from_numpy(rows[start : start + batch].astype(np.int64)).to(device)
        inputs, targets = chunk[:, :-1], chunk[:, 1:]  # [B, T] each
        logits = model(inputs)  # [B, T, V]
        if logits.shape != (*inputs.shape, len(token_bytes)):
            raise ValueError(
                f"forward gave logits of shape {tuple(logits.shape)}, "
                f"not {(*inputs.shape, len(token_bytes))}"
            )
        sums = []
        for i in range(len(chunk)):  # a row at a time: fp32 log-softmax of one row only
            losses = F.cross_entropy(logits[i].float(), targets[i], reduction="none")  # [T]
            sums.append(losses.where(counted[targets[i]], 0).sum())
        nats[start : start + len(chunk)] = torch.stack(sums).cpu().numpy()
        show(start + len(chunk))
    return nats
