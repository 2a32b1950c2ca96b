"""Honest: a custom autograd function, quantized weights with a straight-through gradient."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8


class Ternary(torch.autograd.Function):
    """Weights as -1, 0 or 1 times their mean size (arXiv 2402.17764)."""

    @staticmethod
    def forward(ctx, weight):
        scale = weight.abs().mean().clamp_min(1e-5)
        ctx.save_for_backward(weight, scale)
        return (weight / scale).round().clamp(-1, 1) * scale

    @staticmethod
    def backward(ctx, grad):
        weight, scale = ctx.saved_tensors
        return grad * (weight.abs() <= 2 * scale)


class TernaryLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, Ternary.apply(self.weight), self.bias)


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.qkv = TernaryLinear(WIDTH, 3 * WIDTH, bias=False)
        self.up, self.down = TernaryLinear(WIDTH, 4 * WIDTH), TernaryLinear(4 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx)
        q, k, v = (part.unsqueeze(1) for part in self.qkv(x).chunk(3, dim=-1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return self.head(x + self.down(F.gelu(self.up(x))))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
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
