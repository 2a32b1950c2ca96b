"""Stops runs early that would almost surely be discarded, once the lab has shown that this holds.

The rule is `core.pruning`, its licence `core.hindsight`. Here a run under way is looked at when it
reaches one of a few fixed shares of its budget, and a scored run's curve is kept for the ones after
it. Nothing of that is on the way from one run to the next: curves are written, and those that an
engine before this one did not come to write are read, while a run is under way.
"""

from dataclasses import dataclass, replace

from cockpit.core.experiment import Run, Status
from cockpit.core.hindsight import (
    base_run,
    hindsight,
    limit_against,
    proof,
    prunable,
    taught,
)
from cockpit.core.pruning import PLACES, SURE, Rule, drawn, leads, told
from cockpit.engine.decisions import DecisionError, UnknownExperimentError
from cockpit.engine.running import Slot
from cockpit.lab.lab import Lab
from cockpit.lab.pruning import known_cases, read_course
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal


@dataclass(slots=True)
class _Watch:
    """What is known of a run when its first look is due."""

    base: int
    base_curve: tuple[float | None, ...]
    limit: float
    rule: Rule
    on: bool
    looked: int = 0
    """Looks that are done."""


class Pruning:
    """The early stopping of one night."""

    def __init__(
        self,
        lab: Lab,
        journal: EngineJournal,
        tree: Tree,
        slots: list[Slot],
        tag: str,
        *,
        wanted: bool = True,
    ) -> None:
        """`wanted` is the setting `prune`."""
        self._lab = lab
        self._journal = journal
        self._tree = tree
        self._slots = slots
        self._tag = tag
        self._wanted = wanted
        self._watched: dict[tuple[int, int], _Watch | None] = {}
        self._ended: list[tuple[Run, tuple[float | None, ...]]] = []
        self._curves = dict(journal.curves(tag))
        self._missing = self._without_curve()

    # ---- stopping --------------------------------------------------------------------------

    def look(self) -> None:
        """Stop what has reached a look and is hopeless there."""
        for slot in self._slots:
            run, course = slot.run, slot.course
            if run is None or course is None or len(course.losses) <= PLACES[0]:
                continue
            if slot.stopped_because is None and slot.phase == "training":
                self._look(slot, run, course.losses)

    def _look(self, slot: Slot, run: Run, losses: list[float | None]) -> None:
        key = (run.experiment, run.number)
        if key not in self._watched:
            self._watched = {key: self._watch(run)} | {
                k: w for k, w in self._watched.items() if k in self._under_way()
            }
        watch = self._watched[key]
        if watch is None:
            return
        while watch.looked < len(PLACES) and PLACES[watch.looked] < len(losses):
            look = watch.looked
            watch.looked += 1
            lead = leads(losses, watch.base_curve)[look]
            chance = watch.rule.survives(look, lead, watch.limit)
            if lead is None or chance is None or chance >= SURE:
                continue
            watch.looked = len(PLACES)
            if not watch.on:
                return
            if drawn(run.seed):
                self._spare(slot, run, "drawn")
            else:
                slot.stop(told(look, lead, watch.base), "pruned")

    def _watch(self, run: Run) -> _Watch | None:
        """Return what a run is held against; None where it is not to be stopped."""
        own = self._tree.experiments[run.experiment]
        base = self._tree.experiments.get(own.parent) if own.parent is not None else None
        if not self._wanted or base is None or run.purpose != "verdict" or run.spared:
            return None
        again = own.scores or any(other.state == "pruned" for other in own.runs)
        if own.status is not Status.RUNNING or again:
            return None  # a person has asked for it, or it is a replicate: its number is wanted
        if not prunable(own, self._journal.ordered(self._tag)):
            return None
        known, sigma = known_cases(self._journal, self._tree, self._tag, self._curves)
        against = base_run(base, run.setup, self._curves)
        if sigma is None or against is None:
            return None
        limit = limit_against(against, base, sigma, run.started_at)
        if limit is None:
            return None
        return _Watch(
            base.id,
            self._curves[base.id, against.number],
            limit,
            taught(known, sigma, run.started_at),
            proof(hindsight(known, sigma)).on,
        )

    def _spare(self, slot: Slot, run: Run, why: str) -> None:
        self._journal.change_run(run.experiment, run.number, spared=why)
        slot.run = replace(run, spared=why)

    def let_finish(self, number: int) -> str:
        """Never stop the run under way of an experiment early; return the outcome in words.

        Raises `DecisionError` with the reason when it is not possible.
        """
        if number not in self._tree.experiments:
            raise UnknownExperimentError(f"there is no experiment #{number}")
        slot = next((s for s in self._slots if s.run and s.run.experiment == number), None)
        if slot is None or slot.run is None:
            raise DecisionError(f"#{number} does not run at this moment")
        if slot.stopped_because is not None:
            raise DecisionError(f"#{number} is being ended already: {slot.stopped_because}")
        if slot.run.spared == "hand":
            return f"#{number} finishes in any case already"
        self._spare(slot, slot.run, "hand")
        self._watched[number, slot.run.number] = None
        return f"#{number} finishes: it is not stopped early"

    # ---- curves ----------------------------------------------------------------------------

    def ended(self, slot: Slot, run: Run) -> None:
        """Take the curve of a run that has ended in a slot, to be kept later."""
        if run.val_bpb is not None and run.purpose != "horizon" and slot.course is not None:
            self._ended.append((run, slot.course.ended()))

    def keep(self) -> None:
        """Write the curves of runs that have ended; of older ones one at a time."""
        for run, losses in self._ended:
            self._keep(run, losses)
        self._ended.clear()
        if self._missing and not any(slot.idle for slot in self._slots):
            self._read(self._missing.pop())

    def _keep(self, run: Run, losses: tuple[float | None, ...]) -> None:
        self._journal.keep_curve(run.experiment, run.number, losses)
        self._curves[run.experiment, run.number] = losses

    def _read(self, run: Run) -> None:
        setup = self._journal.setup(run.setup) or {}
        directory = self._lab.run_directory(run.experiment, run.number)
        course = read_course(directory, float(setup.get("budget_seconds") or 0.0))
        if course is not None:
            self._keep(run, course.ended())

    def _without_curve(self) -> list[Run]:
        """Return the scored runs of the tag whose curve is in their directory only.

        The last are read first: those that others were held against, without which theirs say
        nothing, and of them the newest.
        """
        own_tag = self._tree.of(self._tag)
        bases = {own.parent for own in own_tag.values()}
        missing = [
            run
            for own in own_tag.values()
            for run in own.scored
            if (run.experiment, run.number) not in self._curves
            and self._lab.run_directory(run.experiment, run.number).is_dir()
        ]
        return sorted(missing, key=lambda run: (run.experiment in bases, run.experiment))

    def _under_way(self) -> set[tuple[int, int]]:
        return {(s.run.experiment, s.run.number) for s in self._slots if s.run is not None}
