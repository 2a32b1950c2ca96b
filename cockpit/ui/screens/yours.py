"""`Q`: what waits for a person, most valuable first, with all it takes to decide."""

import asyncio
from typing import ClassVar

from rich.style import Style
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from cockpit.core.experiment import Experiment
from cockpit.ui.acting import Acting
from cockpit.ui.acts import bindings
from cockpit.ui.client import Client
from cockpit.ui.figure_lines import noise_word
from cockpit.ui.lines import LineView, TextLines
from cockpit.ui.messages import Open
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.screens.following import FollowingScreen
from cockpit.ui.snapshot import Details, Snapshot
from cockpit.ui.text import Line
from cockpit.ui.yours_lines import head_line, nothing_lines, row_line, selected_lines


class YoursScreen(Acting, FollowingScreen):
    """The list above, the selected one below."""

    DEFAULT_CSS = """
    YoursScreen #waiting { border: round $pane-focus; height: auto; max-height: 40%; }
    YoursScreen #waiting > TextLines { height: 1; overflow-y: hidden; }
    YoursScreen #selected { border: round $pane-border; padding: 0 1; height: 1fr; }
    YoursScreen #selected:focus { border: round $pane-focus; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", key_display="enter"),
        *bindings({"accept", "reject", "replicate", "branch", "note"}),
        Binding("u", "app.wish('undo')", "undo"),
        Binding("up,k", "move(-1)", "up", show=False, priority=True),
        Binding("down,j", "move(1)", "down", show=False, priority=True),
        Binding("escape,q", "close", "back", key_display="esc"),
    ]

    def __init__(self, client: Client, snapshot: Snapshot) -> None:
        super().__init__()
        self.client = client
        self.snapshot: Snapshot | None = snapshot
        self._details: Details | None = None
        self._shown: tuple[object, ...] = ()
        self._possible: tuple[bool, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield _Waiting()
        yield _Selected()
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what is known, and read the rest."""
        self.query_one(_Waiting).focus()
        self._show()

    @property
    def subject(self) -> Experiment | None:
        """Return the one under the cursor."""
        if self.snapshot is None or not self.is_mounted:
            return None
        number = self.query_one(_Waiting).selected
        return (self.snapshot.experiments or {}).get(number) if number is not None else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what is possible."""
        if action in {"act", "say_why"}:
            return self.subject is not None and self.offers(action, str(parameters[0]))
        if action == "open":
            return self.subject is not None
        return True

    def follow(self, snapshot: Snapshot) -> None:
        """Show what has become of it meanwhile."""
        self.snapshot = snapshot
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        """Give the list the height of its rows."""
        self._show(anew=True)

    def _show(self, *, anew: bool = False) -> None:
        if self.snapshot is None:
            return
        waiting = self.query_one(_Waiting)
        waiting.show(self.snapshot)
        own = self.subject
        shown = own, self.snapshot.wanted, self.snapshot.noise
        if shown != self._shown or anew:
            self._shown = shown
            if own is None:
                self._details = None
                self.query_one(_Selected).show(None, self.snapshot)
            else:
                self._read(own.id, self.snapshot)
        if (possible := self.possible()) != self._possible:
            self._possible = possible
            self.refresh_bindings()

    # Without a description the decorator makes one of the whole snapshot: 100 ms with 3,000.
    @work(exclusive=True, description="details")
    async def _read(self, number: int, snapshot: Snapshot) -> None:
        details = await asyncio.to_thread(self.client.details, number)
        if details is not None and self.is_attached:
            self._details = details
            self.query_one(_Selected).show(details, snapshot)

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self.query_one(_Waiting).move(rows)
        self._show()

    def action_open(self) -> None:
        """Open the selected one."""
        if self.subject is not None:
            self.post_message(Open(self.subject.id))

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()


class _Waiting(LineView):
    can_focus = True

    def __init__(self) -> None:
        super().__init__("waiting")
        self._snapshot: Snapshot | None = None
        self._cursor = 0

    @property
    def selected(self) -> int | None:
        """Return the experiment under the cursor."""
        waiting = self._snapshot.awaiting if self._snapshot else ()
        return waiting[self._cursor] if self._cursor < len(waiting) else None

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot; the cursor stays on its experiment, or in its place."""
        before, self._snapshot = self.selected, snapshot
        waiting = snapshot.awaiting
        if before in waiting:
            self._cursor = waiting.index(before)
        self._cursor = max(0, min(self._cursor, len(waiting) - 1))
        noise = f" · {noise_word(snapshot.noise)}" if snapshot.noise.sigma is not None else ""
        title = f"Yours to decide  {len(waiting)}{noise}"
        if self.border_title != title:
            self.border_title = title
        self.styles.height = len(waiting) + 3 if waiting else 3
        self.refresh_changed()

    def move(self, rows: int) -> None:
        """Move the cursor by rows."""
        count = len(self._snapshot.awaiting) if self._snapshot else 0
        old, self._cursor = self._cursor, max(0, min(self._cursor + rows, count - 1))
        self.refresh_line(old + 1)
        self.refresh_line(self._cursor + 1)
        top, height = self.scroll_offset.y, self.page_height
        if not top <= self._cursor + 1 < top + height:
            self.scroll_to(y=max(0, self._cursor + 2 - height), animate=False, force=True)

    def line_count(self) -> int:
        """Return the number of rows and the head over them."""
        return 1 + (len(self._snapshot.awaiting) if self._snapshot else 0)

    def line_at(self, index: int) -> Line:
        """Return the head or a row."""
        snapshot = self._snapshot
        if index == 0 or snapshot is None:
            return head_line(self.line_width)
        own = (snapshot.experiments or {})[snapshot.awaiting[index - 1]]
        return row_line(snapshot, own, snapshot.at, self.line_width)

    def line_style(self, index: int) -> Style | None:
        """Lay the cursor over its row."""
        waits = self._snapshot is not None and bool(self._snapshot.awaiting)
        return self.palette.style("cursor") if waits and index == self._cursor + 1 else None

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is."""
        place = event.get_content_offset(self)
        if place is not None and isinstance(self.screen, YoursScreen):
            row = place.y + self.scroll_offset.y - 1
            self.screen.action_move(row - self._cursor)


class _Selected(TextLines):
    can_focus = True

    def __init__(self) -> None:
        super().__init__("selected")
        self._shown: tuple[Details | None, Snapshot] | None = None

    def show(self, details: Details | None, snapshot: Snapshot) -> None:
        """Show an experiment, or that there is none."""
        other = self._shown is None or self._number() != (details and details.experiment.id)
        self._shown = details, snapshot
        self.relayout()
        self.show_lines(self._lines)
        if other:
            self.scroll_to(y=0, animate=False, force=True)

    def _number(self) -> int | None:
        details = self._shown[0] if self._shown else None
        return details.experiment.id if details else None

    def relayout(self) -> None:
        """Lay out for the present width."""
        if self._shown is None or self.line_width <= 0:
            return
        details, snapshot = self._shown
        width = self.line_width
        self._lines = selected_lines(details, snapshot, width) if details else nothing_lines(width)
