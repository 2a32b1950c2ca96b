"""What a person does by hand: each wish becomes a command, after a question where one is due.

Only what can't be undone asks, and what turns the rule's own verdict around.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from textual.app import SuspendNotSupported
from textual.message import Message

from cockpit.ui import deciding
from cockpit.ui.acts import why_not
from cockpit.ui.beginning import next_night
from cockpit.ui.editing import Edited, EditError, environment, suggested_title
from cockpit.ui.messages import ShowPage
from cockpit.ui.screens.confirm import begin_question, skip_question
from cockpit.ui.snapshot import Outcome, Snapshot
from cockpit.ui.text import clean
from cockpit.ui.wishes import why_not as why_not_wish

SEEN = frozenset({"accept", "reject", "undo"})
"""Verbs that say what their author had seen: who decided first is told to who comes second."""

COMMANDS: Mapping[str, tuple[str, dict[str, object]]] = {
    "best": ("branch", {"id": None}),
    "confirm": ("confirm", {"id": None}),
    "requeue": ("skip", {"requeue": True}),
}
"""Of wishes that are called something else in the inbox."""


class Desk(Protocol):
    """What the app does for this."""

    options: list[str]
    snapshot: Snapshot

    def say(self, text: str, *, good: bool = True) -> None:
        """Show a line."""

    def drop_command(self, verb: str, arguments: dict[str, object]) -> object:
        """Drop a command."""

    def ask(self, yes: Callable[[], object], *question: Any) -> None:
        """Ask, and do what yes does: see `ConfirmScreen`."""

    def ask_words(
        self,
        question: str,
        then: Callable[[str], object],
        **more: Any,
    ) -> None:
        """Ask for words, and do something with them: see `WordsScreen`."""

    def type(self, words: str) -> None:
        """Go to the line of input with something in it."""

    def post_message(self, message: Message) -> bool:
        """Pass a message on."""

    def begin_night(self, options: Sequence[str]) -> None:
        """Begin a night."""

    def edit_base(self) -> object:
        """Have `Doing.edit` called with the base."""

    def take_offer(self) -> object:
        """Have `Doing.take` called with the working tree's train.py."""

    def suspend(self) -> AbstractContextManager[None]:
        """Give the terminal away."""


class Doing:
    """Does what is wished for, or says why not."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sent: list[Edited] = []
        """Texts of one's own that have no answer yet."""

    def do(self, verb: str, number: int) -> None:
        """Do one of `acts.ACTS` to an experiment."""
        experiment = (self._desk.snapshot.experiments or {}).get(number)
        if experiment is None:
            return
        if told := why_not(self._desk.snapshot, experiment, verb):
            self._desk.say(told, good=False)
        elif verb in deciding.EVENTS:
            self._decide(verb, number)
        elif verb == "note":
            then = partial(self._note, number)
            self._desk.ask_words(f"A note on #{number} {experiment.title}", then)
        elif verb == "drop":
            asked = f"Drop #{number} {clean(experiment.title, 100)}? It will not run."
            self._desk.ask(partial(self.send, verb, {"id": number}), asked, "drops it")
        else:
            self.send(verb, {"id": number})

    def send(self, verb: str, arguments: dict[str, object]) -> None:
        """Drop a command; a decision says what its author had before their eyes."""
        if verb in SEEN:
            arguments = {**arguments, "seen": self._desk.snapshot.seen}
        self._desk.drop_command(verb, arguments)

    def _decide(self, verb: str, number: int) -> None:
        snapshot = self._desk.snapshot
        # What is seen now counts, not what has come when the question is answered.
        told: dict[str, object] = {"id": number, "seen": snapshot.seen}
        send = partial(self._desk.drop_command, verb, told)
        asked = deciding.question(snapshot.experiments or {}, number, verb)
        if asked is None:
            send()
        else:
            self._desk.ask(send, asked, deciding.ANSWERS[verb])

    def _note(self, number: int, text: str) -> None:
        self.send("note", {"id": number, "text": text})

    # ---- the night as a whole --------------------------------------------------------------

    def wish(self, name: str) -> None:
        """Grant one of `wishes.WISHES`."""
        desk = self._desk
        snapshot = desk.snapshot
        if told := why_not_wish(snapshot, name):
            desk.say(told, good=False)
        elif name == "skip":
            send = partial(self.send, "skip", {"requeue": False})
            desk.ask(send, *skip_question(snapshot.current[0]))
        elif name in {"begin", "repair"}:
            options = next_night(snapshot, desk.options)
            desk.ask(partial(desk.begin_night, options), *begin_question(snapshot, options))
        elif name == "try":
            desk.type("/try ")
        elif name == "edit":
            desk.edit_base()
        elif name == "take":
            desk.take_offer()
        elif name == "yours":
            desk.post_message(ShowPage(name))
        else:
            self.send(*COMMANDS.get(name, (name, {})))

    # ---- an idea of one's own -------------------------------------------------------------

    def edit(self, base: tuple[int, str] | None) -> None:
        """Have the base's train.py edited, and queue what comes of it."""
        if base is None:
            self._desk.say("the base's train.py is not there: nothing has run yet", good=False)
            return
        edited = Edited(base[1])
        try:
            with self._desk.suspend():
                text = edited.edit(environment())
        except SuspendNotSupported:
            edited.forget()
            self._desk.say("this terminal can't be given to an editor", good=False)
            return
        except EditError as error:
            self._desk.say(f"{error} (the text is in {edited.path})", good=False)
            return
        if text is None:
            edited.forget()
            self._desk.say("nothing was changed: nothing is queued")
            return
        self._desk.ask_words(
            f"What does your change of #{base[0]} do?",
            partial(self._queue, base[0], text, edited),
            words=suggested_title(base[1], text),
            otherwise=partial(self._desk.say, f"nothing is queued; your text is in {edited.path}"),
        )

    def take(self, base: tuple[int, str] | None, text: str | None) -> None:
        """Queue the working tree's train.py, as the engine offers."""
        if text is None:
            self._desk.say("the working tree's train.py can't be read", good=False)
            return
        self._desk.ask_words(
            "What does the working tree's train.py change?",
            lambda title: self.send("experiment", {"title": title, "train_py": text}),
            words=suggested_title(base[1], text) if base is not None else "",
        )

    def _queue(self, base: int, text: str, edited: Edited, title: str) -> None:
        self._sent.append(edited)
        self.send("experiment", {"title": title, "train_py": text, "base": base})

    def answered(self, outcome: Outcome) -> str:
        """Return what is to be said of an outcome: nobody's text is lost where it is refused."""
        told = outcome.text if outcome.done else f"! {outcome.text}"
        if outcome.verb != "experiment" or not self._sent:
            return told
        edited = self._sent.pop(0)
        if outcome.done:
            edited.forget()
            return told
        return f"{told} (your text is in {edited.path})"
