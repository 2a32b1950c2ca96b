"""What stays of runs: compiled kernels, checkpoints that somebody may still ask about, the rest up
to a limit.

An experiment without a verdict, or with one that is a person's to give, may yet be audited; the
baseline, the best and what it descends from may be compared or continued. The others are kept as
long as there is room, the newest verdicts first: accepting one by hand later is then a decision
that can still be looked into.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from cockpit.core.experiment import Experiment, Status
from cockpit.core.tree import lineage
from cockpit.executors.compiled import drop_cache, keep_cache, snapshot_path
from cockpit.lab.lab import Lab
from cockpit.lab.tree import Tree

DEFAULT_LIMIT_GB = 20.0
UNDECIDED = frozenset({Status.QUEUED, Status.RUNNING, Status.BORDERLINE})


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    path: Path
    experiment: int
    bytes_on_disk: int


class Checkpoints:
    """The checkpoints of a lab."""

    def __init__(self, lab: Lab, tree: Tree, limit_bytes: float) -> None:
        self._lab = lab
        self._tree = tree
        self._limit_bytes = limit_bytes

    def decided(self, own: Experiment, *, audited: bool) -> None:
        """Pass on what the runs of a kept experiment have compiled, if its audit has passed.

        What a person has accepted without one is not passed on: nobody has looked into it.
        """
        for run in own.runs:
            directory = self._lab.run_directory(own.id, run.number)
            if own.status is Status.KEPT and audited:
                keep_cache(directory)
            elif own.status not in UNDECIDED:
                drop_cache(directory)

    def tidy(self) -> None:
        """Remove what is over the limit; what is needed stays, however much that is."""
        self._sweep_snapshots()
        needed = self._needed()
        left = self._limit_bytes
        spare = [found for found in self._found() if found.experiment not in needed]
        for checkpoint in sorted(spare, key=self._newest_first):
            left -= checkpoint.bytes_on_disk
            if left < 0:
                checkpoint.path.unlink(missing_ok=True)

    def _sweep_snapshots(self) -> None:
        """Remove what was compiled by runs of decided experiments, and is left all the same."""
        for own in self._tree.experiments.values():
            if own.status in UNDECIDED:
                continue
            for run in own.runs:
                directory = self._lab.run_directory(own.id, run.number)
                if run.state != "running" and snapshot_path(directory).exists():
                    drop_cache(directory)

    def _needed(self) -> set[int]:
        experiments = self._tree.experiments
        needed = {e.id for e in experiments.values() if e.status in UNDECIDED or e.parent is None}
        for tag in {e.tag for e in experiments.values()}:
            if (best := self._tree.best(tag)) is not None:
                needed |= {ancestor.id for ancestor in lineage(experiments, best.id)}
        return needed

    def _newest_first(self, checkpoint: _Checkpoint) -> tuple[float, int]:
        own: Experiment | None = self._tree.experiments.get(checkpoint.experiment)
        decided = (own.decided_at or own.created_at) if own is not None else 0.0
        return -decided, -checkpoint.experiment

    def _found(self) -> list[_Checkpoint]:
        found = []
        for path in self._lab.runs.glob("*/*/checkpoint.pt"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                size = path.lstat().st_blocks * 512  # a training may have left a sparse one
                found.append(_Checkpoint(path, int(path.parts[-3]), size))
        return found
