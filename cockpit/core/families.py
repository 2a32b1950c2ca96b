"""Families of changes: what an area of research has brought so far, and whether it still does.

A change counts once, in the most telling of its areas. Whether an area dries up is asked of what
was measured in it, in the order it was tried: the mean gain of the first half beside that of the
second. Both are means of few noisy figures, so the difference is held against its own error, and
nothing is said where it is smaller than twice that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cockpit.core.applying import changed_constants
from cockpit.core.areas import areas_of
from cockpit.core.briefing import HistoryEntry
from cockpit.core.edits import diff_lines
from cockpit.core.experiment import VERDICTS, Experiment, Proposal, Status
from cockpit.core.tree import delta, sound_ids

LEAST_HALF = 3
"""Measured changes in each half before the halves are compared at all."""
TELLING = 2.0
"""Standard errors from which a difference between the halves is spoken of."""


@dataclass(frozen=True, slots=True)
class Half:
    """The gains of one half of what was tried."""

    count: int
    mean: float
    """Mean change of val_bpb; negative is better."""
    error: float
    """Standard error of that mean, from the spread of the changes themselves."""


@dataclass(frozen=True, slots=True)
class Family:
    """What one area has brought."""

    name: str
    tried: int
    """With a verdict."""
    kept: int
    failed: int
    """Crashed or invalid."""
    measured: int
    honest: int
    """Measured ones that the rule has an honest gain of; of the others it is the measured one."""
    gain: float
    """Sum of the gains of what is kept and sound; negative is better."""
    best: int | None
    """The kept one with the largest gain."""
    first: Half | None = None
    """The first half of what was measured, None where there is too little to compare."""
    second: Half | None = None

    @property
    def success(self) -> float:
        """Return the share of the tried ones that is kept."""
        return self.kept / self.tried if self.tried else 0.0

    @property
    def trend(self) -> str:
        """Return `fading`, `rising` or `level` (as far as the noise lets see), empty if unknown."""
        if self.first is None or self.second is None:
            return ""
        error = (self.first.error**2 + self.second.error**2) ** 0.5
        change = self.second.mean - self.first.mean
        if abs(change) <= TELLING * error:
            return "level"
        return "fading" if change > 0 else "rising"


def gain_of(experiments: Mapping[int, Experiment], own: Experiment) -> float | None:
    """Return the honest change of val_bpb where the rule has one, else the measured one."""
    return own.gain if own.gain is not None else delta(experiments, own)


def area_of(own: Experiment, proposal: Proposal | None) -> str:
    """Return the most telling area of a change; without its proposal the title decides."""
    edits = proposal.edits if proposal else None
    entry = HistoryEntry(
        id=own.id,
        parent=own.parent,
        status=own.status,
        val_bpb=None,
        constants=changed_constants(proposal) if proposal else None,
        title=own.title,
        reason=None,
        diff=tuple(diff_lines(edits)) if edits else (),
    )
    return areas_of(entry)[0]


def families(
    experiments: Mapping[int, Experiment], proposals: Mapping[int, Proposal]
) -> tuple[Family, ...]:
    """Return the areas in which something has a verdict, most gain first."""
    sound = sound_ids(experiments)
    members: dict[str, list[Experiment]] = {}
    for number in sorted(experiments):
        own = experiments[number]
        if own.parent is not None and own.status in VERDICTS:
            members.setdefault(area_of(own, proposals.get(number)), []).append(own)
    found = (_family(name, own, experiments, sound) for name, own in members.items())
    return tuple(sorted(found, key=lambda f: (f.gain, -f.tried, f.name)))


def _family(
    name: str, own: list[Experiment], experiments: Mapping[int, Experiment], sound: set[int]
) -> Family:
    gains = {e.id: gain for e in own if (gain := gain_of(experiments, e)) is not None}
    kept = [e for e in own if e.status is Status.KEPT]
    won = {e.id: gains[e.id] for e in kept if e.id in gains and e.id in sound}
    measured = list(gains.values())
    middle = (len(measured) + 1) // 2
    return Family(
        name=name,
        tried=len(own),
        kept=len(kept),
        failed=sum(e.status in (Status.CRASHED, Status.INVALID) for e in own),
        measured=len(measured),
        honest=sum(e.gain is not None for e in own if e.id in gains),
        gain=sum(won.values()),
        best=min(won, key=lambda number: (won[number], number)) if won else None,
        first=_half(measured[:middle]) if len(measured) >= 2 * LEAST_HALF else None,
        second=_half(measured[middle:]) if len(measured) >= 2 * LEAST_HALF else None,
    )


def _half(gains: Iterable[float]) -> Half:
    values = list(gains)
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    return Half(len(values), mean, (squares / (len(values) - 1) / len(values)) ** 0.5)
