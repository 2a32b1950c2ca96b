"""The one widget that panes are made of: lines of text that are compared before they are drawn.

Textual sends a refreshed widget's whole region again without comparing cells. Over a thin
line that is the difference between 350 KB and a few hundred bytes a second, so a `LineView`
remembers what it painted and refreshes only the span of each line that differs.
"""

from typing import Protocol, cast

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.ui.text import Line, clean, width_of
from cockpit.ui.theme import Theme

NO_LINE: Line = ()


class _HasPalette(Protocol):
    palette: Theme


def changed_span(old: Line, new: Line) -> tuple[int, int | None] | None:
    """Return first and end cell of what differs, None as end when the widths do; None if equal."""
    if old == new:
        return None
    before = [(character, key) for text, key in old for character in text]
    after = [(character, key) for text, key in new for character in text]
    start, shorter = 0, min(len(before), len(after))
    while start < shorter and before[start] == after[start]:
        start += 1
    width = width_of(new)
    # One cell earlier: a character without a width of its own belongs to its neighbour.
    first = max(0, cell_len("".join(c for c, _ in after[:start])) - 1)
    if width != width_of(old):
        return first, None
    same = 0
    while same < shorter - start and before[-1 - same] == after[-1 - same]:
        same += 1
    tail = cell_len("".join(c for c, _ in after[len(after) - same :])) if same else 0
    return first, width - tail


class LineView(ScrollView):
    """A scrollable list of lines. Subclasses say how many there are and what each one is."""

    DEFAULT_CSS = """
    LineView {
        overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    """
    ALLOW_SELECT = False

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 Textual's name
        super().__init__(id=id)
        self._painted: dict[int, Line] = {}
        self._laid_out = (-1, -1)
        """The width and height that the lines were made for."""

    def line_count(self) -> int:
        """Return the number of lines."""
        return 0

    def line_at(self, index: int) -> Line:
        """Return a line; called for visible lines only, and often: cheap or cached."""
        return NO_LINE

    @property
    def palette(self) -> Theme:
        """Return the present theme."""
        return cast(_HasPalette, self.app).palette

    @property
    def line_width(self) -> int:
        """Return the cells of a line."""
        return self.scrollable_content_region.width

    @property
    def page_height(self) -> int:
        """Return the number of visible lines."""
        return self.scrollable_content_region.height

    def line_style(self, index: int) -> Style | None:
        """Return a style to lay over a whole line, as for a cursor."""
        return None

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        if self._laid_out[0] < 0:
            # Textual draws every widget once before it tells them their sizes: lines drawn then
            # are seen by nobody and keep somebody waiting for those that are.
            return Strip.blank(self.line_width, self.palette.ground)
        if self._fit_to_size():
            self.call_later(self._stand)
        index = y + self.scroll_offset.y
        line = self.line_at(index) if 0 <= index < self.line_count() else NO_LINE
        self._painted[y] = line
        palette, width = self.palette, self.line_width
        ground = palette.ground
        spans = [Segment(text, ground + palette.style(key)) for text, key in line if text]
        strip = Strip(spans).adjust_cell_length(width, ground)
        over = self.line_style(index)
        if over is not None:
            strip = Strip(Segment.apply_style(list(strip), post_style=over), width)
        return strip

    def refresh_changed(self) -> None:
        """Draw again what differs from what is on the screen, and nothing else."""
        if self._fit_to_size():
            self._stand()
        count, top, width = self.line_count(), self.scroll_offset.y, self.line_width
        if self.virtual_size.height != count:
            self.virtual_size = Size(0, count)
            top = self.scroll_offset.y
        for y in range(self.page_height):
            index = y + top
            new = self.line_at(index) if index < count else NO_LINE
            span = changed_span(self._painted.get(y, NO_LINE), new)
            if span is None and y in self._painted:
                continue
            start, end = span if span is not None else (0, None)
            self.refresh(Region(start, y, (width if end is None else end) - start, 1))

    def on_resize(self, event: events.Resize) -> None:
        """Lay the content out anew for another size."""
        if self._fit_to_size():
            self._stand()
        self.refresh()

    def _stand(self) -> None:
        self.virtual_size = Size(0, self.line_count())
        self.settle()
        self.refresh()

    def settle(self) -> None:
        """Scroll to where the view should stand after its size has changed."""

    def _fit_to_size(self) -> bool:
        """Lay out anew where the size is another than the last time; tell whether it was.

        A resize event is not enough: a pane that is hidden when the event arrives has no size
        then, and gets no other event when it is shown again in the size it had before.
        """
        size = self.line_width, self.page_height
        if size == self._laid_out or size[0] <= 0:
            return False
        self._laid_out = size
        self._painted.clear()
        self.relayout()
        return True

    def relayout(self) -> None:
        """Make what depends on the size anew."""


class TextLines(LineView):
    """A few lines that are given as a whole."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 Textual's name
        super().__init__(id=id)
        self._lines: list[Line] = []

    def line_count(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def line_at(self, index: int) -> Line:
        """Return a line."""
        return self._lines[index]

    def show_lines(self, lines: list[Line]) -> None:
        """Show these lines from now on."""
        self._lines = lines
        if self.is_attached and self.size:
            self.refresh_changed()

    @property
    def lines_text(self) -> str:
        """Return what is shown, as plain text."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self._lines)


def foreign(text: str, key: str = "", limit: int = 400) -> tuple[str, str]:
    """Return a span of text that somebody else wrote."""
    return clean(text, limit), key
