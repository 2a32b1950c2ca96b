"""Honest: dropout, and layers that are left out at random while training (arXiv 1603.09382)."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, DEPTH, ROWS = 32, 3, 8
DROPOUT = 0.05
KEEP_LAST = 0.8  # chance that the last layer is computed; the first one always is


class Block(nn.Module):
    def __init__(self, keep):
        super().__init__()
        self.keep = keep
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x):
        if self.training and torch.rand(()) > self.keep:
            return x
        h = F.layer_norm(x, (WIDTH,))
        q, k, v = (part.unsqueeze(1) for part in self.qkv(h).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        y = y + self.mlp(F.layer_norm(x + y, (WIDTH,)))
        return x + y / self.keep if self.training else x + y


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        keeps = torch.linspace(1.0, KEEP_LAST, DEPTH).tolist()
        self.blocks = nn.Sequential(*(Block(keep) for keep in keeps))
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = F.dropout(self.tokens(idx), DROPOUT, self.training)
        return self.head(self.blocks(x))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
