"""What would be kept is audited first: which experiments wait for it, and on what.

An audit computes on the cores beside a CPU training, so that the next run goes on meanwhile. On
a GPU it would disturb that run, so it takes the slot in between: some seconds of what is kept.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cockpit.core.audit import holds_on_validation_alone
from cockpit.core.experiment import Experiment, Run
from cockpit.engine.judging import suspect_of
from cockpit.engine.opening import Opening
from cockpit.engine.running import Slot
from cockpit.executors.auditing import (
    Audit,
    AuditOrder,
    AuditProcess,
    Gains,
    gains,
    start_audit,
)
from cockpit.executors.base import ExecutorError
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rows import AuditRow
from cockpit.lab.rundir import RunDirectory, RunDirectoryError
from cockpit.lab.tree import Tree

ONLY_VALIDATION = (
    "audit: its gain on the validation rows does not hold on other unseen rows; it may have met "
    "them before"
)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    run: Run
    slot: Slot
    process: AuditProcess


class Auditing:
    """The audits of one night; one at a time on each slot."""

    def __init__(
        self, lab: Lab, journal: Journal, repo: Repo, tree: Tree, opening: Opening, python: str
    ) -> None:
        self._lab = lab
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._opening = opening
        self._python = python
        self._under_way: dict[int, _UnderWay] = {}
        self._undecided: list[AuditRow] = []
        self._attempts: dict[int, int] = {}

    @property
    def busy(self) -> bool:
        """Tell whether an audit is under way, or one's outcome is not collected yet."""
        return bool(self._under_way or self._undecided)

    def holds(self, slot: Slot) -> bool:
        """Tell whether an audit computes on the device of a slot."""
        return slot.device.kind != "cpu" and self._is_on(slot)

    def begin(self, own: Experiment, slots: list[Slot]) -> None:
        """Start the audit of an experiment, unless it is under way or its slot is taken."""
        run = suspect_of(own)
        if run is None or own.id in self._under_way:
            return
        slot = next((slot for slot in slots if slot.number == run.slot), slots[0])
        if self._is_on(slot) or (slot.device.kind != "cpu" and not slot.idle):
            return
        self._attempts[own.id] = self._attempts.get(own.id, 0) + 1
        try:
            process = start_audit(self._order(own, run, slot))
        except (ExecutorError, RunDirectoryError, OSError) as error:
            self._undecided.append(
                self._row(run, "undecided", f"audit: it can't be started: {error}", {})
            )
            return
        self._under_way[own.id] = _UnderWay(run, slot, process)

    def collect(self) -> list[AuditRow]:
        """Return what the audits that are over have found."""
        found, self._undecided = self._undecided, []
        for number, audit in list(self._under_way.items()):
            if (outcome := audit.process.poll()) is not None:
                del self._under_way[number]
                found.append(self._found(audit.run, outcome))
        return found

    def close(self) -> None:
        """Give the audits under way up; they are due again with the next night."""
        for audit in self._under_way.values():
            audit.process.stop()
        self._under_way.clear()

    def _is_on(self, slot: Slot) -> bool:
        return any(audit.slot is slot for audit in self._under_way.values())

    def _order(self, own: Experiment, run: Run, slot: Slot) -> AuditOrder:
        directory = self._lab.run_directory(run.experiment, run.number)
        told = RunDirectory(directory).read_exit()
        if told is None or told.checkpoint_sha256 is None or own.commit is None:
            raise ExecutorError("its run directory is gone")
        setup, rows = self._opening.setup, self._opening.corpus.directory
        return AuditOrder(
            run_directory=directory,
            checkpoint_sha256=told.checkpoint_sha256,
            validation_rows=rows / "val.bin",
            sealed_rows=rows / "sealed.bin",
            token_bytes=rows / "token_bytes.npy",
            evaluation_rows=setup.evaluation_rows,
            sequence_length=setup.sequence_length,
            vocab_size=setup.vocab_size,
            device=slot.device,
            sandbox=slot.sandbox,
            python=self._python,
            trainer_directory=self._opening.trainer,
            train_py=self._repo.read_text(own.commit, TRAIN_PY),
            base_directory=self._audited_run_of(own.parent),
        )

    def _audited_run_of(self, number: int | None) -> Path | None:
        """Return the directory of an experiment's run that has passed its audit, if any has."""
        rows = self._journal.audits(number) if number is not None else []
        passed = [row.run for row in rows if row.outcome == "passed"]
        return self._lab.run_directory(rows[0].experiment, passed[-1]) if passed else None

    def _found(self, run: Run, audit: Audit) -> AuditRow:
        outcome = "undecided" if audit.ok is None else "passed" if audit.ok else "failed"
        facts, says = asdict(audit), audit.says
        base = self._audited_run_of(self._tree.experiments[run.experiment].parent)
        directory = self._lab.run_directory(run.experiment, run.number)
        if audit.ok and base is not None and (paired := gains(directory, base)) is not None:
            facts |= {"gains": asdict(paired)}
            says = "; ".join([says, *_told_gains(paired)])
            if holds_on_validation_alone(paired.validation, paired.sealed):
                # Without its figures: what this says goes into the verdict, which others read.
                outcome, says = "undecided", ONLY_VALIDATION
        return self._row(run, outcome, says, facts)

    def _row(self, run: Run, outcome: str, says: str, facts: dict[str, object]) -> AuditRow:
        attempt = {"attempt": self._attempts.get(run.experiment, 1)}
        return AuditRow(run.experiment, run.number, time.time(), outcome, says, facts | attempt)


def _told_gains(paired: Gains) -> list[str]:
    """Return the gain over the base on both kinds of rows, for a person."""
    return [
        f"gain on {name} rows {gain.bpb:+.4f} ± {gain.error:.4f}".replace("-", "−")
        for name, gain in (("validation", paired.validation), ("sealed", paired.sealed))
        if gain is not None
    ]
