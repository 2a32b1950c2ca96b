"""Gathers what a proposer is told: the one place where the night becomes a briefing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cockpit.core import contract, findings
from cockpit.core.applying import changed_constants
from cockpit.core.briefing import Briefing, Exchange, HistoryEntry, version_of
from cockpit.core.constants import Value
from cockpit.core.constraints import Constraint
from cockpit.core.edits import diff_lines
from cockpit.core.experiment import Experiment, Proposal, Status
from cockpit.core.setup import setup_line
from cockpit.core.tree import delta
from cockpit.engine.opening import Opening
from cockpit.lab import measuring
from cockpit.lab.dynamics import training_dynamics
from cockpit.lab.lab import Lab
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rundir import RunDirectory
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

PROGRAM_BYTES = 200_000
"""A brief that is longer is cut: no prompt would hold it."""
DIFFS = 60
"""The newest experiments whose change is told line by line; of what was kept it always is."""
LOGS = 8
"""The newest crashes whose log is told."""
LOG_LINES = 12
LINE_CHARACTERS = 200
TEXTS = 16
"""The texts of so many experiments are kept in memory."""
EXCHANGES = 4
"""The last questions and answers that are told."""


class Briefer:
    """Knows where everything stands that a proposer is told."""

    def __init__(
        self,
        lab: Lab,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        opening: Opening,
        constraints: Callable[[], Sequence[Constraint]],
        token_limit: int | None,
    ) -> None:
        self._lab = lab
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._opening = opening
        self._constraints = constraints
        self._token_limit = token_limit
        self._proposals: dict[int, Proposal] = {}
        self._constants: dict[int, dict[str, Value] | None] = {}
        self._texts: dict[str, str] = {}
        self._history: tuple[int, tuple[HistoryEntry, ...]] = (-1, ())
        self._others: dict[str, str] = {}
        self._contract: str | None = None

    def proposal(self, number: int) -> Proposal:
        """Return the proposal of an experiment; it never changes, so it is read once."""
        if not self._proposals:
            self._proposals = self._journal.proposals(self._opening.tag)
        if number not in self._proposals:
            self._proposals[number] = self._journal.proposal(number)
        return self._proposals[number]

    def program(self) -> str:
        """Return program.md as it is at this moment; empty where there is none."""
        try:
            with self._lab.program.open("rb") as file:
                return file.read(PROGRAM_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def text_of(self, own: Experiment) -> str:
        """Return the train.py of a baseline, or of an experiment that has a commit."""
        if own.commit is None:
            return self.proposal(own.id).train_py or ""
        if own.commit not in self._texts:
            if len(self._texts) >= TEXTS:
                self._texts.clear()
            self._texts[own.commit] = self._repo.read_text(own.commit, TRAIN_PY)
        return self._texts[own.commit]

    def briefing(self, *, even_unmeasured: bool = False) -> Briefing | None:
        """Return what a proposer is told now; None while there is no base.

        `even_unmeasured` takes the baseline for it until then: enough to answer a question.
        """
        tag = self._opening.tag
        baseline = self._tree.baseline(tag)
        base = self._tree.base(tag) or (baseline if even_unmeasured else None)
        if base is None or baseline is None:
            return None
        hints = [hint for hint in self._journal.hints() if hint.open]
        measured, program = self._last_measured(), self.program()
        briefing = Briefing(
            tag=tag,
            base=base.id,
            base_train_py=self.text_of(base),
            baseline_train_py=self.text_of(baseline),
            history=self.history(),
            hints=tuple(hint for hint in hints if not hint.order),
            order=next((hint for hint in hints if hint.order), None),
            seed=self._opening.seed,
            program=program,
            program_version=brief_version(program),
            contract=self._told_contract(),
            setup=measuring.fields(self._opening.setup),
            noise=self._tree.noise(tag),
            effects=self._tree.reckoning(tag).effects.learned,
            constraints=tuple(str(one) for one in self._constraints()),
            dynamics=(
                *_figures(base),
                *(training_dynamics(self._lab, measured) if measured else ()),
            ),
            dynamics_of=measured.id if measured else None,
            findings=self.findings() + self._carried(),
            conversation=self._conversation(),
        )
        return replace(briefing, token_limit=self._token_limit) if self._token_limit else briefing

    def learn(self) -> None:
        """Write what the night has learnt into the lab's state."""
        path = self._lab.state / "findings.md"
        temporary = path.with_name(".findings.md.new")
        temporary.write_text(self.findings(), encoding="utf-8")
        temporary.replace(path)

    def findings(self) -> str:
        """Return what the night has learnt so far."""
        return findings.findings(
            self._opening.tag,
            setup_line(measuring.fields(self._opening.setup)),
            self.history(),
            self._tree.noise(self._opening.tag),
            self._journal.hints(),
        )

    def _carried(self) -> str:
        """Return what the tag has taught that this one was begun from; empty without one."""
        own = self._journal.tag(self._opening.tag)
        started = self._tree.experiments.get(own.options.get("from", -1)) if own else None
        known = self._journal.tag(started.tag) if started else None
        if known is None:
            return ""
        if known.name not in self._others:
            fields = self._journal.setup(known.setup) or {}
            self._others[known.name] = findings.findings(
                known.name, setup_line(fields), self._entries(known.name),
                self._tree.noise(known.name),
            )  # fmt: skip
        told = "Below: the tag that this one was begun from, under another setup. "
        return f"\n{told}Its scores can't be compared.\n{self._others[known.name]}"

    def _told_contract(self) -> str:
        if self._contract is None:
            files = {
                path.name: path.read_text(encoding="utf-8", errors="replace")
                for path in sorted(self._opening.trainer.glob("*.py"))
            }
            self._contract = contract.contract(files)
        return self._contract

    def _last_measured(self) -> Experiment | None:
        own = self._tree.of(self._opening.tag).values()
        scored = [e for e in own if e.scores and e.status is not Status.RUNNING]
        return max(scored, key=lambda e: (e.decided_at or 0.0, e.id), default=None)

    def _conversation(self) -> tuple[Exchange, ...]:
        """Return the last questions with their answers, which come in the same order."""
        asked, answered = self._journal.said("question"), self._journal.said("answer")
        return tuple(Exchange(*pair) for pair in zip(asked, answered, strict=False))[-EXCHANGES:]

    # ---- the history -----------------------------------------------------------------------

    def history(self) -> tuple[HistoryEntry, ...]:
        """Return all experiments of the tag, oldest first."""
        if self._history[0] != self._tree.revision:
            self._history = (self._tree.revision, self._entries(self._opening.tag))
        return self._history[1]

    def _entries(self, tag: str) -> tuple[HistoryEntry, ...]:
        own = self._tree.of(tag)
        recent = set(list(own)[-DIFFS:])
        crashed = {e.id for e in [e for e in own.values() if e.status is Status.CRASHED][-LOGS:]}
        return tuple(
            self._entry(
                e,
                diff=e.id in recent or e.status is Status.KEPT,
                log=e.id in crashed,
            )
            for e in own.values()
        )

    def _entry(self, own: Experiment, *, diff: bool, log: bool) -> HistoryEntry:
        proposal = self.proposal(own.id)
        experiments = self._tree.of(own.tag)
        return HistoryEntry(
            id=own.id,
            parent=own.parent,
            status=own.status,
            val_bpb=own.val_bpb,
            constants=self._changed(own.id, proposal),
            title=own.title,
            reason=own.reason,
            delta=delta(experiments, own),
            proposer=own.proposer,
            hypothesis=own.hypothesis,
            runs=len(own.scores),
            probability=own.probability,
            gain=own.gain,
            predicted=proposal.predicted,
            diff=self.lines_of(proposal) if diff else (),
            log=self.log_of(own) if log else (),
        )

    def _changed(self, number: int, proposal: Proposal) -> dict[str, Value] | None:
        if number not in self._constants:
            self._constants[number] = changed_constants(proposal)
        return self._constants[number]

    def diff_of(self, own: Experiment) -> tuple[str, ...]:
        """Return an experiment's change as lines of a diff."""
        return self.lines_of(self.proposal(own.id))

    def lines_of(self, proposal: Proposal) -> tuple[str, ...]:
        """Return a proposal's change as lines of a diff."""
        if proposal.edits is not None:
            return tuple(diff_lines(proposal.edits))
        return tuple(f"{name} = {value!r}" for name, value in (proposal.constants or {}).items())

    def log_of(self, own: Experiment) -> tuple[str, ...]:
        """Return the end of the log of an experiment's last run, safe to print."""
        if not own.runs:
            return ()
        directory = self._lab.run_directory(own.id, own.runs[-1].number)
        return tuple(RunDirectory(directory).log_tail(LOG_LINES, LINE_CHARACTERS))


def brief_version(program: str) -> str:
    """Return the version of the brief in a program.md: findings merged into it don't count."""
    return version_of(findings.divided(program)[0].rstrip())


def _figures(base: Experiment) -> list[str]:
    """Return what the base takes, in a line: what a change of it may cost is held against that."""
    run = next((run for run in base.runs if run.val_bpb is not None), None)
    if run is None:
        return []
    found = (
        (run.parameters, "{:,} parameters"),
        (run.steps, "{:,} steps"),
        (run.tokens, "{:,} tokens"),
        (run.peak_memory_bytes and run.peak_memory_bytes / 1e9, "{:.2f} GB at most"),
        (run.evaluation_seconds, "evaluation {:.1f} s"),
    )
    told = ", ".join(words.format(value) for value, words in found if value)
    return [f"the base #{base.id} itself: {told}"] if told else []
