"""Asks for a line of words: a note, a title."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from cockpit.ui.commands import HINT_CHARACTERS
from cockpit.ui.lines import TextLines
from cockpit.ui.text import clean, fit


class WordsScreen(ModalScreen[None]):
    """One line of input; enter takes it, escape leaves everything as it is."""

    DEFAULT_CSS = """
    WordsScreen { align: center middle; background: $background 60%; }
    WordsScreen Vertical {
        width: 90%; max-width: 84; height: 8; border: round $pane-focus; padding: 1 2;
        background: $background;
    }
    WordsScreen TextLines { height: 1; overflow-y: hidden; }
    WordsScreen Input {
        height: 1; border: none; padding: 0; background: $background; color: $foreground;
    }
    WordsScreen Input:focus { border: none; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave it")]

    def __init__(
        self,
        question: str,
        then: Callable[[str], object],
        *,
        words: str = "",
        otherwise: Callable[[], object] = lambda: None,
    ) -> None:
        """Ask `question` with `words` to begin with; `then` gets what was typed.

        `otherwise` is called where it is left.
        """
        super().__init__()
        self._question, self._words = clean(question, 200), clean(words, 200)
        self._then, self._otherwise = then, otherwise

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical():
            yield _Line(self._question, "heading")
            field = Input(self._words, max_length=HINT_CHARACTERS)
            field.cursor_blink = False
            yield field
            yield _Line("", "")
            yield _Line("enter takes it   esc leaves it", "muted")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the words; without any, wait."""
        event.stop()
        if words := event.value.strip():
            self.dismiss()
            self._then(words)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss()
        self._otherwise()


class _Line(TextLines):
    can_focus = False

    def __init__(self, text: str, key: str) -> None:
        super().__init__()
        self._text, self._key = text, key

    def relayout(self) -> None:
        self._lines = [((fit(self._text, self.line_width), self._key),)]
