"""What is believed of an experiment's true val_bpb, and of what it changed against its base.

The base of a night is never just any result: it was kept because it measured low, and part of that
was luck. Held against the lucky number itself, true gains look like losses and the night locks up.
So a base carries a belief along instead: a mean and a variance of its true score. The baseline's
is the mean of its runs; a child's follows from its parent's belief, its own runs and what changes
do in this lab (`core.effects`), which draws the lucky part back at every keep.

With a parent believed at m ± sqrt(v) and n runs of a child that average y, the change is measured
as x = y - m with the variance s² = v + sigma²/n. For each component of the effects the posterior
of the true change d has a closed form, and given d the child's true score is normal with mean
m + K x + (1 - K) d and variance v (1 - K), K = v / s². All of it is averaged over the values that
the noise may have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cockpit.core.effects import Effects, Part, gain_of
from cockpit.core.noise import Noise


@dataclass(frozen=True, slots=True)
class Belief:
    """The true val_bpb of an experiment, as far as it is known."""

    mean: float
    share: float
    """Its variance, as a share of the variance of one run."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of an experiment against its base."""

    probability: float
    """Of being truly better."""
    gain: float
    """Mean of the true change of val_bpb: the honest gain, drawn towards nothing (negative is
    better)."""
    error: float
    """Its standard deviation."""
    measured: float
    """The change as measured: mean of its runs minus the base's belief."""
    measured_error: float
    belief: Belief
    """Of the experiment itself."""
    parts: tuple[tuple[float, Part], ...] = field(default=(), repr=False)
    """What each component says of the true change, with its probability."""

    def worse_by(self, tolerance: float) -> float:
        """Return the probability that it is truly worse by more than `tolerance` (0 or more)."""
        return sum(weight * part.beyond(tolerance) for weight, part in self.parts)


def of_baseline(scores: Sequence[float]) -> Belief:
    """Return the belief in an experiment that is compared to nothing."""
    return Belief(sum(scores) / len(scores), 1.0 / len(scores))


def assess(base: Belief, scores: Sequence[float], noise: Noise, effects: Effects) -> Assessment:
    """Return what the runs of an experiment say of it, against what is believed of its base.

    Raises `ValueError` without a run, or where nothing is known of the noise.
    """
    nodes = noise.nodes()
    if not scores or not nodes or noise.sigma is None:
        raise ValueError("an assessment needs a run and some idea of the noise")
    measured = sum(scores) / len(scores) - base.mean
    share = base.share + 1.0 / len(scores)
    keep = base.share / share
    chances: list[float] = []
    changes: list[tuple[float, Part]] = []
    for sigma in nodes:
        parts = effects.parts(measured, sigma * math.sqrt(share), noise.sigma)
        whole = sum(part.weight for part in parts) or 1.0
        chances.append(gain_of(parts))
        changes += [(part.weight / whole / len(nodes), part) for part in parts]
    gain = sum(weight * part.mean for weight, part in changes)
    variance = sum(weight * (part.variance + (part.mean - gain) ** 2) for weight, part in changes)
    own = base.share * (1 - keep) + (1 - keep) ** 2 * variance / noise.sigma**2
    return Assessment(
        probability=sum(chances) / len(chances),
        gain=gain,
        error=math.sqrt(variance),
        measured=measured,
        measured_error=noise.sigma * math.sqrt(share),
        belief=Belief(base.mean + keep * measured + (1 - keep) * gain, own),
        parts=tuple(changes),
    )
