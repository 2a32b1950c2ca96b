"""The rule for stopping early: curves at fixed shares of the budget, and what follows from them."""

import random

import pytest

from cockpit.core.curve import smooth, value_at
from cockpit.core.pruning import (
    DRAWN,
    FRACTIONS,
    HALF_LIFE_SHARE,
    LEAST_RUNS,
    LOOKS,
    PLACES,
    SURE,
    Course,
    Line,
    Rule,
    drawn,
    leads,
    limit_of,
    told,
)

BUDGET = 10.0
SIGMA = 0.002


def followed(points: list[tuple[float, float | None]]) -> Course:
    course = Course(BUDGET)
    for seconds, loss in points:
        course.add(seconds, loss)
    return course


def falling(count: int = 200, end: float = BUDGET) -> list[tuple[float, float | None]]:
    return [(end * n / count, 4.0 - n / count + 0.1 * (n % 3)) for n in range(1, count + 1)]


def test_a_curve_under_way_is_the_smoothed_one_at_the_shares_it_has_reached() -> None:
    points = falling()
    whole = followed(points)
    smoothed = smooth(points, HALF_LIFE_SHARE * BUDGET)
    expected = [points[0][1], *(value_at(smoothed, f * BUDGET) for f in FRACTIONS[1:])]
    assert list(whole.ended()) == pytest.approx(expected)
    half = followed(points[:100])
    assert half.losses == pytest.approx(expected[:21])


def test_a_curve_that_ends_a_little_early_is_whole_and_a_broken_one_is_not() -> None:
    assert None not in followed(falling(end=0.97 * BUDGET)).ended()
    broken = followed(falling(end=0.5 * BUDGET)).ended()
    assert len(broken) == len(FRACTIONS)
    assert broken[PLACES[1]] is not None
    assert broken[PLACES[2]] is None
    assert Course(BUDGET).ended() == (None,) * len(FRACTIONS)


def test_a_loss_that_was_not_finite_is_a_gap_and_no_number() -> None:
    points = falling()
    points[58:62] = [(seconds, None) for seconds, _ in points[58:62]]
    curve = followed(points).ended()
    assert curve[PLACES[0]] is None
    assert curve[PLACES[1]] is not None


def test_a_training_that_begins_anew_begins_a_new_curve() -> None:
    points = falling()
    assert followed(points[:120] + points).ended() == followed(points).ended()


def test_leads_are_known_where_both_curves_are() -> None:
    base = [3.0] * len(FRACTIONS)
    own = [3.0] + [3.5] * PLACES[1]
    assert leads(own, base) == (0.5, 0.5, None)
    assert leads(own, [*base[: PLACES[1]], None]) == (0.5, None, None)


def test_losses_that_begin_elsewhere_are_another_measure_and_are_not_compared() -> None:
    base = [7.62] + [3.0] * (len(FRACTIONS) - 1)
    with_a_second_head = [1.3 * loss for loss in base]
    assert leads(with_a_second_head, base) == (None,) * len(LOOKS)
    assert leads([7.60, *with_a_second_head[1:]], base)[0] == pytest.approx(0.9)
    assert leads([None, *base[1:]], base) == (None,) * len(LOOKS)


def test_a_line_predicts_as_the_textbook_does() -> None:
    line = Line()
    # Anscombe's first set (American Statistician 27, 1973): 3.00 + 0.50 x, s = 1.2366, 9 degrees.
    x = (10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5)
    y = (8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68)
    for pair in zip(x, y, strict=True):
        line.add(*pair)
    assert line.below(9.0, 7.5) is None  # too few
    line.add(9.0, 7.501)  # on the line, so that it stays where it is
    middle, spread = 7.5008, 1.173 * (1 + 1 / 12) ** 0.5
    assert line.below(9.0, middle) == pytest.approx(0.5, abs=1e-3)
    # 97.5 % of Student's t with 10 degrees lie below 2.2281.
    assert line.below(9.0, middle + 2.2281 * spread) == pytest.approx(0.975, abs=1e-3)
    assert line.below(9.0, middle - 2.2281 * spread) == pytest.approx(0.025, abs=1e-3)


def taught(count: int, seed: int = 1) -> Rule:
    draw = random.Random(seed)
    rule = Rule(SIGMA)
    for _ in range(count):
        change = draw.gauss(0.004, 0.006)
        rule.learn([2.5 * change + draw.gauss(0, 0.003) for _ in LOOKS], change)
    return rule


def test_a_rule_says_nothing_before_it_has_seen_enough() -> None:
    limit = limit_of(SIGMA, 2)
    assert taught(LEAST_RUNS - 1).survives(0, 0.05, limit) is None
    assert taught(LEAST_RUNS).survives(0, 0.05, limit) is not None


def test_what_is_far_behind_does_not_survive_and_what_is_near_does() -> None:
    rule, limit = taught(60), limit_of(SIGMA, 2)
    far, near = rule.survives(1, 0.08, limit), rule.survives(1, 0.005, limit)
    assert far is not None
    assert near is not None
    assert far < SURE < near
    assert rule.survives(1, -0.01, limit) is None  # it is ahead
    assert rule.survives(1, None, limit) is None


def test_one_in_ten_is_drawn_and_always_the_same_ones() -> None:
    chosen = [seed for seed in range(0, 20_000, 10) if drawn(seed)]
    assert len(chosen) == pytest.approx(2_000 / DRAWN, rel=0.2)
    assert chosen == [seed for seed in range(0, 20_000, 10) if drawn(seed)]


def test_a_reason_names_share_lead_and_base() -> None:
    assert told(1, 0.0312, 12) == (
        "at 50 % its loss was 0.031 above #12's; P(it is not discarded) < 1 %".replace(" %", "%")
    )
