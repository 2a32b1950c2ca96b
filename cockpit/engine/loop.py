"""The night: commands, propose, run, judge, record, again and again."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cockpit.core.constants import ConstantsError, rewrite
from cockpit.core.experiment import Event, Experiment, Run, Status, Verdict, after
from cockpit.engine.judging import BASELINE_RUNS, Judging
from cockpit.engine.opening import Opening
from cockpit.engine.proposing import Proposing
from cockpit.engine.running import Ended, Slot
from cockpit.executors.base import Assignment
from cockpit.lab.lab import Lab
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rows import Night
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

log = logging.getLogger("cockpit.engine")

BASELINE_FAILURES = 2
"""The night ends when the baseline itself fails this often: nothing can be compared to it."""
SEED_STRIDE = 1000
"""Distance between the seeds of two experiments; a run's number is added."""

Tell = Callable[[str], None]


class EngineFault(Exception):  # noqa: N818 the design's word for it
    """Something that the engine needs does not work; it tries again, ever more slowly."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a night by itself; None is no limit."""

    experiments: int | None
    """Experiments to claim, the baseline not counted."""
    seconds: float | None
    """Wall clock after which nothing new starts."""


class Loop:
    """One night under way; `tick` is one turn of it."""

    def __init__(
        self,
        lab: Lab,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        opening: Opening,
        slots: list[Slot],
        judging: Judging,
        proposing: Proposing,
        night: Night,
        limits: Limits,
        tell: Tell,
    ) -> None:
        self._lab = lab
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._opening = opening
        self._judging = judging
        self._proposing = proposing
        self._night = night.id
        self._began_at = night.started_at
        self._limits = limits
        self._tell = tell
        self.slots = slots
        self.paused_by: str | None = None
        self.ending: str | None = None
        """Why nothing new starts any more; the night is over when the slots are idle."""
        self.claimed = night.claimed
        self.elapsed = night.elapsed
        self.progress = 0
        """Grows with every run that trains, every verdict and every proposal."""
        self.failed = False
        """The night could not do what it was asked to."""
        self.trouble: str | None = None
        """A fault that came again and again: the night waits ever longer between two tries."""

    # ---- one turn --------------------------------------------------------------------------

    def tick(self) -> bool:
        """Collect, judge, claim, propose; return False once the night is over."""
        self._tree.refresh()
        decided = [self._take(slot, ended) for slot in self.slots if (ended := slot.poll())]
        self._look_at_limits()
        if self.ending is None and self.paused_by is None:
            for slot in self.slots:
                if slot.idle:
                    self._claim(slot)
            self._propose()
            for slot in self.slots:
                slot.executor.warm()
        self._mark_idle()
        if decided:
            self._record()
        return self.ending is None or not all(slot.idle for slot in self.slots)

    def _record(self) -> None:
        for warning in self._judging.settle(self._opening.tag):
            self._say(warning)

    def _look_at_limits(self) -> None:
        if self.ending is not None:
            return
        experiments, seconds = self._limits.experiments, self._limits.seconds
        if seconds is not None and self.elapsed >= seconds:
            self.ending = f"the duration of {seconds:.0f} s is over"
        elif experiments is not None and self.claimed >= experiments and self._baseline_done:
            self.ending = f"all {experiments} experiments are done"

    @property
    def _baseline_done(self) -> bool:
        baseline = self._tree.baseline(self._opening.tag)
        return baseline is not None and baseline.status is Status.KEPT

    def _mark_idle(self) -> None:
        for slot in self.slots:
            if slot.idle:
                if self.paused_by is not None:
                    slot.mark("paused")
                elif self.ending is None and self._baseline_done:
                    slot.mark("proposing")
                else:
                    slot.mark("other")

    @property
    def activity(self) -> str:
        """Return what the night is doing, in a few words."""
        busy = ", ".join(f"#{slot.run.experiment}" for slot in self.slots if slot.run)
        if self.ending is not None:
            return f"ending: {self.ending}"
        if busy:
            return f"running {busy}"
        return "paused" if self.paused_by else "waiting for an idea"

    # ---- what a person may do --------------------------------------------------------------

    def pause(self, author: str) -> str:
        """Start nothing new; the run under way ends normally."""
        if self.paused_by is not None:
            return f"it is paused already ({self.paused_by})"
        self.paused_by = f"paused by {author}"
        self._say(f"paused by {author}: nothing new starts, what runs ends normally")
        return "paused: nothing new starts, the run under way ends normally"

    def resume(self, author: str) -> str:
        """Go on after a pause."""
        if self.paused_by is None and self.trouble is None:
            return "it is not paused"
        self.paused_by = self.trouble = None
        self._say(f"resumed by {author}")
        return "resumed"

    def skip(self, author: str) -> str:
        """End every run under way; the experiments are stopped and the night goes on."""
        busy = [slot for slot in self.slots if slot.run is not None]
        for slot in busy:
            slot.stop(f"skipped by {author}")
        numbers = ", ".join(f"#{slot.run.experiment}" for slot in busy if slot.run)
        return f"skipped {numbers}" if busy else "nothing runs at the moment"

    def stop(self, author: str, now: bool) -> str:
        """End the night after the run under way, or at once (its experiment stays queued)."""
        self.ending = f"stopped by {author}"
        if now:
            for slot in self.slots:
                if slot.run is not None:
                    slot.stop("the night was stopped")
            return "stopping now: the run under way goes back to the queue"
        return "the night ends after the run under way"

    # ---- collecting ------------------------------------------------------------------------

    def _take(self, slot: Slot, ended: Ended) -> Experiment:
        why = slot.stopped_because or ""
        skipped = why.removeprefix("skipped by ") if why.startswith("skipped by ") else None
        own = self._judging.take(ended, by_person=skipped)
        slot.release()
        self.progress += ended.run.state == "finished"
        told = self._told(own, ended.run)
        self._tell(f"#{own.id} {own.title}: {told}")
        if own.status not in (Status.RUNNING, Status.QUEUED):
            self._journal.add_message("engine", "engine", told, own.id)
        if own.parent is None and sum(r.state == "failed" for r in own.runs) >= BASELINE_FAILURES:
            self.failed = True
            self.ending = (
                f"the baseline does not train: {ended.run.reason}; mend trainer/train.py, commit "
                "it, and begin a new tag: cockpit start --tag NEW"
            )
        if ended.unstarted:
            raise EngineFault(ended.run.reason or "the training process does not start")
        return own

    def _told(self, own: Experiment, run: Run) -> str:
        """Return in words how one run of an experiment went."""
        score = f"{run.val_bpb:.4f}" if run.val_bpb is not None else "no score"
        if own.status in (Status.RUNNING, Status.QUEUED):
            return f"run {run.number}: {score}" + (f", {run.reason}" if run.reason else "")
        return f"{score} {own.status}" + (f": {own.reason}" if own.reason else "")

    # ---- claiming --------------------------------------------------------------------------

    def _claim(self, slot: Slot) -> None:
        """Start the next run on an idle slot, if there is one to start."""
        own = self._next()
        while own is not None and not self._start(slot, own):
            own = self._next()

    def _next(self) -> Experiment | None:
        """Return the experiment that should run next: the baseline until it is measured."""
        baseline = self._tree.baseline(self._opening.tag)
        if baseline is None or baseline.status is not Status.KEPT:
            if baseline is None:
                return None
            going = sum(run.state in ("running", "finished") for run in baseline.runs)
            return baseline if going < BASELINE_RUNS else None
        if self._limits.experiments is not None and self.claimed >= self._limits.experiments:
            return None
        queued = self._tree.with_status(self._opening.tag, Status.QUEUED)
        return queued[0] if queued else None

    def _start(self, slot: Slot, own: Experiment) -> bool:
        """Commit an experiment on its parent and start a run; False when it can't be run."""
        base = self._tree.best(self._opening.tag)
        first = own.commit is None
        try:
            train_py = self._train_py(own, base)
        except ConstantsError as error:
            self._judging.refuse(own, f"its change does not apply to the base any more: {error}")
            return False
        parent = own.parent if not first else (base.id if base and own.parent is not None else None)
        commit = own.commit or self._commit(own, base, train_py)
        run = Run(
            experiment=own.id,
            number=len(own.runs) + 1,
            seed=self._opening.seed + SEED_STRIDE * own.id + len(own.runs),
            setup=self._opening.setup.hash,
            slot=slot.number,
            state="running",
            started_at=time.time(),
        )
        with self._journal.transaction():
            if own.status is Status.QUEUED:
                self._journal.decide(
                    own.id, after(own.status, Event.CLAIM), Verdict(Event.CLAIM, "its turn")
                )
            if first:
                self._journal.change_experiment(own.id, commit_hash=commit, parent=parent)
            if own.parent is not None and (own.claimed_at or 0.0) < self._began_at:
                self.claimed += 1
                self._journal.change_night(self._night, claimed=self.claimed)
            self._journal.add_run(run)
        self._tree.refresh()
        slot.start(run, self._assignment(run, train_py, slot))
        self._tell(f"#{own.id} {own.title}: started")
        return True

    def _train_py(self, own: Experiment, base: Experiment | None) -> str:
        """Return the text of an experiment: its commit's, or its change applied to the base."""
        if own.commit is not None:
            return self._repo.read_text(own.commit, TRAIN_PY)
        proposal = self._journal.proposal(own.id)
        if proposal.train_py is not None:
            return proposal.train_py
        if base is None or base.commit is None:
            raise ConstantsError("there is no base")
        return rewrite(self._repo.read_text(base.commit, TRAIN_PY), proposal.constants or {})

    def _commit(self, own: Experiment, base: Experiment | None, train_py: str) -> str:
        on = base.commit if base is not None and base.commit else self._opening.parent_commit
        return self._repo.commit_experiment(
            on if own.parent is not None else self._opening.parent_commit,
            train_py,
            title=own.title,
            body=own.hypothesis,
            tag=own.tag,
            number=own.id,
            proposer=own.proposer,
        )

    def _assignment(self, run: Run, train_py: str, slot: Slot) -> Assignment:
        setup, corpus = self._opening.setup, self._opening.corpus
        spec = {
            "format": 1,
            "experiment": run.experiment,
            "run": run.number,
            "seed": run.seed,
            "device": slot.device.kind,
            "cpus": list(slot.device.cpus) or None,
            "threads": slot.device.threads,
            "budget_seconds": setup.budget_seconds,
            "budget_tokens": None,
            "rows_directory": str(corpus.directory),
            "sequence_length": setup.sequence_length,
            "vocab_size": setup.vocab_size,
            "evaluation_rows": setup.evaluation_rows,
            "setup": setup.hash,
        }
        return Assignment(
            run_directory=Path(self._lab.run_directory(run.experiment, run.number)),
            train_py=train_py,
            spec=spec,
            validation_rows=corpus.validation_rows,
            wall_seconds=2 * setup.budget_seconds + self._opening.grace_seconds,
            memory_bytes=self._opening.memory_bytes,
            log_bytes=self._opening.log_bytes,
            keep_checkpoint=True,
        )

    # ---- proposing -------------------------------------------------------------------------

    def _propose(self) -> None:
        if not self._baseline_done:
            return
        wanted = len(self.slots) + 1
        if self._limits.experiments is not None:
            wanted = min(wanted, self._limits.experiments - self.claimed)
        for experiment in self._proposing.fill(wanted):
            self.progress += 1
            self._journal.add_message(
                "proposer",
                experiment.proposer,
                f"{experiment.title}\n{experiment.hypothesis}".strip(),
                experiment.id,
            )

    def _say(self, text: str) -> None:
        """Tell a person something: on the terminal of `run`, and in the conversation."""
        self._tell(text)
        self._journal.add_message("engine", "engine", text)
