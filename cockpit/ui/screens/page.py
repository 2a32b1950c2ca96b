"""A page to read: it scrolls, and follows what it shows when that changes."""

import asyncio
import time
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from cockpit.ui.client import Client
from cockpit.ui.lines import TextLines
from cockpit.ui.pages import Page
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.screens.following import FollowingScreen
from cockpit.ui.snapshot import Snapshot

READ_SECONDS = 1.0
"""How often a page is read again while it is open."""


class PageScreen(FollowingScreen):
    """Shows one page over the whole terminal."""

    DEFAULT_CSS = """
    PageScreen #page { border: round $pane-focus; padding: 0 1; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "back", key_display="esc"),
    ]

    def __init__(self, client: Client, page: Page, content: Any) -> None:
        """Show `content`, which is what `page.read` gave just now."""
        super().__init__()
        self.client, self.page = client, page
        self._content = content
        self._read_at = time.monotonic()

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield _PageLines(self.page, self._content)
        yield KeyLine()

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def follow(self, snapshot: Snapshot) -> None:
        """Read it again, now and then."""
        if time.monotonic() - self._read_at >= READ_SECONDS:
            self._read_at = time.monotonic()
            self._read_again()

    @work(exclusive=True)
    async def _read_again(self) -> None:
        content = await asyncio.to_thread(self.page.read, self.client)
        if self.is_attached and content != self._content:
            self._content = content
            self.query_one(_PageLines).show_content(content)


class _PageLines(TextLines):
    can_focus = True

    def __init__(self, page: Page, content: Any) -> None:
        super().__init__("page")
        self._page, self._content = page, content
        self.border_title = page.title

    def show_content(self, content: Any) -> None:
        self._content = content
        self.show_lines(self._page.lines(content, self.line_width))

    def relayout(self) -> None:
        self._lines = self._page.lines(self._content, self.line_width)
