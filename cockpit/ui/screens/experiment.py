"""One experiment: what was hoped, what came of it, its whole story, the change itself."""

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from cockpit.core.experiment import Experiment
from cockpit.ui.acting import Acting
from cockpit.ui.acts import bindings
from cockpit.ui.client import Client
from cockpit.ui.experiment_lines import detail_lines
from cockpit.ui.lines import TextLines
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.screens.following import FollowingScreen
from cockpit.ui.snapshot import Details, Snapshot


class ExperimentScreen(Acting, FollowingScreen):
    """Everything about one experiment."""

    DEFAULT_CSS = """
    ExperimentScreen #details { border: round $pane-focus; padding: 0 1; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(
            {"accept", "reject", "replicate", "rerun", "branch", "note", "drop", "first", "later"}
        ),
        Binding("escape,q", "close", "back", key_display="esc"),
    ]

    def __init__(self, client: Client, details: Details, snapshot: Snapshot) -> None:
        super().__init__()
        self.client = client
        self.details: Details = details
        self.snapshot: Snapshot | None = snapshot
        self._wanted, self._possible = snapshot.wanted, self.possible()

    def compose(self) -> ComposeResult:
        """Lay out."""
        assert self.snapshot is not None
        yield _DetailLines(self.details, self.snapshot)
        yield KeyLine()

    @property
    def subject(self) -> Experiment | None:
        """Return the experiment."""
        return self.details.experiment

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what is possible."""
        if action in {"act", "say_why"}:
            return self.offers(action, str(parameters[0]))
        return True

    def follow(self, snapshot: Snapshot) -> None:
        """Show what has become of it meanwhile, where anything has."""
        self.snapshot = snapshot
        shown = self.details.experiment
        fresh = (snapshot.experiments or {}).get(shown.id, shown)
        if fresh is not shown or snapshot.wanted is not self._wanted:
            self._wanted = snapshot.wanted
            self._read_again(snapshot)
        elif self.possible() != self._possible:  # the queue or the base is another
            self._show(self.details, snapshot)

    # Without a description the decorator makes one of the whole snapshot: 100 ms with 3,000.
    @work(exclusive=True, description="details")
    async def _read_again(self, snapshot: Snapshot) -> None:
        details = await asyncio.to_thread(self.client.details, self.details.experiment.id)
        if details is not None and self.is_attached:
            self._show(details, snapshot)

    def _show(self, details: Details, snapshot: Snapshot) -> None:
        self.details = details
        self._possible = self.possible()
        self.query_one(_DetailLines).show_details(details, snapshot)
        self.refresh_bindings()


class _DetailLines(TextLines):
    can_focus = True

    def __init__(self, details: Details, snapshot: Snapshot) -> None:
        super().__init__("details")
        self._details, self._snapshot = details, snapshot
        self.border_title = f"#{details.experiment.id}"

    def show_details(self, details: Details, snapshot: Snapshot) -> None:
        self._details, self._snapshot = details, snapshot
        self.show_lines(detail_lines(details, snapshot, self.line_width))

    def relayout(self) -> None:
        self._lines = detail_lines(self._details, self._snapshot, self.line_width)
