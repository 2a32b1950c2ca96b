"""The summary of the training dynamics."""

import math
import random

from dynamics import Point, find_spikes, summary


def course(steps: int = 400, noise: float = 0.05, seed: int = 0) -> list[Point]:
    """A loss that falls as losses do, with noise."""
    chance = random.Random(seed)
    return [
        Point(
            step / steps, 3 + 4 * math.exp(-step / 60) + chance.gauss(0, noise), 1.0 + step % 10,
            1000 * (step + 1), 0.1 * (step + 1),
        )
        for step in range(steps)
    ]  # fmt: skip


def test_noise_is_no_spike() -> None:
    assert all(find_spikes(course(seed=seed)) == [] for seed in range(20))


def test_spikes_are_found_with_their_place_and_height() -> None:
    points = course()
    for step in (150, 300):
        old = points[step]
        points[step] = Point(old.progress, old.loss + 1.5, old.grad_norm, old.tokens, old.seconds)
    spikes = find_spikes(points)
    assert [spike["progress"] for spike in spikes] == [0.375, 0.75]
    assert all(0.8 < spike["rise"] < 1.8 for spike in spikes)


def test_every_figure_is_there() -> None:
    points = course()
    points[7] = Point(points[7].progress, None, None, points[7].tokens, points[7].seconds)
    told = summary(points)
    assert len(told["loss_tenths"]) == 10
    assert told["loss_tenths"][0] > told["loss_tenths"][-1]
    dynamics = told["dynamics"]
    assert dynamics["grad_norm"] == {"median": 5.0, "p90": 10.0, "maximum": 10.0}
    assert abs(dynamics["tokens_per_second"]["median"] - 10_000) < 1e-3
    assert dynamics["not_finite"] == 1


def test_a_run_without_steps_has_a_summary_too() -> None:
    told = summary([])
    assert told["loss_tenths"] == [None] * 10
    assert told["dynamics"]["grad_norm"] is None
    assert told["dynamics"]["tokens_per_second"] is None
