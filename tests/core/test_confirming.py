"""What pairs of fresh runs say of a gain."""

import random
import statistics

import pytest

from cockpit.core.confirming import (
    at_horizon,
    claimed,
    confirm,
    honest_score,
    horizons,
    pairs_of,
    quantile,
    told,
    told_budget,
    told_horizon,
    told_score,
)
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.noise import Noise, student_cdf

NOISE = Noise(0.001, 20, 10)
UNKNOWN = Noise(None, 0, 0)


def run(number: int, seed: int, score: float | None, purpose: str, setup: str = "5 min") -> Run:
    state = "finished" if score is not None else "failed"
    return Run(0, number, seed, setup, 0, state, 0.0, val_bpb=score, purpose=purpose)


def experiment(number: int, verdict: list[float], **fresh: list[float | None]) -> Experiment:
    """An experiment with runs of the verdict, and `confirm` and `horizon` runs of seeds 1, 2, …"""
    runs = [run(n, 1000 * number + n, score, "verdict") for n, score in enumerate(verdict, 1)]
    for purpose, scores in fresh.items():
        setup = "30 min" if purpose == "horizon" else "5 min"
        runs += [run(len(runs) + n, n, score, purpose, setup) for n, score in enumerate(scores, 1)]
    return Experiment(
        number, "t", None if number == 0 else 0, "idea", "search", Status.KEPT, 0.0,
        runs=tuple(runs),
    )  # fmt: skip


def test_the_quantiles_are_those_of_the_tables() -> None:
    found = [round(quantile(0.975, degrees), 3) for degrees in (1, 2, 4, 10, 120)]
    assert found == [12.706, 4.303, 2.776, 2.228, 1.98]
    assert student_cdf(quantile(0.1, 3), 3) == pytest.approx(0.1)


def test_pairs_are_runs_of_both_with_one_seed() -> None:
    baseline = experiment(0, [1.0, 1.001], confirm=[1.0, 1.002, None, 1.001])
    best = experiment(3, [0.988], confirm=[0.99, None, 0.991, 0.992])
    found = pairs_of(baseline, best)
    assert [(pair.seed, round(pair.difference, 4)) for pair in found] == [(1, -0.01), (4, -0.009)]


def test_a_gain_that_holds_is_confirmed_with_the_share_of_the_claim() -> None:
    baseline = experiment(0, [1.0, 1.001], confirm=[1.0, 1.002, 1.001])
    best = experiment(3, [0.988, 0.9881], confirm=[0.99, 0.991, 0.9915])
    found = confirm(baseline, best, NOISE)
    assert found.state == "confirmed"
    assert found.gain == pytest.approx(-0.010167, abs=1e-6)
    assert found.claimed == pytest.approx(-0.01245)
    assert told(found) == ("confirmed: −0.0102 ± 0.0017 over 3 pairs (claimed −0.0124): 82 % of it")


def test_what_was_luck_is_contradicted() -> None:
    baseline = experiment(0, [1.0], confirm=[1.0, 1.001, 0.999])
    best = experiment(3, [0.990], confirm=[1.0, 0.9995, 1.0])
    found = confirm(baseline, best, NOISE)
    assert found.state == "contradicted"
    assert told(found) == "contradicted: −0.0002 ± 0.0017 over 3 pairs (claimed −0.0100): 2 % of it"


def test_a_small_gain_is_not_confirmed_yet_by_few_pairs() -> None:
    baseline = experiment(0, [1.0], confirm=[1.0, 1.001])
    best = experiment(3, [0.998], confirm=[0.999, 0.9995])
    assert confirm(baseline, best, NOISE).state == "not confirmed yet"


def test_one_pair_has_an_interval_only_where_the_noise_is_known() -> None:
    baseline, best = experiment(0, [1.0], confirm=[1.0]), experiment(3, [0.98], confirm=[0.98])
    assert confirm(baseline, best, UNKNOWN).half is None
    known = confirm(baseline, best, NOISE)
    assert known.half == pytest.approx(2.228 * 2**0.5 * 0.001, rel=1e-3)
    assert told(confirm(baseline, best, UNKNOWN)) == (
        "not confirmed yet: −0.0200 over 1 pair (claimed −0.0200): 100 % of it"
    )


def test_without_a_pair_nothing_is_said_of_the_gain() -> None:
    found = confirm(experiment(0, [1.0]), experiment(3, [0.98]), NOISE)
    assert (found.gain, found.state) == (None, "not confirmed yet")
    assert told(found) == "no pair has been measured yet"


def test_a_loss_has_no_share() -> None:
    found = confirm(
        experiment(0, [1.0], confirm=[1.0, 1.0]), experiment(3, [0.99], confirm=[1.01, 1.01]), NOISE
    )
    assert found.state == "contradicted"
    assert told(found).endswith("(claimed −0.0100)")


@pytest.mark.parametrize("count", [1, 3, 6, 8])
def test_intervals_hold_the_true_gain_as_often_as_they_say(count: int) -> None:
    draw = random.Random(count)
    inside = 0
    for _ in range(1500):
        noise = statistics.stdev(draw.gauss(0, 1) for _ in range(9))
        baseline = experiment(0, [0.0], confirm=[draw.gauss(0, 1) for _ in range(count)])
        best = experiment(1, [0.0], confirm=[draw.gauss(-2, 1) for _ in range(count)])
        found = confirm(baseline, best, Noise(noise, 9, 8))
        assert found.gain is not None
        assert found.half is not None
        inside += abs(found.gain + 2) < found.half
    assert inside / 1500 == pytest.approx(0.95, abs=0.02)


def test_the_claim_is_that_of_the_verdicts_runs_alone() -> None:
    baseline = experiment(0, [1.0], confirm=[2.0], horizon=[0.5])
    best = experiment(3, [0.9], confirm=[1.9], horizon=[0.4])
    assert claimed(baseline, best) == pytest.approx(-0.1)


def test_another_budget_is_compared_with_itself_and_by_the_pairs_alone() -> None:
    baseline = experiment(0, [1.0], horizon=[0.9, 0.901, 0.9005])
    best = experiment(3, [0.99], horizon=[0.895, 0.8955, 0.8953])
    assert horizons(baseline, best) == ["30 min"]
    found = at_horizon(baseline, best, "30 min", -0.01)
    assert found.degrees == 2
    assert told_horizon(found, told_budget(1800), told_budget(300)) == (
        "at 30 min the gain survives: −0.0052 ± 0.0006 over 3 pairs (at 5 min −0.0100): "
        "52 % of it is left"
    )
    gone = at_horizon(baseline, experiment(3, [0.99], horizon=[0.9, 0.9011, 0.9005]), "30 min", -1)
    assert "does not survive" in told_horizon(gone, "30 min", "5 min")


def test_the_best_is_told_with_an_interval_and_with_what_nobody_chose() -> None:
    score = honest_score(
        experiment(3, [0.988, 0.989], confirm=[0.990, 0.991], horizon=[0.8]), NOISE
    )
    assert score is not None
    assert score.runs == 4
    assert told_score(score) == (
        "0.9895 ± 0.0011 (mean of 4 runs; 0.9905 over the 2 made after its verdict)"
    )
    alone = honest_score(experiment(3, [0.988]), UNKNOWN)
    assert alone is not None
    assert told_score(alone) == "0.9880 (mean of 1 run)"
    assert honest_score(experiment(3, []), NOISE) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (90, "90 s"), (300, "5 min"), (7200, "2 h"), (2.5, "2.5 s")]
)
def test_a_budget_is_told_as_a_person_says_it(seconds: float, words: str) -> None:
    assert told_budget(seconds) == words
