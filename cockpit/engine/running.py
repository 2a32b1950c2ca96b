"""Slots: start a run, follow it, collect what it left.

A slot is one GPU (or the CPU). It knows a run only through its run directory, so a run
that outlived an engine is followed like one that this engine started.
"""

import contextlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cockpit.core.experiment import Run
from cockpit.core.ledger import SlotLedger
from cockpit.core.pruning import Course
from cockpit.engine.faults import Faults
from cockpit.executors.base import Assignment, Device, Executor, ExecutorError, Observation
from cockpit.executors.local import observe, stop
from cockpit.executors.sandbox import Sandbox
from cockpit.lab.rundir import (
    MetricsTail,
    Phase,
    RunDirectory,
    RunDirectoryError,
    RunExit,
    Step,
)

PHASE_CATEGORY = {
    "starting": "startup",
    "warming": "startup",
    "training": "training",
    "evaluating": "evaluation",
    "done": "other",
}
"""The ledger's category of each phase that a harness reports."""

ASK_AGAIN_SECONDS = 1.0
"""A supervisor that was just being started may not have heard that its run shall end."""
FORCE_AFTER_SECONDS = 60.0
"""A run this long past its wall limit has a supervisor that does not work any more."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over, ready for the journal."""

    run: Run
    clock_seconds: float | None = None
    """Training time by the supervisor's clock; only of a finished run."""
    checkpoint_bytes: int = 0

    @property
    def unstarted(self) -> bool:
        """Tell whether it never saw its train.py: a fault of the machine, not its own."""
        return self.run.state == "unstarted"


class Slot:
    """One place that runs one training at a time."""

    def __init__(
        self,
        number: int,
        device: Device,
        executor: Executor,
        sandbox: Sandbox,
        ledger: SlotLedger,
    ) -> None:
        self.number = number
        self.device = device
        self.executor = executor
        self.sandbox = sandbox
        self.ledger = ledger
        self.run: Run | None = None
        self.step: Step | None = None
        self.phase = "starting"
        self.course: Course | None = None
        """The curve of the run, where its budget is known."""
        self.stopped_because: str | None = None
        self.faults = Faults()
        """Faults of this slot alone: the others go on meanwhile."""
        self._stopped_as = "stopped"
        self._asked_at = 0.0
        self._force_at = math.inf
        self._directory = Path()
        self._tail: MetricsTail | None = None

    @property
    def idle(self) -> bool:
        """Tell whether nothing runs here."""
        return self.run is None

    def mark(self, category: str, at: float | None = None) -> None:
        """Enter a category of the ledger, now or at a monotonic time."""
        self.ledger = self.ledger.mark(category, at if at is not None else time.monotonic())

    def start(self, run: Run, assignment: Assignment) -> Ended | None:
        """Begin a run that the journal knows already; return it where it could not begin."""
        self._follow(run, assignment.run_directory, assignment.wall_seconds, assignment.spec)
        try:
            self.executor.start(assignment)
        except (ExecutorError, OSError) as error:
            return _unstarted(run, f"the run can't be started: {error}", time.time())
        return None

    def adopt(self, run: Run, directory: Path, wall_seconds: float) -> None:
        """Follow a run that another engine started; it gets its whole time once more."""
        spec: Mapping[str, object] | None = None
        with contextlib.suppress(RunDirectoryError):
            spec = RunDirectory(directory).read_spec()
        self._follow(run, directory, wall_seconds, spec or {})

    def _follow(
        self, run: Run, directory: Path, wall_seconds: float, spec: Mapping[str, object]
    ) -> None:
        self.run, self.step, self.phase, self.stopped_because = run, None, "starting", None
        self._stopped_as = "stopped"
        budget = spec.get("budget_seconds")
        self.course = Course(float(budget)) if isinstance(budget, int | float) else None
        self._asked_at = 0.0
        self._force_at = time.monotonic() + wall_seconds + FORCE_AFTER_SECONDS
        self._directory = directory
        self._tail = MetricsTail(directory / "metrics.jsonl")
        self.mark("startup")

    def stop(self, reason: str, state: str = "stopped") -> None:
        """End the run under way without a result; `state` is what it is called then."""
        self.stopped_because, self._stopped_as = reason, state
        self._end()

    def _end(self) -> None:
        """Ask the supervisor to end its run, again where it was not there to be asked yet."""
        now = time.monotonic()
        if now - self._asked_at > ASK_AGAIN_SECONDS:
            self._asked_at = now
            stop(self._directory, force=now > self._force_at)

    def poll(self) -> Ended | None:
        """Read what is new of the run; return it once it is over, until it is released."""
        if self.run is None or self._tail is None:
            return None
        observation = observe(self._directory)
        for event in self._tail.read_new():
            if isinstance(event, Phase) and event.phase in PHASE_CATEGORY:
                self.phase = event.phase
                self.mark(PHASE_CATEGORY[event.phase], min(event.monotonic, time.monotonic()))
            elif isinstance(event, Step):
                self.step = event
                if self.course is not None:
                    self.course.add(event.seconds, event.loss)
        if observation.state == "alive":
            if self.stopped_because is not None or time.monotonic() > self._force_at:
                self._end()
            return None
        if observation.state == "lost":
            stop(self._directory)  # its supervisor is gone: nobody else ends what it started
        self.mark("other")
        if self.stopped_because is not None and self._stopped_as == "pruned":
            return _pruned(self.run, self.stopped_because, self.step)
        return ended_run(self.run, self._directory, observation, self.stopped_because)

    def release(self) -> None:
        """Be idle again: the journal has the run that was here."""
        self.run, self._tail, self.course = None, None, None


