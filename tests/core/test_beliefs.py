"""Beliefs against a simulation that knows the truth."""

import random

import pytest

from cockpit.core.beliefs import Belief, assess, of_baseline
from cockpit.core.effects import Effects
from cockpit.core.noise import Noise

SURE = Noise(1.0, 1000, 1000)


def test_a_baseline_is_believed_at_the_mean_of_its_runs() -> None:
    assert of_baseline([2.0, 2.2]) == Belief(2.1, 0.5)


def test_the_honest_gain_is_smaller_than_the_measured_one() -> None:
    found = assess(Belief(10.0, 0.5), [7.5], SURE, Effects())
    assert found.measured == pytest.approx(-2.5)
    assert -2.5 < found.gain < -0.5
    assert found.error > 0


def test_more_runs_make_the_same_gain_surer() -> None:
    base = Belief(10.0, 0.5)
    chances = [assess(base, [7.6] * n, SURE, Effects()).probability for n in (1, 2, 4)]
    assert chances == sorted(chances)
    assert chances[-1] > 0.85 > chances[0]


def test_noise_that_is_hardly_known_convinces_less() -> None:
    base = Belief(10.0, 0.5)
    unsure = assess(base, [7.5], Noise(1.0, 2, 1.5), Effects()).probability
    assert unsure < assess(base, [7.5], SURE, Effects()).probability


def test_a_kept_one_is_believed_between_its_score_and_its_base() -> None:
    found = assess(Belief(10.0, 0.5), [6.0], SURE, Effects())
    assert 6.0 < found.belief.mean < 10.0


def test_beliefs_hold_what_they_promise() -> None:
    """Of what is said to gain with 70 to 90 %, so many do; the honest gain is the true mean."""
    draw, effects = random.Random(7), Effects()
    nothing, gain, _ = effects.shares
    sure = []
    for _ in range(6000):
        base, kind = 10.0 + draw.gauss(0, 0.5**0.5), draw.random()
        width = draw.choice((2.0, 4.0))
        size = abs(draw.gauss(0, width))
        if kind >= nothing + gain:
            size = abs(draw.gauss(0, draw.choice((2.0, 4.0, 8.0, 32.0))))
        effect = 0.0 if kind < nothing else -size if kind < nothing + gain else size
        found = assess(Belief(base, 0.5), [10.0 + effect + draw.gauss(0, 1)], SURE, effects)
        if 0.7 < found.probability < 0.9:
            sure.append((found.probability, effect, found.gain, found.belief.mean - 10 - effect))
    count = len(sure)
    assert count > 100
    expected = sum(chance for chance, *_ in sure) / count
    assert sum(effect < 0 for _, effect, *_ in sure) / count == pytest.approx(expected, abs=0.08)
    true, honest = (sum(one[k] for one in sure) / count for k in (1, 2))
    assert honest == pytest.approx(true, abs=0.25)
    assert sum(one[3] for one in sure) / count == pytest.approx(0.0, abs=0.2)


def test_nothing_is_said_without_a_run_or_an_idea_of_the_noise() -> None:
    with pytest.raises(ValueError, match="noise"):
        assess(Belief(2.0, 1.0), [2.0], Noise(None, 0, 0), Effects())
    with pytest.raises(ValueError, match="run"):
        assess(Belief(2.0, 1.0), [], SURE, Effects())
