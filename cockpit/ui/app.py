"""The screen: composes the panes, polls the client, and passes on what the panes wish for."""

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from cockpit.ui import deciding, layout, messages, opening
from cockpit.ui.beginning import Beginning, next_night
from cockpit.ui.card import StartCard
from cockpit.ui.client import Client
from cockpit.ui.panes.agent import AgentPane, Transcript
from cockpit.ui.panes.gpu import GpuPane
from cockpit.ui.panes.history import HistoryPane
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.panes.status import StatusLine, TabLine
from cockpit.ui.screens.confirm import ConfirmScreen, begin_question, skip_question
from cockpit.ui.screens.following import FollowingScreen
from cockpit.ui.screens.start import StartScreen
from cockpit.ui.snapshot import Outcome, Snapshot
from cockpit.ui.themed import ThemedApp

POLL_SECONDS = 0.25
WRITING_SECONDS = 0.125
"""While something is being written: not more often than that is it drawn anew."""


class CockpitApp(ThemedApp):
    """One lab on one terminal."""

    TITLE = "cockpit"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = layout.BREAKPOINTS
    CSS = layout.CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "pause"),
        Binding("space", "resume", "resume"),
        Binding("s", "skip", "skip"),
        Binding("b", "begin", "begin"),
        Binding("b", "repair", "repair"),
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
        super().__init__(theme, driver_class)
        self.client = client
        self.options, self.card = list(options), card
        self.snapshot = self.client.snapshot()
        self.beginning = Beginning(client, self._from_thread, self._progress, self._started)
        self.active = "history"
        self._keys: tuple[str, bool] | None = None

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
        self._show(self.snapshot)
        if self.card is not None and self.snapshot.engine.state == "fresh":
            self.push_screen(StartScreen(self.card))
        self.call_after_refresh(gc.enable)
        self._poll()

    @work
    async def _poll(self) -> None:
        """Look at the lab again and again, in a thread: a slow disk must not stop the keys."""
        while True:
            await asyncio.sleep(WRITING_SECONDS if self.snapshot.streams else POLL_SECONDS)
            before = self.snapshot.tag
            self.snapshot = await asyncio.to_thread(self.client.snapshot)
            if not self.is_running:  # the person has left meanwhile: the panes are being removed
                return
            if self.snapshot.tag is not before:
                self.client.keep_off_training_cores()
            self._show(self.snapshot)
            self.follow_theme()

    def _show(self, snapshot: Snapshot) -> None:
        panes = self.screen_stack[0]
        panes.query_one(StatusLine).show(snapshot)
        panes.query_one(HistoryPane).show(snapshot)
        panes.query_one(GpuPane).show(snapshot)
        panes.query_one(AgentPane).show(snapshot)
        self._show_tabs()
        for outcome in snapshot.outcomes:
            self._say(outcome)
        if isinstance(self.screen, FollowingScreen):
            self.screen.follow(snapshot)
        keys = (snapshot.engine.state, bool(snapshot.current))
        if keys != self._keys:
            self._keys = keys
            self.screen.refresh_bindings()

    def _show_tabs(self) -> None:
        tabs = self.screen_stack[0].query_one(TabLine)
        tabs.show(self.snapshot, layout.PANE_NAMES, layout.name_of(self.active))

    def _say(self, outcome: Outcome) -> None:
        self.say(outcome.text if outcome.done else f"! {outcome.text}", good=outcome.done)

    def say(self, text: str, *, good: bool = True) -> None:
        """Show a line where outcomes are shown."""
        for line in self.screen.query(KeyLine) or self.screen_stack[0].query(KeyLine):
            line.say(text, good=good)

    # ---- what panes wish for -------------------------------------------------------------------

    def on_send(self, message: messages.Send) -> None:
        """Drop a command."""
        self._send(message.verb, message.arguments)

    @work
    async def _send(self, verb: str, arguments: dict[str, object]) -> None:
        outcome = await asyncio.to_thread(self.client.send, verb, arguments)
        if outcome is not None:
            self._say(outcome)

    def on_decide(self, message: messages.Decide) -> None:
        """Drop a verdict; one that turns the rule's around after a question."""
        experiments, number = self.snapshot.experiments or {}, message.experiment
        if number not in experiments:
            return
        if told := deciding.why_not(experiments[number], message.verb):
            self.say(told, good=False)
            return
        send = partial(self._send, message.verb, {"id": number})
        asked = deciding.question(experiments, number, message.verb)
        if asked is None:
            send()
        else:
            self._ask(send, asked, deciding.ANSWERS[message.verb])

    def on_say(self, message: messages.Say) -> None:
        """Show a line."""
        self.say(message.text, good=message.good)

    def on_ask_help(self) -> None:
        """Show the help."""
        self.action_help()

    @work
    async def on_open(self, message: messages.Open) -> None:
        """Show an experiment."""
        self._on_top(await opening.experiment(self.client, self.snapshot, message.experiment))

    @work
    async def on_show_page(self, message: messages.ShowPage) -> None:
        """Show a page to read."""
        self._on_top(await opening.page(self.client, message.page))

    def _on_top(self, screen: Screen[None] | None) -> None:
        if screen is not None and self.is_running:
            self.push_screen(screen)

    def on_begin(self) -> None:
        """Begin a night: at once from the card, else after a question."""
        if isinstance(self.screen, StartScreen):
            self.beginning.begin(self.options)
        else:
            self.action_begin()

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
        if action in {"pause", "resume", "skip", "begin", "repair", "pane", "type", "help"}:
            engine = self.snapshot.engine
            possible = {
                "begin": not engine.alive and engine.state != "dead",
                "repair": engine.state == "dead",
                "skip": engine.alive and bool(self.snapshot.current),
                "pause": engine.state == "running",
                "resume": engine.state == "paused",
            }
            return len(self.screen_stack) == 1 and possible.get(action, True)
        return True

    def action_pause(self) -> None:
        """Let the run under way end, and begin nothing new."""
        self._send("pause", {})

    def action_resume(self) -> None:
        """Go on after a pause."""
        self._send("resume", {})

    def action_skip(self) -> None:
        """End the run under way, after a question."""
        self._ask(partial(self._send, "skip", {}), *skip_question(self.snapshot.current[0]))

    def action_begin(self) -> None:
        """Begin a night like the last, after a question."""
        options = next_night(self.snapshot, self.options)
        self._ask(partial(self._begin, options), *begin_question(self.snapshot, options))

    def action_repair(self) -> None:
        """Repair what a dead engine left, and go on, after a question."""
        self.action_begin()

    def _begin(self, options: Sequence[str]) -> None:
        self.say("starting")
        self.beginning.begin(options)

    def _ask(self, yes: Callable[[], object], *question: Any) -> None:
        """Ask, and do what yes does."""
        self.push_screen(ConfirmScreen(*question, then=yes))

    def action_pane(self, key: str) -> None:
        """Show and focus a pane."""
        self._activate(layout.PANES[key])
        target: Widget = self.screen.query_one(f"#{layout.PANES[key]}")
        (target.query_one(Transcript) if isinstance(target, AgentPane) else target).focus()

    def action_type(self) -> None:
        """Go to the line of input."""
        self._activate("agent")
        self.screen.query_one(Input).focus()

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
