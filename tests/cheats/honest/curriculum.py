"""Honest: the order of the rows is the script's own: those that are hard now come more often."""

import harness
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
POOL = 64  # rows looked at before the hardest of them are chosen


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        return self.head(self.lstm(self.tokens(idx))[0])


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    chance = np.random.default_rng(task.seed)
    task.next_batch(1)  # the rows arrive with the clock, and with them their number
    last_loss = np.full(task.train_rows, np.inf)  # of each row, when it was last seen
    while not task.done:
        pool = chance.choice(task.train_rows, size=min(POOL, task.train_rows), replace=False)
        hardest = pool[np.argsort(-last_loss[pool])][:ROWS]
        inputs, targets = task.next_batch(len(hardest), indices=hardest)
        logits = model(inputs)
        losses = F.cross_entropy(logits.mT, targets, reduction="none").mean(-1)  # [B]
        optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        optimizer.step()
        last_loss[hardest] = losses.detach().cpu().numpy()
        task.report(loss=losses.detach().mean())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
