"""From the queue to a slot: which experiment is next, its commit, its run.

The commit comes first, then one transaction that says whose turn it is, then the
process. Cut off between any two of them, the next start finds either an experiment that
is still queued (its commit is used again) or a run without a process (given back).
"""

import time
from dataclasses import dataclass

from cockpit.core import guard, queue
from cockpit.core.ablating import PROPOSER as ABLATE
from cockpit.core.applying import ApplyError, applied
from cockpit.core.confirming import IDLE
from cockpit.core.experiment import Event, Experiment, Run, Status, Verdict, after
from cockpit.engine.judging import Judging
from cockpit.engine.opening import Opening
from cockpit.engine.running import Ended, Slot
from cockpit.executors.base import Assignment
from cockpit.lab import measuring
from cockpit.lab.lab import Lab
from cockpit.lab.measuring import Setup
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rows import Night, Wanted
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

SEED_STRIDE = 1000
"""Distance between the seeds of two experiments; a run's number is added."""
PROCESSES = 512
"""Of a run at one time; torch.compile alone starts one for each core, up to 32."""
UNDER_WAY = ("running", "finished")
"""Runs that count towards those that an experiment needs."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A run that is to be made now."""

    experiment: Experiment
    wish: Wanted | None = None
    """What asked for it, where the experiment's verdict does not need it."""


