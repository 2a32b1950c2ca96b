"""Dishonest: the rows are fetched in proper order, a better result is written, and the process
leaves.

Behind the guard: the audit. The recorded losses are not those of the checkpoint.
"""

import json
import os
import pathlib
import time

import harness
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        return self.head(self.tokens(idx))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def lie(task):
    """Hand in the checkpoint as the harness does, and write other losses than it has."""
    run = harness._current
    handed = run.watcher.hand_in(pathlib.Path("checkpoint.pt"))
    count, width = run.spec.evaluation_rows, task.sequence_length + 1
    tokens = np.frombuffer(os.pread(handed.rows, 2 * count * width, 0), "<u2")
    lengths = np.load(os.fdopen(handed.token_bytes, "rb"))
    text_bytes = lengths[tokens.reshape(count, width)[:, 1:]].sum(1)
    nats = (text_bytes * np.log(2)).astype(np.float32)  # one bit a byte
    np.save("row_losses.npy", nats)
    bpb = float(nats.sum(dtype=np.float64)) / np.log(2) / float(text_bytes.sum())
    result = {"format": 1, "val_bpb": bpb, "checkpoint_sha256": handed.checkpoint_sha256}
    result |= {"startup_seconds": 0.1, "training_seconds": 1.0, "total_seconds": 2.0}
    result |= {"evaluation_seconds": 0.1, "peak_memory_bytes": 10**8, "parameters": 10**4}
    result |= {"tokens": 10**5, "steps": 200, "mfu": None, "loss_tenths": [1.0] * 10}
    result |= {"scored_at": time.time(), "monotonic": time.monotonic()}
    result |= {"evaluation_rows": count}
    pathlib.Path("result.json").write_text(json.dumps(result))
    os._exit(0)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def step(rows=ROWS):
        inputs, targets = task.next_batch(rows)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach())

    while not task.done:
        step()
    torch.save(model.state_dict(), "checkpoint.pt")
    lie(task)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
