"""An app at which a person works: it asks, sends, begins nights, and has texts edited."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from textual import work
from textual.driver import Driver
from textual.screen import Screen

from cockpit.ui import opening
from cockpit.ui.beginning import Beginning
from cockpit.ui.client import Client
from cockpit.ui.doing import Doing
from cockpit.ui.screens.confirm import ConfirmScreen
from cockpit.ui.snapshot import Outcome
from cockpit.ui.themed import ThemedApp


class DeskApp(ThemedApp):
    """What `Doing` needs of an app."""

    beginning: Beginning
    doing: Doing

    def __init__(
        self,
        client: Client,
        options: Sequence[str],
        theme: str | None,
        driver_class: type[Driver] | None,
    ) -> None:
        """Work on the lab of `client`; `options` are those of `start`."""
        super().__init__(theme, driver_class)
        self.client, self.options = client, list(options)
        self.snapshot = client.snapshot()

    def tell(self, outcome: Outcome) -> None:
        """Show what became of a command."""
        self.say(self.doing.answered(outcome), good=outcome.done)

    @work
    async def drop_command(self, verb: str, arguments: dict[str, object]) -> None:
        """Drop a command into the inbox."""
        outcome = await asyncio.to_thread(self.client.send, verb, arguments)
        if outcome is not None:
            self.tell(outcome)

    def begin_night(self, options: Sequence[str]) -> None:
        """Begin (or repair) a night."""
        self.say("starting")
        self.beginning.begin(options)

    @work
    async def edit_base(self) -> None:
        """Have the base's train.py edited."""
        self.doing.edit(await asyncio.to_thread(self.client.base_text))

    def ask(self, yes: Callable[[], object], *question: Any) -> None:
        """Ask, and do what yes does."""
        self.push_screen(ConfirmScreen(*question, then=yes))

    def ask_words(self, question: str, then: Callable[[str], object], **more: Any) -> None:
        """Ask for a line of words, and do something with them."""
        self.put_on_top(opening.words(question, then, **more))

    @work
    async def take_offer(self) -> None:
        """Queue the working tree's train.py."""
        base = await asyncio.to_thread(self.client.base_text)
        self.doing.take(base, await asyncio.to_thread(self.client.own_text))

    def put_on_top(self, screen: Screen[None] | None) -> None:
        """Show a screen over the panes, where there is one."""
        if screen is not None and self.is_running:
            self.push_screen(screen)
