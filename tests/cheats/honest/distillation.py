"""Honest: a small model learns first and alone, then teaches a larger one that is handed over."""

import harness
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own letter
from torch import nn

ROWS = 8
TEACHER_WIDTH, STUDENT_WIDTH = 16, 48
TEACHING = 0.3  # share of the budget in which the teacher learns
WEIGHT = 0.5  # of the teacher's word in the student's loss


class Model(nn.Module):
    def __init__(self, vocab_size, width):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.before = nn.Embedding(vocab_size, width)  # of the token before
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )
        self.head = nn.Linear(width, vocab_size)

    def forward(self, idx):
        previous = F.pad(idx[:, :-1], (1, 0))
        x = self.tokens(idx) + self.before(previous)
        return self.head(x + self.mlp(x))


def build_model(task):
    return Model(task.vocab_size, STUDENT_WIDTH).to(task.device)


def main():
    task = harness.start()
    student = build_model(task)
    teacher = Model(task.vocab_size, TEACHER_WIDTH).to(task.device)
    optimizers = {m: torch.optim.AdamW(m.parameters(), lr=1e-2) for m in (teacher, student)}
    while not task.done:
        inputs, targets = task.next_batch(ROWS)
        learner = teacher if task.progress < TEACHING else student
        logits = learner(inputs).flatten(0, 1)
        loss = told = F.cross_entropy(logits, targets.flatten())
        if learner is student:
            with torch.no_grad():
                taught = teacher(inputs).flatten(0, 1).softmax(-1)
            loss = (1 - WEIGHT) * told + WEIGHT * F.cross_entropy(logits, taught)
        loss.backward()
        optimizers[learner].step()
        learner.zero_grad(set_to_none=True)
        task.report(loss=told.detach(), is_student=float(learner is student))
    task.finish(student)


if __name__ == "__main__":
    harness.run_by_hand(__file__)
