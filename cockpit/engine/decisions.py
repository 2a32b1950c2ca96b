"""What a person decides: another verdict on the same table as the rule's."""

from cockpit.core.experiment import Event, TransitionError, Verdict, after
from cockpit.engine.judging import Judging
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal


class DecisionError(Exception):
    """A decision by hand that is not possible; the message says why."""


class UnknownExperimentError(DecisionError):
    """There is no experiment with that id."""


class Decisions:
    """Takes the verdicts of a person."""

    def __init__(self, journal: EngineJournal, tree: Tree, judging: Judging) -> None:
        self._journal = journal
        self._tree = tree
        self._judging = judging

    def decide(self, number: int, event: Event, author: str) -> str:
        """Apply a person's verdict and return its outcome in words.

        Raises `DecisionError` with the reason when it is not possible.
        """
        self._tree.refresh()
        own = self._tree.experiments.get(number)
        if own is None:
            raise UnknownExperimentError(f"there is no experiment #{number}")
        if own.parent is None:
            raise DecisionError(f"#{number} is a baseline: it is measured, not judged")
        try:
            status = after(own.status, event)
        except TransitionError as error:
            decided = f" (decided by {own.decided_by})" if own.decided_by else ""
            raise DecisionError(f"#{number}: {error}{decided}") from None
        if event is Event.ACCEPT and own.val_bpb is None:
            raise DecisionError(f"#{number} has no val_bpb: there is nothing to accept")
        done = {Event.ACCEPT: "kept", Event.REJECT: "discarded"}[event]
        self._journal.decide(number, status, Verdict(event, f"{done} by hand", author))
        self._judging.decided(number)
        self._tree.refresh()
        self._judging.settle(own.tag)
        base = self._tree.base(own.tag)
        return f"{status} by hand" + (f"; the base is #{base.id}" if base else "")
