"""The agent pane: the conversation with who has the ideas, and a line to steer by."""

import time
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from cockpit.core.experiment import Hint
from cockpit.lab.rows import Message
from cockpit.ui.commands import HINT_CHARACTERS, Typed, parse
from cockpit.ui.lines import LineView, TextLines
from cockpit.ui.messages import AskHelp, Say, Send
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.text import Line, Span, clean, fit, wrap

INDENT = 6
"""Cells under which a message hangs: its time."""
MESSAGE_LINES = 60
"""A longer message is cut here; it stands in full in the journal."""
HINTS_SHOWN = 3
ROLE_KEYS = {"human": "yours", "proposer": "live", "engine": "muted"}
SEARCH_NOTE = "search reads no hints: they are kept for when a model proposes"


class Transcript(LineView):
    """The messages, oldest first; it follows the newest until somebody scrolls up."""

    DEFAULT_CSS = "Transcript { height: 1fr; }"
    can_focus = True

    def __init__(self) -> None:
        super().__init__("transcript")
        self._messages: tuple[Message, ...] = ()
        self._lines: list[Line] = []
        self._blocks: dict[int, list[Line]] = {}

    def line_count(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def line_at(self, index: int) -> Line:
        """Return a line."""
        return self._lines[index]

    @property
    def at_end(self) -> bool:
        """Return whether the newest line is in view."""
        return self.scroll_offset.y + self.page_height >= self.virtual_size.height

    def show(self, messages: tuple[Message, ...]) -> None:
        """Show these messages."""
        if messages is self._messages:
            return
        follow = self.at_end
        self._messages = messages
        self._fill()
        self.refresh_changed()
        if follow:
            self.settle()

    def relayout(self) -> None:
        """Wrap everything anew for another width."""
        self._blocks.clear()
        self._fill()

    def settle(self) -> None:
        """Stand at the newest line."""
        self.scroll_to(y=len(self._lines), animate=False, force=True)

    def _fill(self) -> None:
        width = self.line_width
        if width <= 0:
            return
        known, self._blocks = self._blocks, {}
        lines: list[Line] = []
        for message in self._messages:
            block = known.get(message.id) or message_lines(message, width)
            self._blocks[message.id] = block
            lines += block
        self._lines = lines


class HintField(Input):
    """The line of input; what is pasted becomes one line of what there is room for."""

    def __init__(self) -> None:
        super().__init__(placeholder="type a hint, or /help", max_length=HINT_CHARACTERS)
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        # Textual takes the first line only, and nothing of what is too long.
        event.stop()
        event.prevent_default()
        room = HINT_CHARACTERS - len(self.value)
        if room > 1:
            self.insert_text_at_cursor(clean(event.text.strip(), room))


class AgentPane(Vertical):
    """Conversation, hints, and the line of input."""

    DEFAULT_CSS = """
    AgentPane { border: round $pane-border; }
    AgentPane:focus-within { border: round $pane-focus; }
    AgentPane #hints { height: auto; max-height: 4; overflow-y: hidden; }
    AgentPane Input {
        height: 1; border: none; padding: 0; background: $background; color: $foreground;
    }
    AgentPane Input:focus { border: none; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave_input", "back", show=False)]

    def __init__(self) -> None:
        super().__init__(id="agent")
        self.border_title = "2 Agent"
        self._hints: tuple[Hint, ...] | None = None
        self._proposer: str | None = None
        self._snapshot: Snapshot | None = None

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield Transcript()
        yield TextLines("hints")
        yield HintField()

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        self._snapshot = snapshot
        self.query_one(Transcript).show(snapshot.messages)
        proposer = snapshot.proposer
        if snapshot.hints is self._hints and proposer == self._proposer:
            return
        self._hints, self._proposer = snapshot.hints, proposer
        title = f"2 Agent  {clean(proposer, 30)}".replace("[", "(") if proposer else "2 Agent"
        if self.border_title != title:
            self.border_title = title
        self._show_hints()

    def on_resize(self) -> None:
        """Fit the hints to the new width."""
        self._show_hints()

    def _show_hints(self) -> None:
        view = self.query_one("#hints", TextLines)
        width = self.content_size.width
        lines = hint_lines(self._hints or (), self._proposer, width)
        view.styles.height = len(lines)
        view.show_lines(lines)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send a hint or a command."""
        event.stop()
        if not event.value.strip():
            return
        typed = parse(event.value)
        if isinstance(typed, str):
            self.post_message(Say(typed, good=False))
            return
        event.input.clear()
        self._act(typed)

    def _act(self, typed: Typed) -> None:
        self.post_message(AskHelp() if typed.verb == "help" else Send(typed.verb, typed.arguments))

    def action_leave_input(self) -> None:
        """Leave the line of input."""
        self.query_one(Transcript).focus()


def message_lines(message: Message, width: int) -> list[Line]:
    """Return a message as lines: time and who, then the text, hanging below its time."""
    key = ROLE_KEYS.get(message.role, "")
    at = time.strftime("%H:%M", time.localtime(message.at))
    who = clean(message.author or message.role, 20)
    indent = INDENT if width > 30 else 1
    text_key = "muted" if message.role == "engine" else ""
    lines: list[Line] = []
    paragraphs = message.text.split("\n")[:MESSAGE_LINES]
    about = f"#{message.experiment} " if message.experiment is not None else ""
    for number, paragraph in enumerate(paragraphs):
        lead = f"{who}  " if number == 0 else ""
        text = (about if number == 0 else "") + clean(paragraph)
        wrapped = wrap(lead + text, max(8, width - indent))
        for place, piece in enumerate(wrapped):
            first = number == 0 and place == 0
            spans: list[Span] = [(fit(at if first else "", indent), "muted")]
            if first and lead and piece.startswith(lead.rstrip()):
                spans += [(lead.rstrip(), key), (piece[len(lead.rstrip()) :], text_key)]
            else:
                spans.append((piece, text_key))
            lines.append(tuple(spans))
            if len(lines) >= MESSAGE_LINES:
                return [*lines, ((" " * indent + "…", "muted"),)]
    return lines


def hint_lines(hints: tuple[Hint, ...], proposer: str | None, width: int) -> list[Line]:
    """Return the newest hints that stand, each with its state, and who reads them."""
    lines: list[Line] = []
    for hint in [h for h in hints if h.state != "withdrawn"][-HINTS_SHOWN:]:
        state = hint.state + (f" in #{hint.experiment}" if hint.experiment is not None else "")
        text = f"hint  {clean(hint.text, 300)}"
        room = width - len(state) - 2
        lines.append(((fit(text, room), "yours"), (f"  {clean(state, 40)}", "muted")))
    if proposer == "search":
        lines.append(((fit(SEARCH_NOTE, width), "muted"),))
    return lines
