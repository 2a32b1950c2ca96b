"""A question before what cannot be undone."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from cockpit.ui.beginning import night_facts
from cockpit.ui.lines import TextLines
from cockpit.ui.snapshot import CurrentRun, Snapshot
from cockpit.ui.text import Line, clean, fit, wrap

LABEL_CELLS = 8
CHROME_COLUMNS = 7
"""Border, padding and the column of the scrollbar."""
CHROME_LINES = 4


def skip_question(run: CurrentRun) -> tuple[str, str]:
    """Return the question before a skip, and what yes does."""
    return f"Skip #{run.experiment} {run.title}? Its run ends without a verdict.", "skips it"


def begin_question(
    snapshot: Snapshot, options: Sequence[str]
) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return the question before a start with these options, what yes does, and what begins."""
    if snapshot.engine.state == "dead":
        return "The engine died. Repair and go on?", "repairs", ()
    return "Begin a night?", "begins", night_facts(snapshot, options)


class ConfirmScreen(ModalScreen[None]):
    """Asks; enter or y is yes, anything else that closes is no."""

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; background: $background 60%; }
    ConfirmScreen TextLines {
        width: 90%; max-width: 64; max-height: 100%; border: round $pane-focus; padding: 1 2;
        background: $background;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "answer(True)", "yes"),
        Binding("escape,n,q", "answer(False)", "no"),
    ]

    def __init__(
        self,
        question: str,
        yes: str,
        facts: Iterable[tuple[str, str]] = (),
        *,
        then: Callable[[], object],
    ) -> None:
        """Ask `question`; `yes` says what yes does, `then` does it."""
        super().__init__()
        self._question, self._yes, self._facts = clean(question), yes, tuple(facts)
        self._then = then

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield TextLines("question")

    def on_resize(self, event: events.Resize) -> None:
        """Make the box as high as its lines."""
        view = self.query_one("#question", TextLines)
        cells = min(64, event.size.width * 9 // 10) - CHROME_COLUMNS
        lines = question_lines(self._question, self._facts, self._yes, cells)
        view.styles.height = len(lines) + CHROME_LINES
        view.show_lines(lines)

    def action_answer(self, yes: bool) -> None:
        """Close, and do what yes does."""
        self.dismiss()
        if yes:
            self._then()


def question_lines(
    question: str, facts: Iterable[tuple[str, str]], yes: str, width: int
) -> list[Line]:
    """Return the lines of the box: the question, what it is about, and the keys."""
    lines: list[Line] = [((line, "heading"),) for line in wrap(question, width)]
    for label, value in facts:
        for number, piece in enumerate(wrap(clean(value), max(8, width - LABEL_CELLS))):
            lead = fit("" if number else label, LABEL_CELLS)
            lines.append(((lead, "muted"), (piece, "")))
    keys = wrap(f"enter {yes}   esc leaves it", width)
    return [*lines, (), *[((line, "muted"),) for line in keys]]
