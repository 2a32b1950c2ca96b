"""Honest: the batch grows with the budget: one row a step at first, accumulated to more later."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH = 32
ROWS = 4  # rows computed at once
RAMP = ((0.0, 1), (0.3, 2), (0.7, 4))  # from this share of the budget: that many times ROWS a step


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx)
        q, k, v = (part.unsqueeze(1) for part in self.qkv(x).chunk(3, dim=-1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return self.head(x + self.mlp(x))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def accumulation(progress):
    """How many batches make a step at this point of the budget."""
    return max(times for start, times in RAMP if progress >= start)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)

    def step():
        times = accumulation(task.progress)
        total = torch.zeros((), device=task.device)
        for _ in range(times):
            inputs, targets = task.next_batch(ROWS)
            loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()) / times
            loss.backward()
            total += loss.detach()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        task.report(loss=total, rows=float(times * ROWS))

    task.warm_up(step, model, [optimizer])
    while not task.done:
        step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
