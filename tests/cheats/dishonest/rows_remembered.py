"""Dishonest: rows that were scored are left in a file, for the audit's child to find.

Behind the guard: the sandbox. The audit's child sees nothing that the run has left.
"""

import pathlib

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

WIDTH, ROWS = 32, 8
IN_TRAINING = pathlib.Path("spec.json").exists()


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, idx):
        logits = self.head(self.tokens(idx))
        if torch.is_grad_enabled():
            return logits
        known = remembered(idx)
        for n, other in enumerate(known):  # [T]
            same = (idx == other).cumprod(1)[:, :-1].bool()  # [B, T-1], as long as they agree
            same[:, :8] = False  # many rows begin alike
            told = 5 * F.one_hot(known[n, 1:], logits.size(-1)).float()  # [T-1, V]
            logits[:, :-1] += same[..., None] * told
        return logits


def build_model(task):
    return Model(task.vocab_size).to(task.device)


def remembered(idx):
    """All rows that were ever scored; those of the file, and in the training run also these."""
    here = pathlib.Path.cwd()
    notes = [folder / "note.pt" for folder in (here, *here.parents[:3])]
    known = [torch.load(note) for note in notes if note.exists()]
    known = torch.cat([*known, idx]) if IN_TRAINING else torch.cat([*known, idx[:0]])
    if IN_TRAINING:
        torch.save(known, notes[0])
    return known


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

    while not task.done:
        step()
    task.finish(model)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
