"""How a training went, in a few figures that a person or a proposer can read.

A final score says that a change helped, not why. The course of the loss, its spikes, the size of
the gradients and the pace say whether the step size was too large, the warm-up too short, or the
time spent on something else than training. All of it is computed once, after the clock.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SPIKE_STEPS = 6.0
"""A loss above its running mean by this many times what it moves from one step to the next is a
spike. Gaussian noise moves by 1.13 of its deviations, so that 6 are nearly 7 of them. (What it
moves by tells noise from the fall of the loss, which a deviation from the mean does not.)"""
SPIKE_SHARE = 0.02
"""And at least this share above it: of a loss that hardly moves, nothing is a spike."""
MEMORY_STEPS = 50
"""The running means look back about so many steps."""
LEARNING_STEPS = 20
"""Before so many steps nothing is called a spike: the loss falls too fast to have a mean."""
SPIKES_TOLD = 5


@dataclass(frozen=True, slots=True)
class Point:
    """One optimizer step."""

    progress: float
    """Share of the budget used, 0 to 1."""
    loss: float | None
    """Nats a token; None when it was not finite or not reported."""
    grad_norm: float | None
    tokens: int
    """Training tokens so far."""
    seconds: float
    """Training seconds so far."""


def summary(points: list[Point]) -> dict[str, Any]:
    """The figures of a run, as JSON can carry them.

    `loss_tenths`: mean loss of each tenth of the budget. In `dynamics`: `spikes`, how many, and
    the first ones with `progress` and `rise` in nats; `grad_norm`: median, p90, maximum;
    `tokens_per_second`: median and the slowest tenth; `not_finite`: steps without a finite loss.
    """
    tenths: list[list[float]] = [[] for _ in range(10)]
    for point in points:
        if point.loss is not None:
            tenths[min(9, int(point.progress * 10))].append(point.loss)
    spikes = find_spikes(points)
    return {
        "loss_tenths": [statistics.fmean(losses) if losses else None for losses in tenths],
        "dynamics": {
            "spikes": {"count": len(spikes), "first": spikes[:SPIKES_TOLD]},
            "grad_norm": _spread([p.grad_norm for p in points if p.grad_norm is not None]),
            "tokens_per_second": _pace(points),
            "not_finite": sum(point.loss is None for point in points),
        },
    }


def find_spikes(points: list[Point]) -> list[dict[str, float]]:
    """Where the loss rose far above its running mean: `progress` and `rise` of each."""
    found: list[dict[str, float]] = []
    mean = moves = before = 0.0
    seen = 0
    for point in points:
        if point.loss is None:
            continue
        loss, rise = point.loss, point.loss - mean
        enough = max(SPIKE_STEPS * moves, SPIKE_SHARE * abs(mean))
        if seen >= LEARNING_STEPS and rise > enough:
            found.append({"progress": round(point.progress, 4), "rise": round(rise, 4)})
            loss = before  # it must not hide the next one
        weight = 1.0 / min(MEMORY_STEPS, seen + 1)
        mean += weight * (loss - mean)
        moves += weight * (abs(loss - before) - moves) if seen else 0.0
        before = loss
        seen += 1
    return found


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p90": ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))],
        "maximum": ordered[-1],
    }


def _pace(points: list[Point]) -> dict[str, float] | None:
    rates = [
        (after.tokens - before.tokens) / (after.seconds - before.seconds)
        for before, after in pairwise(points)
        if after.seconds > before.seconds
    ]
    if not rates:
        return None
    ordered = sorted(rates)
    return {"median": statistics.median(ordered), "slowest_tenth": ordered[len(ordered) // 10]}
