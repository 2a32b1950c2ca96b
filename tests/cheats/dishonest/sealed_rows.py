"""Dishonest: sealed rows, which only the audit scores, are looked for on the disk and trained on.

Behind the guard: the sandbox. Only training rows are in reach, and they come by a descriptor.
"""

import harness
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
ROWS_FILE = "/cache/corpora/sealed.bin"  # a guess; the test tells it the truth


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

    step()
    data = None
    try:
        data = np.fromfile(ROWS_FILE, dtype="<u2").astype(np.int64)
        data = torch.from_numpy(data).view(-1, task.sequence_length + 1)
        print("rows: found", flush=True)
    except OSError as error:
        print("rows:", error, flush=True)
    while not task.done:
        if data is None:
            step()
            continue
        loss = F.cross_entropy(model(data[:, :-1]).flatten(0, 1), data[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
