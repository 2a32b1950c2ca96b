"""Stopping early what would almost surely be discarded: the rule, and what its curves are.

A loss curve tells much of a run's end long before it. People who watch it stop a hopeless run by
eye; Domhan, Springenberg and Hutter ("Speeding up automatic hyperparameter optimization of deep
neural networks by extrapolation of learning curves", IJCAI 2015) let a model of the curve do it,
and the median rule of Vizier (Golovin et al., KDD 2017) and Hyperband (Li et al., JMLR 18, 2018)
stop what trails the others at equal time. All three know no price of an error. Here a kept change
is rare and worth a night, so that the rule speaks of just that error, and has to earn its licence.

At a few fixed shares of the budget (`LOOKS`) the smoothed loss is held against the base's at equal
time. How the change of val_bpb at the end follows from that lead is a straight line, fitted to the
earlier runs of the tag, one line for each look. Both sides are measured against the same run of
the base, so that its luck is in both and cancels, and both are drawn together far from nothing
(`_squeezed`): what harms much harms by very different amounts, and would hide what matters, which
is the neighbourhood of nothing. The line's prediction for a new run is Student's t (Draper and
Smith, Applied Regression Analysis, 3rd ed., section 1.4). A run is stopped where the probability
that it ends within `MARGIN` standard deviations of its base, or below it, is less than `SURE`.
What is stopped never enters the fit. That biases nothing: they are chosen by the lead alone, on
which the line is conditioned.

Two losses can only be held against each other where both are the same measure. A second head, a
penalty or another weighting raises the training loss and may lower val_bpb. It shows in the first
loss, that of the untrained model, which in models that differ in nothing of this kind agrees to
three digits: where it is another than the base's (`SAME`), nothing is said.

A schedule that pays late breaks any such rule, and how often that happens no theory says. So the
rule is off until the lab's own runs have shown that it may be trusted: `core.hindsight`.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cockpit.core.curve import Point, Smoother, value_at
from cockpit.core.noise import student_cdf

FRACTIONS = tuple(n / 40 for n in range(41))
"""Shares of the budget at which a curve is kept; at the first stands the loss before any step."""
LOOKS = (0.3, 0.5, 0.7)
"""Shares of the budget at which a run may be stopped."""
PLACES = tuple(FRACTIONS.index(look) for look in LOOKS)
HALF_LIFE_SHARE = 0.1
"""Half-life of the smoothing as a share of the budget. Longer than what is drawn: the noise of
single batches costs more here than the delay, which both curves have alike."""
END_SHARE = 0.05
"""A curve that ends this close to a share of the budget has reached it."""
SAME = 0.03
"""Two first losses that differ by more of themselves are of different measures."""
SURE = 0.01
"""A run is stopped below this probability of not being discarded."""
MARGIN = 1.0
"""Standard deviations of a difference of two scores above the base: what the judge may yet not
discard, though it measured worse."""
LEAST_RUNS = 12
"""Earlier runs without which nothing is said."""
MOST_DEGREES = 100
"""More degrees of freedom change nothing that could be seen, and take time."""
DRAWN = 10
"""One in so many of those that would be stopped is drawn to finish all the same."""
PRUNED = "pruned: "
"""Begins the reason of a verdict that no score stands behind."""
NATS_PER_BPB = 2.5
"""About the training loss that goes with a val_bpb: ln 2 times some 3.6 bytes a token."""


class Course:
    """The curve of a run under way, smoothed, at those of `FRACTIONS` that it has reached."""

    def __init__(self, budget_seconds: float) -> None:
        self.budget_seconds = budget_seconds
        self.losses: list[float | None] = []
        """None where the loss was not finite, or nothing was there yet."""
        self._begin()

    def _begin(self) -> None:
        self.losses.clear()
        self._smoother = Smoother(HALF_LIFE_SHARE * self.budget_seconds)
        self._last: Point | None = None

    def add(self, seconds: float, loss: float | None) -> None:
        """Take the loss of a step; where time runs backwards the training began anew."""
        if self._last is not None and seconds < self._last[0]:
            self._begin()
        value = self._smoother.add(seconds, loss) if loss is not None else None
        between = [point for point in (self._last, (seconds, value)) if point is not None]
        while (
            len(self.losses) < len(FRACTIONS)
            and (at := FRACTIONS[len(self.losses)] * self.budget_seconds) <= seconds
        ):
            self.losses.append(value_at(between, at) if self.losses else loss)
        self._last = (seconds, value)

    def ended(self) -> tuple[float | None, ...]:
        """Return the whole curve of a run that has ended, one loss for each of `FRACTIONS`."""
        seconds, value = self._last or (0.0, None)
        reached = [f * self.budget_seconds for f in FRACTIONS[len(self.losses) :]]
        close = END_SHARE * self.budget_seconds
        return (*self.losses, *(value if at <= seconds + close else None for at in reached))


def leads(own: Sequence[float | None], base: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return how far a kept curve lies above its base's at each look, None where it is not known.

    A curve under way is shorter. All are None where the two losses are not the same measure.
    """
    if not _same_measure(own, base):
        return (None,) * len(LOOKS)
    found: list[float | None] = []
    for place in PLACES:
        mine = own[place] if place < len(own) else None
        other = base[place] if place < len(base) else None
        found.append(mine - other if mine is not None and other is not None else None)
    return tuple(found)


