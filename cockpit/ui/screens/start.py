"""The card of a fresh lab: what is about to begin; Enter begins it."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from cockpit.ui.card import StartCard
from cockpit.ui.lines import TextLines
from cockpit.ui.messages import Begin
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.text import Line, clean, fit, wrap
from cockpit.ui.words import ENGINE_GLYPHS

LABEL_CELLS = 12


class StartScreen(Screen[bool]):
    """Shows the card, then the preparation, then gives way to the night.

    The app does the starting; it calls `progress` and `failed`.
    """

    DEFAULT_CSS = """
    StartScreen { align: center middle; background: $background; }
    StartScreen #card {
        width: 100%; max-width: 80; height: auto; max-height: 100%;
        border: round $pane-focus; padding: 1 2;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "begin", "begin the night"),
        Binding("q,escape", "app.leave", "leave", key_display="q"),
    ]

    def __init__(self, card: StartCard) -> None:
        super().__init__()
        self.card = card
        self.busy = False
        self._progress: list[str] = []
        self._error: str | None = None

    def compose(self) -> ComposeResult:
        """Lay out."""
        view = _CardLines(self)
        view.border_title = "cockpit"
        yield view
        yield KeyLine()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Begin once only."""
        return not (action == "begin" and self.busy)

    def action_begin(self) -> None:
        """Ask the app to begin."""
        self.busy, self._error, self._progress = True, None, []
        self.progress("starting")
        self.refresh_bindings()
        self.post_message(Begin())

    def progress(self, text: str) -> None:
        """Show how far the preparation is."""
        if not self._progress or self._progress[-1] != text:
            self._progress = [*self._progress, text][-4:]
        self._redraw()

    def failed(self, error: str) -> None:
        """Show why it could not begin; Enter tries again."""
        self.busy, self._error = False, error
        self._redraw()
        self.refresh_bindings()

    def _redraw(self) -> None:
        view = self.query_one(_CardLines)
        view.relayout()
        view.styles.height = len(view.lines) + 4
        view.refresh_changed()

    def card_lines(self, width: int) -> list[Line]:
        """Return the card's text for a width."""
        lines: list[Line] = [((fit(clean(self.card.title, 200), width), "heading"),), ()]
        room = max(10, width - LABEL_CELLS)
        for fact in self.card.lines:
            label = fit(clean(fact.label, LABEL_CELLS - 1), LABEL_CELLS)
            for number, piece in enumerate(wrap(clean(fact.value), room)):
                lines.append(((label if not number else " " * LABEL_CELLS, "muted"), (piece, "")))
            if fact.warning:
                told = wrap("! " + clean(fact.warning), room)
                lines += [((" " * LABEL_CELLS, ""), (piece, "warning")) for piece in told]
        lines.append(())
        if self._error is not None:
            lines += [((piece, "error"),) for piece in wrap("! " + clean(self._error), width)]
            lines.append((("Enter tries again, q leaves.", ""),))
        elif self.busy:
            sign = ENGINE_GLYPHS["running"]
            lines += [((fit(clean(text), width), "muted"),) for text in self._progress[:-1]]
            lines.append(((fit(f"{sign} {clean(self._progress[-1])}", width), "live"),))
        else:
            lines.append((("Enter begins the night, q leaves.", "yours"),))
        return lines


class _CardLines(TextLines):
    def __init__(self, owner: StartScreen) -> None:
        super().__init__("card")
        self._owner = owner

    @property
    def lines(self) -> list[Line]:
        return self._lines

    def on_mount(self) -> None:
        self.styles.height = len(self._owner.card_lines(74)) + 4

    def relayout(self) -> None:
        self._lines = self._owner.card_lines(self.line_width)
