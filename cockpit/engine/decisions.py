"""What a person decides: a verdict beside the rule's, and to take the last decision back.

Every decision is an event of its own beside the rule's, with who, when and from what. Two people
may decide at once: a decision says what its author had seen (`seen`, the number of the newest
event), and who would turn around what they can't have seen is told who was first.
"""

from collections.abc import Mapping
from typing import Any

from cockpit.core.awaiting import is_doubtful
from cockpit.core.experiment import BY_RULE, TRANSITIONS, Event, Experiment, Status, Verdict
from cockpit.core.tree import delta
from cockpit.engine.judging import Judging
from cockpit.engine.outcomes import DecisionError, Outcomes, UnknownExperimentError, clock, told
from cockpit.lab.rows import DecisionEvent
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

__all__ = ["DecisionError", "Decisions", "UnknownExperimentError"]

LEADS_TO = {Event.ACCEPT: Status.KEPT, Event.REJECT: Status.DISCARDED}
NOT_DONE = {Event.ACCEPT: "accepted", Event.REJECT: "rejected"}


class Decisions:
    """Takes what people decide, of one lab."""

    def __init__(
        self, journal: EngineJournal, tree: Tree, judging: Judging, outcomes: Outcomes
    ) -> None:
        self._journal = journal
        self._tree = tree
        self._judging = judging
        self._outcomes = outcomes

    # ---- accept and reject -----------------------------------------------------------------

    def decide(self, number: object, event: Event, author: str, seen: int | None = None) -> str:
        """Apply a person's verdict and return its outcome in words.

        `seen` is the number of the newest event that they knew of; None: all. Raises
        `DecisionError` with the reason when it is not possible.
        """
        own = self._outcomes.known(number)
        if own.parent is None:
            raise DecisionError(f"#{own.id} is a baseline: it is measured, not judged")
        last = self._last_of(own)
        if own.status is LEADS_TO[event] and not is_doubtful(own):
            return f"#{own.id} is {own.status} already: {self._who(own, last)}"
        if last is not None and seen is not None and last.id > seen:
            raise DecisionError(
                f"#{own.id}: not {NOT_DONE[event]} — {told(last)}; look at it and decide again"
            )
        if why := self._why_not(own, event):
            raise DecisionError(f"#{own.id}: not {NOT_DONE[event]} — {why}")
        with self._journal.transaction():
            verdict = Verdict(event, f"{LEADS_TO[event]} by hand", author, self._facts(own, seen))
            self._journal.decide(own.id, LEADS_TO[event], verdict)
            self._spare_runs(own)
        stood = last is not None and last.event in LEADS_TO and last.status == own.status
        over = f" ({told(last)})" if last is not None and stood else ""
        return f"#{own.id}: {LEADS_TO[event]} by hand{over}{self._outcomes.settled(own)}"

    def _why_not(self, own: Experiment, event: Event) -> str | None:
        """Return why a verdict by hand is not possible; None where it is."""
        number = own.id
        if own.status is Status.QUEUED and own.scores:
            return f"it waits for its audit, or another run: `cockpit drop {number}` takes it"
        if own.status is Status.QUEUED:
            return f"it waits in the queue, nothing is measured: `cockpit drop {number}` takes it"
        if own.status is Status.RUNNING:
            return self._still(own)
        if (own.status, event) not in TRANSITIONS:
            nothing = "it counts for nothing already" if event is Event.REJECT else "it is no base"
            again = f"`cockpit rerun {number}` tries it again"
            reason = f" ({own.reason})" if own.reason else ""
            return f"it is {own.status}{reason}: {nothing}; {again}"
        if event is not Event.ACCEPT:
            return None
        if own.val_bpb is None:
            return f"it has no val_bpb: `cockpit rerun {number}` tries it again"
        return self._outcomes.untrue(own)

    def _still(self, own: Experiment) -> str:
        """Return what an experiment without its verdict is doing."""
        run = next((run for run in own.runs if run.state == "running"), None)
        if run is not None and own.scores:
            doing = f"it is being measured again (run {run.number})"
        elif run is not None:
            doing = "its run is under way"
        elif self._judging.due(own) == "audit":
            return "it is being audited: its verdict comes in a moment, decide then"
        else:
            doing = "it waits for another run"
        return f"{doing}: decide when it has its verdict, or end that run with `cockpit skip`"

    def _facts(self, own: Experiment, seen: int | None) -> dict[str, Any]:
        """Return from what a person decided, and what it was before."""
        figures = {
            "val_bpb": own.val_bpb,
            "delta": delta(self._tree.experiments, own),
            "probability": own.probability,
            "gain": own.gain,
            "runs": len(own.scores),
        }
        return {name: value for name, value in figures.items() if value is not None} | {
            "seen": seen,
            "before": {
                "status": own.status,
                "decided_by": own.decided_by,
                "reason": own.reason,
                "decided_at": own.decided_at,
            },
        }

    def _spare_runs(self, own: Experiment) -> None:
        """Take back the runs that the rule wanted to make up its mind: a person has."""
        for wish in self._journal.wanted():
            if (wish.experiment, wish.purpose, wish.author) == (own.id, "verdict", BY_RULE):
                self._journal.unwant(wish.id)

    # ---- undo ------------------------------------------------------------------------------

    def undo(self, author: str, seen: int | None = None) -> str:
        """Take the last decision by hand back; asked again, the one before it."""
        events = self._journal.by_hand()
        undone = {event.facts.get("undoes") for event in events if event.event == Event.UNDO}
        standing = [e for e in events if e.event != Event.UNDO and e.id not in undone]
        if not standing:
            raise DecisionError("nothing that was decided by hand is left: nothing to take back")
        last, newest = standing[-1], events[-1]
        if seen is not None and newest.id > seen and newest.decided_by != author:
            raise DecisionError(f"#{newest.experiment}: {told(newest)}; look at it and undo again")
        own = self._outcomes.known(last.experiment)
        facts = {"undoes": last.id, "event": last.event, "by": last.decided_by}
        reason = f"{_of(last)} is taken back"
        with self._journal.transaction():
            if last.event == Event.BRANCH:
                self._journal.pin(own.tag, last.facts.get("before"))
                self._journal.tell(own.id, own.status, Verdict(Event.UNDO, reason, author, facts))
                became = ""
            else:
                became = self._put_back(own, last, Verdict(Event.UNDO, reason, author, facts))
        return f"#{own.id}: {reason}{became}{self._outcomes.settled(own)}"

    def _put_back(self, own: Experiment, last: DecisionEvent, verdict: Verdict) -> str:
        """Give an experiment back what it was before a decision; return what it is now."""
        before = last.facts.get("before") or self._before(last)
        if own.decided_at != last.at:
            # The rule has spoken since, after an audit: what it said stands.
            self._journal.tell(own.id, own.status, verdict)
            return f"; it stays {own.status}: {own.reason}"
        status = Status(before["status"])
        self._journal.tell(own.id, status, verdict)
        self._journal.change_experiment(own.id, **before)
        return f"; it is {status} again"

    def _before(self, last: DecisionEvent) -> Mapping[str, Any]:
        """Return what a decision of an older cockpit changed, as far as it can be told."""
        earlier = [e for e in self._journal.verdicts(last.experiment) if e.id < last.id]
        if not earlier:
            raise DecisionError(
                f"#{last.experiment}: what it was before {_of(last)} is not known any more "
                "(the journal was rebuilt from git): accept or reject it"
            )
        event = earlier[-1]
        return {
            "status": event.status, "decided_by": event.decided_by, "reason": event.reason,
            "decided_at": event.at,
        }  # fmt: skip

    def _last_of(self, own: Experiment) -> DecisionEvent | None:
        """Return the last verdict that a person gave, or took back, of an experiment."""
        mine = [e for e in self._journal.by_hand() if e.experiment == own.id]
        return next((e for e in reversed(mine) if e.event != Event.BRANCH), None)

    def _who(self, own: Experiment, last: DecisionEvent | None) -> str:
        if last is not None and last.event != Event.UNDO and last.decided_by == own.decided_by:
            return told(last)
        return (
            f"the {own.decided_by} has decided so" if own.decided_by == BY_RULE else str(own.reason)
        )


def _of(event: DecisionEvent) -> str:
    what = "choice of the base" if event.event == Event.BRANCH else event.event
    return f"{event.decided_by}'s {what} of {clock(event.at)}"
