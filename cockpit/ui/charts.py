"""Pure drawing: numbers become strips of text. Knows neither Textual nor colours.

A braille cell is 2 dots wide and 4 high. A dot column is filled from the lowest to the
highest value that falls into it, so that a spike of a single step is seen however many
steps share the column; a gap (a loss that was not finite) leaves its columns empty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.core.curve import Point

BLANK = 0x2800
"""The empty braille pattern; a dot is a bit above it."""
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a cell by column and row (Unicode Standard, block Braille Patterns)."""
EIGHTHS = " ▏▎▍▌▋▊▉"
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps a range of values to 0..1; logarithmic where that is possible and asked for."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where `value` lies, clipped to 0..1."""
        low, high = self.low, self.high
        if self.logarithmic and low > 0:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-12))
        if high <= low:
            return 0.5
        return min(1.0, max(0.0, (value - low) / (high - low)))


def loss_scale(curves: Sequence[Sequence[Point]]) -> Scale | None:
    """Return a scale that shows where the curves differ; None when there is nothing to show.

    The first moments of a training fall from far above and would flatten all the rest: the
    top is the 98th percentile, what lies higher is drawn at the edge.
    """
    values = sorted(loss for curve in curves for _, loss in curve if loss is not None)
    if not values:
        return None
    low, high = values[0], values[min(len(values) - 1, int(len(values) * 0.98))]
    if high - low < 1e-6:
        low, high = low - 0.01, high + 0.01
    return Scale(low, high, logarithmic=low > 0)


def braille(
    curves: Sequence[Sequence[Point]],
    width: int,
    height: int,
    seconds: tuple[float, float],
    scale: Scale,
) -> list[list[tuple[str, int]]]:
    """Draw curves over each other, the first on top.

    Returns `height` rows of runs (text, curve number, or -1 for blank). Every curve but
    the first is drawn dotted, so that the two differ without colour too.
    """
    bits = [[0] * width for _ in range(height)]
    owner = [[-1] * width for _ in range(height)]
    for number in range(len(curves) - 1, -1, -1):
        spans = _columns(curves[number], width * 2, height * 4, seconds, scale)
        for column, (top, bottom) in spans.items():
            if number and column % 3 == 2:
                continue
            for row in range(top, bottom + 1):
                cell, line = column // 2, row // 4
                if owner[line][cell] > number:
                    bits[line][cell] = 0  # what is on top has its cell alone
                owner[line][cell] = number
                bits[line][cell] |= DOTS[column % 2][row % 4]
    return [_runs(bits[line], owner[line]) for line in range(height)]


def _columns(
    curve: Sequence[Point], columns: int, rows: int, seconds: tuple[float, float], scale: Scale
) -> dict[int, tuple[int, int]]:
    """Return first and last dot row of each dot column that a curve touches."""
    begin, end = seconds
    stretch = (columns - 1) / (end - begin) if end > begin else 0.0
    spans: dict[int, tuple[int, int]] = {}
    last: tuple[int, int] | None = None
    for moment, loss in curve:
        if loss is None or not begin <= moment <= end:
            last = None
            continue
        column = round((moment - begin) * stretch)
        row = round((1.0 - scale.share(loss)) * (rows - 1))
        if last is not None and column > last[0]:
            _join(spans, last, (column, row))
        top, bottom = spans.get(column, (row, row))
        spans[column] = (min(top, row), max(bottom, row))
        last = (column, row)
    return spans


def _join(spans: dict[int, tuple[int, int]], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Fill the columns between two points, so that a slow curve is a line and not dots."""
    (x0, y0), (x1, y1) = start, end
    previous = y0
    for column in range(x0 + 1, x1 + 1):
        row = round(y0 + (y1 - y0) * (column - x0) / (x1 - x0))
        # One dot short of the neighbour's row: steps touch without growing thick.
        near = previous + (row > previous) - (row < previous)
        top, bottom = spans.get(column, (row, row))
        spans[column] = (min(top, row, near), max(bottom, row, near))
        previous = row


def _runs(bits: list[int], owner: list[int]) -> list[tuple[str, int]]:
    """Join neighbouring cells of one owner."""
    runs: list[tuple[str, int]] = []
    for pattern, number in zip(bits, owner, strict=True):
        character = chr(BLANK + pattern) if pattern else " "
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0] + character, number)
        else:
            runs.append((character, number))
    return runs


def bar(share: float, width: int) -> tuple[str, str]:
    """Return the full and the empty part of a bar, `width` cells together."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (EIGHTHS[rest] if rest else "")
    return filled, "░" * (width - len(filled))


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return the last `width` values as little bars; a missing one is a blank."""
    shown = list(values)[-width:]
    finite = [value for value in shown if value is not None]
    if not finite:
        return " " * len(shown)
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(
        " " if value is None else BARS[min(7, int((value - low) / span * 8))] for value in shown
    )
