"""`:`: everything that can be done, found by its words; what is not possible says why."""

from typing import ClassVar

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from cockpit.core.experiment import Experiment
from cockpit.ui.lines import LineView
from cockpit.ui.messages import Say
from cockpit.ui.palette import Entry, entries, matching
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.text import Line, clean, fit

KEY_CELLS = 8


class PaletteScreen(ModalScreen[None]):
    """A line of input over the list."""

    DEFAULT_CSS = """
    PaletteScreen { align: center top; background: $background 60%; }
    PaletteScreen Vertical {
        width: 100%; max-width: 100; height: 80%; border: round $pane-focus; padding: 0 1;
        background: $background;
    }
    PaletteScreen Input {
        height: 1; border: none; padding: 0; background: $background; color: $foreground;
    }
    PaletteScreen Input:focus { border: none; background: $background; }
    PaletteScreen LineView { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave it"),
        Binding("up", "move(-1)", "up", show=False),
        Binding("down", "move(1)", "down", show=False),
        Binding("pageup", "move(-10)", "page up", show=False),
        Binding("pagedown", "move(10)", "page down", show=False),
    ]

    def __init__(self, snapshot: Snapshot, selected: Experiment | None) -> None:
        """Offer what is possible now; `selected` is what the person had chosen."""
        super().__init__()
        self._all = entries(snapshot, selected)

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical() as box:
            box.border_title = "What shall be done?  (enter does it, esc leaves)"
            field = Input(placeholder="words of it, or a command as in the agent pane")
            field.cursor_blink = False
            yield field
            yield _Entries(self._all)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what has these words."""
        event.stop()
        self.query_one(_Entries).show(matching(self._all, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do it, or say why not."""
        event.stop()
        entry = self.query_one(_Entries).chosen
        if entry is None:
            return
        self.dismiss()
        self.app.post_message(entry.wish if entry.why is None else Say(entry.why, good=False))

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        self.query_one(_Entries).move(lines)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss()


class _Entries(LineView):
    def __init__(self, found: list[Entry]) -> None:
        super().__init__("entries")
        self._entries, self._cursor = matching(found, ""), 0

    @property
    def chosen(self) -> Entry | None:
        return self._entries[self._cursor] if self._entries else None

    def show(self, found: list[Entry]) -> None:
        self._entries, self._cursor = found, 0
        self.refresh_changed()
        self.refresh()
        self.scroll_to(y=0, animate=False, force=True)

    def move(self, lines: int) -> None:
        old = self._cursor
        self._cursor = max(0, min(old + lines, len(self._entries) - 1))
        self.refresh_line(old)
        self.refresh_line(self._cursor)
        top, height = self.scroll_offset.y, self.page_height
        if not top <= self._cursor < top + height:
            self.scroll_to(y=max(0, self._cursor - height // 2), animate=False, force=True)

    def line_count(self) -> int:
        return max(1, len(self._entries))

    def line_at(self, index: int) -> Line:
        if not self._entries:
            return (("nothing has these words", "muted"),)
        entry, width = self._entries[index], self.line_width
        key = self.app.get_key_display(_named(entry.key)) if entry.key else ""
        room = max(8, width - KEY_CELLS)
        if entry.why is None:
            return ((fit(f" {key}", KEY_CELLS), "live"), (fit(clean(entry.label, 200), room), ""))
        cells = min(room * 2 // 3, len(entry.why) + 3)
        why = fit(f" · {clean(entry.why, 200)}", cells)
        label = fit(clean(entry.label, 200), room - cells)
        return ((fit(f" {key}", KEY_CELLS), "muted"), (label, "muted"), (why, "warning"))

    def line_style(self, index: int) -> Style | None:
        return self.palette.style("cursor") if index == self._cursor and self._entries else None


def _named(key: str) -> Binding:
    return Binding(key, "", "")
