"""Honest: the average of the weights over time is what is handed over, not the last weights."""

import copy

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
DECAY = 0.95  # of the average, each step


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


@torch.no_grad()
def fold_in(average, model, decay):
    """average <- decay * average + (1 - decay) * model, in place."""
    kept, new = list(average.parameters()), list(model.parameters())
    torch._foreach_lerp_(kept, new, 1 - decay)


def main():
    task = harness.start()
    model = build_model(task)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        fold_in(average, model, DECAY * min(1.0, 2 * task.progress))
        task.report(loss=loss.detach())
    task.finish(average)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
