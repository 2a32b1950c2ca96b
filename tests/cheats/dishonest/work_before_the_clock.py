"""Dishonest: training before the first batch: on rows that the warm-up is asked for, and on the
corpus itself.

Behind the guard: the order of things. Before the clock there are dummies only, and the sandbox
shows no corpus.
"""

import harness
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
ROWS_FILE = "/cache/corpora/train.bin"  # a guess; the test tells it the truth


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

    data = None
    try:
        data = np.fromfile(ROWS_FILE, dtype="<u2").astype(np.int64)
        data = torch.from_numpy(data).view(-1, task.sequence_length + 1)
        print("corpus: found", flush=True)
    except OSError as error:
        print("corpus:", error, flush=True)
    for _ in range(200 if data is not None else 0):
        chunk = data[torch.randint(len(data), (64,))]
        loss = F.cross_entropy(model(chunk[:, :-1]).flatten(0, 1), chunk[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    task.warm_up(step, model, [optimizer])
    while not task.done:
        step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
