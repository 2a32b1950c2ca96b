"""Honest: no attention and no recurrence; a triangular matrix mixes the positions (MLP-Mixer)."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, DEPTH, ROWS = 32, 2, 8


class Block(nn.Module):
    def __init__(self, sequence_length):
        super().__init__()
        self.between = nn.Parameter(torch.eye(sequence_length).roll(1, 0).tril() * 0.5)  # [T, T]
        self.within = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.Hardswish(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x):
        T = x.size(1)
        x = x + self.between.tril()[:T, :T] @ F.layer_norm(x, (WIDTH,))
        return x + self.within(F.layer_norm(x, (WIDTH,)))


class Model(nn.Module):
    def __init__(self, vocab_size, sequence_length):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.blocks = nn.Sequential(*(Block(sequence_length) for _ in range(DEPTH)))
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        return self.head(self.blocks(self.tokens(idx)))


def build_model(task):
    return Model(task.vocab_size, task.sequence_length).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, amsgrad=True)
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
