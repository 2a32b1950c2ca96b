"""Is the best truly better than the baseline? Fresh runs of both, in pairs, say so.

What a night has kept was chosen because it had measured low, and of many measurements the lowest
is low by luck as well: the *claimed* gain, the difference of the very runs that the verdicts rest
on, is too large on average (the winner's curse; published replications of such nights got 73 % of
what was claimed). No correction makes up for runs on which nothing was chosen. So both train anew,
in pairs, with one seed for both of a pair, and the mean of the paired differences is the
*confirmed* gain. It has no such bias, whatever the verdicts were.

Its interval. The pairs' own spread is Student's: s from n - 1 degrees of freedom. Three pairs
leave two degrees, and the interval is then 4.3 standard errors wide on either side. But run-to-run
noise is known from every replicate of the setup, and the difference of two runs varies by
sqrt(2) sigma. So up to `FEW_PAIRS` pairs both are pooled as two samples of one variance are,

    s² = ((n - 1) s_pairs² + v 2 sigma²) / (n - 1 + v),      gain ± t(n - 1 + v) s / sqrt(n)

with v the degrees of freedom of the noise from all runs but the pairs' own; the prior of the noise
has no say in what is confirmed. A seed that moves both runs the same way makes the pairs closer
than that, and the interval wider than need be. With more pairs they speak for themselves.

In words: *confirmed* when the whole interval is a gain; *contradicted* when not, and not even half
of what was claimed lies in it; *not confirmed yet* otherwise, and more pairs will tell.

The horizon. A change that learns faster in five minutes may be worth nothing in thirty: schedules
and step sizes are the first to be so. Pairs of runs at another budget, everything else the same,
are compared among themselves; their noise is another, so the pairs alone speak. Differences become
smaller where the loss is flatter: a share below 100 % is no failure, an interval around zero is.

Sources: Student, "The Probable Error of a Mean", Biometrika 6 (1908); NIST/SEMATECH e-Handbook,
7.3.1 (pooling, pairs); Ioannidis, "Why Most Discovered True Associations Are Inflated",
Epidemiology 19 (2008).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cockpit.core.experiment import Experiment, Run
from cockpit.core.judge import signed
from cockpit.core.noise import Noise, pooled, student_cdf

LEVEL = 0.95
"""Of every interval here."""
FEW_PAIRS = 6
"""Up to so many pairs the setup's noise helps them to their interval."""
SURVIVING = 0.5
"""A claim is contradicted when this share of it is too much."""
FRESH = "confirm"
"""The purpose of runs that confirm, and of those that look further: see `Run.purpose`."""
HORIZON = "horizon"
IDLE = "idle"
"""Why a run is wanted that goes after everything else."""

