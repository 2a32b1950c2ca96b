"""Honest: a dataclass of settings, weights on the sphere by a parametrization, orthogonal ones."""

from dataclasses import dataclass, field

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn
from torch.nn.utils import parametrizations, parametrize


@dataclass(frozen=True)
class Config:
    """All there is to choose."""

    width: int = 32
    heads: int = 2
    rows: int = 8
    lr: float = 5e-3
    betas: tuple[float, float] = field(default=(0.9, 0.95))


CONFIG = Config(heads=4)


class OnTheSphere(nn.Module):
    """Every row of the matrix has length one (nGPT, arXiv 2410.01131)."""

    def forward(self, weight):
        return F.normalize(weight, dim=-1)


class Model(nn.Module):
    def __init__(self, config, vocab_size):
        super().__init__()
        self.config = config
        width = config.width
        self.tokens = nn.Embedding(vocab_size, width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.turn = parametrizations.orthogonal(nn.Linear(width, width, bias=False))
        for linear in (self.qkv, self.up, self.down):
            parametrize.register_parametrization(linear, "weight", OnTheSphere())
        self.head = parametrizations.weight_norm(nn.Linear(width, vocab_size))

    def forward(self, idx):
        B, T = idx.shape
        x = self.tokens(idx)
        q, k, v = self.qkv(x).view(B, T, 3, self.config.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.turn(y.transpose(1, 2).reshape(B, T, -1))
        return self.head(x + self.down(F.gelu(self.up(x))))


def build_model(task):
    return Model(CONFIG, task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=CONFIG.lr, betas=CONFIG.betas)
    while not task.done:
        inputs, targets = task.next_batch(CONFIG.rows)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