def ended_run(
    run: Run, directory: Path, observation: Observation, stopped_because: str | None
) -> Ended:
    """Tell from what is left of a run how it went."""
    end: dict[str, Any] = {"ended_at": time.time()}
    if stopped_because is not None:
        return Ended(replace(run, state="stopped", reason=stopped_because, **end))
    told = observation.exit
    if told is None and observation.stage != "assigned":
        return _unstarted(run, "the training process did not start", **end)
    if told is None:
        return Ended(replace(run, state="lost", reason="its supervisor was killed", **end))
    end = {"ended_at": told.ended_at}
    if told.stage != "assigned":
        return _unstarted(run, f"the training did not start: {told.message or told.reason}", **end)
    if told.reason == "disk":
        return _unstarted(run, told.message or "the disk is full", told.ended_at)
    if told.reason == "stopped":
        reason = "its engine was not there any more"
        return Ended(replace(run, state="stopped", reason=reason, **end))
    if told.reason == "crashed" and told.signal in (9, 15):
        reason = told.message or "killed from outside"
        return Ended(replace(run, state="lost", reason=reason, **end))
    if told.reason != "finished":
        return Ended(replace(run, state="failed", reason=told.message or told.reason, **end))
    return Ended(
        replace(run, **_measured(directory, told), **end),
        told.clock_seconds,
        _checkpoint_bytes(directory),
    )


def _pruned(run: Run, reason: str, step: Step | None) -> Ended:
    """Return a run that the rule has stopped early, with how far it had come."""
    far: dict[str, Any] = {}
    if step is not None:
        far = {"training_seconds": step.seconds, "steps": step.step, "tokens": step.tokens}
    return Ended(replace(run, state="pruned", reason=reason, ended_at=time.time(), **far))


def _unstarted(run: Run, reason: str, ended_at: float) -> Ended:
    return Ended(replace(run, state="unstarted", reason=reason, ended_at=ended_at))


def _checkpoint_bytes(directory: Path) -> int:
    with contextlib.suppress(OSError):
        return (directory / "checkpoint.pt").lstat().st_size
    return 0


def _measured(directory: Path, told: RunExit) -> Mapping[str, Any]:
    """Return the columns of a run that its result fills.

    A result counts only where the supervisor has handed in first the training rows, then, against
    the checkpoint, the validation rows: one that came another way was not measured.
    """
    if told.clock_seconds is None or told.checkpoint_sha256 is None:
        missing = (
            "no training row was asked for"
            if told.clock_seconds is None and told.checkpoint_sha256 is None
            else "no checkpoint was handed in after training"
        )
        return {
            "state": "invalid",
            "reason": f"order of scoring: there is a result, and {missing}",
        }
    try:
        result = RunDirectory(directory).read_result()
    except RunDirectoryError as error:
        return {"state": "failed", "reason": str(error)}
    if result is None:
        return {"state": "failed", "reason": "it ended without a result"}
    if result.checkpoint_sha256 != told.checkpoint_sha256:
        reason = "order of scoring: the result is not that of the checkpoint that was handed in"
        return {"state": "invalid", "reason": reason}
    finite = result.val_bpb is not None
    return {
        "state": "finished" if finite else "failed",
        "reason": None if finite else "val_bpb is not a finite number",
        "val_bpb": result.val_bpb,
        "training_seconds": result.training_seconds,
        "total_seconds": result.total_seconds,
        "startup_seconds": result.startup_seconds,
        "evaluation_seconds": result.evaluation_seconds,
        "peak_memory_bytes": result.peak_memory_bytes,
        "tokens": result.tokens,
        "steps": result.steps,
        "parameters": result.parameters,
        "named": json.dumps(dict(result.named)) if result.named else None,
    }
