"""Names of what was kept, written into the picture where nothing else is."""

import math
from typing import TYPE_CHECKING

from cockpit.core.progress import Point, Progress
from cockpit.core.quoting import one_line
from cockpit.reports.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEGREES = 32
MOST = 16
CHARACTER = 0.58
"""Width of a character, in text heights; a little more than most fonts have."""
SPACE = 1.25
"""Distance of two labels, in text heights."""


def name_steps(axes: "Axes", progress: Progress, text_points: float, title_characters: int) -> None:
    """Name the steps of the running best, the last and the largest first, as far as they fit.

    The names come up to their point from below on the left: nothing lies there, because the line
    only falls.
    """
    steps = _steps(progress)
    points_a_pixel = 72 / axes.figure.dpi
    frame = axes.get_window_extent()
    taken: list[float] = []
    slope = math.radians(DEGREES)
    largest = sorted(steps[:-1], key=lambda step: step[2])
    for place, score, _ in [*steps[-1:], *largest]:
        if len(taken) >= MOST:
            break
        x, y = axes.transData.transform((place, score)) * points_a_pixel
        # Labels are parallel: what counts is how far apart their lines are.
        offset = x * math.sin(slope) - y * math.cos(slope)
        if any(abs(offset - other) < SPACE * text_points for other in taken):
            continue
        room = min(
            (x - frame.x0 * points_a_pixel) / math.cos(slope),
            (y - frame.y0 * points_a_pixel) / math.sin(slope),
        )
        text = _label(
            progress.points[place], int((room - 8) / (CHARACTER * text_points)), title_characters
        )
        if text:
            taken.append(offset)
            axes.annotate(
                text, (place, score), xytext=(-3.5, -3.5), textcoords="offset points",
                rotation=DEGREES, rotation_mode="anchor", ha="right", va="top",
                fontsize=text_points - 0.8, color=LIGHT["ink"], parse_math=False,
            ).set_in_layout(False)  # fmt: skip


def _steps(progress: Progress) -> list[tuple[int, float, float]]:
    """Return place, score and gain of each step of the running best but the first."""
    pairs = zip(progress.steps, progress.steps[1:], strict=False)
    return [(place, score, score - before) for (_, before), (place, score) in pairs]


def _label(point: Point, room: int, title_characters: int) -> str:
    number = f"#{point.id}"
    most = min(title_characters, room - len(number) - 1)
    if most >= 8:
        return f"{number} {one_line(point.title, most)}"
    return number if room >= len(number) else ""
