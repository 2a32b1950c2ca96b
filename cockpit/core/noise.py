"""Run-to-run spread of val_bpb: how much the same code differs from itself.

Another seed moves val_bpb by more than most changes do, so no difference means
anything until it is held against this spread. It is estimated from every experiment
of the setup that ran more than once, pooled: the squared deviations from each
experiment's own mean, over the degrees of freedom they leave.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FLOOR_BPB = 0.0002
"""No spread is believed below this: a change that does nothing moved val_bpb by 0.00037
between two runs of a 50M-parameter model in five minutes, and two runs may agree by luck."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The spread of one measuring setup."""

    sigma: float | None
    """Standard deviation of val_bpb between runs of the same code; None until two runs agree
    on one experiment."""
    runs: int
    """Runs that the estimate rests on."""
    degrees: int
    """Degrees of freedom of the estimate: runs minus experiments."""


def pooled(groups: Iterable[Sequence[float]]) -> Noise:
    """Return the pooled spread of groups of scores, one group an experiment.

    Groups with fewer than two scores say nothing and are passed over. Source of the
    formula: pooled variance, e.g. NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.1.
    """
    squares, runs, degrees = 0.0, 0, 0
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
