"""What waits for a person, most valuable first."""

from dataclasses import replace

from cockpit.core.awaiting import awaiting, worth
from cockpit.core.experiment import Experiment, Status


def borderline(
    number: int, probability: float | None = None, gain: float | None = None
) -> Experiment:
    return Experiment(
        number, "t", 0, "idea", "search", Status.BORDERLINE, 0.0,
        probability=probability, gain=gain, gain_error=0.001,
    )  # fmt: skip


def order(*experiments: Experiment, sound: frozenset[int] = frozenset(range(9))) -> list[int]:
    return [e.id for e in awaiting(experiments, sound)]


def test_the_expected_gain_counts_and_not_the_probability_alone() -> None:
    assert order(borderline(1, 0.79, -0.0001), borderline(2, 0.6, -0.004)) == [2, 1]


def test_of_equal_ones_the_oldest_comes_first() -> None:
    assert order(borderline(5, 0.7, -0.001), borderline(3, 0.7, -0.001)) == [3, 5]


def test_without_figures_one_comes_last() -> None:
    assert order(borderline(1), borderline(2, 0.5, -0.001), borderline(3)) == [2, 1, 3]


def test_what_an_ancestor_has_made_unsound_does_not_wait() -> None:
    assert order(borderline(1, 0.7, -0.001), borderline(2), sound=frozenset({2})) == [2]


def test_what_has_another_verdict_does_not_wait() -> None:
    kept = Experiment(4, "t", 0, "idea", "search", Status.KEPT, 0.0)
    assert order(kept, borderline(1)) == [1]


def test_the_measured_change_stands_in_for_an_honest_one() -> None:
    found = awaiting([borderline(1, 0.8, -0.001), borderline(2)], range(9), {2: -0.004})
    assert [e.id for e in found] == [2, 1]
    assert worth(borderline(2), -0.004) == 0.002
    assert worth(borderline(2), 0.004) == 0.0


def test_a_kept_one_that_looks_like_none_by_now_is_a_persons_too() -> None:
    kept = replace(borderline(4, 0.2, 0.002), status=Status.KEPT, decided_by="rule")
    assert order(kept, borderline(5, 0.6, -0.0001)) == [4, 5]
    assert order(replace(kept, probability=0.9)) == []
    assert order(replace(kept, decided_by="ada")) == []
