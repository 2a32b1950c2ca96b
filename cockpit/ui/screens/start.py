"""The card of a fresh lab: what is about to begin; Enter begins it."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen

from cockpit.ui.card import StartCard
from cockpit.ui.lines import TextLines
from cockpit.ui.messages import Begin
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.text import Line, clean, fit, wrap
from cockpit.ui.words import ENGINE_GLYPHS

LABEL_CELLS = 12
CARD_COLUMNS = 80
CHROME_COLUMNS = 7
"""Border, padding and the column of the scrollbar."""
CHROME_LINES = 3
"""Border and the line of keys."""


class StartScreen(Screen[bool]):
    """Shows the card, then the preparation, then gives way to the night.

    The app does the starting; it calls `progress` and `failed`.
    """

    DEFAULT_CSS = """
    StartScreen { align: center middle; background: $background; }
    StartScreen #card {
        width: 100%; max-width: 80; height: auto; border: round $pane-focus; padding: 0 2;
    }
    StartScreen #card.-roomy { padding: 1 2; }
    StartScreen #facts, StartScreen #next { width: 100%; }
    StartScreen #next { overflow-y: hidden; }
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
        """Lay out: the facts, which scroll where they must, and what comes next, which stays."""
        with Vertical(id="card") as card:
            card.border_title = "cockpit"
            yield _Facts("facts")
            yield TextLines("next")
        yield KeyLine()

    def on_resize(self) -> None:
        """Fit the card to the terminal."""
        self._redraw()

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
        """Give the card the height of its lines, as far as there is room for them."""
        width = min(CARD_COLUMNS, self.size.width) - CHROME_COLUMNS
        facts, following = fact_lines(self.card, width), self._next_lines(width)
        room = self.size.height - CHROME_LINES - len(following)
        roomy = len(facts) + 2 <= room
        card, view = self.query_one("#card"), self.query_one("#facts", TextLines)
        card.set_class(roomy, "-roomy")
        card.border_subtitle = "" if len(facts) <= room else "↓ scrolls: there is more"
        view.styles.height = max(1, min(len(facts), room))
        view.show_lines(facts)
        below = self.query_one("#next", TextLines)
        below.styles.height = len(following)
        below.show_lines(following)

    def _next_lines(self, width: int) -> list[Line]:
        """Return what to do next, or how far the preparation is."""
        lines: list[Line] = [()]
        if self._error is not None:
            told = [((piece, "error"),) for piece in wrap("! " + clean(self._error), width)]
            return [*lines, *told, (("Enter tries again, q leaves.", ""),)]
        if self.busy:
            sign = ENGINE_GLYPHS["running"]
            lines += [((fit(clean(text), width), "muted"),) for text in self._progress[:-1]]
            return [*lines, ((fit(f"{sign} {clean(self._progress[-1])}", width), "live"),)]
        return [*lines, (("Enter begins the night, q leaves.", "yours"),)]


class _Facts(TextLines):
    can_focus = True


def fact_lines(card: StartCard, width: int) -> list[Line]:
    """Return the card's facts and their warnings for a width."""
    lines: list[Line] = [((fit(clean(card.title, 200), width), "heading"),), ()]
    room = max(10, width - LABEL_CELLS)
    for fact in card.lines:
        label = fit(clean(fact.label, LABEL_CELLS - 1), LABEL_CELLS)
        for number, piece in enumerate(wrap(clean(fact.value), room)):
            lines.append(((label if not number else " " * LABEL_CELLS, "muted"), (piece, "")))
        if fact.warning:
            told = wrap("! " + clean(fact.warning), room)
            lines += [((" " * LABEL_CELLS, ""), (piece, "warning")) for piece in told]
    return lines
