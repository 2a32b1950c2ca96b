"""Honest: forward hooks watch the activations; what they see is reported and printed."""

import functools
import time

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
EVERY = 50  # steps between two lines in the log


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.mix = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        x, _ = self.mix(self.tokens(idx))
        return self.head(x + self.mlp(x))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def watch(seen, name, module, inputs, output):
    """Keep the share of units that are on."""
    seen[name] = (output.detach() > 0).float().mean()


def main():
    task = harness.start()
    model = build_model(task)
    seen = {}
    handle = model.mlp[1].register_forward_hook(functools.partial(watch, seen, "active"))
    optimizer = torch.optim.Adamax(model.parameters(), lr=1e-2)
    steps, began = 0, time.perf_counter()
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps += 1
        task.report(loss=loss.detach(), active=seen["active"])
        if steps % EVERY == 0:
            rate = steps / (time.perf_counter() - began)
            print(f"step {steps}: {rate:.1f} steps/s, {seen['active'].item():.2f} of units on")
    handle.remove()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
