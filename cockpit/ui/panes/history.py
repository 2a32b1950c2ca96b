"""The history pane: the tree of experiments, one line each, thousands of them without delay."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from cockpit.core.experiment import Experiment, Status
from cockpit.ui.acting import Acting
from cockpit.ui.acts import bindings
from cockpit.ui.history_lines import LEAST, Shown, experiment_line, fold_line
from cockpit.ui.lines import NO_LINE, LineView
from cockpit.ui.messages import Open
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.text import Line
from cockpit.ui.tree_rows import Fold, Row, history_rows
from cockpit.ui.words import ago

AGE_SECONDS = 20.0
"""Ages are looked at this often."""


class HistoryPane(Acting, LineView):
    """The git tree as a tree."""

    DEFAULT_CSS = """
    HistoryPane { border: round $pane-border; }
    HistoryPane:focus { border: round $pane-focus; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", key_display="enter"),
        Binding("enter", "fold", "open or fold", key_display="enter"),
        *bindings({"accept", "reject", "replicate", "branch", "drop"}),
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
        self._rows: list[Row | Fold] = []
        self._opened: set[str] = set()
        """Other tags whose trees are shown."""
        self._places: dict[int | str, int] = {}
        self._cache: dict[int, tuple[tuple[object, ...], Line]] = {}
        self._offers: tuple[bool, ...] = ()
        self._ages_at = 0.0
        self._phases: dict[int, str] = {}

    @property
    def selected(self) -> Experiment | None:
        """Return the experiment under the cursor; None on the line of another tag."""
        row = self._row
        if self.snapshot is None or not isinstance(row, Row):
            return None
        return (self.snapshot.experiments or {}).get(row.id)

    @property
    def subject(self) -> Experiment | None:
        """Return what the keys are about."""
        return self.selected

    @property
    def _row(self) -> Row | Fold | None:
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

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
        self._offer()

    def _read_tree(self, snapshot: Snapshot) -> None:
        row = self._row
        selected = row.key if row is not None else None
        experiments = snapshot.experiments or {}
        tag = snapshot.tag.name if snapshot.tag else None
        rows = history_rows(experiments, tag, [o.tag for o in snapshot.others], self._opened)
        if rows != self._rows:
            self._rows = rows
            self._places = {row.key: place for place, row in enumerate(rows)}
            for number in self._cache.keys() - self._places.keys():
                del self._cache[number]
        if self.follows and experiments:
            selected = (
                snapshot.current[0].experiment if snapshot.current else _newest(experiments, tag)
            )
        self.cursor = self._places.get(selected if selected is not None else -1, 0)

    def _offer(self) -> None:
        """Have the keys told anew where the cursor's line can do other things than before."""
        offers = (self.selected is None, *self.possible())
        if offers != self._offers:
            self._offers = offers
            if self.is_attached:
                self.screen.refresh_bindings()

    def _title(self, snapshot: Snapshot) -> None:
        words = [f"{snapshot.ideas} idea{'s' * (snapshot.ideas != 1)}", f"{snapshot.kept} kept"]
        if snapshot.awaiting:
            words.append(f"{len(snapshot.awaiting)} yours")
        if snapshot.tag is not None and snapshot.tag.pinned is not None:
            words.append(f"base pinned: #{snapshot.tag.pinned}")
        title = f"1 History  {' · '.join(words)}"
        noise = snapshot.noise.sigma
        honest = self.line_width >= LEAST["honest"] and any(
            e.gain is not None for e in (snapshot.experiments or {}).values()
        )
        told = f"{'gain (honest) · ' if honest else ''}val_bpb, lower is better"
        below = f"{told} · noise ±{noise:.4f}" if noise is not None else ""
        if self.border_title != title:
            self.border_title = title
        if (self.border_subtitle or "") != below:
            self.border_subtitle = below

    # ---- lines -----------------------------------------------------------------------------

    def line_count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def relayout(self) -> None:
        """Forget the lines of another width."""
        self._cache.clear()
        if self.snapshot is not None:
            self._title(self.snapshot)

    def settle(self) -> None:
        """Keep what is followed in view."""
        if self.follows:
            self._bring_into_view()

    def line_at(self, index: int) -> Line:
        """Return the line of an experiment, from the cache where nothing of it changed."""
        snapshot = self.snapshot
        if snapshot is None or snapshot.experiments is None:
            return NO_LINE
        row = self._rows[index]
        if isinstance(row, Fold):
            about = next((o for o in snapshot.others if o.tag == row.tag), None)
            return fold_line(row, about, self.line_width) if about else NO_LINE
        experiment = snapshot.experiments[row.id]
        parent = (
            snapshot.experiments.get(experiment.parent) if experiment.parent is not None else None
        )
        best = snapshot.best.id if snapshot.best else None
        shown_age = ago(experiment.decided_at or experiment.created_at, self._ages_at)
        phase = self._phases.get(experiment.id)
        wanted = sum(wish.experiment == experiment.id for wish in snapshot.wanted)
        key: tuple[object, ...] = (
            experiment,
            parent.val_bpb if parent else None,
            row.connectors,
            experiment.id == best,
            experiment.id in snapshot.best_line,
            experiment.id in snapshot.sound,
            snapshot.tag and snapshot.tag.pinned,
            snapshot.base is not None and experiment.id == snapshot.base.id,
            snapshot.queue if experiment.status is Status.QUEUED else None,
            snapshot.noise.sigma,
            phase,
            wanted,
            experiment.status is Status.RUNNING and snapshot.engine.alive,
            shown_age,
            self.line_width,
        )
        known = self._cache.get(row.id)
        if known is not None and known[0] == key:
            return known[1]
        shown = Shown(snapshot, experiment, parent, phase, shown_age, wanted)
        line = experiment_line(shown, row.connectors, self.line_width)
        self._cache[row.id] = key, line
        return line

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
        self._offer()
        self.post_message(self.Moved())

    def _bring_into_view(self) -> None:
        top, height = self.scroll_offset.y, self.page_height
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif height and self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

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

    def action_fold(self) -> None:
        """Open another tag's tree, or fold it again."""
        row = self._row
        if not isinstance(row, Fold) or self.snapshot is None:
            return
        self._opened ^= {row.tag}
        self.follows = False
        self._read_tree(self.snapshot)
        self.refresh_changed()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what the line under the cursor can do."""
        own = self.selected
        if action in {"open", "fold"}:
            return (own is None) == (action == "fold")
        if action in {"act", "say_why"}:
            return own is not None and self.offers(action, str(parameters[0]))
        return True

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens."""
        place = event.get_content_offset(self)
        if place is None:
            return
        index = place.y + self.scroll_offset.y
        if index == self.cursor and event.chain > 1:
            self.action_open()
            self.action_fold()
        elif index < len(self._rows):
            self.move_to(index)


def _newest(experiments: Mapping[int, Experiment], tag: str | None) -> int:
    """Return the newest experiment of a tag, else the newest of all."""
    own = (number for number, experiment in experiments.items() if experiment.tag == tag)
    return max(own, default=max(experiments))
