"""Honest: a mixture of experts where each token chooses two, with a balancing loss."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, HEADS, EXPERTS, CHOSEN, ROWS = 32, 2, 4, 2, 8
BALANCE = 0.01  # weight of the balancing loss (arXiv 2101.03961)


class Experts(nn.Module):
    """[N, C] -> [N, C]: the sum of the chosen experts, weighted by the router."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.expand = nn.Parameter(torch.randn(EXPERTS, WIDTH, 2 * WIDTH) * WIDTH**-0.5)
        self.contract = nn.Parameter(torch.zeros(EXPERTS, 2 * WIDTH, WIDTH))
        self.balance = torch.zeros(())

    def forward(self, x):
        shares = self.router(x).softmax(-1)  # [N, E]
        weights, chosen = shares.topk(CHOSEN)  # [N, 2]
        out = torch.zeros_like(x)
        for e in range(EXPERTS):
            rows, place = (chosen == e).nonzero(as_tuple=True)
            hidden = F.relu(x[rows] @ self.expand[e]).square()
            update = (hidden @ self.contract[e]) * weights[rows, place, None]
            out = out.index_add(0, rows, update)
        load = F.one_hot(chosen, EXPERTS).float().mean((0, 1))
        self.balance = EXPERTS * (load * shares.mean(0)).sum()
        return out


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.experts = Experts()
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        B, T = idx.shape
        x = self.tokens(idx)
        q, k, v = self.qkv(x).view(B, T, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + y.transpose(1, 2).reshape(B, T, WIDTH)
        return self.head(x + self.experts(F.rms_norm(x, (WIDTH,)).flatten(0, 1)).view_as(x))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        (loss + BALANCE * model.experts.balance).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        task.report(loss=loss.detach(), balance=model.experts.balance.detach())
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
