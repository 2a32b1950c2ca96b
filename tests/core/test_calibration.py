"""How good predictions were."""

from dataclasses import replace

import pytest

from cockpit.core.briefing import HistoryEntry
from cockpit.core.calibration import calibration, told
from tests.core.labs import entries_of


def predicted(*pairs: tuple[float, float | None]) -> list[HistoryEntry]:
    statuses = ["crashed" if delta is None else "discarded" for _, delta in pairs]
    first, *entries = entries_of(*statuses)
    return [first, *(replace(e, predicted=expected, delta=delta)
                     for e, (expected, delta) in zip(entries, pairs, strict=True))]  # fmt: skip


def test_predictions_are_held_against_what_came() -> None:
    found = calibration(predicted((-0.01, -0.002), (-0.02, 0.004), (-0.01, None)), "llm")
    assert found is not None
    assert (found.count, found.right_sign, found.unmeasured) == (2, 1, 1)
    assert found.predicted == pytest.approx(-0.015)
    assert found.measured == pytest.approx(0.001)
    assert found.error == pytest.approx(0.016)


def test_a_proposer_is_told_of_its_own_predictions_alone() -> None:
    assert calibration(predicted((-0.01, -0.002)), "command") is None
    assert calibration(predicted((-0.01, None)), "llm") is None


@pytest.mark.parametrize(
    ("measured", "advice"),
    [(0.004, "made it worse"), (-0.001, "You got 10% of what you expected"),
     (-0.009, "About right"), (-0.03, "You expect too little")],
)  # fmt: skip
def test_the_line_says_what_to_make_of_it(measured: float, advice: str) -> None:
    found = calibration(predicted((-0.01, measured)), "llm")
    assert found is not None
    assert advice in told(found)
    assert "#1 −0.0100 → " in told(found)