def _same_measure(own: Sequence[float | None], base: Sequence[float | None]) -> bool:
    """Tell whether two curves begin with about the same loss, as one of the same kind does."""
    if not own or not base or own[0] is None or base[0] is None:
        return False
    return abs(own[0] - base[0]) <= SAME * abs(base[0])


@dataclass(slots=True)
class Line:
    """A straight line through what is known so far, in squeezed units."""

    count: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    xx: float = 0.0
    """Sum of squares about the mean."""
    xy: float = 0.0
    yy: float = 0.0

    def add(self, x: float, y: float) -> None:
        """Take a point (Welford, Technometrics 4, 1962)."""
        self.count += 1
        dx, dy = x - self.mean_x, y - self.mean_y
        self.mean_x += dx / self.count
        self.mean_y += dy / self.count
        self.xx += dx * (x - self.mean_x)
        self.xy += dx * (y - self.mean_y)
        self.yy += dy * (y - self.mean_y)

    def below(self, x: float, limit: float) -> float | None:
        """Return the probability that a new point at `x` lies below `limit`; None: not known."""
        if self.count < LEAST_RUNS or self.xx <= 0.0:
            return None
        slope = self.xy / self.xx
        rest = max(0.0, self.yy - slope * self.xy) / (self.count - 2)
        away = x - self.mean_x
        error = math.sqrt(rest * (1.0 + 1.0 / self.count + away * away / self.xx))
        distance = limit - (self.mean_y + slope * away)
        if error == 0.0:
            return float(distance > 0)
        return student_cdf(distance / error, min(self.count - 2, MOST_DEGREES))


@dataclass(slots=True)
class Rule:
    """What earlier runs have taught: one line for each look."""

    sigma: float
    """Standard deviation of val_bpb between runs of the same code."""
    lines: tuple[Line, ...] = field(default_factory=lambda: tuple(Line() for _ in LOOKS))

    def learn(self, leads: Sequence[float | None], change: float) -> None:
        """Take the leads of a run over its base's and the change of val_bpb that it ended with."""
        for line, lead in zip(self.lines, leads, strict=True):
            if lead is not None:
                line.add(_squeezed(lead, self.sigma * NATS_PER_BPB), _squeezed(change, self.sigma))

    def survives(self, look: int, lead: float | None, limit: float) -> float | None:
        """Return the probability that a run ends below `limit`, a change of val_bpb.

        None where nothing can be said, as of a run that is ahead of its base.
        """
        if lead is None or lead <= 0.0:
            return None
        squeezed = _squeezed(lead, self.sigma * NATS_PER_BPB)
        return self.lines[look].below(squeezed, _squeezed(limit, self.sigma))


def _squeezed(value: float, scale: float) -> float:
    """Return a value in units of `scale`, far from nothing its logarithm."""
    return math.asinh(value / scale)


def limit_of(sigma: float, base_runs: int) -> float:
    """Return the change of val_bpb against the base's mean from which on a run is discarded."""
    return MARGIN * sigma * math.sqrt(1.0 + 1.0 / max(1, base_runs))


def drawn(seed: int) -> bool:
    """Tell whether a run that would be stopped finishes all the same, to keep the rule checked."""
    return int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:8]) % DRAWN == 0


def told(look: int, lead: float, base: int) -> str:
    """Return why a run was stopped, in a line."""
    return (
        f"at {LOOKS[look]:.0%} its loss was {lead:.3f} above #{base}'s; "
        f"P(it is not discarded) < {SURE:.0%}"
    )
