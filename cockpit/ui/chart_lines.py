"""Pure: a loss curve over its base's at equal time, as lines."""

from collections.abc import Sequence

from cockpit.core.curve import Point, smooth, thin
from cockpit.ui.charts import braille, loss_scale
from cockpit.ui.text import Line, clock

AXIS_CELLS = 8
BEGIN_SHARE = 0.1
"""What comes before that share of the time falls from far above: the difference is in the rest."""
MOST_COLUMNS = 120


def chart_lines(
    curve: Sequence[Point], base: Sequence[Point], width: int, height: int, what: str = "base"
) -> list[Line]:
    """Return `height` lines of curves and one below that says what they are; none without any."""
    if not curve:
        return []
    columns = max(8, min(width - AXIS_CELLS, MOST_COLUMNS))
    end = max(known[-1][0] for known in (curve, base) if known)
    begin = end * BEGIN_SHARE
    curves = [
        thin([p for p in smooth(known, end / 100) if p[0] >= begin], columns * 2)
        for known in (curve, base)
    ]
    scale = loss_scale(curves)
    if scale is None or end <= 0:
        return []
    rows = braille(curves, columns, height, (begin, end), scale)
    lines: list[Line] = []
    for number, runs in enumerate(rows):
        value = {0: scale.high, height - 1: scale.low}.get(number)
        label = f"{value:>5.2f} ┤" if value is not None else f"{'':5} │"
        drawn = [(text, ("base", "curve", "base")[owner + 1]) for text, owner in runs]
        lines.append(((label, "muted"), *drawn))
    over = f", over the {what}'s (dotted)" if base else ""
    long = (f"loss{over} at equal time", f"loss{over}")
    words = next((w for w in long if len(w) + 20 <= width), "loss")
    left, right = clock(begin), clock(end)
    legend = left + words.center(columns - len(left) - len(right)) + right
    return [*lines, ((f"{'':7}{legend}", "muted"),)]
