"""Honest: a Triton kernel for the squared ReLU, behind a CUDA check, with its own gradient."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

WIDTH, ROWS = 32, 8
BLOCK = 1024  # elements a program

if triton is not None:

    @triton.jit
    def squared_relu_kernel(x, y, count, size: tl.constexpr):
        place = tl.program_id(0) * size + tl.arange(0, size)
        inside = place < count
        value = tl.maximum(tl.load(x + place, mask=inside, other=0.0), 0.0)
        tl.store(y + place, value * value, mask=inside)


class SquaredReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        if triton is None or not x.is_cuda:
            return F.relu(x).square()
        x = x.contiguous()
        y = torch.empty_like(x)
        squared_relu_kernel[(triton.cdiv(x.numel(), BLOCK),)](x, y, x.numel(), size=BLOCK)
        return y

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * F.relu(x) * grad


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx)
        q, k, v = (part.unsqueeze(1) for part in self.qkv(x).chunk(3, dim=-1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return self.head(x + self.down(SquaredReLU.apply(self.up(x))))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, fused=True)

    def step():
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        task.report(loss=loss.detach())

    task.warm_up(step, model, [optimizer], compiled=task.device.type == "cuda")
    while not task.done:
        step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
