"""Honest: each layer learns its own mixture of ReLU variants; the mixture is a custom operator."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
KINDS = {"relu": F.relu, "silu": F.silu, "square": lambda x: F.relu(x).square()}


@torch.library.custom_op("research::clipped_tanh", mutates_args=())
def clipped_tanh(x: torch.Tensor, bound: float) -> torch.Tensor:
    """bound * tanh(x / bound)."""
    return bound * torch.tanh(x / bound)


@clipped_tanh.register_fake
def _(x, bound):
    return torch.empty_like(x)


def keep(ctx, inputs, output):
    ctx.bound = inputs[1]
    ctx.save_for_backward(output)


def slope(ctx, grad):
    (output,) = ctx.saved_tensors
    return grad * (1 - (output / ctx.bound) ** 2), None


clipped_tanh.register_autograd(slope, setup_context=keep)


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterDict({kind: nn.Parameter(torch.ones(())) for kind in KINDS})

    def forward(self, x):
        return sum(self.weights[kind] * function(x) for kind, function in KINDS.items()) / 3


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), Mixture(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx)
        q, k, v = (part.unsqueeze(1) for part in self.qkv(x).chunk(3, dim=-1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return clipped_tanh(self.head(x + self.mlp(x)), 15.0)


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
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
