"""Where to go when a night stagnates: what the next request asks for beyond "a better idea".

A proposer that had no luck for a while tends to try smaller variations of what failed. The night
stagnates when nothing was kept for a number of experiments, or when the last ideas are near
duplicates of each other. Then the request names a direction, another one every time: bolder,
another area, near misses combined, simpler.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.core.areas import AREAS, OTHER, areas_of, words_of
from cockpit.core.briefing import HistoryEntry
from cockpit.core.experiment import Status
from cockpit.core.past import OPEN, changes, near_misses

STREAK = 6
"""Verdicts in a row without a keep: where three ideas in ten are kept, one streak in eight is
bad luck."""
LAST_IDEAS = 8
"""Ideas of models that are compared with each other."""
DUPLICATES = 4
"""So many of them about the same thing are a circle."""
LIKENESS = 0.5
"""Shared words over all words from which two ideas are about the same thing."""
NEAR_MISSES = 4
"""Near misses named, at most."""
UNEXPLORED = 4
"""Areas suggested."""
KINDS = ("another area", "bolder", "combine", "simplify")
"""In the order in which they are asked for."""


@dataclass(frozen=True, slots=True)
class Direction:
    """What the next proposal should be like."""

    kind: str
    """One of `KINDS`."""
    why: str
    """What shows that the night stagnates."""
    text: str
    """What is asked for. Nothing in it was written by a model."""


def direction(history: Sequence[HistoryEntry]) -> Direction | None:
    """Return where to go next, None while the night goes well."""
    ideas = sorted(changes(history), key=lambda e: e.id)
    since = _since_the_last_keep(ideas)
    failures = sum(e.status not in OPEN for e in since)
    if failures >= STREAK:
        # Ideas under way count too: two requests in a row ask for two different things.
        kinds = [kind for kind in KINDS if kind != "combine" or len(near_misses(ideas)) > 1]
        kind = kinds[(len(since) - STREAK) % len(kinds)]
        why = f"none of the last {failures} experiments was kept"
        return Direction(kind, why, _TEXTS[kind](ideas))
    # The classical search moves the same constants by design.
    last = [words_of(e) for e in ideas if e.proposer != "search"][-LAST_IDEAS:]
    alike = max((sum(_alike(one, other) for other in last) for one in last), default=0)
    if alike >= DUPLICATES:
        why = f"{alike} of the last {len(last)} ideas are about the same thing"
        return Direction(KINDS[0], why, _elsewhere(ideas))
    return None


def _since_the_last_keep(ideas: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
    for place in range(len(ideas) - 1, -1, -1):
        if ideas[place].status == Status.KEPT:
            return ideas[place + 1 :]
    return ideas


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= LIKENESS * len(one | other) if one | other else False


def _elsewhere(ideas: Sequence[HistoryEntry]) -> str:
    recent = Counter(areas_of(e)[0] for e in ideas[-LAST_IDEAS:])
    ever = Counter(area for e in ideas for area in areas_of(e))
    seen = ", ".join(f"{area} ({count})" for area, count in recent.most_common())
    least = sorted((area for area in AREAS if area not in recent), key=lambda a: ever[a])
    options = ", ".join(f"{area} ({ever[area] or 'never tried'})" for area in least[:UNEXPLORED])
    seen = seen.replace(OTHER, "other things")
    return (
        f"Go to another area. The last {min(len(ideas), LAST_IDEAS)} ideas were about: {seen}. "
        f"Leave these alone this time. Least tried so far: {options}."
    )


def _bolder(_: Sequence[HistoryEntry]) -> str:
    return (
        "Be bolder. No constant by some per cent, no variation of what has just failed: change a "
        "mechanism (how the model is built, how it is optimized, what a step costs) of which you "
        "expect a gain that one run can show. A failure that teaches something is fine."
    )


def _combined(ideas: Sequence[HistoryEntry]) -> str:
    named = ", ".join(f"#{e.id}" for e in near_misses(ideas)[:NEAR_MISSES])
    return (
        f"Combine near misses: {named}. Each measured better than its base, by less than the "
        "noise can vouch for. Join two or three whose mechanisms don't stand in each other's way "
        "in one change of the present base, so that together they can be seen."
    )


def _simpler(_: Sequence[HistoryEntry]) -> str:
    return (
        "Simplify. Look for something in train.py that costs time or code and may not pay for "
        "itself, and take it out or replace it by less. Faster steps are a gain by themselves: "
        "say what the removal saves."
    )


_TEXTS = {
    "another area": _elsewhere,
    "bolder": _bolder,
    "combine": _combined,
    "simplify": _simpler,
}
