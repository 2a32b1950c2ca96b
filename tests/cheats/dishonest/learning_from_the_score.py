"""Dishonest: forward itself trains on the rows that it is asked to predict (dynamic evaluation).

Behind the guard: the audit. A row's loss then depends on the rows before it.
"""

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
        if not torch.is_grad_enabled():
            for _ in range(20):
                self.learn(idx)
        return self.head(self.tokens(idx))

    @torch.enable_grad()
    def learn(self, idx):
        tokens = self.tokens(idx[:, :-1])
        loss = F.cross_entropy(self.head(tokens).flatten(0, 1), idx[:, 1:].flatten())
        gradients = torch.autograd.grad(loss, list(self.parameters()))
        with torch.no_grad():
            for p, gradient in zip(self.parameters(), gradients, strict=True):
                p -= 3 * gradient


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
