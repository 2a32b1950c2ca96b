"""The order of the queue: by age, but for what a person has asked for."""

from cockpit.core import queue
from cockpit.core.experiment import Experiment, Status


def waiting(number: int, place: float | None = None) -> Experiment:
    return Experiment(number, "t", 0, "x", "search", Status.QUEUED, 0.0, place=place)


def order(*queued: Experiment) -> list[int]:
    return [e.id for e in queue.in_line(queued)]


def test_the_oldest_is_next() -> None:
    assert order(waiting(7), waiting(3), waiting(5)) == [3, 5, 7]


def test_what_was_ordered_goes_before_all_ideas_and_in_its_own_order() -> None:
    ordered = [waiting(n, queue.ordered(n)) for n in (8, 6)]
    assert order(waiting(3), *ordered, waiting(7)) == [6, 8, 3, 7]


def test_who_is_put_first_or_last_stands_there() -> None:
    line = [waiting(3), waiting(5), waiting(6, queue.ordered(6))]
    assert order(*line, waiting(9, queue.front(line))) == [9, 6, 3, 5]
    assert order(*line, waiting(2, queue.end(line))) == [6, 3, 5, 2]


def test_an_empty_queue_has_a_front_and_an_end() -> None:
    assert queue.front(()) < queue.end(())
