"""A screen over the panes that goes on being told how the lab is."""

from textual.screen import Screen

from cockpit.core.experiment import Experiment
from cockpit.ui.snapshot import Snapshot


class FollowingScreen(Screen[None]):
    """Its `follow` is called with every snapshot while it is on top."""

    @property
    def subject(self) -> Experiment | None:
        """Return the experiment that it is about, where it is about one."""
        return None

    def follow(self, snapshot: Snapshot) -> None:
        """Show what has changed."""
