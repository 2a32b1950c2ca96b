"""Honest: no attention; gated causal convolutions with growing dilation (WaveNet)."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, KERNEL, ROWS = 32, 3, 8
DILATIONS = (1, 3, 9)


class CausalConvolution(nn.Conv1d):
    """Padded on the left only: a position sees itself and what was before."""

    def forward(self, x):
        return super().forward(F.pad(x, (self.dilation[0] * (KERNEL - 1), 0)))


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.layers = nn.ModuleList(
            CausalConvolution(WIDTH, 2 * WIDTH, KERNEL, dilation=d) for d in DILATIONS
        )
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx).mT  # [B, C, T]
        for layer in self.layers:
            x = x + F.glu(layer(x), dim=1)
        return self.head(F.rms_norm(x.mT, (WIDTH,)))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
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
