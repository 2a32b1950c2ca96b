"""The exact bound of a share, against published figures."""

import pytest

from cockpit.core.bound import at_most, upper_bound


@pytest.mark.parametrize(
    ("wrong", "of", "confidence", "bound"),
    [
        # Tables of the two-sided 95 % limits, whose upper one leaves 2.5 % above it.
        (0, 10, 0.975, 0.3085), (1, 10, 0.975, 0.4450), (5, 10, 0.975, 0.8129),
        (2, 20, 0.975, 0.3170), (10, 100, 0.975, 0.1762),
        # 1 - 0.05 ** (1 / n), the rule of three's exact form.
        (0, 59, 0.95, 0.0495), (0, 58, 0.95, 0.0503), (0, 5, 0.95, 0.4507), (1, 10, 0.95, 0.3942),
    ],
)  # fmt: skip
def test_the_bound_agrees_with_the_tables(
    wrong: int, of: int, confidence: float, bound: float
) -> None:
    assert upper_bound(wrong, of, confidence) == pytest.approx(bound, abs=6e-5)


def test_without_anything_to_go_by_nothing_is_ruled_out() -> None:
    assert upper_bound(0, 0) == upper_bound(4, 4) == 1.0
    with pytest.raises(ValueError, match="5 of 4"):
        upper_bound(5, 4)


def test_the_bound_holds_what_it_promises_for_many_tries() -> None:
    assert at_most(3, 2_000, upper_bound(3, 2_000)) == pytest.approx(0.05, abs=1e-9)
    assert at_most(2, 2, 0.3) == pytest.approx(1.0)
