"""The screen's hand: drops commands into the inbox and collects their answers."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.lab.connection import JournalError
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.ui.snapshot import Outcome
from cockpit.ui.spawn import OneOffTick


@dataclass(slots=True)
class _Pending:
    """A command without an answer yet."""

    verb: str
    tick: OneOffTick | None


class Sending:
    """Speaks for one person."""

    def __init__(self, lab: Lab, author: str, cores: frozenset[int]) -> None:
        """Speak as `author`; a tick of one's own may use `cores`."""
        self._lab, self._author, self._cores = lab, author, cores
        self._pending: dict[int, _Pending] = {}

    def send(self, verb: str, arguments: Mapping[str, Any]) -> Outcome | None:
        """Drop a command; its answer comes later, a refusal to try at once. May block."""
        if not self._lab.journal.exists():
            return Outcome(verb, False, "nothing has been started here yet")
        try:
            inbox = Journal(self._lab.journal)
            try:
                number = inbox.drop(verb, arguments, self._author)
            finally:
                inbox.close()
        except (JournalError, sqlite3.Error) as error:
            return Outcome(verb, False, f"{verb} could not be written down: {error}")
        tick = None if self._lab.engine_lives() else OneOffTick(self._lab.root, self._cores)
        self._pending[number] = _Pending(verb, tick)
        return None

    def answers(self, journal: Journal) -> tuple[Outcome, ...]:
        """Collect the answers to what was sent; a tick that failed is an answer too."""
        outcomes = []
        for number, pending in list(self._pending.items()):
            command = journal.command(number)
            if command is not None and command.state != "waiting":
                text = command.outcome or command.state
                outcomes.append(Outcome(pending.verb, command.state == "done", text))
                del self._pending[number]
            elif pending.tick is not None and (failure := pending.tick.failure()):
                outcomes.append(Outcome(pending.verb, False, failure))
                del self._pending[number]
        return tuple(outcomes)

    def forget(self) -> None:
        """Wait for no answer any more."""
        self._pending.clear()
