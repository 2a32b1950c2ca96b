"""A run far slower than its twin does not count."""

from cockpit.core.disturbance import disturbed
from cockpit.core.experiment import Run


def run(number: int, tokens: int | None, score: float | None = 1.0) -> Run:
    return Run(
        1, number, 1, "s", 0, "finished", 0.0, val_bpb=score, training_seconds=10.0, tokens=tokens
    )


def test_the_slow_one_of_two_is_named() -> None:
    [(slow, told)] = disturbed([run(1, 100_000), run(2, 60_000)])
    assert slow.number == 2
    assert "40% fewer tokens/s" in told
    assert "1.0000" in told


def test_the_older_one_may_be_the_slow_one() -> None:
    assert [slow.number for slow, _ in disturbed([run(1, 60_000), run(2, 100_000)])] == [1]


def test_small_differences_and_single_runs_are_left_alone() -> None:
    assert disturbed([run(1, 100_000), run(2, 90_000)]) == []
    assert disturbed([run(1, 10)]) == []
    assert disturbed([run(1, 100_000), run(2, None), run(3, 1, None)]) == []
