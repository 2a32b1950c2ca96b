"""The agent pane: the conversation with who has the ideas, and a line to steer by."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from cockpit.core.experiment import Hint
from cockpit.lab.rows import Message, Stream
from cockpit.ui.commands import HINT_CHARACTERS, PAGES, Typed, parse
from cockpit.ui.hint_lines import SEARCH_NOTE, hint_lines
from cockpit.ui.lines import LineView, TextLines
from cockpit.ui.messages import AskHelp, Say, Send, ShowPage
from cockpit.ui.past import PastNight
from cockpit.ui.past_lines import past_lines
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.spent import dollars, short_model, spent_word
from cockpit.ui.talk_lines import earlier_line, message_lines, stream_lines
from cockpit.ui.text import Line, clean, fit

Told = Message | PastNight
Blocks = dict[tuple[str, int], tuple[Told, list[Line]]]
"""What stands in the conversation, by kind and number, and its lines."""


class Transcript(LineView):
    """The conversation, oldest first; it follows the newest until somebody scrolls up.

    What is over is laid out once and kept, block by block; what is being written stands below
    it and is laid out alone.
    """

    DEFAULT_CSS = "Transcript { height: 1fr; }"
    can_focus = True

    def __init__(self) -> None:
        super().__init__("transcript")
        self._snapshot: Snapshot | None = None
        self._blocks: Blocks = {}
        self._said: list[Line] = []
        self._streams: tuple[Stream, ...] = ()
        self._follows = True
        self._writing: list[Line] = []

    def line_count(self) -> int:
        """Return the number of lines."""
        return len(self._said) + len(self._writing)

    def line_at(self, index: int) -> Line:
        """Return a line."""
        over = index - len(self._said)
        return self._said[index] if over < 0 else self._writing[over]

    @property
    def at_end(self) -> bool:
        """Return whether the newest line is in view."""
        return self.scroll_offset.y + self.page_height >= self.virtual_size.height

    def show(self, snapshot: Snapshot) -> None:
        """Show the conversation as it is now."""
        known, self._snapshot = self._snapshot, snapshot
        said = known is None or (
            known.messages is not snapshot.messages or known.past is not snapshot.past
        )
        writing = snapshot.streams is not self._streams
        self._streams = snapshot.streams
        if not said and not writing:
            return
        if self.page_height > 0:  # a hidden one stands nowhere
            self._follows = self.at_end
        if said:
            self._lay_out_said()
        self._lay_out_writing()
        self.refresh_changed()
        if self._follows:
            self.settle()

    def on_show(self) -> None:
        """Lay out what came while this was hidden, and follow the newest where that was done."""
        self._lay_out_said()
        self._lay_out_writing()
        self.refresh_changed()
        if self._follows:
            self.settle()

    def relayout(self) -> None:
        """Wrap everything anew for another width."""
        self._blocks.clear()
        self._lay_out_said()
        self._lay_out_writing()

    def settle(self) -> None:
        """Stand at the newest line."""
        self.scroll_to(y=self.line_count(), animate=False, force=True)

    def _lay_out_said(self) -> None:
        snapshot, width = self._snapshot, self.line_width
        if width <= 0 or snapshot is None:
            return
        known, self._blocks = self._blocks, {}
        lines: list[Line] = []
        for told in snapshot.past:
            lines += self._block(known, ("night", told.id), told, width)
        if snapshot.earlier:
            lines.append(earlier_line(snapshot.earlier, width))
        for message in snapshot.messages:
            lines += self._block(known, ("message", message.id), message, width)
        self._said = lines

    def _block(self, known: Blocks, key: tuple[str, int], told: Told, width: int) -> list[Line]:
        """Return the lines of a message or a night, laid out only where they are new."""
        block = known.get(key)
        if block is None or block[0] is not told:
            block = told, block_lines(told, width)
        self._blocks[key] = block
        return block[1]

    def _lay_out_writing(self) -> None:
        width = self.line_width
        if width > 0:
            self._writing = [line for s in self._streams for line in stream_lines(s, width)]


class HintField(Input):
    """The line of input; what is pasted becomes one line of what there is room for."""

    def __init__(self) -> None:
        super().__init__(
            placeholder="type a hint, or /help",
            max_length=HINT_CHARACTERS,
            # Else the first letter would wipe out what `t` has begun.
            select_on_focus=False,
        )
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
    AgentPane #hints { height: auto; max-height: 5; overflow-y: hidden; }
    AgentPane Input {
        height: 1; border: none; padding: 0; background: $background; color: $foreground;
    }
    AgentPane Input:focus { border: none; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave_input", "back", show=False)]

    def __init__(self) -> None:
        super().__init__(id="agent")
        self.border_title = "2 Agent"
        self._shown: tuple[tuple[Hint, ...], float, bool, Message | None] = ((), 0.0, False, None)

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield Transcript()
        yield TextLines("hints")
        yield HintField()

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        self.query_one(Transcript).show(snapshot)
        title = agent_title(snapshot)
        if self.border_title != title:
            self.border_title = title
        begun = snapshot.night.started_at if snapshot.night else 0.0
        shown = (snapshot.hints, begun, snapshot.hints_unread, snapshot.offer)
        if shown != self._shown:
            self._shown = shown
            self._show_hints()

    def on_resize(self) -> None:
        """Fit the hints to the new width."""
        self._show_hints()

    def on_show(self) -> None:
        """Lay out hints that came while this was hidden: it had no width then."""
        self._show_hints()

    def _show_hints(self) -> None:
        view = self.query_one("#hints", TextLines)
        hints, begun, unread, offer = self._shown
        note = SEARCH_NOTE if unread else ""
        lines = hint_lines(hints, self.content_size.width, since=begun, note=note)
        if offer is not None:
            told = clean(offer.text, 300)
            lines = [((fit(f"! {told}", self.content_size.width), "yours"),), *lines]
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
        if typed.verb == "help":
            self.post_message(AskHelp())
        elif typed.verb in PAGES:
            self.post_message(ShowPage(typed.verb))
        else:
            self.post_message(Send(typed.verb, typed.arguments))

    def action_leave_input(self) -> None:
        """Leave the line of input."""
        self.query_one(Transcript).focus()


def block_lines(told: Told, width: int) -> list[Line]:
    """Return a message, or a night that is over with a blank line below it."""
    if isinstance(told, PastNight):
        return [*past_lines(told, width), ()]
    return message_lines(told, width)


def agent_title(snapshot: Snapshot) -> str:
    """Return who has the ideas, with which model or agent, and what the night has cost."""
    options = snapshot.night.options if snapshot.night else {}
    told = [clean(snapshot.proposer or "", 40), *_means(snapshot)]
    cost = spent_word(snapshot.spent)
    limit = options.get("max_cost")
    if isinstance(limit, int | float) and not isinstance(limit, bool) and not snapshot.hints_unread:
        cost = f"{cost or '$0.00'} of {dollars(limit)}"
    words = " · ".join(filter(None, [" ".join(filter(None, told)), cost]))
    # Brackets would be read as markup in a title.
    return f"2 Agent  {words}".replace("[", "(").rstrip()


def _means(snapshot: Snapshot) -> list[str]:
    """Return the model at work and the agent, as far as the proposers use one."""
    options = snapshot.night.options if snapshot.night else {}
    told = []
    if "llm" in snapshot.proposers:
        models = options.get("model")
        asked = str(models[0]) if isinstance(models, list) and models else ""
        told.append(clean(short_model(snapshot.spent.model or asked), 40))
    if "command" in snapshot.proposers and isinstance(options.get("agent"), str):
        told.append(clean(options["agent"], 30))
    return told
