"""The figures of the progress picture."""

from dataclasses import replace

from cockpit.core.experiment import Status
from cockpit.core.noise import Noise
from cockpit.core.progress import progress
from tests.core.tags import Row, tag

K, D, C = Status.KEPT, Status.DISCARDED, Status.CRASHED
NOISE = Noise(0.001, 4, 2)
ROWS: list[Row] = [
    (4, None, "baseline", K, (1.0,)),
    (5, 4, "a", D, (1.004,)),
    (7, 4, "b", K, (0.98,)),
    (8, 7, "c", C, ()),
    (9, 7, "d", Status.RUNNING, ()),
    (10, 7, "e", K, (0.97,)),
]


def test_every_verdict_is_a_point_in_its_order() -> None:
    found = progress(tag(ROWS), NOISE, 10)
    assert [point.id for point in found.points] == [4, 5, 7, 8, 10]
    assert [point.place for point in found.points] == [0, 1, 2, 3, 4]
    assert found.points[3].val_bpb is None


def test_the_running_best_only_falls() -> None:
    assert progress(tag(ROWS), NOISE, 10).steps == ((0, 1.0), (2, 0.98), (4, 0.97))


def test_what_does_not_stand_is_no_step() -> None:
    own = tag(ROWS)
    own[7] = replace(own[7], status=D)
    assert progress(own, NOISE, 4).steps == ((0, 1.0),)


def test_an_outlier_does_not_widen_the_window() -> None:
    wild: list[Row] = [(11, 10, "wild", D, (7.3,)), (12, 10, "cheat", Status.INVALID, (0.01,))]
    for rows in (ROWS, [*ROWS, *wild]):
        found = progress(tag(rows), NOISE, 10)
        assert 0.95 < found.low < 0.97
        assert 1.0 < found.high < 1.02


def test_without_progress_the_window_still_shows_the_noise() -> None:
    found = progress(tag(ROWS[:2]), NOISE, 4)
    assert found.high - found.low >= 6 * 0.001
    assert found.low < 1.0 < found.high


def test_an_empty_tag_has_a_window_too() -> None:
    found = progress({}, Noise(None, 0, 0), None)
    assert (found.points, found.steps, found.low, found.high) == ((), (), 0.0, 1.0)