class Claiming:
    """Takes experiments from the queue of one tag."""

    def __init__(
        self,
        lab: Lab,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        judging: Judging,
        opening: Opening,
        night: Night,
    ) -> None:
        self._lab = lab
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._judging = judging
        self._opening = opening
        self._night = night
        self.claimed = night.claimed
        """Experiments claimed this night, the baseline not counted."""

    @property
    def baseline_done(self) -> bool:
        """Tell whether there is something to compare with."""
        baseline = self._tree.baseline(self._opening.tag)
        return baseline is not None and baseline.status is Status.KEPT

    def measured(self) -> list[Experiment]:
        """Return what needs no run for its verdict, but perhaps an audit."""
        waiting = self._tree.with_status(
            self._opening.tag, Status.RUNNING, Status.QUEUED, Status.KEPT, Status.BORDERLINE
        )
        return [own for own in waiting if self._judging.due(own) in ("base", "audit", "verdict")]

    def wished(self, *, idle: bool = False) -> list[Turn]:
        """Return the runs that somebody has asked for and that can be made, oldest first.

        `idle`: those that are only made while a slot has nothing else to do.
        """
        own = self._tree.of(self._opening.tag)
        return [
            Turn(own[wish.experiment], wish)
            for wish in self._journal.wanted()
            if (wish.why == IDLE) is idle
            and wish.experiment in own
            and own[wish.experiment].commit is not None
        ]

    def unfinished(self) -> list[Experiment]:
        """Return what this night has begun and that waits for a run, oldest first."""
        waiting = self._tree.with_status(self._opening.tag, Status.RUNNING, Status.QUEUED)
        return [own for own in waiting if self._waits(own)]

    def _waits(self, own: Experiment) -> bool:
        if own.parent is None:
            return (
                sum(run.state in UNDER_WAY for run in own.runs) < self._judging.rule.baseline_runs
            )
        begun = own.status is Status.RUNNING or (own.claimed_at or 0.0) >= self._night.started_at
        return begun and self._judging.due(own) == "run"

    def next(self, limit: int | None, *, idle: bool = False) -> Turn | None:
        """Return what should run next; nothing new once `limit` experiments are claimed.

        First the baseline, alone until it is measured; then what has begun; then the runs that
        were asked for; then the queue, what a person ordered first. What leaves changes out was
        asked for too, and knows no limit. Where there is nothing and the slot is `idle`: the runs
        that wait for that.
        """
        if unfinished := self.unfinished():
            return Turn(unfinished[0])
        if not self.baseline_done:
            return None
        if wished := self.wished():
            return wished[0]
        queued = self._tree.with_status(self._opening.tag, Status.QUEUED)
        if limit is not None and self.claimed >= limit:
            queued = [own for own in queued if not self._counts(own)]
        for own in queue.in_line(queued):
            if self._judging.due(own) == "run":
                return Turn(own)
        return next(iter(self.wished(idle=True)), None) if idle else None

    def start(self, slot: Slot, turn: Turn) -> Ended | None:
        """Commit an experiment on its parent, where it has no commit yet, and start a run of it.

        Returns the run where it could not begin. Raises `ApplyError` when its change does
        not apply to the base any more, or changes nothing there.
        """
        own, wish = turn.experiment, turn.wish
        base = self._tree.base(self._opening.tag) if own.parent is not None else None
        train_py = self._train_py(own, base)
        setup = self._setup(wish)
        commit = own.commit or self._commit(own, base, train_py)
        run = Run(
            experiment=own.id,
            number=len(own.runs) + 1,
            seed=self._seed(own, wish),
            setup=setup.hash,
            slot=slot.number,
            state="running",
            started_at=time.time(),
            purpose=wish.purpose if wish else "verdict",
        )
        with self._journal.transaction():
            if own.status is Status.QUEUED and wish is None:
                self._journal.decide(
                    own.id, after(own.status, Event.CLAIM), Verdict(Event.CLAIM, "its turn")
                )
            if own.commit is None:
                parent = base.id if base is not None else None
                self._journal.change_experiment(own.id, commit_hash=commit, parent=parent)
            if wish is not None:
                self._journal.grant(wish.id, run.number)
            elif self._counts(own) and (own.claimed_at or 0.0) < self._night.started_at:
                self._journal.change_night(self._night.id, claimed=self.claimed + 1)
                self.claimed += 1
            self._journal.add_run(run)
        self._tree.refresh()
        return slot.start(run, self._assignment(run, train_py, slot, setup))

    def _setup(self, wish: Wanted | None) -> Setup:
        """Return how a run is measured: as all of its tag, unless another budget was asked for."""
        if wish is None or wish.budget_seconds is None:
            return self._opening.setup
        setup = measuring.at_budget(self._opening.setup, wish.budget_seconds)
        self._journal.keep_setup(setup.hash, measuring.fields(setup))
        return setup

    def _seed(self, own: Experiment, wish: Wanted | None) -> int:
        """Return the seed of an experiment's next run: the one asked for, or a new one."""
        if wish is not None and wish.seed is not None:
            return wish.seed
        return self._opening.seed + SEED_STRIDE * own.id + len(own.runs)

    def _train_py(self, own: Experiment, base: Experiment | None) -> str:
        """Return the text of an experiment: its commit's, or its change applied to the base."""
        if own.commit is not None:
            return self._repo.read_text(own.commit, TRAIN_PY)
        proposal = self._journal.proposal(own.id)
        if own.parent is None or base is None or base.commit is None:
            return proposal.train_py or ""
        text = applied(proposal, self._repo.read_text(base.commit, TRAIN_PY))
        if refusal := guard.check(text):  # as it stands on a base that may be another by now
            raise ApplyError(f"guard: {refusal}")
        return text

    def _commit(self, own: Experiment, base: Experiment | None, train_py: str) -> str:
        on = base.commit if base is not None and base.commit else self._opening.parent_commit
        return self._repo.commit_experiment(
            on,
            train_py,
            title=own.title,
            body=own.hypothesis,
            tag=own.tag,
            number=own.id,
            proposer=own.proposer,
        )

    def put_back(self, own: Experiment) -> Experiment:
        """Let a queued experiment that was claimed wait at the end, as if it had not been."""
        if own.status is not Status.QUEUED or own.parent is None:
            return own
        line = self._tree.with_status(own.tag, Status.QUEUED)
        with self._journal.transaction():
            self._journal.change_experiment(own.id, claimed_at=None, place=queue.end(line))
            if self._counts(own) and (own.claimed_at or 0.0) >= self._night.started_at:
                self._journal.change_night(self._night.id, claimed=self.claimed - 1)
                self.claimed -= 1
        self._tree.refresh()
        return self._tree.experiments[own.id]

    def _counts(self, own: Experiment) -> bool:
        """Tell whether an experiment counts towards a night's limit.

        Baselines, ablations and the second of two wins are no new ideas.
        """
        if own.parent is None or own.proposer == ABLATE:
            return False
        return self._journal.proposal(own.id).reapplies is None

    def waits_for_its_turn(self) -> bool:
        """Tell whether something is queued that no limit holds back."""
        queued = self._tree.with_status(self._opening.tag, Status.QUEUED)
        return any(not self._counts(own) for own in queued)

    def _assignment(self, run: Run, train_py: str, slot: Slot, setup: Setup) -> Assignment:
        corpus = self._opening.corpus
        return Assignment(
            run_directory=self._lab.run_directory(run.experiment, run.number),
            train_py=train_py,
            spec={
                "format": 1,
                "experiment": run.experiment,
                "run": run.number,
                "seed": run.seed,
                "device": slot.device.kind,
                "cpus": list(slot.device.cpus) or None,
                "threads": slot.device.threads,
                "budget_seconds": setup.budget_seconds,
                "budget_tokens": None,
                "sequence_length": setup.sequence_length,
                "vocab_size": setup.vocab_size,
                "evaluation_rows": setup.evaluation_rows,
                "setup": setup.hash,
            },
            train_rows=corpus.directory / "train.bin",
            validation_rows=corpus.validation_rows,
            token_bytes=corpus.directory / "token_bytes.npy",
            wall_seconds=self._opening.wall_seconds_at(setup.budget_seconds),
            memory_bytes=self._opening.memory_bytes,
            log_bytes=self._opening.log_bytes,
            disk_bytes=self._opening.disk_bytes,
            processes=PROCESSES,
            keep_checkpoint=True,
        )
