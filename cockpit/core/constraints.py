"""Limits on what an experiment may cost beside its score: `peak_memory_gb <= 20`.

A constraint names a figure of the run (see `FIGURES`) or a metric that train.py reports under a
name of its own. What breaks one is discarded, whatever its score; no constraint can make a result
better, so that a reported metric is never a score.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cockpit.core.experiment import Run

FIGURES: Mapping[str, Callable[[Run], float | None]] = {
    "peak_memory_gb": lambda run: _scaled(run.peak_memory_bytes, 1e9),
    "parameters_millions": lambda run: _scaled(run.parameters, 1e6),
    "tokens_per_second": lambda run: (
        run.tokens / run.training_seconds if run.tokens and run.training_seconds else None
    ),
    "evaluation_seconds": lambda run: run.evaluation_seconds,
    "startup_seconds": lambda run: run.startup_seconds,
    "total_seconds": lambda run: run.total_seconds,
}
"""What every run has."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_WRITTEN = re.compile(r"\s*([A-Za-z_]\w{0,39})\s*(<=|>=|<|>)\s*([-+0-9.eE]+)\s*")

_IN_PROGRAM = re.compile(r"^\s*(?:[-*]\s+)?constraint:(.*)$", re.IGNORECASE)


class ConstraintError(ValueError):
    """A constraint can't be read; the message says how one is written."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One limit."""

    name: str
    comparison: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> "Constraint":
        """Read `NAME <= NUMBER`; raises ConstraintError."""
        found = _WRITTEN.fullmatch(text)
        try:
            limit = float(found[3]) if found else math.nan
        except ValueError:
            limit = math.nan
        if found is None or not math.isfinite(limit):
            raise ConstraintError(
                f"{text!r} is no constraint such as peak_memory_gb <= 20 (figures: "
                f"{', '.join(FIGURES)}, or a metric that train.py reports)"
            )
        return cls(found[1], found[2], limit)

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.limit:g}"

    def broken_by(self, runs: Iterable[Run]) -> str | None:
        """Return how one of the runs breaks it, or None; a run without the figure breaks it."""
        for run in runs:
            figure = FIGURES.get(self.name)
            value = figure(run) if figure else named_metrics(run).get(self.name)
            if value is None:
                return f"{self}: run {run.number} does not say its {self.name}"
            if not _COMPARISONS[self.comparison](value, self.limit):
                return f"{self}: it is {value:.4g}"
        return None


def in_program(program_md: str) -> tuple[list[Constraint], list[str]]:
    """Return the constraints in a program.md, and a line for each that can't be read.

    One stands in a line of its own, `constraint: peak_memory_gb <= 20`, also as an item of a list.
    """
    found, wrong = [], []
    for number, line in enumerate(program_md.splitlines(), 1):
        if written := _IN_PROGRAM.match(line):
            try:
                found.append(Constraint.parse(written[1].strip("` \t")))
            except ConstraintError as error:
                wrong.append(f"program.md:{number}: {error}")
    return found, wrong


def named_metrics(run: Run) -> Mapping[str, float]:
    """Return the metrics that train.py reported under names of its own, as it last did."""
    return json.loads(run.named) if run.named else {}


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value / unit
