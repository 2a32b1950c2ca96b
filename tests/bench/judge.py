"""The keep rule against known truth: what it keeps in error, what it finds, and what that costs.

    python -m tests.bench.judge [--experiments 10000] [--seeds 1] [--json]

Each experiment changes the true val_bpb of its base by a known amount; a run measures it with
normal noise. The judge knows neither the amount nor the noise: it has two runs of the baseline,
a stated prior of the noise, and what it learns on the way. Printed for `strict` (lower is kept)
and `auto`: the share of the kept ones that are no gain, the share of gains of two sigma and more
that are kept, and the runs spent beyond one an experiment. What is left to a person counts as not
kept.

The targets are the first scenario's: at most 5 % false, at least 80 % found, at most 30 % more
runs. The others say how much that depends on what was assumed.
"""

import argparse
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from cockpit.core.beliefs import Belief, assess, of_baseline
from cockpit.core.effects import Effects
from cockpit.core.experiment import Event
from cockpit.core.judge import Base, Policy, judge
from cockpit.core.noise import FLOOR_BPB, Noise, NoisePrior, pooled

SIGMA = 20 * FLOOR_BPB
NIGHT = 100
"""Experiments: the judge begins each night knowing nothing but the prior."""
BIG = 2.0
"""Sigmas: what a night should not miss."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the changes of a lab truly do."""

    name: str
    gains: float = 0.30
    nothing: float = 0.35
    size: Callable[[random.Random], float] = lambda draw: draw.uniform(0.2, 5.0)
    """Of a gain, in sigmas."""
    assumed: float = 1.0
    """The stated prior of the noise over its true value."""


def _log_uniform(draw: random.Random) -> float:
    return math.exp(draw.uniform(math.log(0.2), math.log(5.0)))


