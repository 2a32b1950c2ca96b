"""The tree by hand: what a person has run, and when; what is noted on an experiment.

What a person wants run is an experiment like any other, read by the guard and compared with all
that was tried. It waits at the front of the queue.
"""

from dataclasses import replace

from cockpit.core import queue
from cockpit.core.edits import difference
from cockpit.core.experiment import (
    VERDICTS,
    Event,
    Experiment,
    Proposal,
    Status,
    Verdict,
    after,
)
from cockpit.core.quoting import one_line
from cockpit.engine.outcomes import DecisionError, Outcomes
from cockpit.engine.own_texts import OwnText, OwnTexts
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

TITLE_CHARACTERS = 200
UNMEASURED = (Status.CRASHED, Status.INVALID, Status.STOPPED)
"""Verdicts without a score that counts: the same text may be tried again."""


class ByHand:
    """Has experiments run, put in order, dropped and noted on, as a person says."""

    def __init__(
        self, journal: EngineJournal, tree: Tree, outcomes: Outcomes, texts: OwnTexts
    ) -> None:
        self._journal = journal
        self._tree = tree
        self._outcomes = outcomes
        self._texts = texts

    # ---- runs ------------------------------------------------------------------------------

    def replicate(self, number: object, author: str) -> str:
        """Ask for one more run of a measured experiment, with a new seed."""
        own = self._outcomes.tried_here(number)
        if own.status is Status.QUEUED:
            raise DecisionError(f"#{own.id} waits in the queue: its first run comes when it is due")
        if own.status is Status.RUNNING:
            raise DecisionError(f"#{own.id} is being measured: ask again when it has its verdict")
        if own.val_bpb is None or own.commit is None:
            raise DecisionError(
                f"#{own.id} is {own.status}, without a score: `cockpit rerun {own.id}` tries its "
                "change again"
            )
        self._journal.want(own.id, "verdict", "replicate", author)
        waiting = sum(wish.experiment == own.id for wish in self._journal.wanted())
        more = f" ({waiting} runs of it wait)" if waiting > 1 else ""
        return f"#{own.id} runs once more, with a new seed{more}"

    def rerun(self, number: object, author: str) -> str:
        """Try an experiment again: a sound measured one once more, else its change anew.

        Its change becomes another experiment, on the present base.
        """
        own = self._outcomes.tried_here(number)
        if own.status is Status.QUEUED:
            raise DecisionError(
                f"#{own.id} waits in the queue, it runs all the same: `cockpit first {own.id}`"
            )
        if own.status is Status.RUNNING:
            raise DecisionError(f"#{own.id} is being measured at this moment")
        if own.parent is None or (not _is_unmeasured(own) and self._outcomes.is_sound(own)):
            return self.replicate(own.id, author)
        try:
            text = self._texts.on_base(self._change_again(own))
            told = f"#{own.id} once more"
            hypothesis = f"{told}: {own.hypothesis}" if own.hypothesis else told
            new = self._queue(text, own.title, hypothesis, author, again=own.id)
        except DecisionError as error:
            raise DecisionError(f"#{own.id} can't be tried again: {error}") from error
        return f"#{own.id} is queued again as #{new}, first, on the base #{text.base.id}"

    def _change_again(self, own: Experiment) -> Proposal:
        """Return the change of an experiment as one that can be applied to another base."""
        proposal = self._journal.proposal(own.id)
        parent = self._tree.experiments.get(own.parent) if own.parent is not None else None
        if proposal.train_py is not None and parent is not None:
            edits = difference(self._texts.text_of(parent) or "", proposal.train_py)
            proposal = replace(proposal, train_py=None, edits=edits)
        return Proposal("", "", constants=proposal.constants, edits=proposal.edits)

    def experiment(self, title: str, train_py: str, origin: int | None, author: str) -> str:
        """Queue a person's own train.py; `origin` is the experiment whose text it was made from."""
        text = self._texts.change_of(train_py, origin)
        size = self._texts.size_of(train_py, origin)
        title = one_line(title, TITLE_CHARACTERS) or f"by hand, {size} lines"
        number = self._queue(text, title, "", author)
        return f"#{number} is queued, first, on the base #{text.base.id}"

    def _queue(
        self, text: OwnText, title: str, hypothesis: str, author: str, *, again: int | None = None
    ) -> int:
        """Queue a change on the present base, at the front; raises `DecisionError` for a known one.

        With `again`, an experiment, neither it nor what was never measured is in its way.
        """
        same = self._texts.waiting_with(text.train_py) or self._texts.same_as(text.train_py)
        if same is not None and not self._may_come_back(same, again):
            retry = f"; `cockpit rerun {same.id}` tries it again" if _is_unmeasured(same) else ""
            title = one_line(same.title, TITLE_CHARACTERS)
            raise DecisionError(
                f"this very train.py is #{same.id} already ({title}: {same.status}){retry}"
            )
        proposal = replace(text.proposal, title=title, hypothesis=hypothesis, proposer=author)
        with self._journal.transaction():
            number = self._journal.add_experiment(text.base.tag, text.base.id, proposal)
            self._journal.change_experiment(number, place=queue.ordered(number))
        self._tree.refresh()
        return number

    @staticmethod
    def _may_come_back(same: Experiment, again: int | None) -> bool:
        return again is not None and (same.id == again or _is_unmeasured(same))

    # ---- the queue -------------------------------------------------------------------------

    def drop(self, number: object, author: str) -> str:
        """Take an experiment from the queue."""
        own = self._queued(number)
        if own.parent is None:
            raise DecisionError(f"#{own.id} is the baseline: without it nothing can be compared")
        verdict = Verdict(Event.STOP, f"dropped from the queue by {author}", author)
        self._journal.decide(own.id, after(own.status, Event.STOP), verdict)
        self._outcomes.settled(own)
        return f"#{own.id} is dropped: stopped without a verdict of the rule"

    def first(self, number: object) -> str:
        """Put an experiment at the front of the queue."""
        own, line = self._in_line(number)
        if line[0].id == own.id:
            return f"#{own.id} is the first of the queue already"
        self._journal.change_experiment(own.id, place=queue.front(line))
        return f"#{own.id} is the first of {len(line)} in the queue now"

    def later(self, number: object) -> str:
        """Put an experiment at the end of the queue."""
        own, line = self._in_line(number)
        if line[-1].id == own.id:
            return f"#{own.id} is the last of the queue already"
        self._journal.change_experiment(own.id, place=queue.end(line))
        return f"#{own.id} is the last of {len(line)} in the queue now"

    def _in_line(self, number: object) -> tuple[Experiment, list[Experiment]]:
        own = self._queued(number)
        return own, queue.in_line(self._tree.with_status(own.tag, Status.QUEUED))

    def _queued(self, number: object) -> Experiment:
        own = self._outcomes.known(number)
        if own.status is Status.RUNNING:
            raise DecisionError(
                f"#{own.id} does not wait any more, it runs: `cockpit skip` ends it"
            )
        if own.status is not Status.QUEUED:
            raise DecisionError(f"#{own.id} does not wait in the queue: it is {own.status}")
        return own

    # ---- notes -----------------------------------------------------------------------------

    def note(self, number: object, text: str, author: str) -> str:
        """Keep what a person has to say of an experiment."""
        own = self._outcomes.known(number)
        self._journal.remark(own.id, author, text)
        return f"noted on #{own.id}"


def _is_unmeasured(own: Experiment) -> bool:
    """Tell whether an experiment is over without a score that counts."""
    over = own.status in VERDICTS and own.val_bpb is None
    return own.status in UNMEASURED or over
