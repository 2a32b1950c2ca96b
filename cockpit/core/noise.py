"""Run-to-run spread of val_bpb: how much the same code differs from itself.

Another seed moves val_bpb by more than most changes do, so no difference means anything until it
is held against this spread. It is estimated from every experiment of the setup that ran more than
once, pooled: the squared deviations from each experiment's own mean, over the degrees of freedom
they leave.

Two runs say almost nothing: their estimate is anywhere from 0.06 to 1.96 of the truth (5 to 95 %).
So a stated prior carries the start: a guess of the spread that counts as `PRIOR_DEGREES` degrees
of freedom, and with each replicate weighs less. Prior and estimate together are a scaled inverse
chi-squared distribution of the variance (Gelman et al., Bayesian Data Analysis, 3rd ed., section
2.6); what is judged is judged over all of it, not at its middle.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FLOOR_BPB = 0.0002
"""No spread is believed below this: a change that does nothing moved val_bpb by 0.00037
between two runs of a 50M-parameter model in five minutes, and two runs may agree by luck."""
PRIOR_DEGREES = 3.0
"""Degrees of freedom that the prior counts as: three replicates weigh as much."""
NODES = (1.2816, 0.5244, 0.0, -0.5244, -1.2816)
"""Five equally probable values of a standard normal variable, which stand for all of them."""
Z_90 = 1.6449
"""90 % of a standard normal variable lie between minus and plus this."""
ENOUGH_DEGREES = 100.0
"""From here on one value will do."""


@dataclass(frozen=True, slots=True)
class NoisePrior:
    """What is believed of a setup's spread before anything ran twice."""

    sigma: float
    degrees: float = PRIOR_DEGREES


@dataclass(frozen=True, slots=True)
class Noise:
    """The spread of one measuring setup."""

    sigma: float | None
    """Standard deviation of val_bpb between runs of the same code; None where there is neither
    a prior nor an experiment that ran twice."""
    runs: int
    """Runs that the estimate rests on, the prior aside."""
    degrees: float
    """Degrees of freedom of the estimate: runs minus experiments, and the prior's."""

    @property
    def between(self) -> tuple[float, float] | None:
        """Return the interval that holds the true spread with a probability of 90 %."""
        if self.sigma is None:
            return None
        low, high = (_chi_squared(z, self.degrees) for z in (Z_90, -Z_90))
        return (
            self.sigma * math.sqrt(self.degrees / low),
            self.sigma * math.sqrt(self.degrees / high),
        )

    def nodes(self) -> tuple[float, ...]:
        """Return equally probable values of the spread; empty where it is not known."""
        if self.sigma is None:
            return ()
        if self.degrees >= ENOUGH_DEGREES:
            return (self.sigma,)
        return tuple(
            self.sigma * math.sqrt(self.degrees / _chi_squared(z, self.degrees)) for z in NODES
        )


def pooled(groups: Iterable[Sequence[float]], prior: NoisePrior | None = None) -> Noise:
    """Return the pooled spread of groups of scores, one group an experiment.

    Groups with fewer than two scores say nothing and are passed over. Source of the
    formula: pooled variance, e.g. NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.1.
    """
    squares, runs, degrees = 0.0, 0, 0.0
    if prior is not None:
        squares, degrees = prior.degrees * prior.sigma**2, prior.degrees
    for scores in groups:
        if len(scores) < 2:
            continue
        mean = sum(scores) / len(scores)
        squares += sum((score - mean) ** 2 for score in scores)
        runs += len(scores)
        degrees += len(scores) - 1
    if not degrees:
        return Noise(None, 0, 0)
    return Noise(max(math.sqrt(squares / degrees), FLOOR_BPB), runs, degrees)


def _chi_squared(z: float, degrees: float) -> float:
    """Return the chi-squared variable as likely to be exceeded as the standard normal `z`.

    The approximation of Wilson and Hilferty, "The distribution of chi-square", PNAS 17 (1931).
    """
    term = 2.0 / (9.0 * degrees)
    return float(degrees * max(1.0 - term + z * math.sqrt(term), 1e-3) ** 3)


def normal_cdf(z: float) -> float:
    """Return P(Z <= z) of the standard normal distribution."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def student_cdf(t: float, degrees: int) -> float:
    """Return P(T <= t) of Student's t distribution for a whole number of degrees >= 1.

    The finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    if degrees < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    theta = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(theta)
    if degrees % 2:
        term, total = cosine, 0.0
        for k in range(1, (degrees - 1) // 2 + 1):
            total += term
            term *= cosine * cosine * (2 * k) / (2 * k + 1)
        between = 2 / math.pi * (theta + math.sin(theta) * total)
    else:
        term, total = 1.0, 0.0
        for k in range(1, degrees // 2 + 1):
            total += term
            term *= cosine * cosine * (2 * k - 1) / (2 * k)
        between = math.sin(theta) * total
    return 0.5 + between / 2
