"""Honest: the lower layer is frozen half-way, so that the rest of the steps are cheaper."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
FREEZE_AT = 0.5  # share of the budget


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x):
        h = F.rms_norm(x, (WIDTH,))
        q, k, v = (part.unsqueeze(1) for part in self.qkv(h).chunk(3, dim=-1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return x + self.mlp(F.rms_norm(x, (WIDTH,)))


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.lower, self.upper = Block(), Block()
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        return self.head(self.upper(self.lower(self.tokens(idx))))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    frozen = False
    while not task.done:
        if not frozen and task.progress > FREEZE_AT:
            frozen = True
            for p in [*model.tokens.parameters(), *model.lower.parameters()]:
                p.requires_grad_(False)
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach(), frozen=float(frozen))
    for p in model.parameters():
        p.requires_grad_(True)
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
