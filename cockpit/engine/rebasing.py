"""What is queued moves to a base that has changed, or is proposed anew."""

from collections.abc import Callable
from dataclasses import replace

from cockpit.core import queue
from cockpit.core.applying import ApplyError, applied
from cockpit.core.experiment import Event, Experiment, Proposal, Status, Verdict, after
from cockpit.engine.conversation import Conversation
from cockpit.engine.known import KnownTexts
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

REAPPLIED = "re-applied to the new base #{}"
TOGETHER = "#{} won on a base that had been left for #{} meanwhile: both changes together run next"


class Rebasing:
    """Keeps the queue of one tag on the present base."""

    def __init__(
        self,
        journal: EngineJournal,
        tree: Tree,
        tag: str,
        known: KnownTexts,
        conversation: Conversation,
        *,
        proposal_of: Callable[[int], Proposal],
        text_of: Callable[[Experiment], str],
        propose_anew: Callable[[int | None, Proposal, str], bool],
    ) -> None:
        """`proposal_of` and `text_of` know what an experiment changes, and what came of it.

        `propose_anew` has an idea that does not apply any more asked for again, for the reason
        given, and tells whether anybody can.
        """
        self._journal = journal
        self._tree = tree
        self._tag = tag
        self._known = known
        self._conversation = conversation
        self._proposal_of = proposal_of
        self._text_of = text_of
        self._propose_anew = propose_anew
        self._looked_at = self._seen = -1

    def bring_together(self) -> None:
        """Have what won beside something else run on what the other has become."""
        if self._seen != self._tree.revision and self._tag not in self._tree.pins:
            self._seen = self._tree.revision
            self._bring_together()

    def rebase(self) -> list[tuple[Experiment, str]]:
        """Move what waits on another base; return what does not apply on the present one."""
        if self._looked_at == self._tree.revision:
            return []
        self._looked_at = self._tree.revision
        best = self._tree.base(self._tag)
        if best is None or best.commit is None:
            return []
        queued = self._tree.with_status(self._tag, Status.QUEUED)
        moving = [e for e in queued if e.commit is None and e.parent not in (None, best.id)]
        if not moving:
            return []
        self._known.refresh()
        tried = [(own, self._move(own, best)) for own in moving]
        self._tree.refresh()
        return [(own, problem) for own, problem in tried if problem is not None]

    def _bring_together(self) -> None:
        known, tried = self._tree.reckoning(self._tag), self._journal.reapplied()
        waiting = [known.experiments[n] for n in sorted(known.late) if n not in tried]
        on = known.best
        own = next((e for e in waiting if e.parent not in known.late), None)
        if own is not None and on is not None:
            self._reapply(own, on)  # the next one on what has come of it
            self._tree.refresh()

    def _reapply(self, own: Experiment, base: Experiment) -> None:
        """Queue a kept change once more, first, on a base that was kept meanwhile."""
        proposal = replace(
            self._proposal_of(own.id), reapplies=own.id, order=None, hints=(), predicted=None
        )
        queued = self._tree.with_status(self._tag, Status.QUEUED)
        with self._journal.transaction():
            number = self._journal.add_experiment(self._tag, base.id, proposal)
            self._journal.change_experiment(number, place=queue.front(queued))
            self._conversation.say("engine", TOGETHER.format(own.id, base.id), number)
        try:
            applied(proposal, self._text_of(base))
        except ApplyError as error:
            told = f"its change does not apply to #{base.id}: {error}".partition("\n")[0]
            verdict = Verdict(Event.REFUSE, told)
            self._journal.decide(number, after(Status.QUEUED, Event.REFUSE), verdict)

    def _move(self, own: Experiment, best: Experiment) -> str | None:
        """Move a queued experiment to a new base; return why it can't be."""
        proposal = self._proposal_of(own.id)
        try:
            moved = applied(proposal, self._text_of(best))
        except ApplyError as error:
            problem = f"its change does not apply to the new base #{best.id}: {error}"
            # What it was to apply is open again; an order is then asked anew by itself.
            if not any(hint.order for hint in self._conversation.reopen(own.id)):
                self.give_back(own.id, proposal, problem)
            return problem
        same = self._known.find(moved)
        if same not in (None, own.id):
            return f"on the new base #{best.id} it is #{same} over again"
        self._journal.change_experiment(own.id, parent=best.id)
        self._conversation.say("engine", REAPPLIED.format(best.id), own.id)
        return None

    def give_back(self, number: int | None, proposal: Proposal, problem: str) -> None:
        """Have an idea proposed anew on the present base, if its author reads."""
        if self._propose_anew(number, proposal, problem):
            why = problem.partition("\n")[0]
            told = f"“{proposal.title}” does not apply any more, it is proposed anew: {why}"
            self._conversation.say("engine", told, None)
