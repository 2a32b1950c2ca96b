"""The screen: composes the panes, polls the client, and passes on what the panes wish for."""

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.widget import Widget
from textual.widgets import Input

from cockpit.ui import layout, messages, opening, wishes
from cockpit.ui.beginning import Beginning
from cockpit.ui.card import StartCard
from cockpit.ui.client import Client
from cockpit.ui.desk import DeskApp
from cockpit.ui.doing import Doing
from cockpit.ui.panes.agent import AgentPane, Transcript
from cockpit.ui.panes.gpu import GpuPane
from cockpit.ui.panes.history import HistoryPane
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.panes.status import StatusLine, TabLine
from cockpit.ui.screens.following import FollowingScreen
from cockpit.ui.screens.start import StartScreen
from cockpit.ui.snapshot import Snapshot

POLL_SECONDS = 0.25
WRITING_SECONDS = 0.125
"""While something is being written: not more often than that is it drawn anew."""


class CockpitApp(DeskApp):
    """One lab on one terminal."""

    TITLE = "cockpit"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = layout.BREAKPOINTS
    CSS = layout.CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        *wishes.bindings(),
        Binding("colon", "palette", "everything", key_display=":", show=False),
        Binding("ctrl+p", "palette", "everything", show=False),
        Binding("1", "pane('1')", "to the history", show=False),
        Binding("2", "pane('2')", "to the agent", show=False),
        Binding("3", "pane('3')", "to the GPU", show=False),
        Binding("i", "type", "type a hint"),
        Binding("T", "next_theme", "next theme", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "leave", "leave"),
        Binding("ctrl+q,ctrl+c", "leave", "leave", show=False, priority=True),
    ]

    def __init__(
        self,
        client: Client,
        options: Sequence[str] = (),
        card: StartCard | None = None,
        *,
        theme: str | None = None,
        driver_class: type[Driver] | None = None,
    ) -> None:
        """Show the lab of `client`; `options` are those of `start`, `card` a fresh lab's."""
        super().__init__(client, options, theme, driver_class)
        self.doing = Doing(self)
        self.card = card
        self.beginning = Beginning(client, self._from_thread, self._progress, self._started)
        self.active = "history"
        self._keys: tuple[bool, ...] = ()

    # ---- layout ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        yield StatusLine("status")
        yield TabLine("tabs")
        with Horizontal(id="panes"):
            yield HistoryPane()
            with Vertical(id="right"):
                yield GpuPane()
                yield AgentPane()
        yield KeyLine()

    def on_mount(self) -> None:
        """Listen for signals, show what is known, and begin to poll."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Else SIGTERM leaves the terminal in a mess and a lost terminal spins for ever.
            loop.add_signal_handler(number, self.exit)
        # Textual finds the width out only after a first layout for the wrong one.
        self.screen.add_class("-show-history", layout.width_class(self.size.width))
        self.query_one(HistoryPane).focus()
        self._show(self.snapshot, self.snapshot)
        if self.card is not None and self.snapshot.engine.state == "fresh":
            self.push_screen(StartScreen(self.card))
        self.call_after_refresh(gc.enable)
        self._poll()

    @work
    async def _poll(self) -> None:
        """Look at the lab again and again, in a thread: a slow disk must not stop the keys."""
        while True:
            await asyncio.sleep(WRITING_SECONDS if self.snapshot.streams else POLL_SECONDS)
            before = self.snapshot
            self.snapshot = await asyncio.to_thread(self.client.snapshot)
            if not self.is_running:  # the person has left meanwhile: the panes are being removed
                return
            if self.snapshot.tag is not before.tag:
                self.client.keep_off_training_cores()
            self._show(self.snapshot, before)
            self.follow_theme()

    def _show(self, snapshot: Snapshot, before: Snapshot) -> None:
        panes = self.screen_stack[0]
        panes.query_one(StatusLine).show(snapshot)
        panes.query_one(HistoryPane).show(snapshot)
        panes.query_one(GpuPane).show(snapshot)
        panes.query_one(AgentPane).show(snapshot)
        self._show_tabs()
        if snapshot.offer is not None and snapshot.offer is not before.offer:
            self.say(f"! {snapshot.offer.text}")
        for outcome in snapshot.outcomes:
            self.tell(outcome)
        if isinstance(self.screen, FollowingScreen):
            self.screen.follow(snapshot)
        keys = tuple(wishes.why_not(snapshot, wish.name) is None for wish in wishes.WISHES)
        if keys != self._keys:
            self._keys = keys
            self.screen.refresh_bindings()

    def _show_tabs(self) -> None:
        tabs = self.screen_stack[0].query_one(TabLine)
        tabs.show(self.snapshot, layout.PANE_NAMES, layout.name_of(self.active))

    def say(self, text: str, *, good: bool = True) -> None:
        """Show a line where outcomes are shown."""
        for line in self.screen.query(KeyLine) or self.screen_stack[0].query(KeyLine):
            line.say(text, good=good)

    # ---- what panes wish for -------------------------------------------------------------------

    def on_send(self, message: messages.Send) -> None:
        """Drop a command."""
        self.doing.send(message.verb, message.arguments)

    def on_do(self, message: messages.Do) -> None:
        """Do something to an experiment."""
        self.doing.do(message.verb, message.experiment)

    def on_wish(self, message: messages.Wish) -> None:
        """Do something about the night as a whole."""
        self.doing.wish(message.name)

    def on_say(self, message: messages.Say) -> None:
        """Show a line."""
        self.say(message.text, good=message.good)

    def on_ask_help(self) -> None:
        """Show the help."""
        self.action_help()

    @work
    async def on_open(self, message: messages.Open) -> None:
        """Show an experiment."""
        self.put_on_top(await opening.experiment(self.client, self.snapshot, message.experiment))

    @work
    async def on_show_page(self, message: messages.ShowPage) -> None:
        """Show a page to read."""
        self.put_on_top(await opening.page(self.client, self.snapshot, message.page))

    def on_begin(self) -> None:
        """Begin a night: at once from the card, else after a question."""
        if isinstance(self.screen, StartScreen):
            self.beginning.begin(self.options)
        else:
            self.doing.wish("begin")

    def _from_thread(self, tell: Callable[[], None]) -> None:
        if self.is_running:  # the person may have left meanwhile; the start goes on without us
            self.call_from_thread(tell)

    def _progress(self, text: str) -> None:
        if isinstance(self.screen, StartScreen):
            self.screen.progress(text)
        else:
            self.say(text)

    def _started(self, error: str | None) -> None:
        if isinstance(self.screen, StartScreen):
            if error is None:
                self.pop_screen()
            else:
                self.screen.failed(error)
        else:
            self.say(error or "the night has begun", good=error is None)

    # ---- keys ------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what is possible now."""
        if action in {"wish", "say_why_not"}:
            name = str(parameters[0])
            if len(self.screen_stack) > 1 and name not in wishes.EVERYWHERE:
                return False
            if action == "wish":
                return wishes.why_not(self.snapshot, name) is None
            return not wishes.possible_on(wishes.BY_NAME[name].key, self.snapshot)
        if action in {"pane", "type", "help"}:
            return len(self.screen_stack) == 1
        return True

    def action_wish(self, name: str) -> None:
        """Do something about the night as a whole."""
        self.doing.wish(name)

    def action_say_why_not(self, name: str) -> None:
        """Say why a key does nothing now."""
        if told := wishes.why_not(self.snapshot, name):
            self.say(told, good=False)

    def action_palette(self) -> None:
        """Show everything that can be done."""
        on_top = self.screen
        selected = (
            on_top.subject
            if isinstance(on_top, FollowingScreen)
            else self.screen_stack[0].query_one(HistoryPane).selected
        )
        self.put_on_top(opening.palette(self.snapshot, selected))

    def action_pane(self, key: str) -> None:
        """Show and focus a pane."""
        self._activate(layout.PANES[key])
        target: Widget = self.screen.query_one(f"#{layout.PANES[key]}")
        (target.query_one(Transcript) if isinstance(target, AgentPane) else target).focus()

    def action_type(self) -> None:
        """Go to the line of input."""
        self.type("")

    def type(self, words: str) -> None:
        """Go to the line of input, with some words in it already."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._activate("agent")
        field = self.screen.query_one(Input)
        if words:
            field.value, field.cursor_position = words, len(words)
        field.focus()

    def _activate(self, pane: str) -> None:
        for name in layout.PANES.values():
            self.screen_stack[0].set_class(name == pane, f"-show-{name}")
        self.active = pane
        self._show_tabs()

    def action_help(self) -> None:
        """Show keys and words."""
        from cockpit.ui.screens.help import HelpScreen, live_keys  # after the first paint

        self.push_screen(HelpScreen(live_keys(self.screen)))

    def action_leave(self) -> None:
        """Leave; the night goes on."""
        self.exit()
