"""The progress picture: one drawing, for the PNG and, wide and narrow, for the page.

matplotlib is imported here and nowhere else, inside the functions: it takes half a second. No
display, no fonts from elsewhere, and nothing of a title is read as a formula.
"""

import io
import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.core.progress import Progress
from cockpit.core.quoting import one_line
from cockpit.reports.inline import inline
from cockpit.reports.labels import name_steps
from cockpit.reports.marks import draw_scored, draw_unscored
from cockpit.reports.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PNG_DPI = 160


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a drawing is, and what fits on it."""

    name: str
    width: float
    """Inches."""
    height: float
    text: float
    """Points."""
    title_characters: int
    """Of the names of kept changes; 0: none, their numbers alone."""
    legend_columns: int


WIDE = Shape("wide", 10.4, 5.0, 8.6, 30, 10)
NARROW = Shape("narrow", 3.7, 4.1, 8.6, 0, 3)


def prepare(directory: Path) -> None:
    """Have matplotlib keep its cache of fonts in `directory`, unless it was told where.

    Its own place is in the home directory, which may not be writable.
    """
    os.environ.setdefault("MPLCONFIGDIR", str(directory))
    # It says that it builds its cache, or that it can't: not a matter of who wants a report.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def png(progress: Progress, title: str) -> bytes:
    """Return the wide drawing with a heading, on light paper."""
    heading = one_line(title, 120)
    return _saved(progress, WIDE, heading, "png", dpi=PNG_DPI, facecolor=LIGHT["paper"])


def svg(progress: Progress, shape: Shape) -> str:
    """Return a drawing as an element of a page: its colours are the page's, as is its font."""
    return inline(_saved(progress, shape, "", "svg", transparent=True).decode(), shape.name)


def _saved(progress: Progress, shape: Shape, title: str, kind: str, **how: Any) -> bytes:
    import matplotlib

    out = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": shape.name}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A title may have signs that the font lacks: they become boxes, nothing worse.
        warnings.simplefilter("ignore", UserWarning)
        # No date and no maker: the same night gives the same file.
        metadata: dict[str, Any] = {"Software": None} if kind == "png" else {"Date": None}
        figure = _draw(progress, shape, title)
        figure.savefig(out, format=kind, metadata=metadata, **how)
    return out.getvalue()


# ---- drawing -----------------------------------------------------------------------------------


def _draw(progress: Progress, shape: Shape, title: str) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(shape.width, shape.height), layout="constrained")
    unscored = [p for p in progress.points if p.val_bpb is None]
    lanes = len(unscored) > 0
    grid = figure.add_gridspec(
        2 if lanes else 1, 1, height_ratios=(12, 1) if lanes else None, hspace=0.02
    )
    axes = figure.add_subplot(grid[0])
    _frame(axes, progress, shape)
    _line(axes, progress)
    draw_scored(axes, progress)
    if title:
        axes.set_title(
            title, loc="left", color=LIGHT["ink"], fontsize=shape.text + 2.5, pad=26,
            parse_math=False,
        )  # fmt: skip
    below = axes
    if lanes:
        below = figure.add_subplot(grid[1], sharex=axes)
        _lane(below, progress, shape)
        axes.tick_params(labelbottom=False)
    _places(below, progress, shape)
    if axes.get_legend_handles_labels()[0] or lanes:
        _legend(figure, axes, below, shape, titled=bool(title))
    figure.draw_without_rendering()  # the labels need to know where everything has come to lie
    name_steps(axes, progress, shape.text, shape.title_characters)
    return figure


def _frame(axes: "Axes", progress: Progress, shape: Shape) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    count = len(progress.points)
    span = progress.high - progress.low
    digits = 4 if span < 0.05 else 3 if span < 0.5 else 2
    axes.set_ylim(progress.low, progress.high)
    axes.set_xlim(-0.02 * count - 0.6, 1.01 * count - 0.4 if count else 1)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.{digits}f}"))
    axes.set_ylabel("val_bpb, lower is better", color=LIGHT["muted"], fontsize=shape.text)
    axes.grid(axis="y", color=LIGHT["grid"], linewidth=0.8)
    _quiet(axes, shape)
    if not any(p.val_bpb is not None for p in progress.points):
        said = "nothing measured yet" if progress.points else "no experiments yet"
        axes.set_yticks([])
        axes.text(0.5, 0.5, said, transform=axes.transAxes, ha="center", color=LIGHT["muted"])


def _quiet(axes: "Axes", shape: Shape) -> None:
    axes.set_axisbelow(True)
    axes.patch.set_alpha(0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LIGHT["grid"])
    axes.tick_params(colors=LIGHT["muted"], labelsize=shape.text, length=0, pad=5)


def _places(axes: "Axes", progress: Progress, shape: Shape) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    points = progress.points

    def number(place: float, _: Any) -> str:
        at = round(place)
        return f"#{points[at].id}" if 0 <= at < len(points) and abs(at - place) < 0.01 else ""

    axes.xaxis.set_major_locator(MaxNLocator(10 if shape.title_characters else 5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(number))
    axes.set_xlabel("experiment", color=LIGHT["muted"], fontsize=shape.text)


def _line(axes: "Axes", progress: Progress) -> None:
    """Draw the baseline, the running best, and the noise around it."""
    if not progress.steps:
        return
    places = [place for place, _ in progress.steps] + [len(progress.points) - 0.5]
    scores = [score for _, score in progress.steps] + [progress.steps[-1][1]]
    if progress.sigma:
        low, high = ([s + sign * progress.sigma for s in scores] for sign in (-1, 1))
        axes.fill_between(
            places, low, high, step="post", color=LIGHT["band"], linewidth=0, label="± noise"
        )
    axes.step(
        places, scores, where="post", color=LIGHT["line"], linewidth=1.6, label="running best"
    )
    if (first := progress.baseline) is not None and first.val_bpb is not None:
        axes.axhline(first.val_bpb, color=LIGHT["muted"], linewidth=0.8, linestyle=(0, (1, 3)))


def _lane(axes: "Axes", progress: Progress, shape: Shape) -> None:
    """Draw those without a score in a lane of their own."""
    draw_unscored(axes, progress)
    axes.set_ylim(-1, 1)
    axes.set_yticks([0.0], ["no score"])
    _quiet(axes, shape)


def _legend(figure: "Figure", axes: "Axes", below: "Axes", shape: Shape, *, titled: bool) -> None:
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for each in (axes, below):
        for handle, name in zip(*each.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    # Over the axes where a heading stands above it, else as wide as the figure: on a phone it
    # would press the axes together.
    beside = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0)}
    where: dict[str, Any] = beside if titled else {"loc": "outside upper left"}
    legend = (axes if titled else figure).legend(
        handles.values(), handles.keys(), ncols=min(len(handles), shape.legend_columns),
        frameon=False, fontsize=shape.text - 0.4, labelcolor=LIGHT["muted"], handlelength=1.1,
        handletextpad=0.5, columnspacing=1.3, borderpad=0.2, **where,
    )  # fmt: skip
    for drawn in legend.legend_handles:
        if isinstance(drawn, Line2D) and drawn.get_marker() != "None":
            drawn.set_markersize(max(5.0, min(9.0, drawn.get_markersize())))
