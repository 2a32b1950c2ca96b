"""Strips of text from numbers."""

import pytest

from cockpit.core.curve import Point
from cockpit.ui.charts import Scale, bar, braille, loss_scale, sparkline


def rows(curves: list[list[Point]], width: int = 10, height: int = 3) -> list[str]:
    drawn = braille(curves, width, height, (0.0, 10.0), Scale(0.0, 1.0))
    return ["".join(text for text, _ in row) for row in drawn]


def test_every_row_fills_the_width() -> None:
    assert [len(row) for row in rows([[(0.0, 0.5), (10.0, 0.2)]])] == [10, 10, 10]


def test_a_falling_curve_begins_on_top_and_ends_below() -> None:
    drawn = rows([[(0.0, 1.0), (10.0, 0.0)]])
    assert drawn[0][0] != " "
    assert drawn[-1][-1] != " "
    assert drawn[0][-1] == drawn[-1][0] == " "


def test_a_spike_within_one_column_reaches_the_top() -> None:
    flat: list[Point] = [(n / 100, 0.0) for n in range(1_000)]
    flat[500] = (5.0, 1.0)
    assert any(character != " " for character in rows([flat])[0])


def test_a_gap_stays_empty() -> None:
    drawn = rows([[(0.0, 0.5), (3.0, 0.5), (4.0, None), (7.0, 0.5), (10.0, 0.5)]])
    middle = drawn[1]
    assert middle[0] != " "
    assert middle[4:6] == "  "
    assert middle[-1] != " "


def test_the_first_curve_lies_on_top() -> None:
    line: list[Point] = [(0.0, 0.5), (10.0, 0.5)]
    (runs,) = braille([line, line], 10, 1, (0.0, 10.0), Scale(0.0, 1.0))
    assert {owner for _, owner in runs} == {0}


def test_the_base_is_dotted_so_that_it_differs_without_colour() -> None:
    line: list[Point] = [(0.0, 0.5), (10.0, 0.5)]
    assert rows([line]) != rows([[], line])


def test_what_is_out_of_range_is_drawn_at_the_edge() -> None:
    assert rows([[(0.0, 99.0), (10.0, -99.0)]])[0][0] != " "


def test_the_first_fall_does_not_flatten_the_rest() -> None:
    curve: list[Point] = [(0.0, 90.0), *((n * 0.1, 3.0) for n in range(1, 200))]
    scale = loss_scale([curve])
    assert scale is not None
    assert scale.high < 10


def test_nothing_finite_has_no_scale() -> None:
    assert loss_scale([[(0.0, None)], []]) is None


@pytest.mark.parametrize("share", [-1.0, 0.0, 0.33, 1.0, 7.0])
def test_a_bar_has_its_width(share: float) -> None:
    full, empty = bar(share, 12)
    assert len(full + empty) == 12


def test_a_sparkline_shows_gaps() -> None:
    assert sparkline([1.0, None, 3.0], 5) == "▁ █"
