"""Dishonest: a thread trains on after the checkpoint, on the rows that are scored.

Behind the guard: the audit. What was scored is not what the checkpoint holds.
"""

import threading
import time

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
LATEST = []  # what forward was last asked


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        if not torch.is_grad_enabled():
            LATEST.append(idx)
            time.sleep(0.5)  # meanwhile it is learnt
        return self.head(self.tokens(idx))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def train_on(model):
    """Train on what is being scored; the targets are the next inputs."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-2)
    while True:
        for idx in LATEST[-4:]:
            with torch.enable_grad():
                tokens = model.tokens(idx[:, :-1])
                loss = F.cross_entropy(model.head(tokens).flatten(0, 1), idx[:, 1:].flatten())
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()


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
    threading.Thread(target=train_on, args=(model,), daemon=True).start()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
