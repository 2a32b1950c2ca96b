"""Loss curves: thin them out, smooth them, and compare two of them at equal time.

A curve is a list of points in time order. A loss that was not finite is a None: a gap
that stays a gap through everything here, because a curve that closes over it would hide
the very thing one has to see. Time, not steps, is what two runs have in common.
"""

from bisect import bisect_left
from collections.abc import Sequence

Point = tuple[float, float | None]
"""Training seconds and loss in nats per token (None where it was not finite)."""

HALF_LIFE_SHARE = 0.02
"""Half-life of the smoothing as a share of the budget: it must not outlast a warmdown."""


def thin(points: Sequence[Point], buckets: int) -> list[Point]:
    """Return at most about three points for each of `buckets` equal spans of time.

    Each span keeps its lowest and its highest point and its first gap, in their order, so
    that a spike survives however much is thinned. Few points come back as they are.
    """
    if buckets < 1:
        raise ValueError("a curve is thinned to at least one bucket")
    if len(points) <= 3 * buckets:
        return list(points)
    start, width = points[0][0], (points[-1][0] - points[0][0]) / buckets
    kept: list[Point] = []
    begin = 0
    for bucket in range(buckets):
        end = len(points)
        if bucket < buckets - 1:
            end = bisect_left(points, start + width * (bucket + 1), begin, key=lambda p: p[0])
        kept += _extremes(points, begin, end)
        begin = end
    return kept


def _extremes(points: Sequence[Point], begin: int, end: int) -> list[Point]:
    """Return the lowest, the highest and the first gap of a span, in time order."""
    chosen: set[int] = set()
    finite = [(loss, n) for n in range(begin, end) if (loss := points[n][1]) is not None]
    if finite:
        chosen = {min(finite)[1], max(finite)[1]}
    gap = next((n for n in range(begin, end) if points[n][1] is None), None)
    if gap is not None:
        chosen.add(gap)
    return [points[n] for n in sorted(chosen)]


class Smoother:
    """An exponential moving average over time, one point after the other.

    Weights halve every `half_life_seconds`; dividing by their sum removes the bias of an
    average that has just begun (as in Adam: Kingma and Ba, arXiv 1412.6980, section 3).
    """

    def __init__(self, half_life_seconds: float) -> None:
        self._half_life = half_life_seconds
        self._total = self._weight = 0.0
        self._last: float | None = None

    def add(self, seconds: float, loss: float) -> float:
        """Take the next point and return the average up to it."""
        decay = 0.0
        if self._last is not None and self._half_life > 0:
            decay = 0.5 ** (max(0.0, seconds - self._last) / self._half_life)
        self._total, self._weight = self._total * decay + loss, self._weight * decay + 1.0
        self._last = seconds
        return self._total / self._weight


def smooth(points: Sequence[Point], half_life_seconds: float) -> list[Point]:
    """Return the moving average of a curve, without the pull of its first point; gaps stay."""
    smoother = Smoother(half_life_seconds)
    return [
        (seconds, smoother.add(seconds, loss) if loss is not None else None)
        for seconds, loss in points
    ]


def value_at(points: Sequence[Point], seconds: float) -> float | None:
    """Return the loss at a moment, by a straight line between its neighbours.

    None before the first point, after the last, and beside a gap.
    """
    after = bisect_left(points, seconds, key=lambda p: p[0])
    if after == len(points):
        return None
    time_after, loss_after = points[after]
    if time_after == seconds:
        return loss_after
    if after == 0:
        return None
    time_before, loss_before = points[after - 1]
    if loss_before is None or loss_after is None:
        return None
    share = (seconds - time_before) / (time_after - time_before)
    return loss_before + share * (loss_after - loss_before)


def lead(
    own: Sequence[Point], base: Sequence[Point], half_life_seconds: float
) -> tuple[float, float] | None:
    """Return the latest moment both curves know, and how far `own` lies above `base` there.

    Negative is better. Both are smoothed first. None where they never meet.
    """
    own, base = smooth(own, half_life_seconds), smooth(base, half_life_seconds)
    if not own or not base:
        return None
    limit = base[-1][0]
    for seconds, loss in reversed(own):
        if loss is None or seconds > limit:
            continue
        reference = value_at(base, seconds)
        if reference is not None:
            return seconds, loss - reference
    return None
