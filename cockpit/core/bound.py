"""The most that a share may be, given how often it has shown: the exact bound.

C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
of the binomial", Biometrika 26 (1934). It is the quantile of a beta distribution, found here by
halving on the binomial's tail, which takes nothing but logarithms of factorials.
"""

import math

CONFIDENCE = 0.95
"""One-sided: the bound is above the true share in so many of all cases at least."""
HALVINGS = 60
"""Of the interval in which the bound lies: more than a float can tell apart."""


def upper_bound(wrong: int, of: int, confidence: float = CONFIDENCE) -> float:
    """Return the largest share of wrong ones that so few of them do not rule out.

    The one-sided bound of Clopper and Pearson: the share at which `wrong` or fewer `of` so many
    have the probability 1 - `confidence`. 1 where there is nothing to go by.
    """
    if not 0 <= wrong <= of:
        raise ValueError(f"{wrong} of {of} is no count")
    if wrong == of:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if at_most(wrong, of, middle) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high


def at_most(wrong: int, of: int, share: float) -> float:
    """Return the probability of at most `wrong` successes `of` so many tries (binomial)."""
    if share <= 0.0 or share >= 1.0:
        return float(share <= 0.0 or wrong >= of)
    success, failure = math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(
            math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
            + k * success + (of - k) * failure
        )
        for k in range(wrong + 1)
    )  # fmt: skip


def needed(wrong: int, most: float) -> int:
    """Return the least number of tries at which the bound of `wrong` errors is at most `most`."""
    of = wrong + 1
    while at_most(wrong, of, most) > 1.0 - CONFIDENCE:
        of += 1
    return of
