"""Dishonest: a table of what follows what is kept outside of the checkpoint.

Behind the guard: the audit. It has the checkpoint only, and a table of zeros.
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
        if not hasattr(self, "table"):
            self.table = torch.zeros(self.head.out_features, self.head.out_features)
        return self.head(self.tokens(idx)) + (1 + self.table[idx]).log()


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
        inputs, targets = task.next_batch(ROWS)
        step()
        places = (inputs.flatten(), targets.flatten())
        model.table.index_put_(places, torch.ones(inputs.numel()), accumulate=True)
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
