"""From a run that is over to a verdict: the journal first, then git.

The journal holds the truth; branch and note follow from it and are written again
whenever they are found to disagree, so that an engine killed between the two loses nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from cockpit.core.clock import overtime
from cockpit.core.constraints import Constraint
from cockpit.core.experiment import (
    VERDICTS,
    Event,
    Experiment,
    Run,
    Status,
    Verdict,
    after,
)
from cockpit.core.judge import judge
from cockpit.core.pruning import PRUNED
from cockpit.core.tree import delta
from cockpit.engine.checkpoints import Checkpoints
from cockpit.engine.running import Ended
from cockpit.lab.rebuild import note_of
from cockpit.lab.repo import Repo
from cockpit.lab.rows import AuditRow
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

BASELINE_RUNS = 2
"""Runs of the baseline before anything is judged: the least from which a spread can be had."""
AUDIT_ATTEMPTS = 2
"""An audit that could not be carried out is tried so often before a person is asked."""
LOST_LIMIT = 3
"""A run lost this often counts as a crash of its experiment."""


Due = Literal["run", "audit", "verdict"]


class Judging:
    """Gives verdicts, and brings git up to date with those of everybody."""

    def __init__(
        self,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        checkpoints: Checkpoints,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self._constraints = constraints
        self._checkpoints = checkpoints
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._unwritten: set[int] = set()
        self._warned: str | None = None

    def take(self, ended: Ended, by_person: str | None = None) -> Experiment:
        """Record a run that is over, and its experiment's verdict where it has one now.

        `by_person` is set when a person ended the run (`skip`): the verdict is theirs.
        """
        run = self._timed(ended)
        with self._journal.transaction():
            self._record(run)
            self._tree.refresh()
            own = self._tree.experiments[run.experiment]
            verdict = self._verdict(own, run, by_person)
            if verdict is not None and own.status is Status.RUNNING:
                self._decide(own, verdict)
        self._tree.refresh()
        return self._tree.experiments[run.experiment]

    def _timed(self, ended: Ended) -> Run:
        """Return the run, without its score where it trained for longer than its budget."""
        run, setup = ended.run, self._journal.setup(ended.run.setup)
        if run.state != "finished" or setup is None or ended.clock_seconds is None:
            return run
        wrong = overtime(ended.clock_seconds, setup["budget_seconds"], ended.checkpoint_bytes)
        return replace(run, state="invalid", val_bpb=None, reason=wrong) if wrong else run

    def _record(self, run: Run) -> None:
        measured = (
            "state", "ended_at", "val_bpb", "training_seconds", "total_seconds",
            "startup_seconds", "evaluation_seconds", "peak_memory_bytes", "tokens", "steps",
            "parameters", "reason", "named",
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
        if run.state == "pruned":
            return Verdict(Event.DISCARD, PRUNED + reason)
        if run.state in ("failed", "invalid"):
            if own.parent is None:
                return Verdict(Event.RETURN, f"{run.state}: {run.reason}")
            return Verdict(Event.CRASH if run.state == "failed" else Event.REFUSE, reason)
        return self._judged(own)

    def _judged(self, own: Experiment) -> Verdict | None:
        """Return the verdict on what has been measured, None while a run or an audit is due."""
        verdict = self._by_rule(own)
        if verdict is None or verdict.event is not Event.KEEP:
            return verdict
        audit = self._audit_of(own)
        if audit is None or audit.outcome == "passed":
            return verdict if audit else None
        if audit.outcome == "failed":
            return Verdict(Event.REFUSE, audit.says)
        # It could not be carried out: a person may look. A baseline is that person's own text.
        return verdict if own.parent is None else Verdict(Event.ASK, audit.says)

    def _by_rule(self, own: Experiment) -> Verdict | None:
        """Return the keep rule's verdict on the scores, None while another run is due."""
        if own.parent is not None:
            base = self._tree.experiments[own.parent]
            verdict = judge(own, base, self._tree.noise(own.tag)).verdict
            return self._constrained(own, verdict)
        if len(own.scores) < BASELINE_RUNS:
            return None
        sigma = self._tree.noise(own.tag).sigma
        return Verdict(Event.KEEP, f"mean of {len(own.scores)} runs, noise ±{sigma:.4f}")

    def _constrained(self, own: Experiment, verdict: Verdict | None) -> Verdict | None:
        """Return the verdict, or that what would be kept breaks a constraint."""
        if verdict is not None and verdict.event not in (Event.KEEP, Event.ASK):
            return verdict
        scored = [run for run in own.runs if run.val_bpb is not None]
        for constraint in self._constraints:
            if broken := constraint.broken_by(scored):
                return Verdict(Event.DISCARD, f"it breaks a constraint: {broken}")
        return verdict

    def due(self, own: Experiment) -> Due | None:
        """Return what an experiment waits for; None while it runs, and once it has its verdict.

        What a person has kept may be a base at once, and is audited all the same.
        """
        if own.status is Status.KEPT and own.decided_by != "rule" and own.scores:
            return None if self._audit_of(own) else "audit"
        if own.status not in (Status.RUNNING, Status.QUEUED):
            return None
        if any(run.state == "running" for run in own.runs):
            return None
        if not own.scores:
            return "run"
        verdict = self._by_rule(own)
        if verdict is None:
            return "run"
        return "audit" if verdict.event is Event.KEEP and not self._audit_of(own) else "verdict"

    def conclude(self, number: int) -> Experiment:
        """Give an experiment that is due the verdict that follows from its runs and its audit."""
        self._tree.refresh()
        own = self._tree.experiments[number]
        if self.due(own) == "verdict" and (verdict := self._judged(own)) is not None:
            with self._journal.transaction():
                self.claim_again(own)
                self._decide(replace(own, status=Status.RUNNING), verdict)
        elif own.status is Status.KEPT:
            audit = self._audit_of(own)
            if audit is not None and audit.outcome == "failed":
                self._decide(own, Verdict(Event.REJECT, audit.says))
        self._tree.refresh()
        return self._tree.experiments[number]

    def claim_again(self, own: Experiment) -> None:
        """Take an experiment that has runs from the queue without another run of it."""
        if own.status is Status.QUEUED:
            told = Verdict(Event.CLAIM, "what it has been measured at counts")
            self._journal.decide(own.id, after(own.status, Event.CLAIM), told)

    def audited(self, row: AuditRow) -> Experiment:
        """Record what an audit found, and the verdict that follows."""
        with self._journal.transaction():
            self._journal.add_audit(row)
            return self.conclude(row.experiment)

    def _audit_of(self, own: Experiment) -> AuditRow | None:
        """Return the audit of what has been measured, where it needs no other.

        One of another run than the suspect counts for nothing; one that could not be carried out
        is tried once more.
        """
        suspect = suspect_of(own)
        rows = self._journal.audits(own.id) if suspect is not None else []
        audit = next((row for row in rows if suspect and row.run == suspect.number), None)
        if audit is not None and audit.outcome == "undecided":
            return audit if audit.facts.get("attempt", AUDIT_ATTEMPTS) >= AUDIT_ATTEMPTS else None
        return audit

    def _decide(self, own: Experiment, verdict: Verdict) -> None:
        self._journal.decide(own.id, after(own.status, verdict.event), verdict)
        self._unwritten.add(own.id)

    def refuse(self, experiment: Experiment, reason: str) -> Experiment:
        """Take an experiment from the queue that can't be run, and return it.

        Of a reason with details for its author the first line is kept.
        """
        self._decide(experiment, Verdict(Event.REFUSE, reason.partition("\n")[0]))
        self._tree.refresh()
        return self._tree.experiments[experiment.id]

    def decided(self, number: int) -> None:
        """Have the next `settle` write down what was decided about an experiment elsewhere."""
        self._unwritten.add(number)

    @property
    def unsettled(self) -> bool:
        """Tell whether git lacks something that the journal has."""
        return bool(self._unwritten)

    def settle(self, tag: str) -> list[str]:
        """Bring git up to date with the journal and return new warnings for a person.

        The branch goes to the base, each new verdict becomes a note, and checkpoints that
        nobody needs any more are removed.
        """
        warnings = []
        base = self._tree.base(tag)
        if base is not None and base.commit is not None:
            warning = self._repo.move_branch(tag, base.commit)
            warnings += [warning] if warning and warning != self._warned else []
            self._warned = warning
        for number in sorted(self._unwritten):
            self._write_note(own := self._tree.experiments[number])
            audit = self._audit_of(own)
            self._checkpoints.decided(own, audited=audit is not None and audit.outcome == "passed")
        if self._unwritten:
            self._checkpoints.tidy()
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


def suspect_of(own: Experiment) -> Run | None:
    """Return the run that an audit looks at: the one with the lowest score, if any has one."""
    scored = [run for run in own.runs if run.val_bpb is not None]
    return min(scored, key=lambda run: (run.val_bpb, run.number), default=None)
