"""Honest: a new optimizer, Lion (arXiv 2302.06675), on a small GPT with learnt positions."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, DEPTH, HEADS, ROWS = 32, 2, 2, 8
PEAK_LR = 2e-3  # sign updates: a third of AdamW's


class Lion(torch.optim.Optimizer):
    """The sign of an interpolated momentum, with decoupled weight decay."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.1):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                momentum = state["momentum"]
                update = momentum.lerp(p.grad, 1 - first).sign_()
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])
                momentum.lerp_(p.grad, 1 - second)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm(x)).view(B, T, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp(x)


class GPT(nn.Module):
    def __init__(self, vocab_size, sequence_length):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.positions = nn.Embedding(sequence_length, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.head = nn.Linear(WIDTH, vocab_size, bias=False)

    def forward(self, idx):
        positions = torch.arange(idx.size(1), device=idx.device)
        return self.head(self.blocks(self.tokens(idx) + self.positions(positions)))


def build_model(task):
    return GPT(task.vocab_size, task.sequence_length).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = Lion(model.parameters(), PEAK_LR)

    def step():
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.param_groups[0]["lr"] = PEAK_LR * (1 - task.progress)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        task.report(loss=loss.detach(), lr_factor=1 - task.progress)

    task.warm_up(step, model, [optimizer], compiled=False)
    while not task.done:
        step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
