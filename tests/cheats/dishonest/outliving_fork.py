"""Dishonest: a child with a session of its own trains on when the run is over.

Behind the guard: the supervisor. Everything a run started ends with it.
"""

import os
import pathlib
import time

import harness
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

    while not task.done:
        step()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            pathlib.Path("child").write_text("here")
            while True:
                time.sleep(0.1)
        os._exit(0)
    while not pathlib.Path("child").exists():
        time.sleep(0.01)
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