SCENARIOS = (
    Scenario("30 % gains of 0.2 to 5 sigma"),
    Scenario("log-uniform gains", size=_log_uniform),
    Scenario("5 % gains", gains=0.05, nothing=0.475),
    Scenario("sigma assumed at half", assumed=0.5),
    Scenario("sigma assumed at double", assumed=2.0),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy made of a scenario; shares of 1."""

    scenario: str
    policy: str
    experiments: int
    kept: int
    false: float
    """Of the kept ones: no gain."""
    found: float
    """Of the gains of `BIG` sigmas and more: kept."""
    more_runs: float
    """Beyond one an experiment, the baseline's two aside."""
    asked: float
    """Of the experiments: left to a person."""
    honest: float | None
    """Sum of the honest gains of the kept ones over that of their true ones; None for no gain."""
    claimed: float | None
    """Sum of their measured gains over the true ones."""


class Lab:
    """A lab of which all is known."""

    def __init__(self, scenario: Scenario, policy: Policy, seed: int) -> None:
        self._draw = random.Random(seed)
        self._scenario, self._policy = scenario, policy
        self._prior = NoisePrior(scenario.assumed * SIGMA)
        self._pooled = Noise(self._prior.sigma, 0, self._prior.degrees)
        """The noise of everything but base and challenger."""
        self._effects = Effects()
        self._truth, self._parent = 0.0, None
        self._base = [self._run(0.0) for _ in range(2)]
        self._challengers = 0

    def be_lucky(self, sigmas: float) -> None:
        """Let the baseline's runs have come out so much better than it is."""
        self._base = [score - sigmas * SIGMA for score in self._base]

    def play(self, experiments: int) -> Outcome:
        """Judge so many experiments, one after the other."""
        kept = false = big = found = asked = runs = 0
        honest = claimed = gained = 0.0
        for _ in range(experiments):
            effect = self._effect()
            truth = self._truth + effect
            scores, spent = [self._run(truth)], 0
            self._challengers += 1
            while True:
                noise, belief = self._noise(scores), self._belief(scores)
                base = Base(0, self._base, belief, self._challengers)
                judged = judge(scores, base, noise, self._effects, policy=self._policy, spent=spent)
                if judged.verdict is not None:
                    break
                spent += 1
                if judged.again == "own":
                    scores.append(self._run(truth))
                else:
                    self._base.append(self._run(self._truth))
            runs += 1 + spent
            big += effect <= -BIG * SIGMA
            asked += judged.verdict.event is Event.ASK
            assessed = assess(belief, scores, noise, self._effects)
            if judged.verdict.event is Event.KEEP:
                kept += 1
                false += effect >= 0
                found += effect <= -BIG * SIGMA
                gained += effect
                honest += assessed.gain
                claimed += sum(scores) / len(scores) - sum(self._base) / len(self._base)
                self._settle(self._base)
                self._parent, self._base, self._truth = belief, scores, truth
                self._challengers = 0
            else:
                self._settle(scores)
            assert noise.sigma is not None
            unit = noise.sigma
            self._effects = self._effects.after(
                assessed.measured / unit, assessed.measured_error / unit
            )
        return Outcome(
            self._scenario.name, str(self._policy), experiments, kept, false / max(1, kept),
            found / max(1, big), runs / experiments - 1, asked / experiments,
            _share(honest, gained), _share(claimed, gained),
        )  # fmt: skip

    def _run(self, truth: float) -> float:
        return self._draw.gauss(truth, SIGMA)

    def _effect(self) -> float:
        kind = self._draw.random()
        if kind < self._scenario.gains:
            return -SIGMA * self._scenario.size(self._draw)
        if kind < self._scenario.gains + self._scenario.nothing:
            return 0.0
        return SIGMA * self._draw.uniform(0.2, 5.0)

    def _belief(self, scores: list[float]) -> Belief:
        if self._parent is None:
            return of_baseline(self._base)
        return assess(self._parent, self._base, self._noise(scores), self._effects).belief

    def _noise(self, scores: list[float]) -> Noise:
        before = self._pooled
        assert before.sigma is not None
        return pooled([scores, self._base], NoisePrior(before.sigma, before.degrees))

    def _settle(self, scores: list[float]) -> None:
        """Enter what has run for the last time into the pooled noise."""
        before = self._pooled
        assert before.sigma is not None
        self._pooled = pooled([scores], NoisePrior(before.sigma, before.degrees))


def _share(of: float, whole: float) -> float | None:
    return of / whole if whole < 0 else None


def main() -> None:
    """Play every scenario under both policies and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=1, help="play each so often")
    parser.add_argument("--nights", type=int, default=100, help="of 100 experiments each")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for scenario in SCENARIOS:
        for policy in (Policy.STRICT, Policy.AUTO):
            for seed in range(1, given.seeds + 1):
                one = Lab(scenario, policy, seed).play(given.experiments)
                print(json.dumps(asdict(one)) if given.json else _told(one), flush=True)
    for policy in (Policy.STRICT, Policy.AUTO):
        nights = [Lab(SCENARIOS[0], policy, seed).play(NIGHT) for seed in range(given.nights)]
        one = _together(nights)
        print(json.dumps(asdict(one)) if given.json else _told(one), flush=True)


def _together(nights: Sequence[Outcome]) -> Outcome:
    """Return nights of one scenario as one; shares of kept ones are weighed by them."""
    kept = sum(one.kept for one in nights)
    count = len(nights)
    return replace(
        nights[0],
        scenario=f"{count} nights of {NIGHT}",
        experiments=count * NIGHT,
        kept=kept,
        false=sum(one.false * one.kept for one in nights) / max(1, kept),
        found=sum(one.found for one in nights) / count,
        more_runs=sum(one.more_runs for one in nights) / count,
        asked=sum(one.asked for one in nights) / count,
        honest=None,
        claimed=None,
    )


def _told(one: Outcome) -> str:
    told = (
        f"{one.scenario:<30} {one.policy:<6} kept {one.kept:>5}, no gain {one.false:6.1%}, "
        f"gains of 2 sigma found {one.found:6.1%}, more runs {one.more_runs:6.1%}, "
        f"asked {one.asked:5.1%}"
    )
    if one.honest is None or one.claimed is None:
        return told
    return f"{told}, of the true gain measured {one.claimed:4.2f}, honest {one.honest:4.2f}"


if __name__ == "__main__":
    main()
