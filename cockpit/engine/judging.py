"""From a run that is over to a verdict: the journal first, then git.

The journal holds the truth; branch and note follow from it and are written again
whenever they are found to disagree, so that an engine killed between the two loses nothing.
"""

import contextlib

from cockpit.core.experiment import (
    VERDICTS,
    Event,
    Experiment,
    Run,
    Status,
    TransitionError,
    Verdict,
    after,
)
from cockpit.core.judge import judge
from cockpit.core.tree import delta
from cockpit.engine.running import Ended
from cockpit.lab.lab import Lab
from cockpit.lab.rebuild import note_of
from cockpit.lab.repo import Repo
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

BASELINE_RUNS = 2
"""Runs of the baseline before anything is judged: the least from which a spread can be had."""
LOST_LIMIT = 3
"""A run lost this often counts as a crash of its experiment."""


class DecisionError(Exception):
    """A decision by hand that is not possible; the message says why."""


class UnknownExperimentError(DecisionError):
    """There is no experiment with that id."""


class Judging:
    """Gives verdicts, and takes those of a person."""

    def __init__(self, lab: Lab, journal: EngineJournal, repo: Repo, tree: Tree) -> None:
        self._lab = lab
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._unwritten: set[int] = set()
        self._warned: str | None = None

    def take(self, ended: Ended, by_person: str | None = None) -> Experiment:
        """Record a run that is over, and its experiment's verdict where it has one now.

        `by_person` is set when a person ended the run (`skip`): the verdict is theirs.
        """
        run = ended.run
        with self._journal.transaction():
            self._record(run)
            self._tree.refresh()
            own = self._tree.experiments[run.experiment]
            verdict = self._verdict(own, run, by_person)
            if verdict is not None and own.status is Status.RUNNING:
                self._decide(own, verdict)
        self._tree.refresh()
        return self._tree.experiments[run.experiment]

    def _record(self, run: Run) -> None:
        measured = (
            "state", "ended_at", "val_bpb", "training_seconds", "total_seconds",
            "startup_seconds", "evaluation_seconds", "peak_memory_bytes", "tokens", "steps",
            "parameters", "reason",
        )  # fmt: skip
        self._journal.change_run(
            run.experiment, run.number, **{name: getattr(run, name) for name in measured}
        )

    def _verdict(self, own: Experiment, run: Run, by_person: str | None) -> Verdict | None:
        """Return the verdict that follows from a run, or None while another run is due."""
        reason = run.reason or run.state
        if by_person is not None and own.parent is not None:
            return Verdict(Event.STOP, reason, by_person)
        if any(r.state == "running" for r in own.runs):
            return None
        if run.state == "lost" and own.parent is not None:
            lost = sum(r.state == "lost" for r in own.runs)
            if lost >= LOST_LIMIT:
                return Verdict(Event.CRASH, f"{reason} ({lost} times)")
        if run.state in ("lost", "unstarted", "stopped"):
            return Verdict(Event.RETURN, reason)
        if own.parent is None:
            return self._baseline_verdict(own, run)
        if run.state == "failed":
            return Verdict(Event.CRASH, reason)
        base = self._tree.experiments[own.parent]
        return judge(own, base, self._tree.noise(own.tag)).verdict

    def _baseline_verdict(self, own: Experiment, run: Run) -> Verdict | None:
        if run.state == "failed":
            return Verdict(Event.RETURN, f"failed: {run.reason}")
        if len(own.scores) < BASELINE_RUNS:
            return None
        sigma = self._tree.noise(own.tag).sigma
        return Verdict(Event.KEEP, f"mean of {len(own.scores)} runs, noise ±{sigma:.4f}")

    def _decide(self, own: Experiment, verdict: Verdict) -> None:
        self._journal.decide(own.id, after(own.status, verdict.event), verdict)
        self._unwritten.add(own.id)

    def refuse(self, experiment: Experiment, reason: str) -> None:
        """Take an experiment from the queue that can't be run."""
        self._decide(experiment, Verdict(Event.REFUSE, reason))
        self._tree.refresh()

    def by_hand(self, number: int, event: Event, author: str) -> str:
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
        self._unwritten.add(number)
        self._tree.refresh()
        self.settle(own.tag)
        best = self._tree.best(own.tag)
        return f"{status} by hand" + (f"; the base is #{best.id}" if best else "")

    @property
    def unsettled(self) -> bool:
        """Tell whether git lacks something that the journal has."""
        return bool(self._unwritten)

    def settle(self, tag: str) -> list[str]:
        """Bring git up to date with the journal and return new warnings for a person.

        The branch goes to the best, each new verdict becomes a note, and checkpoints that
        nobody needs any more are removed.
        """
        warnings = []
        best = self._tree.best(tag)
        if best is not None and best.commit is not None:
            warning = self._repo.move_branch(tag, best.commit)
            warnings += [warning] if warning and warning != self._warned else []
            self._warned = warning
        for number in sorted(self._unwritten):
            self._write_note(self._tree.experiments[number])
            self._drop_checkpoints(self._tree.experiments[number])
        self._unwritten.clear()
        return warnings

    def repair(self) -> None:
        """Find the verdicts that git does not have and mark them for `settle`."""
        notes = self._repo.read_notes()
        for own in self._tree.experiments.values():
            if own.commit is None or own.status not in VERDICTS:
                continue
            note = notes.get(own.commit, {})
            if note.get("status") != own.status or note.get("decided_at") != own.decided_at:
                self._unwritten.add(own.id)

    def _write_note(self, own: Experiment) -> None:
        if own.commit is None or own.status not in VERDICTS:
            return
        tag = self._journal.tag(own.tag)
        setup = self._journal.setup(tag.setup) if tag and own.parent is None else None
        note = note_of(
            own,
            delta(self._tree.experiments, own),
            setup_fields=setup,
            preset=tag.preset if tag else None,
            proposal=self._journal.proposal(own.id),
        )
        self._repo.write_note(own.commit, note)

    def _drop_checkpoints(self, own: Experiment) -> None:
        if own.status in (Status.KEPT, Status.BORDERLINE):
            return
        for run in own.runs:
            directory = self._lab.run_directory(own.id, run.number)
            with contextlib.suppress(FileNotFoundError):
                (directory / "checkpoint.pt").unlink()
