"""What changes do: how often one helps, harms or does nothing, and by how much.

A result says little about a change until one knows how rare a gain is. Most ideas do nothing that
five minutes could show, many harm, few help; a rule that does not know this keeps the luckiest of
the useless ones. What is expected of an effect before its run is therefore a mixture: a share of
exact nothing, and on either side of it half-normal distributions of several widths. It is the
family that Stephens' adaptive shrinkage takes ("False discovery rates: a new deal", Biostatistics
18, 2017), in units of the noise. Everything has a closed form in it.

The shares are learned from the lab's own results, one after the other, by the quasi-Bayes rule of
Smith and Makov ("A quasi-Bayes sequential procedure for mixtures", JRSS B 40, 1978): each result
adds to the count of each component the probability that it came from there. What is expected at
the start counts as `START_COUNT` results for ever, so that the first night has something to go by
and a run of failures never rules a gain out; the counts forget (`MEMORY`), because gains become
rarer as a night goes on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.core.noise import normal_cdf

GAIN_WIDTHS = (2.0, 4.0)
"""Widths of the half-normal components of gains, in units of the noise. Narrower ones can't be
told from nothing, and would take its share."""
HARM_WIDTHS = (2.0, 4.0, 8.0, 32.0)
"""Those of harm, which knows no bounds."""
START = (0.40, 0.25, 0.35)
"""Shares of nothing, gain and harm before anything has been seen. Of 126 changes by an agent on
the trainer that this one descends from, 22 were kept and 8 of those exceeded its noise."""
START_COUNT = 50.0
"""Results that this counts as."""
MEMORY = 200.0
"""Learned counts never add up to more: older results then weigh less."""
_SIDES = (
    *((-1.0, width) for width in GAIN_WIDTHS),
    *((1.0, width) for width in HARM_WIDTHS),
)
_START_COUNTS = (
    START_COUNT * START[0],
    *(START_COUNT * START[1] / len(GAIN_WIDTHS) for _ in GAIN_WIDTHS),
    *(START_COUNT * START[2] / len(HARM_WIDTHS) for _ in HARM_WIDTHS),
)
SQRT_2PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class Part:
    """What one component says of an effect, given a measurement."""

    weight: float
    """Its probability density at the measurement, times its share."""
    mean: float
    """The effect's mean, were this the component it comes from."""
    variance: float
    side: float = 0.0
    """−1 a gain, 1 harm, 0 nothing."""
    middle: float = 0.0
    """Mean and deviation of the normal distribution that is cut off at nothing."""
    spread: float = 0.0

    def beyond(self, harm: float) -> float:
        """Return the probability that the effect is a harm of more than `harm` (0 or more)."""
        if self.side <= 0:
            return 0.0
        inside = normal_cdf(self.middle / self.spread)
        if inside <= 0.0:
            return 0.0
        return min(1.0, normal_cdf((self.middle - harm) / self.spread) / inside)


@dataclass(frozen=True, slots=True)
class Effects:
    """The distribution of effects in a lab, as far as it is known."""

    learned: tuple[float, ...] = (0.0,) * (1 + len(GAIN_WIDTHS) + len(HARM_WIDTHS))
    """Counts of nothing, then of each width of gain, then of harm, beside what the start has."""

    @classmethod
    def from_json(cls, learned: object) -> "Effects":
        """Return the effects whose counts another tag has learned; the start where there are none.

        Counts of a cockpit with other components tell nothing here.
        """
        if isinstance(learned, list) and len(learned) == len(cls().learned):
            return cls(tuple(float(count) for count in learned))
        return cls()

    @property
    def counts(self) -> tuple[float, ...]:
        """Return the counts of all components, those of the start included."""
        return tuple(a + b for a, b in zip(_START_COUNTS, self.learned, strict=True))

    @property
    def shares(self) -> tuple[float, float, float]:
        """Return the shares of nothing, gain and harm."""
        counts, gains = self.counts, 1 + len(GAIN_WIDTHS)
        whole = sum(counts)
        return counts[0] / whole, sum(counts[1:gains]) / whole, sum(counts[gains:]) / whole

    def parts(self, change: float, error: float, unit: float) -> list[Part]:
        """Return what each component says of an effect that was measured as `change` ± `error`.

        `unit` is the noise, in which the widths are. Changes of val_bpb: a gain is negative.
        """
        counts = self.counts
        whole = sum(counts)
        found = [Part(counts[0] / whole * _density(change, error), 0.0, 0.0)]
        for count, (side, width) in zip(counts[1:], _SIDES, strict=True):
            found.append(_half_normal(side, width * unit, change, error, count / whole))
        return found

    def after(self, change: float, error: float) -> "Effects":
        """Return what is known after one more result, change and error in units of the noise."""
        counts = self.counts
        weights = [counts[0] * _density(change, error)]
        weights += [
            count * _likelihood(side, width, change, error)
            for count, (side, width) in zip(counts[1:], _SIDES, strict=True)
        ]
        whole = sum(weights)
        if whole <= 0.0:
            return self
        learned = [c + weight / whole for c, weight in zip(self.learned, weights, strict=True)]
        forgotten = min(1.0, MEMORY / sum(learned))
        return Effects(tuple(count * forgotten for count in learned))


def gain_of(parts: Sequence[Part]) -> float:
    """Return the probability that an effect is a gain."""
    whole = sum(part.weight for part in parts)
    gains = sum(part.weight for part in parts[1 : 1 + len(GAIN_WIDTHS)])
    return gains / whole if whole > 0.0 else 0.0


def _half_normal(side: float, width: float, change: float, error: float, share: float) -> Part:
    """Return a component on one side of zero.

    An effect with a half-normal prior of `width`, measured with a normal error, has a truncated
    normal posterior (e.g. Kotz, Balakrishnan and Johnson, Continuous Multivariate Distributions).
    """
    both = width * width + error * error
    middle = change * width * width / both
    spread = width * error / math.sqrt(both)
    z = side * middle / spread
    inside = normal_cdf(z)
    weight = share * _likelihood(side, width, change, error)
    # The mean of a normal variable beyond zero; far in the tail it comes close to -1/z.
    ratio = math.exp(-0.5 * z * z) / SQRT_2PI / inside if z > -30.0 else -z + 1.0 / -z
    mean = side * spread * (z + ratio)
    variance = spread * spread * max(0.0, 1.0 - ratio * (z + ratio))
    return Part(weight, mean, variance, side, middle, spread)


def _likelihood(side: float, width: float, change: float, error: float) -> float:
    """Return the density of a measurement where the effect comes from one side."""
    both = math.sqrt(width * width + error * error)
    return 2.0 * _density(change, both) * normal_cdf(side * change * width / (error * both))


def _density(value: float, sigma: float) -> float:
    z = value / sigma
    return math.exp(-0.5 * min(z * z, 1400.0)) / (SQRT_2PI * sigma)
