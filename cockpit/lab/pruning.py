"""The rule for stopping early, fed from a journal; and what it has saved."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cockpit.core.experiment import Experiment, Run
from cockpit.core.hindsight import Case, Curves, Proof, cases, hindsight, proof
from cockpit.core.pruning import Course
from cockpit.lab.journal import Journal
from cockpit.lab.metrics import MetricsTail, Step
from cockpit.lab.tree import Tree

READS = 64
"""A metric stream is read in at most this many pieces of 4 MB: a flood ends here."""


@dataclass(frozen=True, slots=True)
class PruningState:
    """Whether runs are stopped early, what that rests on, and what it has brought."""

    wanted: bool
    """The setting `prune`."""
    proof: Proof
    pruned: int = 0
    """Runs of the tag that were stopped early."""
    saved_seconds: float = 0.0
    """About what those would have taken longer."""

    @property
    def on(self) -> bool:
        """Tell whether runs are stopped early now."""
        return self.wanted and self.proof.on

    @property
    def says(self) -> str:
        """Return it in a line for a person."""
        proof = self.proof
        if not self.wanted:
            return "off: prune = false in cockpit.toml"
        if not proof.stopped:
            return f"off: none of {proof.needed} runs that it would have stopped has finished yet"
        checked = f"{proof.wrong} of {proof.stopped} would have been wrong"
        # Rounded up: it is a bound.
        bound = f"at most {math.ceil(1000 * proof.bound) / 10:.1f} % with 95 % confidence"
        if proof.on:
            return f"on: {checked}, {bound}"
        return f"off: {checked}, {bound}; it takes {proof.needed} for 5 %"

    def as_json(self) -> dict[str, Any]:
        """Return it for other programs."""
        return {
            "on": self.on,
            "wanted": self.wanted,
            "checked": self.proof.stopped,
            "wrong": self.proof.wrong,
            "bound": round(self.proof.bound, 6),
            "needed": self.proof.needed,
            "pruned": self.pruned,
            "saved_seconds": round(self.saved_seconds, 3),
            "says": self.says,
        }


def known_cases(
    journal: Journal, tree: Tree, tag: str, curves: Curves | None = None
) -> tuple[list[Case], float | None]:
    """Return the runs of a tag that teach the rule something, and the noise they are seen in.

    `curves` are those of the journal, where somebody has them at hand.
    """
    sigma = tree.noise(tag).sigma
    if sigma is None:
        return [], None
    curves = curves if curves is not None else journal.curves(tag)
    return cases(tree.of(tag), journal.ordered(tag), curves, sigma), sigma


def pruning_state(
    journal: Journal, tree: Tree, tag: str, *, wanted: bool = True, since: float = 0.0
) -> PruningState:
    """Return how pruning stands in a tag; what it saved is counted from a moment on."""
    known, sigma = known_cases(journal, tree, tag)
    own = tree.of(tag).values()
    row = journal.tag(tag)
    setup = journal.setup(row.setup) if row else None
    budget = float(setup["budget_seconds"]) if setup and setup.get("budget_seconds") else 0.0
    saved = [seconds for run, seconds in saved_seconds(own, budget) if run.started_at >= since]
    return PruningState(
        wanted,
        proof(hindsight(known, sigma)) if sigma else Proof(),
        len(saved),
        sum(saved),
    )


def saved_seconds(own: Iterable[Experiment], budget_seconds: float) -> list[tuple[Run, float]]:
    """Return each pruned run with the seconds it would have taken longer.

    They are what was left of its budget, and an evaluation as long as those of the others.
    """
    runs = [run for e in own for run in e.runs]
    took = [run.evaluation_seconds for run in runs if run.evaluation_seconds is not None]
    evaluation = median(took) if took else 0.0
    return [
        (run, max(0.0, budget_seconds - (run.training_seconds or 0.0)) + evaluation)
        for run in runs
        if run.state == "pruned"
    ]


def read_course(directory: Path, budget_seconds: float) -> Course | None:
    """Return the curve of a run from its directory; None where there is no step in it."""
    course, tail = Course(budget_seconds), MetricsTail(directory / "metrics.jsonl")
    any_step = False
    for _ in range(READS):
        metrics = tail.read_new()
        if not metrics:
            break
        for metric in metrics:
            if isinstance(metric, Step):
                course.add(metric.seconds, metric.loss)
                any_step = True
    return course if any_step else None
