"""Honest: two passes a step: the gradient is taken where the loss is worst nearby (SAM)."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
RADIUS = 0.02  # how far the weights are moved uphill (arXiv 2010.01412)


class Model(nn.Module):
    """A trigram table of low rank: three embeddings, multiplied."""

    def __init__(self, vocab_size):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(vocab_size, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x = 1.0
        for back, table in enumerate(self.tables):
            x = x * (1 + table(F.pad(idx, (back, 0))[:, : idx.size(1)]))
        return self.head(F.layer_norm(x, (WIDTH,)))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def main():
    task = harness.start()
    model = build_model(task)
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=1e-2)

    def gradient(inputs, targets):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        return loss.detach()

    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = gradient(inputs, targets)
        with torch.no_grad():
            size = torch.stack(torch._foreach_norm([w.grad for w in weights])).norm()
            uphill = [RADIUS * w.grad / (size + 1e-9) for w in weights]
            torch._foreach_add_(weights, uphill)
        gradient(inputs, targets)
        with torch.no_grad():
            torch._foreach_sub_(weights, uphill)
        optimizer.step()
        task.report(loss=loss, grad_norm=size)
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
