"""Pure: how many ideas there are, counted one way for the header, the titles and the panes.

An idea is an experiment with a verdict; the baseline is what ideas are measured against and
never one of them.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cockpit.core.experiment import VERDICTS, Experiment, Status
from cockpit.lab.rows import Night


@dataclass(frozen=True, slots=True)
class TagSummary:
    """Another tag of the lab, in one line."""

    tag: str
    ideas: int
    kept: int
    best: float | None
    """val_bpb of its best, the baseline included."""


def ideas_by_status(experiments: Iterable[Experiment]) -> Counter[Status]:
    """Return how many experiments there are of each status, baselines not counted."""
    return Counter(e.status for e in experiments if e.parent is not None)


def with_verdict(counts: Counter[Status]) -> int:
    """Return how many of them are ideas by now."""
    return sum(counts[status] for status in VERDICTS)


def done_tonight(night: Night | None, experiments: Iterable[Experiment]) -> int:
    """Return how many experiments of a night with a limit count as done, the limit at most.

    Those that it claimed, less those that still run or went back to the queue.
    """
    limit = limit_of(night)
    if night is None or limit is None:
        return 0
    unfinished = sum(
        e.parent is not None
        and e.status in {Status.QUEUED, Status.RUNNING}
        and (e.claimed_at or 0.0) >= night.started_at
        for e in experiments
    )
    return max(0, min(limit, night.claimed - unfinished))


def limit_of(night: Night | None) -> int | None:
    """Return how many experiments a night may claim, or None where there is no limit."""
    limit = night.options.get("max_experiments") if night else None
    return limit if isinstance(limit, int) and not isinstance(limit, bool) else None


def other_tags(
    experiments: Iterable[Experiment], present: str, sound: Collection[int]
) -> tuple[TagSummary, ...]:
    """Return the tags but the present one, the newest first."""
    groups: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        if experiment.tag != present:
            groups.setdefault(experiment.tag, []).append(experiment)
    summaries = []
    for tag, own in reversed(groups.items()):
        counts = ideas_by_status(own)
        scores = [
            e.val_bpb
            for e in own
            if e.status is Status.KEPT and e.id in sound and e.val_bpb is not None
        ]
        kept = counts[Status.KEPT]
        summaries.append(TagSummary(tag, with_verdict(counts), kept, min(scores, default=None)))
    return tuple(summaries)
