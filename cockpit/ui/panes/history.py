"""The history pane: the tree of experiments, one line each, thousands of them without delay."""

from bisect import bisect_left
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from cockpit.core.experiment import Experiment, Status
from cockpit.ui.lines import NO_LINE, LineView
from cockpit.ui.messages import Open, Send
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.text import Line, Span, bpb, clean, fit, signed
from cockpit.ui.tree_rows import Row, tree_rows
from cockpit.ui.words import PHASES, ago, glyph, status_word, style_key

COLUMNS = (("word", 10, 0), ("delta", 8, 46), ("bpb", 8, 36), ("proposer", 9, 76), ("age", 5, 56))
"""Right-hand columns in order: name, cells, and from which pane width on they are shown."""
AGE_SECONDS = 20.0
"""Ages are looked at this often."""


class HistoryPane(LineView):
    """The git tree as a tree."""

    DEFAULT_CSS = """
    HistoryPane { border: round $pane-border; }
    HistoryPane:focus { border: round $pane-focus; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open"),
        Binding("a", "decide('accept')", "accept"),
        Binding("r", "decide('reject')", "reject"),
        Binding("y", "next_awaiting", "next of yours", show=False),
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "end(-1)", "first", show=False),
        Binding("end,G", "end(1)", "last", show=False),
    ]
    can_focus = True

    class Moved(Message):
        """The cursor is on another experiment."""

    def __init__(self) -> None:
        super().__init__("history")
        self.border_title = "1 History"
        self.snapshot: Snapshot | None = None
        self.cursor = 0
        self.follows = True
        """Whether the cursor stays on the newest experiment, until a person moves it."""
        self._rows: list[Row] = []
        self._places: dict[int, int] = {}
        self._cache: dict[int, tuple[tuple[object, ...], Line]] = {}
        self._columns: tuple[tuple[str, int], ...] = ()
        self._ages_at = 0.0
        self._phases: dict[int, str] = {}

    @property
    def selected(self) -> Experiment | None:
        """Return the experiment under the cursor."""
        if self.snapshot is None or not 0 <= self.cursor < len(self._rows):
            return None
        return (self.snapshot.experiments or {}).get(self._rows[self.cursor].id)

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        before, self.snapshot = self.snapshot, snapshot
        self._phases = {run.experiment: run.phase for run in snapshot.current}
        if before is None or before.experiments is not snapshot.experiments:
            self._read_tree(snapshot)
            self._title(snapshot)
        if snapshot.at - self._ages_at >= AGE_SECONDS:
            self._ages_at = snapshot.at
        if self.is_attached and self.size:
            self.refresh_changed()
            if self.follows:
                self._bring_into_view()

    def _read_tree(self, snapshot: Snapshot) -> None:
        selected = self._rows[self.cursor].id if self.cursor < len(self._rows) else None
        experiments = snapshot.experiments or {}
        rows = tree_rows(experiments)
        if rows != self._rows:
            self._rows = rows
            self._places = {row.id: place for place, row in enumerate(rows)}
            for number in self._cache.keys() - self._places.keys():
                del self._cache[number]
        if self.follows and experiments:
            selected = snapshot.current[0].experiment if snapshot.current else _newest(experiments)
        self.cursor = self._places.get(selected if selected is not None else -1, 0)

    def _title(self, snapshot: Snapshot) -> None:
        counts = snapshot.counts or {}
        words = [str(snapshot.total), f"{counts.get(Status.KEPT, 0)} kept"]
        if snapshot.awaiting:
            words.append(f"{len(snapshot.awaiting)} yours")
        title = f"1 History  {' · '.join(words)}"
        noise = snapshot.noise.sigma
        below = f"val_bpb, lower is better · noise ±{noise:.4f}" if noise is not None else ""
        if self.border_title != title:
            self.border_title = title
        if (self.border_subtitle or "") != below:
            self.border_subtitle = below

    # ---- lines -----------------------------------------------------------------------------

    def line_count(self) -> int:
        """Return the number of experiments."""
        return len(self._rows)

    def relayout(self) -> None:
        """Choose the columns that the width holds."""
        width = self.line_width
        self._columns = tuple((name, cells) for name, cells, least in COLUMNS if width >= least)
        self._cache.clear()

    def line_at(self, index: int) -> Line:
        """Return the line of an experiment, from the cache where nothing of it changed."""
        snapshot = self.snapshot
        if snapshot is None or snapshot.experiments is None:
            return NO_LINE
        row = self._rows[index]
        experiment = snapshot.experiments[row.id]
        parent = (
            snapshot.experiments.get(experiment.parent) if experiment.parent is not None else None
        )
        best = snapshot.best.id if snapshot.best else None
        shown_age = ago(experiment.decided_at or experiment.created_at, self._ages_at)
        key: tuple[object, ...] = (
            experiment,
            parent.val_bpb if parent else None,
            row.connectors,
            experiment.id == best,
            experiment.id in snapshot.best_line,
            experiment.id in snapshot.sound,
            snapshot.noise.sigma,
            self._phases.get(experiment.id),
            shown_age,
            self.line_width,
        )
        known = self._cache.get(row.id)
        if known is not None and known[0] == key:
            return known[1]
        line = self._line(snapshot, row, experiment, parent, shown_age)
        self._cache[row.id] = key, line
        return line

    def _line(
        self,
        snapshot: Snapshot,
        row: Row,
        experiment: Experiment,
        parent: Experiment | None,
        shown_age: str,
    ) -> Line:
        best = snapshot.best.id if snapshot.best else None
        on_line = experiment.id in snapshot.best_line
        style = style_key(experiment, best)
        title = clean(experiment.title, 200)
        if parent is None and experiment.parent is None:
            title = f"{title} · {clean(experiment.tag, 30)}"
        room = self.line_width - 1 - sum(cells for _, cells in self._columns)
        # Deep down the nearest ancestors are enough: the title is what one reads.
        connectors = row.connectors[-max(4, room // 4) :]
        room -= len(connectors) + 2
        spans: list[Span] = [
            (" ", ""),
            (connectors, "best" if on_line else "muted"),
            (glyph(experiment, best) + " ", style),
            (fit(f"#{experiment.id} {title}", room), _title_style(experiment, on_line)),
        ]
        for name, cells in self._columns:
            text, key = self._column(name, snapshot, experiment, parent, shown_age)
            spans.append((f"{fit(text, cells - 1) if name == 'word' else text:>{cells}}", key))
        return tuple(spans)

    def _column(
        self,
        name: str,
        snapshot: Snapshot,
        experiment: Experiment,
        parent: Experiment | None,
        shown_age: str,
    ) -> Span:
        best = snapshot.best.id if snapshot.best else None
        if name == "word":
            if experiment.status is Status.RUNNING:
                phase = self._phases.get(experiment.id, "running")
                return PHASES.get(phase, phase), "running"
            if experiment.status is Status.KEPT and experiment.id not in snapshot.sound:
                return "unsound", "warning"
            word = "best" if experiment.id == best else status_word(experiment.status)
            return word, style_key(experiment, best)
        if name == "delta":
            own, base = experiment.val_bpb, parent.val_bpb if parent else None
            if own is None or base is None:
                return "", ""
            sigma = snapshot.noise.sigma or 0.0
            # What noise alone can do is said quietly.
            return signed(own - base), "muted" if abs(own - base) < 2 * sigma else ""
        if name == "bpb":
            return (bpb(experiment.val_bpb) if experiment.val_bpb is not None else ""), ""
        if name == "proposer":
            return clean(experiment.proposer, 8), "muted"
        return shown_age, "muted"

    def line_style(self, index: int) -> Style | None:
        """Lay the cursor over its line."""
        if index != self.cursor or not self._rows:
            return None
        return self.palette.style("cursor")

    # ---- moving and deciding -----------------------------------------------------------------

    def move_to(self, place: int) -> None:
        """Put the cursor on a row."""
        place = max(0, min(place, len(self._rows) - 1))
        if place == self.cursor or not self._rows:
            return
        self.follows = False
        old, self.cursor = self.cursor, place
        self.refresh_line(old)
        self.refresh_line(place)
        self._bring_into_view()
        self.post_message(self.Moved())

    def _bring_into_view(self) -> None:
        top, height = self.scroll_offset.y, self.page_height
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif height and self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.move_to(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self.move_to(self.cursor + pages * max(1, self.page_height - 1))

    def action_end(self, direction: int) -> None:
        """Move the cursor to the first or the last row."""
        self.move_to(0 if direction < 0 else len(self._rows) - 1)

    def action_next_awaiting(self) -> None:
        """Move the cursor to the next experiment that is a person's to decide."""
        if self.snapshot is None or not self.snapshot.awaiting:
            return
        places = sorted(self._places[number] for number in self.snapshot.awaiting)
        following = bisect_left(places, self.cursor + 1)
        self.move_to(places[following % len(places)])

    def action_open(self) -> None:
        """Open the experiment under the cursor."""
        if self.selected is not None:
            self.post_message(Open(self.selected.id))

    def action_decide(self, verb: str) -> None:
        """Accept or reject the experiment under the cursor."""
        if self.selected is not None:
            self.post_message(Send(verb, {"id": self.selected.id}))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens."""
        place = event.get_content_offset(self)
        if place is None:
            return
        index = place.y + self.scroll_offset.y
        if index == self.cursor and event.chain > 1:
            self.action_open()
        elif index < len(self._rows):
            self.move_to(index)


def _newest(experiments: dict[int, Experiment] | object) -> int | None:
    return next(reversed(experiments), None) if isinstance(experiments, dict) else None


def _title_style(experiment: Experiment, on_line: bool) -> str:
    if on_line:
        return "heading"
    return "muted" if experiment.status in {Status.DISCARDED, Status.STOPPED} else ""
