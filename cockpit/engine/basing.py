"""The base by hand: any measured experiment may be what the next proposal edits.

Git's branch follows, and what is queued moves over (`rebasing`). What grows from an experiment
that is not kept is unsound until it is.
"""

from cockpit.core.experiment import Event, Experiment, Status, Verdict
from cockpit.engine.outcomes import DecisionError, Outcomes, told
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal


class Basing:
    """Pins the base of the present tag."""

    def __init__(self, journal: EngineJournal, tree: Tree, outcomes: Outcomes) -> None:
        self._journal = journal
        self._tree = tree
        self._outcomes = outcomes

    def branch(self, number: object, author: str) -> str:
        """Make an experiment the base; None gives it back to the best. Returns the outcome."""
        tag = self._outcomes.present_tag()
        pinned = self._tree.pins.get(tag)
        if number is None:
            return self._give_back(tag, pinned, author)
        own = self._outcomes.tried_here(number)
        if why := self._why_not(own, tag):
            raise DecisionError(f"#{own.id} can't be the base: {why}")
        base = self._tree.base(tag)
        if own.id == pinned and base is not None and base.id == own.id:
            return f"#{own.id} is pinned already{self._outcomes.settled(own)}"
        until_now = self._until_now(pinned)
        self._pin(own, pinned, own.id, "made the base by hand", author)
        became = f"{self._outcomes.settled(own)}{self._growth(own)}"
        return f"#{own.id}: made the base by hand{until_now}{became}"

    def _give_back(self, tag: str, pinned: int | None, author: str) -> str:
        if pinned is None:
            best = self._tree.best(tag)
            return f"no base is pinned: it is the best{f', #{best.id}' if best else ''}"
        own, until_now = self._outcomes.known(pinned), self._until_now(pinned)
        self._pin(own, pinned, None, "not the base by hand any more", author)
        return f"the base is the best again{until_now}{self._outcomes.settled(own)}"

    def _until_now(self, pinned: int | None) -> str:
        """Return whose choice comes to its end, in words: two people may choose at once."""
        chosen = (
            e for e in self._journal.by_hand() if e.event == Event.BRANCH and e.experiment == pinned
        )
        last = next(reversed(list(chosen)), None)
        return f" (until now #{pinned}: {told(last)})" if last is not None else ""

    def _pin(
        self, own: Experiment, before: int | None, after: int | None, reason: str, author: str
    ) -> None:
        verdict = Verdict(Event.BRANCH, reason, author, {"before": before, "after": after})
        with self._journal.transaction():
            self._journal.tell(own.id, own.status, verdict)
            self._journal.pin(own.tag, after)

    def _why_not(self, own: Experiment, tag: str) -> str | None:
        if own.tag != tag:
            return (
                f"it is of the tag {own.tag}, this is {tag}: "
                f"`cockpit start --tag NEW --from {own.id}` grows from it"
            )
        if own.status in (Status.QUEUED, Status.RUNNING):
            return f"it is {own.status}, it has no verdict yet"
        if own.status is Status.INVALID:
            return f"it is invalid ({own.reason})"
        if own.commit is None or own.val_bpb is None:
            return f"it is {own.status}, without a val_bpb to compare with"
        return self._outcomes.untrue(own)

    def _growth(self, own: Experiment) -> str:
        """Return what is to be known of what will grow from it."""
        if own.status is not Status.KEPT:
            return (
                f"; it is {own.status}: what grows from it is unsound until "
                f"`cockpit accept {own.id}`"
            )
        return ""
