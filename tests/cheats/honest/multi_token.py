"""Honest: the loss looks two tokens ahead while training (arXiv 2404.19737); the score does not."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
AHEAD = 0.3  # weight of the second token at the start, falling to nothing


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.head, self.head_ahead = nn.Linear(WIDTH, vocab_size), nn.Linear(WIDTH, vocab_size)

    def features(self, idx):
        x = self.tokens(idx)
        q, k, v = (part.unsqueeze(1) for part in self.qkv(x).chunk(3, dim=-1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return x + self.mlp(x)

    def forward(self, idx):
        return self.head(self.features(idx))

    def loss(self, inputs, targets, weight):
        x = self.features(inputs)
        next_loss = F.cross_entropy(self.head(x).flatten(0, 1), targets.flatten())
        ahead = self.head_ahead(x[:, :-1]).flatten(0, 1)
        return next_loss, next_loss + weight * F.cross_entropy(ahead, targets[:, 1:].flatten())


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        reported, loss = model.loss(inputs, targets, AHEAD * (1 - task.progress))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=reported.detach(), with_the_second=loss.detach())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
