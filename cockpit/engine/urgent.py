"""What goes before a new idea: an order, a crash that looks like a slip, an idea gone stale."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from cockpit.core.briefing import Briefing, Crash, Stale
from cockpit.core.experiment import Experiment, Proposal, Status
from cockpit.engine.briefer import Briefer
from cockpit.lab.rows import Night
from cockpit.lab.tree import Tree

SLIP_SECONDS = 30.0
"""A training that fails sooner after its start looks like a slip."""


class Urgent:
    """Remembers what has to be proposed before anything new."""

    def __init__(self, tree: Tree, night: Night, briefer: Briefer, readers: Sequence[str]) -> None:
        """`readers` are the proposers that can be asked for something in words."""
        self._tree = tree
        self._night = night
        self._briefer = briefer
        self._readers = tuple(readers)
        self._stale: deque[Stale] = deque()
        self._mended: set[int] = set()

    def first(self, briefing: Briefing) -> Briefing | None:
        """Return the briefing of what comes first; None where a new idea may come."""
        if briefing.order is not None:
            return briefing
        if crash := self._slip():
            return replace(briefing, crash=crash)
        if self._stale:
            return replace(briefing, stale=self._stale.popleft())
        return None

    def author_of(self, crash: Crash) -> str:
        """Return who made what crashed."""
        return self._briefer.proposal(crash.experiment).proposer

    def add(self, number: int | None, proposal: Proposal, problem: str) -> bool:
        """Have an idea proposed anew that does not apply any more; tell whether anybody can.

        `number` is its experiment, None where it never became one.
        """
        if proposal.proposer not in self._readers:
            return False
        diff = self._briefer.lines_of(proposal)
        self._stale.append(Stale(number, proposal.title, proposal.hypothesis, diff, problem))
        return True

    def put_back(self, briefing: Briefing) -> None:
        """Take back what could not be asked for: it comes first the next time."""
        if briefing.stale is not None:
            self._stale.appendleft(briefing.stale)
        if briefing.crash is not None:
            self._mended.discard(briefing.crash.experiment)

    def _slip(self) -> Crash | None:
        """Return a crash of tonight that its author may mend, each only once."""
        for own in self._tree.with_status(self._night.tag, Status.CRASHED)[::-1]:
            if own.id in self._mended or own.created_at < self._night.started_at:
                continue
            self._mended.add(own.id)
            if self._is_slip(own) and not self._was_mended(own):
                diff, lines = self._briefer.diff_of(own), self._briefer.log_of(own)
                return Crash(own.id, own.title, own.hypothesis, diff, lines)
        return None

    def _is_slip(self, own: Experiment) -> bool:
        proposal, run = self._briefer.proposal(own.id), own.runs[-1] if own.runs else None
        if proposal.proposer not in self._readers or proposal.repair_of is not None:
            return False
        if run is None or run.state != "failed" or run.ended_at is None:
            return False
        return run.ended_at - run.started_at <= SLIP_SECONDS

    def _was_mended(self, own: Experiment) -> bool:
        """Tell whether an engine before this one has had it mended."""
        later = (e.id for e in self._tree.of(own.tag).values() if e.id > own.id)
        return any(self._briefer.proposal(number).repair_of == own.id for number in later)
