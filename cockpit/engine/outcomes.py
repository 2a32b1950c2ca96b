"""What comes of a decision by hand: git follows, and a person is told base, children, soundness."""

import time
from collections.abc import Iterable

from cockpit.core.experiment import Experiment, Status
from cockpit.core.tree import sound_ids
from cockpit.engine.judging import Judging, suspect_of
from cockpit.lab.journal import Journal
from cockpit.lab.rows import IMPORT, DecisionEvent
from cockpit.lab.tree import Tree

DONE = {
    "accept": "accepted it",
    "reject": "rejected it",
    "branch": "made it the base",
    "undo": "took a decision on it back",
}
SHOWN = 5
"""Of many experiments so many are named."""


class DecisionError(Exception):
    """What a person wants is not possible; the message says why."""


class UnknownExperimentError(DecisionError):
    """There is no experiment with that id."""


class Outcomes:
    """Finds what a person names, and says what has become of it."""

    def __init__(self, journal: Journal, tree: Tree, judging: Judging) -> None:
        self._journal = journal
        self._tree = tree
        self._judging = judging

    def known(self, number: object) -> Experiment:
        """Return an experiment as it is now; raises `UnknownExperimentError`."""
        self._tree.refresh()
        own = self._tree.experiments.get(number) if isinstance(number, int) else None
        if own is None:
            raise UnknownExperimentError(f"there is no experiment #{number}")
        return own

    def tried_here(self, number: object) -> Experiment:
        """Return an experiment that has a change to run; raises `DecisionError`."""
        own = self.known(number)
        if own.proposer == IMPORT:
            raise DecisionError(f"#{own.id} was imported from a table: there is nothing to run")
        return own

    def present_tag(self) -> str:
        """Return the tag of the last night, else the newest; raises `DecisionError`."""
        self._tree.refresh()
        tag = self._journal.present_tag()
        if tag is None:
            raise DecisionError("there is no tag in this lab yet: `cockpit start` begins one")
        return tag

    def untrue(self, own: Experiment) -> str | None:
        """Return why nothing can be built on a score: its audit has failed."""
        suspect = suspect_of(own)
        for row in self._journal.audits(own.id):
            if row.outcome == "failed" and suspect is not None and row.run == suspect.number:
                return f"its score does not hold ({row.says}), it can't be a base"
        return None

    def is_sound(self, own: Experiment) -> bool:
        """Tell whether all ancestors of an experiment are kept."""
        return own.id in sound_ids(self._tree.of(own.tag))

    def settled(self, own: Experiment) -> str:
        """Bring git up to date; return what base, children and soundness are now."""
        before = self._tree.base(own.tag)
        self._tree.refresh()
        own = self._tree.experiments[own.id]
        self._judging.decided(own.id)
        warnings = self._judging.settle(own.tag)
        said = []
        if base := self._tree.base(own.tag):
            moved = before is None or base.id != before.id
            said.append(f"the base is #{base.id}{' now' if moved else ''}")
        grown = [e.id for e in self._tree.of(own.tag).values() if e.parent == own.id]
        grown = [n for n in grown if self._tree.experiments[n].status is Status.KEPT]
        if grown and own.status is not Status.KEPT:
            are = "is" if len(grown) == 1 else "are"
            said.append(f"{numbers(grown)}, grown from it, {are} unsound")
        if own.status is Status.KEPT and not self.is_sound(own):
            said.append(f"it is unsound, an ancestor is not kept: `cockpit rerun {own.id}`")
        if own.status is not Status.KEPT and self._tree.pins.get(own.tag) == own.id:
            said.append("it stays the base until `cockpit branch best`")
        return "".join(f"; {one}" for one in [*said, *warnings])


def told(event: DecisionEvent) -> str:
    """Return who decided what, and when, in words."""
    return f"{event.decided_by} {DONE[event.event]} at {clock(event.at)}"


def clock(at: float) -> str:
    """Return a moment as a person reads it, with its day where that is not today."""
    then, now = time.localtime(at), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M:%S", then)


def numbers(ids: Iterable[int]) -> str:
    """Return experiments as a person names them, the first of many."""
    named = [f"#{number}" for number in ids]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return ", ".join(named[:SHOWN]) + more
