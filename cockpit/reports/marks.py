"""The signs of experiments in the picture."""

from typing import TYPE_CHECKING

from cockpit.core.experiment import Status
from cockpit.core.progress import Point, Progress
from cockpit.reports.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS: dict[str, tuple[str, str, float]] = {
    "discarded": ("x", "discarded", 4.0),
    "stopped": ("s", "stopped", 3.6),
    "invalid": (r"$\oslash$", "invalid", 6.0),
    "crashed": (r"$!$", "crashed", 6.5),
    "borderline": (r"$?$", "borderline", 6.5),
    "unsound": ("o", "kept", 4.6),
    "kept": ("o", "kept", 5.2),
    "baseline": ("s", "ink", 5.4),
    "best": ("*", "best", 11.0),
}
"""Marker, role of its colour and size of each kind, in the order in which they are drawn: the
same signs as on the screen, so that no kind is told by its colour alone."""
NAMES = {"unsound": "kept, unsound"}
DENSE = 150
"""Experiments from which on the marks of what was not kept shrink."""


def _kind(point: Point, best: int | None) -> str:
    if point.id == best and not point.baseline:
        return "best"
    if point.baseline:
        return "baseline"
    if point.status is Status.KEPT:
        return "kept" if point.sound else "unsound"
    return str(point.status)


def _by_kind(progress: Progress, *, scored: bool) -> dict[str, list[Point]]:
    kinds: dict[str, list[Point]] = {kind: [] for kind in MARKS}
    for point in progress.points:
        if (point.val_bpb is not None) is scored:
            kinds[_kind(point, progress.best)].append(point)
    return {kind: points for kind, points in kinds.items() if points}


def draw_scored(axes: "Axes", progress: Progress) -> None:
    """Draw those with a score where it is, or at the edge that it lies beyond."""
    for kind, points in _by_kind(progress, scored=True).items():
        inside = [(p.place, p.val_bpb or 0.0) for p in points if _within(progress, p)]
        _draw(axes, progress, kind, inside)
    low, high = progress.low, progress.high
    scored = [p for p in progress.points if p.val_bpb is not None]
    for sign, edge, above in (("^", high, True), ("v", low, False)):
        off = [p for p in scored if p.val_bpb is not None and (p.val_bpb > high) is above]
        off = [p for p in off if not _within(progress, p)]
        if off:
            axes.plot(
                [p.place for p in off], [edge] * len(off), linestyle="", marker=sign,
                markersize=4.5 * _shrunk(progress), color=LIGHT["discarded"], clip_on=False,
                markeredgewidth=0, label="off the scale" if above else None,
            )  # fmt: skip


def draw_unscored(axes: "Axes", progress: Progress) -> None:
    """Draw those without a score side by side."""
    for kind, points in _by_kind(progress, scored=False).items():
        _draw(axes, progress, kind, [(p.place, 0.0) for p in points])


def _within(progress: Progress, point: Point) -> bool:
    return point.val_bpb is not None and progress.low <= point.val_bpb <= progress.high


def _shrunk(progress: Progress) -> float:
    count = max(1, len(progress.points))
    return float(min(1.0, max(0.4, (DENSE / count) ** 0.35)))


def _draw(axes: "Axes", progress: Progress, kind: str, at: list[tuple[int, float]]) -> None:
    marker, role, size = MARKS[kind]
    if kind in ("discarded", "stopped", "unsound", "kept"):
        size *= _shrunk(progress)
    hollow = kind in ("unsound", "stopped")
    axes.plot(
        [place for place, _ in at], [score for _, score in at], linestyle="", marker=marker,
        markersize=size, label=NAMES.get(kind, kind), color=LIGHT[role],
        markerfacecolor="none" if hollow else LIGHT[role],
        markeredgewidth=1.0 if hollow or kind == "discarded" else 0.5,
    )  # fmt: skip
