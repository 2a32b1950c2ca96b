"""The run under way, followed through its metrics.jsonl."""

from pathlib import Path

from cockpit.core.curve import Point, thin
from cockpit.core.experiment import Run
from cockpit.lab.metrics import Evaluation, MetricsTail, Phase, Step
from cockpit.lab.rundir import RunDirectory, RunDirectoryError

KEPT_POINTS = 4_000
"""A live curve is thinned when it grows beyond this; a screen has 500 dot columns."""
BUCKETS = 1_000
READS = 16
"""A finished curve is read in at most this many pieces of 4 MB: a flood ends here."""


class LiveRun:
    """Follows one run; `poll` reads what is new."""

    def __init__(self, run: Run, directory: Path) -> None:
        self.run = run
        self.phase = "starting"
        self.step: Step | None = None
        self.evaluation: Evaluation | None = None
        self.curve: tuple[Point, ...] = ()
        self.budget_seconds: float | None = None
        self.budget_tokens: int | None = None
        self._points: list[Point] = []
        self._directory = RunDirectory(directory)
        self._tail = MetricsTail(directory / "metrics.jsonl")
        self._knows_budget = False

    def poll(self) -> None:
        """Read what the training wrote since the last call."""
        if not self._knows_budget:
            self._read_budget()
        fresh = False
        for metric in self._tail.read_new():
            if isinstance(metric, Step):
                self.step = metric
                _append(self._points, metric)
                fresh = True
            elif isinstance(metric, Phase):
                self.phase = metric.phase
            else:
                self.evaluation = metric
        if len(self._points) > KEPT_POINTS:
            self._points = thin(self._points, BUCKETS)
        if fresh:
            self.curve = tuple(self._points)

    def _read_budget(self) -> None:
        try:
            spec = self._directory.read_spec()
        except RunDirectoryError:
            return
        if spec is None:
            return
        self._knows_budget = True
        seconds, tokens = spec.get("budget_seconds"), spec.get("budget_tokens")
        self.budget_seconds = float(seconds) if isinstance(seconds, int | float) else None
        self.budget_tokens = tokens if isinstance(tokens, int) else None


def finished_curve(directory: Path) -> tuple[Point, ...]:
    """Return the thinned loss curve of a run that has ended; empty where nothing is left."""
    tail = MetricsTail(directory / "metrics.jsonl")
    points: list[Point] = []
    for _ in range(READS):
        metrics = tail.read_new()
        if not metrics:
            break
        for metric in metrics:
            if isinstance(metric, Step):
                _append(points, metric)
        points = thin(points, BUCKETS)
    return tuple(points)


def _append(points: list[Point], step: Step) -> None:
    """Add a step; where time runs backwards the training began anew, and so does the curve."""
    if points and step.seconds < points[-1][0]:
        points.clear()
    points.append((step.seconds, step.loss))
