"""All that a person may do to experiments, as verbs of the inbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cockpit.core.experiment import Event
from cockpit.engine import confirming
from cockpit.engine.ablating import Ablating
from cockpit.engine.basing import Basing
from cockpit.engine.by_hand import ByHand
from cockpit.engine.decisions import Decisions
from cockpit.engine.judging import Judging
from cockpit.engine.outcomes import DecisionError, Outcomes
from cockpit.engine.own_texts import OwnTexts
from cockpit.lab.repo import Repo
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

LONGEST_NOTE = 4000
"""Characters."""

Verb = Callable[[str, dict[str, Any]], str]
"""From an author and what their command carries to its outcome in one line."""


@dataclass(frozen=True, slots=True)
class Hand:
    """A person's hand in one lab."""

    journal: EngineJournal
    decisions: Decisions
    basing: Basing
    by_hand: ByHand
    texts: OwnTexts
    ablating: Ablating

    @classmethod
    def of(cls, journal: EngineJournal, repo: Repo, tree: Tree, judging: Judging) -> "Hand":
        """Return the hand that works with these."""
        outcomes = Outcomes(journal, tree, judging)
        texts = OwnTexts(journal, repo, tree, outcomes)
        return cls(
            journal,
            Decisions(journal, tree, judging, outcomes),
            Basing(journal, tree, outcomes),
            ByHand(journal, tree, outcomes, texts),
            texts,
            Ablating(journal, repo, tree),
        )

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name; each raises `DecisionError` with its reason to refuse."""
        verbs: dict[str, Verb] = {
            "accept": lambda who, given: self._decide(who, given, Event.ACCEPT),
            "reject": lambda who, given: self._decide(who, given, Event.REJECT),
            "undo": lambda who, given: self.decisions.undo(who, self._seen(given)),
            "branch": lambda who, given: self.basing.branch(given.get("id"), who),
            "replicate": lambda who, given: self.by_hand.replicate(given.get("id"), who),
            "rerun": lambda who, given: self.by_hand.rerun(given.get("id"), who),
            "experiment": self._experiment,
            "drop": lambda who, given: self.by_hand.drop(given.get("id"), who),
            "first": lambda _, given: self.by_hand.first(given.get("id")),
            "later": lambda _, given: self.by_hand.later(given.get("id")),
            "note": self._note,
        }
        recorded = {name: self._recorded(name, verb) for name, verb in verbs.items()}
        return recorded | {"confirm": self._confirm, "ablate": self.ablating.ask}

    def _recorded(self, name: str, verb: Verb) -> Verb:
        """Return a verb whose outcome stands in the conversation too."""

        def carry_out(author: str, given: dict[str, Any]) -> str:
            outcome = verb(author, given)
            number = given.get("id")
            about = number if isinstance(number, int) else None
            # Who brings an experiment has spoken: what was offered is taken up.
            role = "human" if name == "experiment" else "engine"
            self.journal.add_message(role, author, outcome, about)
            return outcome

        return carry_out

    def _decide(self, author: str, given: dict[str, Any], event: Event) -> str:
        return self.decisions.decide(given.get("id"), event, author, self._seen(given))

    def _seen(self, given: dict[str, Any]) -> int:
        """Return the newest event that the author of a command knew of.

        Who does not say it knew all that was there when the command was given.
        """
        seen = given.get("seen")
        return seen if isinstance(seen, int) else self.journal.newest_event_by(given["at"])

    def _experiment(self, author: str, given: dict[str, Any]) -> str:
        title, train_py, origin = given.get("title"), given.get("train_py"), given.get("base")
        if not isinstance(train_py, str) or not train_py.strip():
            raise DecisionError("an experiment needs the text of its train.py")
        return self.by_hand.experiment(
            title if isinstance(title, str) else "",
            train_py,
            origin if isinstance(origin, int) else None,
            author,
        )

    def _confirm(self, author: str, given: dict[str, Any]) -> str:
        return confirming.ask(self.journal, self.ablating.tree, author, given)

    def _note(self, author: str, given: dict[str, Any]) -> str:
        text = str(given.get("text", "")).strip()
        if not text:
            raise DecisionError("a note needs some words")
        if len(text) > LONGEST_NOTE:
            raise DecisionError(f"{len(text)} characters are too many for a note ({LONGEST_NOTE})")
        return self.by_hand.note(given.get("id"), text, author)
