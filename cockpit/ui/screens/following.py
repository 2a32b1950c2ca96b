"""A screen over the panes that goes on being told how the lab is."""

from textual.screen import Screen

from cockpit.ui.snapshot import Snapshot


class FollowingScreen(Screen[None]):
    """Its `follow` is called with every snapshot while it is on top."""

    def follow(self, snapshot: Snapshot) -> None:
        """Show what has changed."""
