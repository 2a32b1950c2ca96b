"""Applies the inbox: every command gets its outcome, in the very row it came in."""

from collections.abc import Callable
from typing import Any, Protocol

from cockpit.core.experiment import Hint
from cockpit.engine.hand import Hand, Verb
from cockpit.engine.outcomes import DecisionError, UnknownExperimentError
from cockpit.lab.rows import Command
from cockpit.lab.writing import EngineJournal


class RefusedError(Exception):
    """A command can't be carried out; the message says why."""


LONGEST_HINT = 4000
"""Characters; a hint is in every prompt."""


class Control(Protocol):
    """What a person may do to a night under way."""

    def start(self, author: str) -> str:
        """Take back a stop that has not come to its end."""
        ...

    def pause(self, author: str) -> str:
        """Start nothing new."""
        ...

    def resume(self, author: str) -> str:
        """Go on."""
        ...

    def skip(self, author: str, requeue: bool) -> str:
        """End the run under way: its experiment is stopped, or goes back to the queue's end."""
        ...

    def finish(self, author: str, number: int) -> str:
        """Let the run under way of an experiment come to its end, whatever its curve says."""
        ...

    def stop(self, author: str, now: bool) -> str:
        """End the night, after the run under way or at once."""
        ...

    def ask(self, author: str, text: str) -> str:
        """Put a question to who has the ideas."""
        ...

    def order(self, author: str, text: str) -> str:
        """Have the next proposal be what a person wants."""
        ...


class NoNight:
    """The control of a lab in which no engine runs."""

    def __init__(self, tidy: Callable[[], bool]) -> None:
        """`tidy` ends what a killed engine left behind and tells whether there was anything."""
        self._tidy = tidy

    def start(self, author: str) -> str:
        """Refuse: who asked starts an engine."""
        return self.pause(author)

    def pause(self, author: str) -> str:
        """Refuse: there is nothing to pause."""
        raise RefusedError("no engine runs in this lab: `cockpit start` begins a night")

    def resume(self, author: str) -> str:
        """Refuse: there is nothing to resume."""
        return self.pause(author)

    def skip(self, author: str, requeue: bool) -> str:
        """Refuse: nothing runs."""
        return self.pause(author)

    def finish(self, author: str, number: int) -> str:
        """Refuse: nothing runs."""
        return self.pause(author)

    def stop(self, author: str, now: bool) -> str:
        """End what a killed engine left behind; refuse where there is nothing."""
        if self._tidy():
            return "the engine had been killed: its run is back in the queue, the night is over"
        return self.pause(author)

    def ask(self, author: str, text: str) -> str:
        """Refuse: nobody is there to answer."""
        return self.pause(author)

    def order(self, author: str, text: str) -> str:
        """Refuse: nobody is there to carry it out."""
        return self.pause(author)


class Commands:
    """Takes commands from the inbox and answers them."""

    def __init__(self, journal: EngineJournal, hand: Hand, control: Control) -> None:
        self._journal = journal
        self._control = control
        self._verbs: dict[str, Verb] = {
            "start": lambda author, _: control.start(author),
            "pause": lambda author, _: control.pause(author),
            "resume": lambda author, _: control.resume(author),
            "skip": lambda author, given: control.skip(author, bool(given.get("requeue"))),
            "stop": lambda author, given: control.stop(author, bool(given.get("now"))),
            "hint": self._hint,
            "edit_hint": self._edit_hint,
            "withdraw": self._withdraw,
            "ask": lambda author, given: control.ask(author, _words(given, "a question")),
            "try": lambda author, given: control.order(author, _words(given, "an order")),
            "finish": lambda author, given: control.finish(author, _number(given)),
            **hand.verbs(),
        }

    def take(self) -> list[str]:
        """Apply every waiting command and return their outcomes in words."""
        return [self._answer(command) for command in self._journal.waiting_commands()]

    def _answer(self, command: Command) -> str:
        verb = self._verbs.get(command.verb)
        try:
            if verb is None:
                raise RefusedError(f"unknown command: {command.verb}")
            # When it was given: what was decided later its author can't have known.
            given = {"at": command.at, **command.arguments}
            state, outcome = "done", verb(command.author, given)
        except UnknownExperimentError as error:
            state, outcome = "unknown", str(error)
        except (RefusedError, DecisionError) as error:
            state, outcome = "refused", str(error)
        self._journal.answer(command.id, state, outcome)
        return outcome

    def _hint(self, author: str, given: dict[str, Any]) -> str:
        text, once = _words(given, "a hint"), bool(given.get("once"))
        number = self._journal.add_hint(text, author, once=once)
        self._journal.add_message("human", author, text)
        until = "for the next proposal" if once else "for every proposal until withdrawn"
        return f"kept as hint {number}, {until}"

    def _edit_hint(self, author: str, given: dict[str, Any]) -> str:
        hint, text = self._known_hint(given), _words(given, "a hint")
        if hint.state != "queued":
            raise RefusedError(
                f"hint {hint.id} is {hint.state} already: withdraw it and give another"
            )
        self._journal.change_hint(hint.id, text=text)
        self._journal.add_message("human", author, f"hint {hint.id} now: {text}")
        return f"hint {hint.id} is changed"

    def _withdraw(self, author: str, given: dict[str, Any]) -> str:
        hint = self._known_hint(given)
        if hint.state == "withdrawn":
            raise RefusedError(f"hint {hint.id} is withdrawn already")
        self._journal.change_hint(hint.id, state="withdrawn")
        self._journal.add_message("engine", author, f"hint {hint.id} is withdrawn")
        return f"hint {hint.id} is withdrawn"

    def _known_hint(self, given: dict[str, Any]) -> Hint:
        number = given.get("id")
        known = {hint.id: hint for hint in self._journal.hints()}
        if not isinstance(number, int) or number not in known:
            there = ", ".join(map(str, known)) or "none"
            raise RefusedError(f"there is no hint {number} (there are: {there})")
        return known[number]


def _number(given: dict[str, Any]) -> int:
    number = given.get("id")
    if not isinstance(number, int):
        raise RefusedError("this needs the id of an experiment")
    return number


def _words(given: dict[str, Any], what: str) -> str:
    """Return the text of a command; raises `RefusedError` where there is none, or too much."""
    text = str(given.get("text", "")).strip()
    if not text:
        raise RefusedError(f"{what} needs some words")
    if len(text) > LONGEST_HINT:
        raise RefusedError(
            f"{len(text)} characters are too many for {what} ({LONGEST_HINT} at most): "
            "what is longer belongs into program.md"
        )
    return text
