"""Keeps the queue of proposals full, ahead of the GPU.

One proposal is made at a time, in a worker thread that talks to the proposer's own
process and has the answer checked, so that a slow idea never holds up a tick.
"""

import queue
import threading
from dataclasses import dataclass

from cockpit.core.constants import ConstantsError, rewrite
from cockpit.core.experiment import Experiment, Proposal, Status
from cockpit.core.tree import delta
from cockpit.engine.checking import Checked, Checking
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from cockpit.proposers.base import HistoryEntry, ProposerError, ProposerProcess, Request

PROPOSAL_SECONDS = 300.0
"""A proposer that is silent for longer is ended and asked again."""


@dataclass(frozen=True, slots=True)
class _Answer:
    base: int
    proposal: Proposal
    checked: Checked


class Proposing:
    """Asks the proposer for as many experiments as the slots will want."""

    def __init__(
        self,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        tag: str,
        seed: int,
        proposer: ProposerProcess,
        checking: Checking,
    ) -> None:
        self._checking = checking
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._tag = tag
        self._seed = seed
        self._proposer = proposer
        self._answers: queue.SimpleQueue[_Answer | ProposerError] = queue.SimpleQueue()
        self._asking: threading.Thread | None = None

    def fill(self, wanted: int) -> list[tuple[Experiment, Checked]]:
        """Take the answers that have come, and ask while fewer than `wanted` are queued.

        Returns the experiments that were queued, with what the checks found. Raises
        `ProposerError` when the proposer has failed.
        """
        added = []
        while not self._answers.empty():
            answer = self._answers.get()
            if isinstance(answer, ProposerError):
                raise answer
            number = self._journal.add_experiment(self._tag, answer.base, answer.proposal)
            self._tree.refresh()
            added.append((self._tree.experiments[number], answer.checked))
        queued = len(self._tree.with_status(self._tag, Status.QUEUED))
        if queued < wanted and not self.busy:
            self._ask()
        return added

    @property
    def busy(self) -> bool:
        """Tell whether a proposal is being made."""
        return self._asking is not None and self._asking.is_alive()

    def close(self) -> None:
        """End the proposer's process; a proposal under way is given up."""
        self._proposer.close()

    def _ask(self) -> None:
        base = self._tree.best(self._tag)
        baseline = self._tree.baseline(self._tag)
        if base is None or baseline is None or base.commit is None or baseline.commit is None:
            return
        request = Request(
            tag=self._tag,
            base=base.id,
            base_train_py=self._repo.read_text(base.commit, TRAIN_PY),
            baseline_train_py=self._repo.read_text(baseline.commit, TRAIN_PY),
            history=self._history(),
            hints=tuple(hint.text for hint in self._journal.hints() if hint.state != "withdrawn"),
            seed=self._seed,
        )

        def work() -> None:
            try:
                proposal = self._proposer.propose(request, PROPOSAL_SECONDS)
                checked = self._check(proposal, request.base_train_py)
                self._answers.put(_Answer(base.id, proposal, checked))
            except ProposerError as error:
                self._answers.put(error)

        self._asking = threading.Thread(target=work, name="proposer", daemon=True)
        self._asking.start()

    def _check(self, proposal: Proposal, base_train_py: str) -> Checked:
        try:
            return self._checking.check(applied(proposal, base_train_py))
        except ConstantsError as error:
            return Checked(f"its change does not apply to the base: {error}")

    def _history(self) -> tuple[HistoryEntry, ...]:
        proposals, own = self._journal.proposals(self._tag), self._tree.of(self._tag)
        return tuple(
            HistoryEntry(
                id=e.id,
                parent=e.parent,
                status=e.status,
                val_bpb=e.val_bpb,
                constants=proposals[e.id].constants,
                title=e.title,
                reason=e.reason,
                delta=delta(own, e),
            )
            for e in own.values()
        )


def applied(proposal: Proposal, base_train_py: str) -> str:
    """Return the train.py of a proposal on a base; raises `ConstantsError` where it changes
    nothing there, or does not apply.
    """
    if proposal.train_py is not None:
        return proposal.train_py
    changed = rewrite(base_train_py, proposal.constants or {})
    if changed == base_train_py:
        raise ConstantsError("the base has it already")
    return changed
