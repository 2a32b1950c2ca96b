"""Honest: plain SGD with momentum under a cosine schedule of torch's own, gradients clipped."""

import math

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

WIDTH, ROWS = 48, 8
PEAK_LR = 0.3
CLIP = 1.0  # largest norm of all gradients together


class Model(nn.Module):
    """Exponential averages of the past at four speeds, and an MLP on them."""

    def __init__(self, vocab_size, sequence_length):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        speeds = torch.tensor([0.0, 0.5, 0.8, 0.95])
        distance = torch.arange(sequence_length)[:, None] - torch.arange(sequence_length)
        decay = speeds[:, None, None] ** distance.clamp_min(0) * (distance >= 0)  # [4, T, T]
        self.register_buffer("averages", decay / decay.sum(-1, keepdim=True), persistent=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(4 * WIDTH), nn.Linear(4 * WIDTH, 128), nn.ReLU(), nn.Linear(128, WIDTH)
        )
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        T = idx.size(1)
        x = self.tokens(idx)  # [B, T, C]
        past = torch.einsum("sij,bjc->bisc", self.averages[:, :T, :T], x)  # [B, T, 4, C]
        return self.head(x + self.mlp(past.flatten(2)))


def build_model(task):
    return Model(task.vocab_size, task.sequence_length).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.SGD(model.parameters(), lr=PEAK_LR, momentum=0.9, nesterov=True)
    schedule = LambdaLR(optimizer, lambda _: 0.5 * (1 + math.cos(math.pi * task.progress)))
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        task.report(loss.detach(), schedule.get_last_lr()[0] / PEAK_LR, norm)
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
