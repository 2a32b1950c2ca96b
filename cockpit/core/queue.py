"""The order in which experiments wait for a slot.

By age, but for what a person has asked for: that has a place of its own. What was ordered goes
before all ideas, in the order in which it was; who is put first or last by hand stands there.
"""

from collections.abc import Iterable

from cockpit.core.experiment import Experiment

AHEAD = 1e9
"""More than any lab has experiments: what was ordered stands before all that was not."""


def place_of(experiment: Experiment) -> tuple[float, int]:
    """Return where an experiment stands in the queue, the lowest first."""
    place = experiment.place
    return (place if place is not None else float(experiment.id), experiment.id)


def in_line(queued: Iterable[Experiment]) -> list[Experiment]:
    """Return what is queued, the next one first."""
    return sorted(queued, key=place_of)


def ordered(number: int) -> float:
    """Return the place of an experiment that a person ordered."""
    return number - AHEAD


def front(queued: Iterable[Experiment]) -> float:
    """Return a place before all that is queued."""
    return min((place_of(e)[0] for e in queued), default=0.0) - 1.0


def end(queued: Iterable[Experiment]) -> float:
    """Return a place behind all that is queued."""
    return max((place_of(e)[0] for e in queued), default=0.0) + 1.0
