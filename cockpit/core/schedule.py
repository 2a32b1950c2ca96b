"""Whose turn it is: several proposers interleaved by weights, as in `llm:3,search:1`.

Smooth weighted round robin, told from the counts alone: whoever is furthest behind their share is
next. So it goes on where it was after a restart, and with weights 3 and 1 the order is
llm, llm, search, llm and not three in a row.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

KINDS = ("search", "llm", "command")
"""The proposers there are; each is the module of its name in `proposers/`."""
ABLATE = "ablate"
"""Who leaves kept changes out of a best, when a person asks for it: see `core.ablating`."""
LARGEST_WEIGHT = 100
_PART = re.compile(r"(?P<name>[A-Za-z][\w-]*)(?:\s*:\s*(?P<weight>[-+]?\d+))?")


class ScheduleError(ValueError):
    """A schedule can't be read; the message says what is wrong and how one is written."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Proposers and their weights, in the order in which they were written."""

    weights: tuple[tuple[str, int], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the proposers."""
        return tuple(name for name, _ in self.weights)

    def __str__(self) -> str:
        """Return it as it is written; a single proposer without its weight."""
        if len(self.weights) == 1:
            return self.names[0]
        return ",".join(f"{name}:{weight}" for name, weight in self.weights)


def parse(text: str, known: Collection[str] = KINDS) -> Schedule:
    """Read `llm`, `llm,search` or `llm:3,search:1`; `known` are the proposers there are.

    Raises `ScheduleError` with a line for a person.
    """
    weights: dict[str, int] = {}
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ScheduleError(
                f"{part.strip()[:40]!r} is no part of a schedule: write NAME or NAME:WEIGHT, as "
                "in llm:3,search:1"
            )
        name, weight = found["name"], int(found["weight"] or 1)
        if name not in known:
            raise ScheduleError(f"unknown proposer {name!r}: there are {', '.join(known)}")
        if not 1 <= weight <= LARGEST_WEIGHT:
            raise ScheduleError(
                f"the weight of {name} is {weight}: it must be from 1 to {LARGEST_WEIGHT}"
            )
        if name in weights:
            raise ScheduleError(f"{name} stands twice in the schedule {text!r}: give it one weight")
        weights[name] = weight
    return Schedule(tuple(weights.items()))


def next_of(schedule: Schedule, counts_so_far: Mapping[str, int]) -> str:
    """Return who is next, given how many proposals each has been asked for so far.

    Count those of this schedule, from when it took effect, and by whose turn it was: a proposer
    that was stood in for has had its turn. Of two that are equally far behind the one written
    first is next. Proposers outside of the schedule do not count.
    """
    whole = sum(weight for _, weight in schedule.weights)
    made = sum(counts_so_far.get(name, 0) for name in schedule.names)

    def behind(part: tuple[str, int]) -> Fraction:
        name, weight = part
        return Fraction(weight * (made + 1), whole) - counts_so_far.get(name, 0)

    return max(schedule.weights, key=behind)[0]
