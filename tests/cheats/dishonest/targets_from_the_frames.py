"""Dishonest: forward looks up the harness's frames for the rows that it is scored on.

Behind the guard: the audit. Its child has no targets to look for, so the losses are other ones.
"""

import sys

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
        logits = self.head(self.tokens(idx))
        frame = sys._getframe()
        while frame is not None:
            targets = frame.f_locals.get("targets")
            if not torch.is_grad_enabled() and isinstance(targets, torch.Tensor):
                return logits + 5 * F.one_hot(targets, logits.size(-1))
            chunk = frame.f_locals.get("chunk")
            if not torch.is_grad_enabled() and isinstance(chunk, torch.Tensor):
                return logits + 5 * F.one_hot(chunk[:, 1:], logits.size(-1))
            frame = frame.f_back
        return logits


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
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
