"""A question before what cannot be undone."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from cockpit.ui.lines import TextLines
from cockpit.ui.snapshot import CurrentRun, EngineState
from cockpit.ui.text import clean, wrap


def skip_question(run: CurrentRun) -> tuple[str, str]:
    """Return the question before a skip, and what yes does."""
    return f"Skip #{run.experiment} {run.title}? Its run ends without a verdict.", "skips it"


def begin_question(engine: EngineState) -> tuple[str, str]:
    """Return the question before a start, and what yes does."""
    if engine.state == "dead":
        return "The engine died. Repair and go on?", "goes on"
    return "Begin a night with the same lab?", "begins"


class ConfirmScreen(ModalScreen[bool]):
    """Asks; enter or y is yes, anything else that closes is no."""

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; background: $background 60%; }
    ConfirmScreen TextLines {
        width: 90%; max-width: 64; height: 8; border: round $pane-focus; padding: 1 2;
        background: $background;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "answer(True)", "yes"),
        Binding("escape,n,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question, self._yes = clean(question), yes

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield _Question(self._question, f"enter {self._yes}   esc leaves it")

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


class _Question(TextLines):
    def __init__(self, question: str, keys: str) -> None:
        super().__init__("question")
        self._question, self._keys = question, keys

    def relayout(self) -> None:
        lines = wrap(self._question, self.line_width)[:2]
        self._lines = [*[((line, "heading"),) for line in lines], (), ((self._keys, "muted"),)]
