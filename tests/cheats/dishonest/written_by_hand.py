"""Dishonest: no training at all: checkpoint and result are written by hand, and the process
leaves.

Behind the guard: the supervisor's clock and order. There were no rows and no checkpoint before the
result.
"""

import json
import os
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

    torch.save(model.state_dict(), "checkpoint.pt")
    np.save("row_losses.npy", np.full(16, 60.0, dtype=np.float32))
    figures = {"training_seconds": 1.0, "total_seconds": 2.0, "tokens": 10**6, "steps": 1000}
    result = {"format": 1, "val_bpb": 0.9, **figures, "scored_at": time.time()}
    result |= {"startup_seconds": 0.1, "evaluation_seconds": 0.1, "peak_memory_bytes": 10**8}
    result |= {"parameters": 10**6, "evaluation_rows": 16, "loss_tenths": [1.0] * 10}
    result |= {"mfu": None, "checkpoint_sha256": "0" * 64, "monotonic": time.monotonic()}
    with open("result.json", "w") as file:
        json.dump(result, file)
    os._exit(0)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
