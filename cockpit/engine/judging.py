"""From a run that is over to a verdict: the journal first, then git.

The journal holds the truth; branch and note follow from it and are written again
whenever they are found to disagree, so that an engine killed between the two loses nothing.
"""

from dataclasses import replace
from typing import Literal

from cockpit.core.clock import overtime
from cockpit.core.disturbance import DISTURBED, MOST, disturbed
from cockpit.core.experiment import (
    BY_RULE,
    VERDICTS,
    Event,
    Experiment,
    Run,
    Status,
    Verdict,
    after,
)
from cockpit.core.pruning import PRUNED
from cockpit.core.tree import delta
from cockpit.engine.checkpoints import Checkpoints
from cockpit.engine.rule import Rule
from cockpit.engine.running import Ended
from cockpit.lab.rebuild import note_of
from cockpit.lab.repo import Repo
from cockpit.lab.rows import AuditRow
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

AUDIT_ATTEMPTS = 2
"""An audit that could not be carried out is tried so often before a person is asked."""
AGAIN = ("lost", "unstarted", "stopped", DISTURBED)
"""Runs that came to nothing through no fault of their experiment's."""
LOST_LIMIT = 3
"""A run lost this often counts as a crash of its experiment."""


Due = Literal["run", "base", "audit", "verdict"]
"""`run`: another run of its own; `base`: one of its base has to be asked for."""
AGAIN_DUE: dict[str, Due | None] = {"own": "run", "base": "base", "waits": None}


class Judging:
    """Gives verdicts, and brings git up to date with those of everybody."""

    def __init__(
        self,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        checkpoints: Checkpoints,
        rule: Rule,
    ) -> None:
        self.rule = rule
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
            own = self._undisturbed(run.experiment)
            run = next(r for r in own.runs if r.number == run.number)
            if own.status is Status.RUNNING:
                verdict = self._verdict(own, run, by_person)
                if verdict is not None:
                    self._decide(own, verdict)
            elif run.val_bpb is not None:
                self._reckon(own)
            elif by_person is not None:
                pass  # who ended a run that was asked for does not want it again
            elif run.state in AGAIN and any(r.state not in AGAIN for r in own.runs[-LOST_LIMIT:]):
                self._journal.want_again(run.experiment, run.number)
        self._tree.refresh()
        return self._tree.experiments[run.experiment]

    def _reckon(self, own: Experiment) -> None:
        """Bring the figures up to date of what has run again, and of what was kept on it."""
        known = self._tree.reckoning(own.tag)
        grown = self._tree.with_status(own.tag, Status.KEPT, Status.BORDERLINE)
        for one in (own, *(e for e in grown if e.parent == own.id)):
            if (found := known.assessment(one)) is not None:
                self._journal.change_experiment(
                    one.id, probability=found.probability, gain=found.gain, gain_error=found.error
                )

    def _timed(self, ended: Ended) -> Run:
        """Return the run, without its score where it trained for longer than its budget."""
        run, setup = ended.run, self._journal.setup(ended.run.setup)
        if run.state != "finished" or setup is None or ended.clock_seconds is None:
            return run
        wrong = overtime(ended.clock_seconds, setup["budget_seconds"], ended.checkpoint_bytes)
        return replace(run, state="invalid", val_bpb=None, reason=wrong) if wrong else run

    def _undisturbed(self, number: int) -> Experiment:
        """Return an experiment whose runs that something else slowed down count no more."""
        own = self._tree.experiments[number]
        if sum(run.state == DISTURBED for run in own.runs) < MOST:
            for run, told in disturbed(own.scored):
                self._journal.change_run(
                    number, run.number, state=DISTURBED, val_bpb=None, reason=told
                )
        self._tree.refresh()
        return self._tree.experiments[number]

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
        if run.state in AGAIN:
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
        verdict = self.rule.of(own).verdict
        if verdict is None or verdict.event is not Event.KEEP:
            return verdict
        audit = self._audit_of(own)
        if audit is None or audit.outcome == "passed":
            return verdict if audit else None
        if audit.outcome == "failed":
            return Verdict(Event.REFUSE, audit.says)
        # It could not be carried out: a person may look. A baseline is that person's own text.
        return verdict if own.parent is None else Verdict(Event.ASK, audit.says)

    def due(self, own: Experiment) -> Due | None:
        """Return what an experiment waits for; None while it runs, and once it has its verdict.

        What a person has kept may be a base at once, and is audited all the same.
        """
        if own.status is Status.KEPT and own.decided_by != BY_RULE and own.scores:
            return None if self._audit_of(own) else "audit"
        if own.status not in (Status.RUNNING, Status.QUEUED) and not self._is_reopened(own):
            return None
        if any(run.state == "running" for run in own.runs):
            return None
        if not own.scores:
            return "run"
        ruling = self.rule.of(own)
        if ruling.verdict is None:
            return AGAIN_DUE[ruling.again] if ruling.again else None
        return (
            "audit" if ruling.verdict.event is Event.KEEP and not self._audit_of(own) else "verdict"
        )

    def _is_reopened(self, own: Experiment) -> bool:
        """Tell whether a run that somebody asked for has ended after an open verdict.

        What was discarded for another reason than its score stays so, and what a person has
        decided does.
        """
        if own.status is not Status.BORDERLINE or own.decided_by != BY_RULE:
            return False
        last = max((run.ended_at or 0.0 for run in own.scored), default=0.0)
        return last > (own.decided_at or 0.0)

    def conclude(self, number: int) -> Experiment:
        """Give an experiment that is due the verdict that follows from its runs and its audit."""
        self._tree.refresh()
        own = self._tree.experiments[number]
        due = self.due(own)
        if due == "base":
            self.rule.ask_for_base(own)
        elif due == "verdict" and (verdict := self._judged(own)) is not None:
            with self._journal.transaction():
                self.claim_again(own)
                if own.status is Status.QUEUED:
                    own = replace(own, status=Status.RUNNING)
                self._decide(own, verdict)
        elif own.status is Status.KEPT:
            audit = self._audit_of(own)
            if audit is not None and audit.outcome == "failed":
                self._decide(own, Verdict(Event.REJECT, audit.says))
        self._tree.refresh()
        return self._tree.experiments[number]

    def close(self, tag: str) -> None:
        """Give those a verdict that wait for a run which this night will not make any more.

        What would be kept is audited first, with the next night.
        """
        self._tree.refresh()
        for own in self._tree.with_status(tag, Status.RUNNING):
            if not own.scores or any(run.state == "running" for run in own.runs):
                continue
            verdict = self.rule.of(own, last=True).verdict
            if own.parent is not None and verdict is not None and verdict.event is not Event.KEEP:
                self._decide(own, verdict)
        self._tree.refresh()

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
        if verdict.facts:
            self._journal.change_experiment(
                own.id,
                probability=verdict.facts["probability"],
                gain=verdict.facts["gain"],
                gain_error=verdict.facts["gain_error"],
            )
        if verdict.event is not Event.RETURN:
            self.rule.take_back(own.id)
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
        self.rule.take_back(number)
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
            options=tag.options if tag else None,
        )
        self._repo.write_note(own.commit, note)


def suspect_of(own: Experiment) -> Run | None:
    """Return the run that an audit looks at: the one with the lowest score, if any has one."""
    return min(own.scored, key=lambda run: (run.val_bpb, run.number), default=None)
