"""What changes do, learned from results: closed forms against sums, shares found again."""

import math
import random

import pytest

from cockpit.core.effects import GAIN_WIDTHS, HARM_WIDTHS, START, Effects, gain_of


def density(value: float, sigma: float) -> float:
    return math.exp(-0.5 * (value / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


@pytest.mark.parametrize(("change", "error"), [(-1.3, 1.1), (0.0, 0.4), (2.5, 1.2), (-9.0, 0.7)])
def test_each_part_is_what_summing_over_the_effect_gives(change: float, error: float) -> None:
    parts = Effects().parts(change, error, 1.0)
    sides = [(-1, width) for width in GAIN_WIDTHS] + [(1, width) for width in HARM_WIDTHS]
    counts = Effects().counts
    for part, count, (side, width) in zip(parts[1:], counts[1:], sides, strict=True):
        step = 0.001 * min(width, 4.0)
        effects = [side * (n + 0.5) * step for n in range(24_000)]
        weights = [2 * density(d, width) * density(change - d, error) * step for d in effects]
        whole = sum(weights)
        mean = sum(w * d for w, d in zip(weights, effects, strict=True)) / whole
        variance = sum(w * (d - mean) ** 2 for w, d in zip(weights, effects, strict=True)) / whole
        assert part.weight == pytest.approx(whole * count / sum(counts), rel=3e-3)
        assert part.mean == pytest.approx(mean, rel=3e-3, abs=1e-6)
        assert part.variance == pytest.approx(variance, rel=1e-2, abs=1e-7)


@pytest.mark.parametrize("change", [-1e6, -50.0, 0.0, 50.0, 1e6])
def test_no_measurement_is_too_wild(change: float) -> None:
    parts = Effects().parts(change, 0.001, 0.01)
    assert all(math.isfinite(x) for p in parts for x in (p.weight, p.mean, p.variance))
    assert all(part.variance >= 0 for part in parts)
    assert 0 <= gain_of(parts) <= 1


def test_a_large_gain_is_one_and_a_large_loss_is_none() -> None:
    assert gain_of(Effects().parts(-6.0, 1.0, 1.0)) > 0.99
    assert gain_of(Effects().parts(6.0, 1.0, 1.0)) < 0.001


def test_at_the_start_the_shares_are_the_stated_ones() -> None:
    assert Effects().shares == pytest.approx(START)


def test_shares_follow_the_results() -> None:
    draw, told = random.Random(5), Effects()
    for _ in range(800):
        kind = draw.random()
        effect = -draw.uniform(1, 5) if kind < 0.6 else 0.0 if kind < 0.8 else draw.uniform(1, 5)
        told = told.after(effect + draw.gauss(0, 0.5), 0.5)
    nothing, gain, harm = told.shares
    # The start counts on: a fifth of all that is remembered.
    assert gain == pytest.approx(0.8 * 0.6 + 0.2 * START[1], abs=0.08)
    assert harm == pytest.approx(0.8 * 0.2 + 0.2 * START[2], abs=0.08)
    assert nothing == pytest.approx(0.8 * 0.2 + 0.2 * START[0], abs=0.08)


def test_a_run_of_failures_never_rules_a_gain_out() -> None:
    told = Effects()
    for _ in range(2000):
        told = told.after(8.0, 1.0)
    assert told.shares[1] > 0.04
    assert gain_of(told.parts(-8.0, 1.0, 1.0)) > 0.95


def test_what_another_tag_has_learned_can_be_carried_over() -> None:
    told = Effects().after(-4.0, 1.0)
    assert Effects.from_json(list(told.learned)) == told
    assert Effects.from_json([1.0]) == Effects()
    assert Effects.from_json(None) == Effects()
