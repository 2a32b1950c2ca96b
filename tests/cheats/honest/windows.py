"""Honest: another window on each layer, by the harness's own attention, with rotary positions."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, HEADS, ROWS = 32, 2, 8
WINDOWS = (4, 16, None)  # tokens a position sees in each layer, itself included; None: all


def rotated(x):
    """Each pair of features turned by its position's angle. [B, H, T, D]."""
    T, D = x.shape[-2:]
    frequencies = 1000.0 ** (-torch.arange(0, D, 2, device=x.device) / D)
    angles = torch.arange(T, device=x.device)[:, None] * frequencies  # [T, D/2]
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1).type_as(x)


class Block(nn.Module):
    def __init__(self, window):
        super().__init__()
        self.window = window
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.SiLU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x):
        B, T, C = x.shape
        h = F.rms_norm(x, (C,))
        q, k, v = self.qkv(h).view(B, T, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = harness.attention(rotated(q), rotated(k), v, self.window)
        x = x + y.transpose(1, 2).reshape(B, T, C)
        return x + self.mlp(F.rms_norm(x, (C,)))


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.blocks = nn.ModuleList(Block(window) for window in WINDOWS)
        self.head = nn.Linear(WIDTH, vocab_size, bias=False)

    def forward(self, idx):
        x = self.tokens(idx)
        for block in self.blocks:
            x = block(x)
        return self.head(F.rms_norm(x, (WIDTH,)))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.95))
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
