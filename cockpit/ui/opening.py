"""Screens over the panes: what they show is read first, off the keys.

Their modules are imported when they are first wanted: the first paint need not wait for them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from cockpit.core.experiment import Experiment
from cockpit.ui.client import Client
from cockpit.ui.snapshot import Snapshot


async def experiment(client: Client, snapshot: Snapshot, number: int) -> Screen[None] | None:
    """Return the screen of an experiment, or None where there is none."""
    from cockpit.ui.screens.experiment import ExperimentScreen

    details = await asyncio.to_thread(client.details, number)
    return ExperimentScreen(client, details, snapshot) if details is not None else None


async def page(client: Client, snapshot: Snapshot, name: str) -> Screen[None]:
    """Return a page: one of `commands.PAGES`."""
    if name == "yours":
        from cockpit.ui.screens.yours import YoursScreen

        return YoursScreen(client, snapshot)
    from cockpit.ui.pages import PAGES
    from cockpit.ui.screens.page import PageScreen

    shown = PAGES[name]
    return PageScreen(client, shown, await asyncio.to_thread(shown.read, client))


def palette(snapshot: Snapshot, selected: Experiment | None) -> Screen[None]:
    """Return everything that can be done, to choose from."""
    from cockpit.ui.screens.palette import PaletteScreen

    return PaletteScreen(snapshot, selected)


def words(question: str, then: Callable[[str], object], **more: Any) -> Screen[None]:
    """Return a question for a line of words: see `WordsScreen`."""
    from cockpit.ui.screens.words import WordsScreen

    return WordsScreen(question, then, **more)
