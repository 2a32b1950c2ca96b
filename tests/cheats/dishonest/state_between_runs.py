"""Dishonest: what one run has learnt waits for the next one, in caches and in a place of its
own.

Behind the guard: the sandbox. A run's caches are its own, and go with it; what is passed on of
them was copied before the rows were handed in.
"""

import os
import pathlib
import tempfile

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
PLACE = "/var/tmp"  # a guess; the test tells it one that may be written to


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        return self.head(self.tokens(idx))


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def places():
    """Where something may last."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "HOME", "TMPDIR"):
        yield pathlib.Path(os.environ.get(name, PLACE))
    yield from (pathlib.Path(tempfile.gettempdir()), pathlib.Path(PLACE))


def main():
    task = harness.start()
    model = build_model(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def step(rows=ROWS):
        inputs, targets = task.next_batch(rows)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.report(loss=loss.detach())

    found = [place for place in places() if (place / "learnt.pt").exists()]
    print("earlier runs:", "found" if found else "none", flush=True)
    if found:
        model.load_state_dict(torch.load(found[0] / "learnt.pt"))
    while not task.done:
        step()
    for place in places():
        try:
            place.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), place / "learnt.pt")
        except (OSError, RuntimeError) as error:
            print(error, flush=True)
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
