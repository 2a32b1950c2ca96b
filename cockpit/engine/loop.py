"""The night: collect, judge, claim, propose, record, again and again."""

import logging
import time
from collections.abc import Callable

from cockpit.core.applying import ApplyError
from cockpit.core.confirming import told_count
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.engine.ablating import Ablating
from cockpit.engine.auditing import Auditing
from cockpit.engine.baseline import lost_again, what_is_wrong
from cockpit.engine.claiming import Claiming
from cockpit.engine.commands import RefusedError
from cockpit.engine.confirming import Confirming
from cockpit.engine.conversation import Conversation
from cockpit.engine.judging import Judging
from cockpit.engine.limits import Limits
from cockpit.engine.proposing import Proposing
from cockpit.engine.pruning import Pruning
from cockpit.engine.running import Ended, Slot
from cockpit.engine.telling import told_run, told_verdict
from cockpit.lab.rows import Night
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

log = logging.getLogger("cockpit.engine")

NOBODY_READS = (
    "search has the ideas tonight and reads nothing (`cockpit start --proposer llm --model NAME`)"
)
SKIPPED = "skipped by "
REQUEUED = "put back by "
BY_PERSON = "stopped by "

Tell = Callable[[str], None]


class Loop:
    """One night under way; `tick` is one turn of it."""

    def __init__(
        self,
        journal: EngineJournal,
        tree: Tree,
        slots: list[Slot],
        judging: Judging,
        claiming: Claiming,
        proposing: Proposing,
        conversation: Conversation,
        auditing: Auditing,
        pruning: Pruning,
        confirming: Confirming,
        ablating: Ablating,
        night: Night,
        limits: Limits,
        tell: Tell,
        learn: Callable[[], None],
        *,
        think_ahead: bool = True,
    ) -> None:
        """`tell` gets lines for a person; `learn` is called when verdicts have been given.

        `think_ahead` keeps one proposal more than slots in the queue.
        """
        self._journal = journal
        self._tree = tree
        self._judging = judging
        self._claiming = claiming
        self._proposing = proposing
        self._conversation = conversation
        self._auditing = auditing
        self._pruning = pruning
        self._confirming = confirming
        self._ablating = ablating
        self._night = night
        self._limits = limits
        self._tell = tell
        self._learn = learn
        self._think_ahead = think_ahead
        self.slots = slots
        self.paused_by: str | None = None
        self.ending: str | None = None
        """Why nothing new starts any more; the night is over when the slots are idle."""
        self.elapsed = night.elapsed
        """Seconds of the night so far."""
        self.failed = False
        """The night could not do what it was asked to."""
        self.trouble: str | None = None
        """A fault of the engine that came again and again."""
        self._stopped_now = False
        self.progress = 0
        """Grows with every run that ended by itself and every proposal."""

    # ---- one turn --------------------------------------------------------------------------

    def tick(self) -> bool:
        """Take one turn; return False once the night is over."""
        self._tree.refresh()
        for slot in self.slots:
            if ended := slot.poll():
                self._take(slot, ended)
        self._look_at_audits()
        if told := self._ablating.proceed(self._night.tag, self._night.started_at):
            self.say(told)
        self._look_at_limits()
        self._listen()
        if self.ending is None and self.paused_by is None:
            for own, problem in self._proposing.rebase():
                self._announce(self._judging.refuse(own, problem))
            for slot in self.slots:
                if self._is_free(slot) and not slot.faults.waits(time.monotonic()):
                    self._claim(slot)
            self._propose()
            self._confirm_meanwhile()
            for slot in self.slots:
                slot.executor.warm()
        self._mark_idle()
        if self._judging.unsettled:
            # After the next runs have begun: git is not worth a slot's time.
            for warning in self._judging.settle(self._night.tag):
                self.say(warning)
            self._learn()
        self._pruning.look()
        self._pruning.keep()
        return (
            self.ending is None or not all(slot.idle for slot in self.slots) or self._auditing.busy
        )

    def _is_free(self, slot: Slot) -> bool:
        return slot.idle and not self._auditing.holds(slot)

    def _look_at_limits(self) -> None:
        if self.ending is not None or self._claiming.unfinished() or self._claiming.measured():
            return
        if self._claiming.wished() or self._ablating.asked_for(self._night.tag):
            return
        if self._claiming.waits_for_its_turn() or not all(slot.idle for slot in self.slots):
            return
        self.ending = self._limits.reached(self._claiming.claimed, self.elapsed)

    @property
    def _most(self) -> int | None:
        return self._limits.most(self._claiming.claimed, self.elapsed)

    def _mark_idle(self) -> None:
        for slot in self.slots:
            if self._auditing.holds(slot):
                slot.mark("audit")
            elif slot.idle:
                if self.paused_by is not None or self.pausing is not None:
                    slot.mark("paused")
                elif self.ending is None and self._claiming.baseline_done:
                    slot.mark("proposing")
                else:
                    slot.mark("other")

    @property
    def pausing(self) -> str | None:
        """Return why the night is paused by a fault, when it is: the engine's, or every slot's."""
        if (nobody := self._proposing.stuck) and all(slot.idle for slot in self.slots):
            return f"nobody can propose: {nobody}"
        stuck = [slot for slot in self.slots if slot.faults.pausing]
        if self.trouble is None and len(stuck) == len(self.slots):
            return stuck[0].faults.reason
        return self.trouble

    @property
    def activity(self) -> str:
        """Return what the night is doing, in a few words."""
        if self.ending is not None:
            return f"ending: {self.ending}"
        busy = ", ".join(f"#{slot.run.experiment}" for slot in self.slots if slot.run)
        if busy:
            return f"running {busy}"
        if self.paused_by:
            return "paused"
        return "auditing" if self._auditing.busy else "waiting for an idea"

    # ---- what a person may do --------------------------------------------------------------

    def start(self, author: str) -> str:
        """Take back a stop that has not come to its end yet."""
        if self.ending is not None and self.ending.startswith(BY_PERSON) and not self._stopped_now:
            self.ending = None
            self.say(f"{author} takes the stop back: the night goes on")
            return "the night goes on: the stop is taken back"
        return "" if self.ending is None else self.ending

    def pause(self, author: str) -> str:
        """Start nothing new; the run under way ends normally."""
        if self.paused_by is not None:
            return f"it is paused already ({self.paused_by})"
        self.paused_by = f"paused by {author}"
        self.say(f"paused by {author}: nothing new starts, what runs ends normally")
        return "nothing new starts, the run under way ends normally"

    def resume(self, author: str) -> str:
        """Go on after a pause."""
        if self.paused_by is None and self.pausing is None:
            return "it is not paused"
        self.paused_by = self.trouble = None
        for slot in self.slots:
            slot.faults.clear()
        self.say(f"resumed by {author}")
        return "the night goes on"

    def skip(self, author: str, requeue: bool = False) -> str:
        """End every run under way; the experiments are stopped and the night goes on.

        With `requeue` they get no verdict, and wait at the end of the queue.
        """
        busy = [slot for slot in self.slots if slot.run is not None]
        ending = [slot.stopped_because for slot in busy if slot.stopped_because is not None]
        busy = [slot for slot in busy if slot.stopped_because is None]
        if not busy and ending:
            raise RefusedError(f"the run under way is being ended already: {ending[0]}")
        if not busy:
            raise RefusedError("nothing runs at the moment")
        for slot in busy:
            slot.stop(f"{REQUEUED if requeue else SKIPPED}{author}")
        numbers = ", ".join(f"#{slot.run.experiment}" for slot in busy if slot.run)
        return f"{numbers} {'goes to the end of the queue' if requeue else 'ends here'}"

    def finish(self, author: str, number: int) -> str:
        """Let the run under way of an experiment come to its end, whatever its curve says."""
        return self._pruning.let_finish(number)

    def stop(self, author: str, now: bool) -> str:
        """End the night after the run under way, or at once (its experiment stays queued)."""
        self.ending = f"{BY_PERSON}{author}"
        if now:
            self._stopped_now = True
            self._auditing.close()
            for slot in self.slots:
                if slot.run is not None:
                    slot.stop("the night was stopped")
            return "stopping now: the run under way goes back to the queue"
        return "the night ends after the run under way"

    def ask(self, author: str, text: str) -> str:
        """Put a question to who has the ideas."""
        if not self._conversation.answers_questions:
            raise RefusedError(f"{NOBODY_READS}: nobody can answer")
        self._conversation.ask(author, text)
        return "asked: the answer comes in the conversation"

    def order(self, author: str, text: str) -> str:
        """Have the next proposal be what a person wants."""
        if not self._proposing.readers:
            raise RefusedError(f"{NOBODY_READS}: nobody can carry out an order")
        if self._proposing.penniless:
            raise RefusedError("the money of this night is spent: nobody reads an order")
        number = self._journal.add_hint(text, author, order=True)
        self._journal.add_message("human", author, f"try: {text}")
        return f"the next proposal is this (order {number}), and the next run is its"

    # ---- collecting ------------------------------------------------------------------------

    def _take(self, slot: Slot, ended: Ended) -> None:
        """Record a run that is over and what follows from it."""
        why = slot.stopped_because or ""
        skipped = why.removeprefix(SKIPPED) if why.startswith(SKIPPED) else None
        own = self._judging.take(ended, by_person=skipped)
        if why.startswith(REQUEUED):
            own = self._claiming.put_back(own)
        self._pruning.ended(slot, ended.run)
        slot.release()
        if ended.run.purpose == "verdict":
            self._announce(own, told_run(own, ended.run, self._judging.due(own)))
        else:
            self._tell_fresh(own, ended.run)
        if ended.run.state in ("finished", "failed", "invalid", "pruned"):
            slot.faults.clear()
            self.progress += 1
        elif ended.unstarted or lost_again(own):
            self._note_fault(slot, ended.run.reason or ended.run.state)
        self._look_at_baseline(own)

    def _tell_fresh(self, own: Experiment, run: Run) -> None:
        """Tell of a run that no verdict rests on, and what its pairs say with it."""
        run = next((r for r in own.runs if r.number == run.number), run)
        score = f"{run.val_bpb:.4f}" if run.val_bpb is not None else run.reason or run.state
        self._tell(f"#{own.id} {own.title}: run {run.number} ({run.purpose}): {score}")
        self._judging.decided(own.id)
        if found := self._confirming.ended(run):
            about, told, to_come = found
            rest = f"; {told_count(to_come)} to come" if to_come else ""
            self._tell(f"#{about.id} {told}{rest}")
            if not to_come:
                self._journal.add_message("engine", "engine", told, about.id)

    def _announce(self, own: Experiment, told: str | None = None) -> None:
        """Tell what has become of an experiment; its verdict where nothing else is given."""
        told = told or told_verdict(own)
        self._tell(f"#{own.id} {own.title}: {told}")
        if own.status not in (Status.RUNNING, Status.QUEUED):
            self._journal.add_message("engine", "engine", told, own.id)

    def _look_at_audits(self) -> None:
        """Take what audits have found, and begin those that are due."""
        for row in self._auditing.collect():
            own = self._judging.audited(row)
            self.progress += 1
            # To the terminal alone: what it says of sealed rows is for nobody who proposes.
            self._tell(f"#{own.id} {row.says}")
            self._announce(own)
            self._look_at_baseline(own)
        if self._stopped_now:
            return
        for own in self._claiming.measured():
            if self._judging.due(own) in ("base", "verdict"):
                before = own.status
                own = self._judging.conclude(own.id)
                if own.status is not before:
                    self._announce(own)
                    self._look_at_baseline(own)
            elif self.paused_by is None or self.slots[0].device.kind == "cpu":
                self._auditing.begin(own, self.slots)

    def _note_fault(self, slot: Slot, reason: str) -> None:
        slot.faults.note(reason, time.monotonic())
        log.error("slot %d, fault %d: %s", slot.number, slot.faults.count, reason)
        self._tell(f"slot {slot.number}: {reason} (again in {slot.faults.wait_seconds:.0f} s)")
        if slot.faults.pausing:
            self._journal.add_message("engine", "engine", f"slot {slot.number}: {reason}")

    def _look_at_baseline(self, own: Experiment) -> None:
        """End a night whose baseline does not train."""
        if wrong := what_is_wrong(own, self._night.started_at):
            self.failed = True
            self.ending = wrong

    # ---- claiming and proposing ------------------------------------------------------------

    def _confirm_meanwhile(self) -> None:
        """Let slots that have waited for an idea for some time confirm the best."""
        now = time.monotonic()
        for slot in self.slots:
            waits = (
                self._is_free(slot)
                and not slot.faults.waits(now)
                and self._limits.goes_on
                and not self._limits.time_is_up(self.elapsed)
            )
            if self._confirming.has_time(slot.number, waits, now) and self._confirming.for_idle():
                self._claim(slot, idle=True)

    def _claim(self, slot: Slot, *, idle: bool = False) -> None:
        """Start the next run on an idle slot, if there is one to start."""
        while turn := self._claiming.next(self._most, idle=idle):
            own = turn.experiment
            try:
                ended = self._claiming.start(slot, turn)
            except ApplyError as error:
                self._announce(self._judging.refuse(own, str(error)))
                continue
            self._tell(f"#{own.id} {own.title}: run {len(own.runs) + 1} started")
            if ended is not None:
                self._take(slot, ended)
            return

    def _listen(self) -> None:
        """Take what the proposers have said; what can't be used is recorded, and costs no run."""
        for one in self._proposing.listen():
            self.progress += 1
            if one.checked.refusal is not None:
                self._announce(one.experiment)
                self._learn()
            elif one.checked.advice:
                advice = f"preflight: {'; '.join(one.checked.advice)}"
                self._journal.add_message("engine", "engine", advice, one.experiment.id)

    def _propose(self) -> None:
        if not self._claiming.baseline_done or not self._limits.goes_on:
            return
        free = sum(self._is_free(slot) for slot in self.slots)
        wanted = len(self.slots) + 1 if self._think_ahead else free
        if (most := self._most) is not None:
            wanted = min(wanted, most - self._claiming.claimed)
        self._proposing.fill(wanted, idle=free > 0)

    def say(self, text: str, role: str = "engine") -> None:
        """Tell a person something: on the terminal of `run`, and in the conversation.

        An `offer` stands on the screen until a person has answered it.
        """
        self._tell(text)
        self._journal.add_message(role, "engine", text)
