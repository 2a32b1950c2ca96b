"""Honest: Shampoo (arXiv 1802.09568) with a cheap inverse root, on a gated linear unit."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
LR = 0.02
EVERY = 5  # steps between two inverse roots


def inverse_root(matrix, power):
    """matrix ** (-1 / power) of a symmetric matrix, by its eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix + 1e-4 * torch.eye(len(matrix)).to(matrix))
    return vectors * values.clamp_min(1e-6).pow(-1 / power) @ vectors.mT


class Shampoo(torch.optim.Optimizer):
    """Matrices are preconditioned from both sides, everything else is plain momentum."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
        self.steps = 0

    @torch.no_grad()
    def step(self):
        self.steps += 1
        for group in self.param_groups:
            for p in group["params"]:
                update = self.direction(p) if p.ndim == 2 and max(p.shape) <= 128 else p.grad
                p.sub_(F.normalize(update.flatten(), dim=0).view_as(p), alpha=group["lr"])

    def direction(self, p):
        state = self.state[p]
        if not state:
            for side, size in zip(("left", "right"), p.shape, strict=True):
                state[side] = torch.zeros(size, size, device=p.device)
        state["left"].addmm_(p.grad, p.grad.mT)
        state["right"].addmm_(p.grad.mT, p.grad)
        if self.steps % EVERY == 1:
            for side in ("left", "right"):
                state[f"{side} root"] = inverse_root(state[side], 4)
        return state["left root"] @ p.grad @ state["right root"]


class Model(nn.Module):
    """A bag of the last four tokens, weighted by distance, and a gated linear unit."""

    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.weights = nn.Parameter(torch.tensor([1.0, 0.5, 0.25, 0.125]))
        self.gate, self.value = nn.Linear(WIDTH, 128), nn.Linear(WIDTH, 128)
        self.back = nn.Linear(128, WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = self.tokens(idx)  # [B, T, C]
        padded = F.pad(x, (0, 0, 3, 0))
        T = x.size(1)
        x = sum(w * padded[:, 3 - i : 3 - i + T] for i, w in enumerate(self.weights))
        return self.head(x + self.back(F.silu(self.gate(x)) * self.value(x)))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = Shampoo(model.parameters(), LR)
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
