"""The runs under way, each with its curve over its base's."""

from collections.abc import Mapping

from cockpit.core.curve import Point
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.lab.lab import Lab
from cockpit.ui.details import experiment_curve
from cockpit.ui.live import LiveRun
from cockpit.ui.snapshot import CurrentRun, Slot

BASES_KEPT = 16
"""Curves of bases that are kept in memory."""
Running = Mapping[tuple[int, int], Run]


def running(experiments: Mapping[int, Experiment]) -> dict[tuple[int, int], Run]:
    """Return the runs that the journal calls running, by experiment and number."""
    return {
        (run.experiment, run.number): run
        for e in experiments.values()
        if e.status is Status.RUNNING or (e.runs and e.runs[-1].state == "running")
        for run in e.runs
        if run.state == "running"
    }


class UnderWay:
    """Follows the metrics of what runs."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._live: dict[tuple[int, int], LiveRun] = {}
        self._curves: dict[int, tuple[Point, ...]] = {}

    def follow(
        self, runs: Running, experiments: Mapping[int, Experiment], slots: Mapping[int, Slot]
    ) -> tuple[CurrentRun, ...]:
        """Read what these runs have written since the last time, and return how they stand."""
        self._live = {key: live for key, live in self._live.items() if key in runs}
        current = []
        for key, run in runs.items():
            live = self._live.get(key)
            if live is None:
                live = self._live[key] = LiveRun(run, self._lab.run_directory(*key))
            live.poll()
            experiment = experiments[run.experiment]
            slot = slots.get(run.slot)
            current.append(
                CurrentRun(
                    experiment=experiment.id,
                    run=run.number,
                    slot=run.slot,
                    title=experiment.title,
                    device=slot.device if slot else "",
                    phase=live.phase,
                    step=live.step,
                    evaluation=live.evaluation,
                    budget_seconds=live.budget_seconds,
                    budget_tokens=live.budget_tokens,
                    curve=live.curve,
                    base=experiment.parent,
                    base_curve=self._base_curve(experiments, experiment.parent),
                )
            )
        return tuple(sorted(current, key=lambda run: run.slot))

    def _base_curve(
        self, experiments: Mapping[int, Experiment], base: int | None
    ) -> tuple[Point, ...]:
        if base is None or base not in experiments:
            return ()
        if base not in self._curves:
            if len(self._curves) > BASES_KEPT:
                self._curves.clear()
            self._curves[base] = experiment_curve(self._lab, experiments[base])
        return self._curves[base]
