"""Keeps the queue of checked proposals full, ahead of the slots.

Each proposer has a thread of its own (`asking`), so that a slow idea never holds up a tick.
Whose turn it is the schedule says; who fails rests, and the search proposes in its place, until
a probe is answered again. While a model only waits for its provider and a slot is idle, the
search fills in for that one experiment.

What goes before a new idea is `urgent`'s, what becomes of the queue when the base changes is
`rebasing`'s.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cockpit.core import queue
from cockpit.core.applying import ApplyError, applied
from cockpit.core.briefing import Briefing
from cockpit.core.experiment import Event, Experiment, Proposal, Status, Verdict, after
from cockpit.core.schedule import Schedule, next_of
from cockpit.engine.asking import Asking, Failed, Heard, Idea, Sent, Told, Well
from cockpit.engine.briefer import Briefer
from cockpit.engine.checking import Checked, Checking
from cockpit.engine.conversation import Conversation
from cockpit.engine.health import Health
from cockpit.engine.known import KnownTexts
from cockpit.engine.rebasing import REAPPLIED, Rebasing
from cockpit.engine.spending import Spending
from cockpit.engine.urgent import Urgent
from cockpit.lab.repo import Repo
from cockpit.lab.rows import Night
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from cockpit.proposers.base import ProposerError

log = logging.getLogger("cockpit.engine")

SEARCH = "search"
"""The proposer that needs nobody: it stands in for all others."""
REFUSED_IN_A_ROW = 2
"""After so many ideas that could not be used, each with its repairs, their author rests."""


@dataclass(frozen=True, slots=True)
class Added:
    """A proposal that is an experiment now."""

    experiment: Experiment
    checked: Checked


class Proposing:
    """Asks the proposers for as many experiments as the slots will want."""

    def __init__(
        self,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        night: Night,
        briefer: Briefer,
        checking: Checking,
        schedule: Schedule,
        spending: Spending,
        conversation: Conversation,
    ) -> None:
        self._journal = journal
        self._tree = tree
        self._night = night
        self._tag = night.tag
        self._briefer = briefer
        self._checking = checking
        self._schedule = schedule
        self._spending = spending
        self._conversation = conversation
        self._known = KnownTexts(repo, tree, night.tag, self._text_of)
        self._askings: dict[str, Asking] = {}
        self._health: dict[str, Health] = {}
        self._calls: dict[str, list[int]] = {}
        self._untaken: deque[tuple[str, Told]] = deque()
        self._urgent = Urgent(tree, night, briefer, self.readers)
        self._rebasing = Rebasing(
            journal,
            tree,
            night.tag,
            self._known,
            conversation,
            proposal_of=briefer.proposal,
            text_of=briefer.text_of,
            propose_anew=self._urgent.add,
        )
        self._turns = self._turns_so_far()

    def employ(self, asking: Asking) -> None:
        """Add a proposer; the search is always among them."""
        self._askings[asking.kind] = asking
        self._health[asking.kind] = Health()
        self._calls[asking.kind] = []

    @property
    def readers(self) -> list[str]:
        """Return the proposers of the schedule that read what a person writes."""
        return [kind for kind in self._schedule.names if kind != SEARCH]

    def close(self) -> None:
        """End the proposers' processes; what is under way is given up, and said to be."""
        for kind, asking in self._askings.items():
            given_up = asking.busy and kind != SEARCH
            asking.close()
            for told in asking.take():
                if isinstance(told, Heard) and told.event.get("event") == "call":
                    self._spending.record(kind, told.event)
            if given_up:
                event = {"model": "", "purpose": "proposal", "outcome": "given up: the night ended"}
                self._spending.record(kind, event)
        self._conversation.close()

    # ---- at every turn ---------------------------------------------------------------------

    def listen(self) -> Iterator[Added]:
        """Take what the proposers have said; yield what is queued now, or refused."""
        for kind, asking in self._askings.items():
            self._untaken += [(kind, told) for told in asking.take()]
        while self._untaken:
            kind, told = self._untaken[0]
            if isinstance(told, Failed):
                self._untaken.popleft()
                self._fail(kind, told.error, told.briefing)
                continue
            # Taken when it is written down: a full disk must not cost an idea.
            one = self._take(kind, told)
            self._untaken.popleft()
            if one is not None:
                yield one
        self._conversation.listen(self._briefer)
        self._look_after_the_resting()

    def rebase(self) -> list[tuple[Experiment, str]]:
        """Move what is queued to a base that has changed; return what does not apply there.

        What won beside the base is queued on it first.
        """
        self._rebasing.bring_together()
        return self._rebasing.rebase()

    def fill(self, wanted: int, *, idle: bool) -> None:
        """Ask while fewer than `wanted` are queued; `idle` says that a slot waits for one."""
        queued = len(self._tree.with_status(self._tag, Status.QUEUED))
        ordered = any(hint.order and hint.open for hint in self._journal.hints())
        # One that rests is only being probed.
        busy = [k for k, asking in self._askings.items() if asking.busy and not self._rests(k)]
        if not busy and (queued < wanted or ordered):
            self._ask(queued < wanted)
        elif idle and not queued and busy and SEARCH not in busy and not self._rests(SEARCH):
            now = time.monotonic()
            if all(self._health[kind].held_up(now) for kind in busy):
                self._say(f"{busy[0]} is held up: the search fills in for one experiment")
                self._propose(SEARCH, None)

    @property
    def penniless(self) -> bool:
        """Tell whether the money of the night is spent."""
        return self._spending.over

    @property
    def stuck(self) -> str | None:
        """Return why nobody can propose at this moment; None where somebody can."""
        kinds = {*self._schedule.names, SEARCH}
        if not all(self._rests(kind) for kind in kinds):
            return None
        return "; ".join(f"{kind}: {self._health[kind].reason}" for kind in sorted(kinds))

    # ---- asking ----------------------------------------------------------------------------

    def _ask(self, wanted: bool) -> None:
        reader = self._well_reader()
        if reader is None and not wanted:
            return
        briefing = self._briefer.briefing()
        if briefing is None:
            return
        if reader is not None and (first := self._urgent.first(briefing)):
            author = self._urgent.author_of(first.crash) if first.crash else reader
            self._propose(reader if self._rests(author) else author, first)
        elif wanted:
            kind = next_of(self._schedule, self._turns)
            self._turns[kind] = self._turns.get(kind, 0) + 1
            # Who is stood in for has had its turn.
            turn = SEARCH if self._rests(kind) else kind
            if not self._rests(turn):
                self._propose(turn, replace(briefing, order=None))

    def _propose(self, kind: str, briefing: Briefing | None) -> None:
        briefing = briefing or self._briefer.briefing()
        if briefing is None or self._askings[kind].busy:
            return
        self._known.refresh()
        if kind != SEARCH:
            self._journal.keep_program(briefing.program_version, briefing.program)
        self._askings[kind].propose(briefing)

    def _well_reader(self) -> str | None:
        """Return a proposer that reads and can be asked."""
        if self._spending.over:
            self._out_of_money()
        return next((kind for kind in self.readers if not self._rests(kind)), None)

    def _turns_so_far(self) -> dict[str, int]:
        """Return how many proposals each has made tonight: a restart goes on from there."""
        counts: dict[str, int] = {}
        for own in self._tree.of(self._tag).values():
            if own.created_at >= self._night.started_at:
                counts[own.proposer] = counts.get(own.proposer, 0) + 1
        return counts

    def check(self, briefing: Briefing, proposal: Proposal) -> Checked:
        """Return what is wrong with a proposal, in a worker thread."""
        try:
            text = applied(proposal, briefing.base_train_py)
        except ApplyError as error:
            return Checked(f"its change does not apply to the base: {error}")
        same = self._known.find(text)
        if same is not None:
            own = self._tree.experiments.get(same)
            known = f" ({own.title}: {own.status})" if own else ""
            return Checked(f"this very train.py is #{same} already{known}")
        return self._checking.check(text)

    # ---- what they say ---------------------------------------------------------------------

    def _take(self, kind: str, told: Told) -> Added | None:
        match told:
            case Heard(event):
                self._hear(kind, event)
            case Idea():
                return self._queue(kind, told)
            case Sent(problem):
                self._conversation.say(kind, f"sent back: {problem}", None)
            case Well():
                self._recover(kind)
            case _:
                pass  # failures are taken before, questions have a process of their own
        return None

    def _hear(self, kind: str, event: Mapping[str, object]) -> None:
        if event.get("event") == "call":
            self._calls[kind].append(self._spending.record(kind, dict(event)))
        elif event.get("event") == "trouble":
            seconds = event.get("seconds")
            wait = float(seconds) if isinstance(seconds, int | float) else 0.0
            self._health[kind].held_until = time.monotonic() + wait
            self._conversation.trouble(kind, str(event.get("says", "")))
        else:
            self._health[kind].held_until = 0.0
            self._conversation.write(kind, event)

    def _queue(self, kind: str, idea: Idea) -> Added | None:
        """Make an experiment of an idea, on the base of this moment."""
        self._conversation.written(kind)
        briefing, proposal, checked = idea.briefing, idea.proposal, idea.checked
        refusal = checked.refusal.partition("\n")[0] if checked.refusal else None
        base = self._tree.base(self._tag)
        if base is None:
            return None
        if base.id != briefing.base and checked.refusal is None:
            try:
                applied(proposal, self._briefer.text_of(base))
            except ApplyError as error:
                if briefing.order is None:  # an order is still open, and asked anew
                    self._rebasing.give_back(None, proposal, f"the base is #{base.id} now: {error}")
                return None
        if kind != SEARCH:
            proposal = replace(
                proposal,
                program=briefing.program_version,
                order=briefing.order.id if briefing.order else None,
                repair_of=briefing.crash.experiment if briefing.crash else None,
            )
        with self._journal.transaction():
            number = self._journal.add_experiment(self._tag, base.id, proposal)
            if briefing.order is not None:
                self._journal.change_experiment(number, place=queue.ordered(number))
            self._journal.assign_calls(self._calls[kind], number)
            self._conversation.proposed(number, proposal, idea)
            if refusal is not None:
                verdict = Verdict(Event.REFUSE, refusal)
                self._journal.decide(number, after(Status.QUEUED, Event.REFUSE), verdict)
                if briefing.order is not None:
                    self._conversation.decline(briefing.order, refusal, number)
            else:
                self._conversation.answered(number, proposal, briefing)
                if base.id != briefing.base:
                    self._conversation.say("engine", REAPPLIED.format(base.id), number)
        self._calls[kind].clear()
        self._tree.refresh()
        self._judge_author(kind, refusal)
        return Added(self._tree.experiments[number], checked)

    def _judge_author(self, kind: str, refusal: str | None) -> None:
        """Let a proposer rest whose ideas can't be used, one after the other."""
        health = self._health[kind]
        if refusal is None:
            if health.succeed():
                self._say(f"{kind} answers again")
            return
        health.refused += 1
        if kind != SEARCH and health.refused >= REFUSED_IN_A_ROW:
            why = f"{health.refused} ideas in a row could not be used (the last: {refusal})"
            self._rest(kind, why, "unusable")

    def _text_of(self, own: Experiment) -> str | None:
        """Return the text that an experiment without a commit would have."""
        parent = self._tree.experiments.get(own.parent) if own.parent is not None else None
        if parent is None or parent.commit is None:
            return None
        try:
            return applied(self._briefer.proposal(own.id), self._briefer.text_of(parent))
        except ApplyError:
            return None

    # ---- health ----------------------------------------------------------------------------

    def _rests(self, kind: str) -> bool:
        return self._health[kind].rests

    def _fail(self, kind: str, error: ProposerError, briefing: Briefing | None) -> None:
        """Let a proposer rest that has no answer; what it was asked for is not forgotten."""
        self._conversation.written(kind)
        self._calls[kind].clear()
        if briefing is not None:
            if error.kind != "unusable":
                self._urgent.put_back(briefing)
            elif briefing.order is not None:
                self._conversation.decline(briefing.order, str(error), None)
        self._rest(kind, str(error), error.kind)
        log.warning("%s failed (%s): %s", kind, error.kind, error)

    def _rest(self, kind: str, why: str, how: str) -> None:
        if self._health[kind].fail(why, how, time.monotonic()):
            instead = "the others propose" if kind == SEARCH else "proposals come from search"
            until = "" if how == "money" else " for a while"
            self._say(f"{kind}: {why}; {instead}{until}")

    def _recover(self, kind: str) -> None:
        if self._health[kind].recover():
            self._say(f"{kind} answers again")

    def _look_after_the_resting(self) -> None:
        for kind, health in self._health.items():
            if health.probe_due(time.monotonic()) and not self._askings[kind].busy:
                if kind == SEARCH:
                    health.recover()
                else:
                    self._askings[kind].probe()

    def _out_of_money(self) -> None:
        limit = self._spending.limit or 0.0
        for kind in self.readers:
            if self._health[kind].until != float("inf"):
                self._health[kind].fail("the money is spent", "money", time.monotonic())
                self._say(f"the ${limit:.2f} of this night are spent: it goes on with search")

    def _say(self, text: str) -> None:
        self._journal.add_message("engine", "engine", text)
