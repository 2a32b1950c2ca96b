"""Curves of loss over time."""

import math

import pytest

from cockpit.core.curve import Point, lead, smooth, thin, value_at


def falling(count: int, offset: float = 0.0) -> list[Point]:
    return [(n * 0.1, offset + 3.0 + math.exp(-n / 50)) for n in range(count)]


def test_few_points_come_back_as_they_are() -> None:
    points = falling(30)
    assert thin(points, 10) == points


def test_thinning_keeps_a_spike_of_one_step() -> None:
    points = falling(5_000)
    points[2_345] = (points[2_345][0], 99.0)
    thinned = thin(points, 100)
    assert len(thinned) <= 300
    assert points[2_345] in thinned
    assert thinned == sorted(thinned)


def test_thinning_keeps_gaps() -> None:
    points = falling(5_000)
    points[1_000:1_400] = [(seconds, None) for seconds, _ in points[1_000:1_400]]
    assert any(loss is None for _, loss in thin(points, 100))


def test_a_curve_is_not_thinned_to_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        thin(falling(10), 0)


def test_value_at_interpolates() -> None:
    assert value_at([(0.0, 4.0), (2.0, 2.0)], 0.5) == 3.5


@pytest.mark.parametrize("seconds", [-1.0, 5.0])
def test_there_is_no_value_outside_the_curve(seconds: float) -> None:
    assert value_at([(0.0, 4.0), (2.0, 2.0)], seconds) is None


def test_there_is_no_value_beside_a_gap() -> None:
    assert value_at([(0.0, 4.0), (1.0, None), (2.0, 2.0)], 1.5) is None


def test_there_is_no_value_in_an_empty_curve() -> None:
    assert value_at([], 0.0) is None


def test_smoothing_starts_at_the_first_point_without_bias() -> None:
    smoothed = smooth([(0.0, 4.0), (1.0, 2.0)], half_life_seconds=1.0)
    assert smoothed[0] == (0.0, 4.0)
    assert smoothed[1][1] == pytest.approx((4.0 * 0.5 + 2.0) / 1.5)


def test_smoothing_leaves_gaps_where_they_are() -> None:
    smoothed = smooth([(0.0, 4.0), (1.0, None), (2.0, 4.0)], 1.0)
    assert [loss for _, loss in smoothed] == [4.0, None, pytest.approx(4.0)]


def test_lead_compares_at_equal_time() -> None:
    found = lead(falling(300, offset=-0.02), falling(600), half_life_seconds=1.0)
    assert found is not None
    seconds, difference = found
    assert seconds == pytest.approx(29.9)
    assert difference == pytest.approx(-0.02)


def test_lead_is_taken_where_the_base_ends() -> None:
    found = lead(falling(600), falling(300), 1.0)
    assert found is not None
    assert found[0] == pytest.approx(29.9)


def test_there_is_no_lead_without_a_base() -> None:
    assert lead(falling(10), [], 1.0) is None
