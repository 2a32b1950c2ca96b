"""What a history tells, before it is put into words: which gains hold, which nearly did.

The figures behind prompt, findings and direction. They work on the entries of a briefing, so
that the engine, a proposer's process and a test see the same past.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.core.briefing import HistoryEntry
from cockpit.core.experiment import Status
from cockpit.core.judge import signed
from cockpit.core.noise import Noise
from cockpit.core.pruning import PRUNED

OPEN = (Status.QUEUED, Status.RUNNING)
FAILED = (Status.CRASHED, Status.INVALID)
NEAR_FROM = 0.25
"""Probability of being better from which a discarded experiment counts as a near miss: of
changes that do nothing, three in ten come as far with one run, of gains of one sigma six."""
RULED = "P(better)"
"""Stands in a reason that is the rule's own: it repeats the figures."""


@dataclass(frozen=True, slots=True)
class Past:
    """The experiments of a tag by id, oldest first."""

    entries: Mapping[int, HistoryEntry]
    noise: Noise

    @classmethod
    def of(cls, history: Iterable[HistoryEntry], noise: Noise) -> "Past":
        """Return the past of a history in any order."""
        return cls({e.id: e for e in sorted(history, key=lambda e: e.id)}, noise)

    def line(self, base: int) -> frozenset[int]:
        """Return the ids of an experiment and its ancestors."""
        found: set[int] = set()
        current: int | None = base
        while current is not None and current not in found:
            found.add(current)
            entry = self.entries.get(current)
            current = entry.parent if entry else None
        return frozenset(found)

    def sound(self) -> frozenset[int]:
        """Return the ids of those whose ancestors are all kept: see `core.tree.sound_ids`."""
        found: set[int] = set()
        for e in self.entries.values():
            parent = self.entries.get(e.parent) if e.parent is not None else None
            if parent is None or (parent.id in found and parent.status == Status.KEPT):
                found.add(e.id)
        return frozenset(found)

    def error(self, entry: HistoryEntry) -> float | None:
        """Return the standard error of an experiment's delta, None where it is not known."""
        parent = self.entries.get(entry.parent) if entry.parent is not None else None
        if self.noise.sigma is None or parent is None or not parent.runs or not entry.runs:
            return None
        return self.noise.sigma * float((1 / parent.runs + 1 / entry.runs) ** 0.5)

    def gain(self, entry: HistoryEntry) -> str:
        """Return a delta with its noise, as in `−0.0031 ±0.0008`; empty where there is none."""
        if entry.delta is None:
            return ""
        error = self.error(entry)
        return signed(entry.delta) + (f" ±{error:.4f}" if error is not None else "")


def changes(history: Iterable[HistoryEntry]) -> list[HistoryEntry]:
    """Return the experiments that changed something: all but baselines."""
    return [e for e in history if e.parent is not None]


def judged(history: Iterable[HistoryEntry]) -> list[HistoryEntry]:
    """Return those of them that have a verdict."""
    return [e for e in changes(history) if e.status not in OPEN]


def is_near(entry: HistoryEntry) -> bool:
    """Tell whether an experiment looked better than its parent, and not surely enough."""
    if entry.status == Status.BORDERLINE:
        return True
    if entry.status != Status.DISCARDED or entry.delta is None or entry.delta >= 0:
        return False
    return entry.probability is None or entry.probability >= NEAR_FROM


def near_misses(history: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """Return the near misses, the likeliest first, of like ones the newest."""
    near = [e for e in changes(history) if is_near(e)]
    return sorted(near, key=lambda e: (-round(e.probability or 0.0, 1), -e.id))


def own_reason(entry: HistoryEntry) -> str:
    """Return the reason of a verdict where it says more than the figures do."""
    if not entry.reason or RULED in entry.reason:
        return ""
    return entry.reason.removeprefix(PRUNED)


def outcome(entry: HistoryEntry) -> str:
    """Return what became of an experiment, in a word: its status, or that it was stopped early."""
    pruned = entry.val_bpb is None and (entry.reason or "").startswith(PRUNED)
    return PRUNED.partition(":")[0] if pruned else str(entry.status)
