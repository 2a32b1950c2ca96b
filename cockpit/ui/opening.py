"""Screens over the panes: what they show is read first, off the keys.

Their modules are imported when they are first wanted: the first paint need not wait for them.
"""

import asyncio

from textual.screen import Screen

from cockpit.ui.client import Client
from cockpit.ui.snapshot import Snapshot


async def experiment(client: Client, snapshot: Snapshot, number: int) -> Screen[None] | None:
    """Return the screen of an experiment, or None where there is none."""
    from cockpit.ui.screens.experiment import ExperimentScreen

    details = await asyncio.to_thread(client.details, number)
    return ExperimentScreen(client, details, snapshot) if details is not None else None


async def page(client: Client, name: str) -> Screen[None]:
    """Return a page to read: one of `commands.PAGES`."""
    from cockpit.ui.pages import PAGES
    from cockpit.ui.screens.page import PageScreen

    shown = PAGES[name]
    return PageScreen(client, shown, await asyncio.to_thread(shown.read, client))
