"""The screen: composes the panes, polls the client, and passes on what the panes wish for."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.widget import Widget
from textual.widgets import Input

from cockpit.ui import layout, messages
from cockpit.ui.card import StartCard
from cockpit.ui.client import Client
from cockpit.ui.panes.agent import AgentPane, Transcript
from cockpit.ui.panes.gpu import GpuPane
from cockpit.ui.panes.history import HistoryPane
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.panes.status import StatusLine, TabLine
from cockpit.ui.screens.confirm import ConfirmScreen, begin_question, skip_question
from cockpit.ui.screens.experiment import ExperimentScreen
from cockpit.ui.screens.help import HelpScreen, live_keys
from cockpit.ui.screens.start import StartScreen
from cockpit.ui.snapshot import Outcome, Snapshot
from cockpit.ui.theme import Theme, Themes, plain, preferred_theme, themes_directory

POLL_SECONDS = 0.25
THEME_POLLS = 8
"""The theme's file is looked at every so many polls."""


class CockpitApp(App[None]):
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
        colours = "NO_COLOR" not in os.environ
        super().__init__(driver_class=driver_class, ansi_color=None if colours else True)
        self.client = client
        self.options, self.card = list(options), card
        self.snapshot = self.client.snapshot()
        self.active = "history"
        self._keys: tuple[str, bool] | None = None
        self.themes = Themes(themes_directory())
        self.palette: Theme = plain()
        if colours:
            self.palette = self.themes.get(theme or preferred_theme(dict(os.environ)))
        self.register_theme(self.palette.textual())
        self.set_reactive(App.theme, self.palette.name)
        self.stylesheet.set_variables(self.get_css_variables())

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
        self.screen.add_class("-show-history")
        self.query_one(HistoryPane).focus()
        self._show(self.snapshot)
        if self.card is not None and self.snapshot.engine.state == "fresh":
            self.push_screen(StartScreen(self.card))
        self.call_after_refresh(gc.enable)
        self._poll()

    @work
    async def _poll(self) -> None:
        """Look at the lab four times a second, in a thread: a slow disk must not stop the keys."""
        beats = 0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            before = self.snapshot.tag
            self.snapshot = await asyncio.to_thread(self.client.snapshot)
            if self.snapshot.tag is not before:
                self.client.keep_off_training_cores()
            self._show(self.snapshot)
            beats += 1
            if beats % THEME_POLLS == 0:
                self._reload_theme()

    def _show(self, snapshot: Snapshot) -> None:
        panes = self.screen_stack[0]
        panes.query_one(StatusLine).show(snapshot)
        panes.query_one(HistoryPane).show(snapshot)
        panes.query_one(GpuPane).show(snapshot)
        panes.query_one(AgentPane).show(snapshot)
        self._show_tabs()
        for outcome in snapshot.outcomes:
            self._say(outcome)
        keys = (snapshot.engine.state, bool(snapshot.current))
        if keys != self._keys:
            self._keys = keys
            self.screen.refresh_bindings()

    def _show_tabs(self) -> None:
        tabs = self.screen_stack[0].query_one(TabLine)
        name = next(
            layout.PANE_NAMES[key] for key, pane in layout.PANES.items() if pane == self.active
        )
        tabs.show(self.snapshot, layout.PANE_NAMES, name)

    def _say(self, outcome: Outcome) -> None:
        mark = "" if outcome.done else "! "
        self.say(f"{mark}{outcome.verb}: {outcome.text}", good=outcome.done)

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

    def on_say(self, message: messages.Say) -> None:
        """Show a line."""
        self.say(message.text, good=message.good)

    def on_ask_help(self) -> None:
        """Show the help."""
        self.action_help()

    @work
    async def on_open(self, message: messages.Open) -> None:
        """Show an experiment."""
        details = await asyncio.to_thread(self.client.details, message.experiment)
        if details is not None:
            self.push_screen(ExperimentScreen(details, self.snapshot))

    def on_begin(self) -> None:
        """Begin a night: at once from the card, else after a question."""
        if isinstance(self.screen, StartScreen):
            self._start()
        else:
            self.action_begin()

    def _start(self) -> None:
        # A thread that nobody waits for: who leaves meanwhile leaves at once.
        threading.Thread(target=self._start_blocking, daemon=True).start()

    def _start_blocking(self) -> None:
        error = self.client.start(
            self.options, lambda text: self._from_thread(self._progress, text)
        )
        self._from_thread(self._started, error)

    def _from_thread(self, tell: Callable[[Any], None], what: str | None) -> None:
        if self.is_running:  # the person may have left meanwhile; the start goes on without us
            self.call_from_thread(tell, what)

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
        if action in {"pause", "resume", "skip", "begin", "pane", "type", "help"}:
            engine = self.snapshot.engine
            possible = {
                "begin": not engine.alive,
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
        question = skip_question(self.snapshot.current[0])
        self.push_screen(ConfirmScreen(*question), partial(self._if_yes, "skip"))

    def _if_yes(self, verb: str, yes: bool | None) -> None:
        if yes and verb == "begin":
            self.say("starting")
            self._start()
        elif yes:
            self._send(verb, {})

    def action_begin(self) -> None:
        """Begin a night, or repair one, after a question."""
        question = begin_question(self.snapshot.engine)
        self.push_screen(ConfirmScreen(*question), partial(self._if_yes, "begin"))

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
        self.push_screen(HelpScreen(live_keys(self.screen)))

    def action_leave(self) -> None:
        """Leave; the night goes on."""
        self.exit()

    # ---- colours ---------------------------------------------------------------------------

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        names = self.themes.names()
        if not names or self.palette.name == "plain":
            return
        place = names.index(self.palette.name) if self.palette.name in names else -1
        self._use_theme(names[(place + 1) % len(names)])
        self.say(f"theme: {self.palette.name}")

    def _reload_theme(self) -> None:
        problem = self.themes.problem
        if self.palette.name in self.themes.changed():
            self._use_theme(self.palette.name)
        if self.themes.problem is not None and self.themes.problem != problem:
            self.say(self.themes.problem, good=False)

    def _use_theme(self, name: str) -> None:
        self.palette = self.themes.get(name)
        self.register_theme(self.palette.textual())
        if self.theme == name:
            self._watch_theme(name)
        self.theme = name
        for screen in self.screen_stack:
            screen.refresh(layout=True)
