"""The course of a tag as a picture needs it: a point an experiment, the running best, a window.

The window is what keeps a picture readable. One diverged run at 7 bits per byte would press a
night of gains of 0.002 into a line, so the axis follows what the night was about (from a little
above the baseline to a little below the best); what lies outside is drawn at the edge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cockpit.core.experiment import VERDICTS, Experiment, Status
from cockpit.core.noise import Noise
from cockpit.core.tree import sound_ids

ABOVE, MOST_ABOVE, BELOW = 0.1, 0.6, 0.45
"""The window reaches so far beyond baseline and best, as shares of the distance between them: above
as far as most scores do, below there is room for names."""
LEAST_SIGMAS = 6.0
"""It never shows less than so many sigmas: a magnified noise looks like progress."""
NARROWEST = 1e-3
"""Nor less than this, in bits per byte, where no noise is known."""
QUANTILES = (0.05, 0.90)
"""Of all scores: where the window ends if there is no baseline to go by, and what most are."""


@dataclass(frozen=True, slots=True)
class Point:
    """One experiment in the picture."""

    place: int
    """0 for the first of the tag."""
    id: int
    status: Status
    val_bpb: float | None
    """None: it has no score, and is drawn in a lane of its own."""
    runs: int
    sound: bool
    baseline: bool
    title: str


@dataclass(frozen=True, slots=True)
class Progress:
    """All of the picture's figures."""

    points: tuple[Point, ...]
    """Every experiment with a verdict, in the order in which they were proposed."""
    steps: tuple[tuple[int, float], ...]
    """The running best: from which place on, and its val_bpb; each lower than the one before."""
    best: int | None
    """The id of the best: by what is believed of it, which may not be the lowest of all."""
    sigma: float | None
    low: float
    high: float
    """The window."""

    @property
    def baseline(self) -> Point | None:
        """Return the baseline's point, where it has a score."""
        return next((p for p in self.points if p.baseline and p.val_bpb is not None), None)


def progress(experiments: Mapping[int, Experiment], noise: Noise, best: int | None) -> Progress:
    """Return the picture of one tag.

    The running best is of those that stand now: what a person has rejected since, or what lost
    an ancestor, is not part of it.
    """
    sound = sound_ids(experiments)
    shown = [experiments[n] for n in sorted(experiments) if experiments[n].status in VERDICTS]
    points = tuple(
        Point(
            place,
            e.id,
            e.status,
            e.val_bpb,
            len(e.scores),
            e.id in sound,
            e.parent is None,
            e.title,
        )
        for place, e in enumerate(shown)
    )
    steps = _running_best(points)
    low, high = _window(points, steps, noise.sigma)
    return Progress(points, steps, best, noise.sigma, low, high)


def _running_best(points: Sequence[Point]) -> tuple[tuple[int, float], ...]:
    steps: list[tuple[int, float]] = []
    for p in points:
        stands = p.sound and p.status is Status.KEPT and p.val_bpb is not None
        if stands and p.val_bpb is not None and (not steps or p.val_bpb < steps[-1][1]):
            steps.append((p.place, p.val_bpb))
    return tuple(steps)


def _window(
    points: Sequence[Point], best: Sequence[tuple[int, float]], sigma: float | None
) -> tuple[float, float]:
    scores = sorted(p.val_bpb for p in points if p.val_bpb is not None)
    if not scores:
        return 0.0, 1.0
    if best:
        bottom, top = best[-1][1], best[0][1]
    else:
        bottom, top = (scores[int(q * (len(scores) - 1))] for q in QUANTILES)
    # Where nothing was won, the window is as wide as what was measured, outliers aside.
    common = scores[int(QUANTILES[1] * (len(scores) - 1))]
    least = max(LEAST_SIGMAS * (sigma or 0.0), NARROWEST)
    width = max(top - bottom, least)
    if top - bottom < least:
        width = min(max(width, 2 * (common - bottom)), 4 * width)
    above = min(max(common - top, ABOVE * width), MOST_ABOVE * width)
    return bottom - BELOW * width, max(top + above, bottom + width)