State = Literal["confirmed", "not confirmed yet", "contradicted"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs with one seed."""

    seed: int
    baseline: float
    """val_bpb."""
    best: float

    @property
    def difference(self) -> float:
        """Return what the best is ahead; negative is better."""
        return self.best - self.baseline


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What pairs of fresh runs say of a gain."""

    experiment: int
    """Of what."""
    baseline: int
    """Against what."""
    pairs: tuple[Pair, ...]
    claimed: float | None
    """The gain that is to be confirmed; negative is better."""
    gain: float | None
    """The mean difference of the pairs."""
    half: float | None
    """Half of its interval; None while nothing is known of the spread."""
    degrees: int
    """Degrees of freedom behind the interval."""
    state: State

    @property
    def share(self) -> float | None:
        """Return how much of the claim is left; None where nothing was claimed."""
        if self.gain is None or self.claimed is None or self.claimed >= 0:
            return None
        return self.gain / self.claimed


@dataclass(frozen=True, slots=True)
class HonestScore:
    """The val_bpb of an experiment as it may be told."""

    mean: float
    """Over all its runs: the one on which it was chosen is among them, and leans low."""
    half: float | None
    """Half of the interval: the setup's noise over the root of the runs."""
    runs: int
    fresh: float | None
    """Mean of the runs that were made when the verdict was there: chosen by nobody."""
    fresh_runs: int


def quantile(probability: float, degrees: int) -> float:
    """Return t with P(T <= t) = `probability` for Student's t distribution, by halving."""
    low, high = -1.0, 1.0
    while student_cdf(high, degrees) < probability:
        high *= 2
    while student_cdf(low, degrees) > probability:
        low *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def half_interval(deviation: float, count: int, degrees: int) -> float:
    """Return half of the interval of a mean over `count` values of standard deviation s."""
    return quantile((1 + LEVEL) / 2, degrees) * deviation / math.sqrt(count)


def pairs_of(
    baseline: Experiment, own: Experiment, purpose: str = FRESH, setup: str | None = None
) -> tuple[Pair, ...]:
    """Return the runs of both that were made with one seed; with `setup` only those within it."""
    first, second = (_by_seed(e.runs, purpose, setup) for e in (baseline, own))
    return tuple(Pair(seed, first[seed], second[seed]) for seed in first if seed in second)


def _by_seed(runs: Iterable[Run], purpose: str, setup: str | None) -> dict[int, float]:
    scores: dict[int, float] = {}
    for run in runs:
        if run.val_bpb is not None and run.purpose == purpose and setup in (None, run.setup):
            scores.setdefault(run.seed, run.val_bpb)
    return scores


def claimed(baseline: Experiment, own: Experiment) -> float | None:
    """Return the gain over the baseline that the verdicts' runs show; negative is better."""
    means = [_mean([s for r in e.scored if r.purpose == "verdict" and (s := r.val_bpb) is not None])
             for e in (baseline, own)]  # fmt: skip
    return means[1] - means[0] if means[0] is not None and means[1] is not None else None


def confirm(baseline: Experiment, own: Experiment, noise: Noise) -> Confirmation:
    """Say what the fresh pairs of an experiment and its tag's baseline tell of its gain."""
    return _judged(baseline, own, pairs_of(baseline, own), claimed(baseline, own), noise)


def at_horizon(
    baseline: Experiment, own: Experiment, setup: str, at_hand: float | None
) -> Confirmation:
    """Say what is left of a gain `at_hand` at another budget, whose setup is `setup`."""
    nothing_known = Noise(None, 0, 0)
    return _judged(baseline, own, pairs_of(baseline, own, HORIZON, setup), at_hand, nothing_known)


def horizons(baseline: Experiment, own: Experiment) -> list[str]:
    """Return the setups of other budgets in which both have a run with a score."""
    setups = [
        {r.setup for r in e.runs if r.purpose == HORIZON and r.val_bpb is not None}
        for e in (baseline, own)
    ]
    return sorted(setups[0] & setups[1])


def _judged(
    baseline: Experiment,
    own: Experiment,
    pairs: tuple[Pair, ...],
    claim: float | None,
    noise: Noise,
) -> Confirmation:
    differences = [pair.difference for pair in pairs]
    gain = _mean(differences)
    deviation, degrees = spread(differences, noise)
    half = None
    if deviation is not None:
        half = half_interval(deviation, len(pairs), degrees)
    state = _state(gain, half, claim)
    return Confirmation(own.id, baseline.id, pairs, claim, gain, half, degrees, state)


def noise_beside(experiments: Iterable[Experiment]) -> Noise:
    """Return the spread of a tag as its replicates alone show it, the pairs' own runs left out."""
    return pooled(
        [s for r in e.scored if r.purpose != FRESH and (s := r.val_bpb) is not None]
        for e in experiments
    )


def spread(differences: Sequence[float], noise: Noise) -> tuple[float | None, int]:
    """Return the standard deviation of paired differences and its degrees of freedom."""
    count, mean = len(differences), _mean(differences)
    if mean is None:
        return None, 0
    squares = sum((one - mean) ** 2 for one in differences)
    degrees = count - 1
    if noise.sigma is not None and count <= FEW_PAIRS:
        known = int(noise.degrees)
        squares += known * 2 * noise.sigma**2
        degrees += known
    return (math.sqrt(squares / degrees), degrees) if degrees > 0 else (None, 0)


def _state(gain: float | None, half: float | None, claim: float | None) -> State:
    if gain is None or half is None:
        return "not confirmed yet"
    if gain + half < 0:
        return "confirmed"
    if gain - half > SURVIVING * min(claim or 0.0, 0.0):
        return "contradicted"
    return "not confirmed yet"


def honest_score(own: Experiment, noise: Noise) -> HonestScore | None:
    """Return the score of an experiment with its interval; None without a score."""
    scores = own.scores
    if not scores:
        return None
    fresh = [s for r in own.scored if r.purpose == FRESH and (s := r.val_bpb) is not None]
    half = None
    if noise.sigma is not None and noise.degrees >= 1:
        half = half_interval(noise.sigma, len(scores), int(noise.degrees))
    return HonestScore(sum(scores) / len(scores), half, len(scores), _mean(fresh), len(fresh))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


# ---- in words ---------------------------------------------------------------------------------


def told(found: Confirmation) -> str:
    """Return in a line what pairs at the setup's own budget say."""
    if found.gain is None:
        return "no pair has been measured yet"
    claim = f" (claimed {signed(found.claimed)})" if found.claimed is not None else ""
    return f"{found.state}: {_figures(found)}{claim}{_part(found, '')}"


def told_horizon(found: Confirmation, budget: str, own_budget: str) -> str:
    """Return in a line what pairs at another budget say; budgets are told as `30 min`."""
    if found.gain is None:
        return f"at {budget}: no pair has been measured yet"
    said = {
        "confirmed": "the gain survives",
        "contradicted": "the gain does not survive",
        "not confirmed yet": "it can't be told yet",
    }[found.state]
    at_hand = f" (at {own_budget} {signed(found.claimed)})" if found.claimed is not None else ""
    return f"at {budget} {said}: {_figures(found)}{at_hand}{_part(found, ' is left')}"


def _figures(found: Confirmation) -> str:
    half = f" ± {found.half:.4f}" if found.half is not None else ""
    count = len(found.pairs)
    return f"{signed(found.gain or 0.0)}{half} over {count} pair{'s'[: count != 1]}"


def _part(found: Confirmation, left: str) -> str:
    """Return the share of the claim; of one that is no gain, or none any more, there is none."""
    share = found.share
    return f": {share:.0%} of it{left}".replace("%", " %") if share and share > 0 else ""


def told_score(score: HonestScore) -> str:
    """Return a score with what may be said of it."""
    half = f" ± {score.half:.4f}" if score.half is not None else ""
    told = f"{score.mean:.4f}{half} (mean of {score.runs} run{'s'[: score.runs != 1]}"
    if score.fresh is not None:
        told += f"; {score.fresh:.4f} over the {score.fresh_runs} made after its verdict"
    return told + ")"


def told_count(count: int) -> str:
    """Return a number of runs in words."""
    return f"{count} run{'s'[: count != 1]}"


def told_budget(seconds: float) -> str:
    """Return a budget as a person says it: `90 s`, `5 min`, `2 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
