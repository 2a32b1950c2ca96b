"""What panes say upward; the app alone acts on it."""

from collections.abc import Mapping
from typing import Any

from textual.message import Message


class Send(Message):
    """A command for the engine."""

    def __init__(self, verb: str, arguments: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.verb = verb
        self.arguments = dict(arguments or {})


class Do(Message):
    """Something done by hand: one of `acts.ACTS` to an experiment."""

    def __init__(self, verb: str, experiment: int) -> None:
        super().__init__()
        self.verb = verb
        self.experiment = experiment


class Wish(Message):
    """Something about the night as a whole: one of `wishes.WISHES`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Say(Message):
    """A line for the person, in the place where outcomes are shown."""

    def __init__(self, text: str, *, good: bool = True) -> None:
        super().__init__()
        self.text = text
        self.good = good


class Open(Message):
    """Show an experiment."""

    def __init__(self, experiment: int) -> None:
        super().__init__()
        self.experiment = experiment


class ShowPage(Message):
    """Show a page to read: one of `commands.PAGES`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page


class AskHelp(Message):
    """Show the keys and the words."""


class Begin(Message):
    """Start a night, or repair one."""
