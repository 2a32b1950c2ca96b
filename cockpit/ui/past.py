"""Pure: a night that is over, condensed into what the journal knows of it.

The conversation of the present night stands in full. Of the nights before it nobody reads
every line again: what counts is what came of them, and what a person said.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.core.experiment import Experiment, Hint, Status
from cockpit.core.tree import delta
from cockpit.lab.looking import Exchange
from cockpit.lab.rows import Night
from cockpit.ui.tally import ideas_by_status, with_verdict

SETTLING_SECONDS = 2.0
"""What is said so soon after a night's end is about that night."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An idea that was kept."""

    id: int
    title: str
    gain: float | None
    """The honest change of val_bpb against its base, else the measured one."""
    error: float | None = None
    """Standard deviation of the honest one."""


@dataclass(frozen=True, slots=True)
class PastNight:
    """What became of a night."""

    id: int
    tag: str
    started_at: float
    ended_at: float | None
    reason: str | None
    ideas: int
    counts: tuple[tuple[Status, int], ...]
    kept: tuple[Kept, ...]
    """Oldest first."""
    crashed: tuple[int, ...]
    best: float | None
    """The lowest val_bpb among those kept."""
    hints: tuple[Hint, ...]
    exchanges: tuple[tuple[str, str], ...]
    """What a person asked, and the answer; empty where there was none."""
    dollars: float | None
    """None where no model was called."""


def talk_begins(nights: Sequence[Night], place: int) -> float:
    """Return from when on what is said belongs to a night: since the one before it was over."""
    if place <= 0:
        return 0.0
    ended, started = nights[place - 1].ended_at, nights[place].started_at
    return started if ended is None else min(ended + SETTLING_SECONDS, started)


def past_nights(
    nights: Sequence[Night],
    experiments: Mapping[int, Experiment],
    hints: Iterable[Hint],
    exchanges: Iterable[Exchange],
    costs: Mapping[int, float],
) -> tuple[PastNight, ...]:
    """Return what became of all nights but the last.

    `costs` are dollars by the number of a night with calls.
    """
    begun = [night.started_at for night in nights]
    ideas: dict[int, list[Experiment]] = {}
    for own in experiments.values():
        if own.parent is not None:
            place = bisect_right(begun, own.claimed_at or own.created_at) - 1
            ideas.setdefault(place, []).append(own)
    talks = [talk_begins(nights, place) for place in range(len(nights))]
    hinted: dict[int, list[Hint]] = {}
    for hint in hints:
        hinted.setdefault(bisect_right(talks, hint.at) - 1, []).append(hint)
    asked: dict[int, list[tuple[str, str]]] = {}
    for one in exchanges:
        place = bisect_right(talks, one.question.at) - 1
        answer = one.answer.text if one.answer else ""
        asked.setdefault(place, []).append((one.question.text, answer))
    return tuple(
        _past(
            night,
            experiments,
            ideas.get(place, []),
            tuple(hinted.get(place, ())),
            tuple(asked.get(place, ())),
            costs.get(night.id),
        )
        for place, night in enumerate(nights[:-1])
    )


def _past(
    night: Night,
    experiments: Mapping[int, Experiment],
    own: Sequence[Experiment],
    hints: tuple[Hint, ...],
    exchanges: tuple[tuple[str, str], ...],
    cost: float | None,
) -> PastNight:
    counts = ideas_by_status(own)
    kept = [e for e in own if e.status is Status.KEPT]
    return PastNight(
        id=night.id,
        tag=night.tag,
        started_at=night.started_at,
        ended_at=night.ended_at,
        reason=night.reason,
        ideas=with_verdict(counts),
        counts=tuple((status, counts[status]) for status in Status if counts[status]),
        kept=tuple(_kept(experiments, e) for e in kept),
        crashed=tuple(e.id for e in own if e.status is Status.CRASHED),
        best=min((e.val_bpb for e in kept if e.val_bpb is not None), default=None),
        hints=hints,
        exchanges=exchanges,
        dollars=cost,
    )


def _kept(experiments: Mapping[int, Experiment], own: Experiment) -> Kept:
    gain = own.gain if own.gain is not None else delta(experiments, own)
    return Kept(own.id, own.title, gain, own.gain_error)
