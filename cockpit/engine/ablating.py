"""A leave-one-out pass over the kept changes: variants into the queue, then the lean train.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.core import ablating
from cockpit.core.ablating import PROPOSER, Change, Without
from cockpit.core.confirming import FRESH, told_count
from cockpit.core.edits import difference
from cockpit.core.experiment import VERDICTS, Experiment, Proposal, Status
from cockpit.core.queue import front
from cockpit.core.tree import lineage
from cockpit.engine.confirming import present_tag
from cockpit.engine.outcomes import DecisionError
from cockpit.lab.honest import ablation
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

OPEN = (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Line:
    """The kept changes from the baseline to the best, with their texts."""

    best: Experiment
    """Or what a person has pinned as the base: there queued experiments go."""
    train_py: str
    changes: tuple[Change, ...]


class Ablating:
    """Queues what leaves changes out of the best of a tag."""

    def __init__(self, journal: EngineJournal, repo: Repo, tree: Tree) -> None:
        self._journal = journal
        self._repo = repo
        self.tree = tree
        self._looked_at = -1
        self._told: set[int] = set()

    def ask(self, author: str, given: Mapping[str, Any]) -> str:
        """Begin a pass for a person and say in words what it is.

        Raises `DecisionError` where there is nothing to leave out, or a pass is under way.
        """
        self.tree.refresh()
        tag = present_tag(self._journal, given.get("tag")).name
        if under_way := [e for e in self._made(tag) if e.status in OPEN]:
            numbers = ", ".join(f"#{e.id}" for e in under_way)
            raise DecisionError(f"a pass is under way already: {numbers} are not measured yet")
        line = self._line(tag)
        if line is None or not line.changes:
            raise DecisionError(f"nothing was kept in {tag} yet: there is nothing to leave out")
        found = ablating.leave_one_out(line.changes, line.train_py)
        possible = [one for one in found if one.train_py is not None]
        if not possible:
            raise DecisionError(f"no change can be taken out by itself: {_passed_over(found)}")
        self._queue(tag, [self._variant(line, one) for one in possible])
        lacking = max(0, ablating.BEST_RUNS - len(line.best.scores))
        for _ in range(lacking):
            self._journal.want(line.best.id, FRESH, PROPOSER, author)
        told = (
            f"{len(possible)} of the {len(line.changes)} kept changes of #{line.best.id} are left "
            "out, one at a time, before the next new idea"
        )
        if lacking:
            told += f"; first {told_count(lacking)} more of #{line.best.id} itself"
        if len(possible) < len(found):
            told += f"; not {_passed_over(found)}"
        self._journal.add_message("engine", author, told, line.best.id)
        return told

    def proceed(self, tag: str, since: float) -> str | None:
        """Queue the lean train.py once a pass is over; return in words what it came to.

        Passes that were over before `since` are none of this night's.
        """
        if self._looked_at == self.tree.revision:
            return None
        self._looked_at = self.tree.revision
        last = self._last_pass(tag)
        if not last or last[-1].id in self._told or any(e.status not in VERDICTS for e in last):
            return None
        self._told.add(last[-1].id)
        later = [e for e in self._made(tag) if e.id > last[-1].id]
        if later or max(e.decided_at or 0.0 for e in last) < since:
            return None
        return self._conclude(tag, {e.id for e in last})

    def asked_for(self, tag: str) -> bool:
        """Tell whether something that leaves changes out waits for a run or its verdict."""
        return any(e.proposer == PROPOSER for e in self.tree.with_status(tag, *OPEN))

    def _conclude(self, tag: str, variants: set[int]) -> str:
        rows = [row for row in ablation(self._journal, self.tree, tag).rows
                if row.variant in variants]  # fmt: skip
        dead = [row.experiment for row in rows if row.finding == "dead weight"]
        told = "; ".join(ablating.told(row) for row in rows)
        line = self._line(tag)
        lean = ablating.lean(line.changes, line.train_py, dead) if line and dead else None
        if line is None or lean is None:
            rest = " (it could not be taken out together)" if dead else ""
            return f"the pass is over: {told}{rest}"
        proposal = Proposal(
            title=ablating.lean_title(lean),
            proposer=PROPOSER,
            hypothesis="Each by itself costs nothing that could be measured when it is left out.",
            edits=difference(line.train_py, lean.train_py),
        )
        (number,) = self._queue(tag, [proposal])
        return f"the pass is over: {told}; #{number} is the lean train.py"

    def _variant(self, line: Line, one: Without) -> Proposal:
        assert one.train_py is not None
        return Proposal(
            title=ablating.variant_title(one.change),
            proposer=PROPOSER,
            hypothesis=f"What #{one.change.experiment} is worth in #{line.best.id}.",
            edits=difference(line.train_py, one.train_py),
            ablates=(one.change.experiment,),
        )

    def _queue(self, tag: str, proposals: Sequence[Proposal]) -> list[int]:
        """Queue experiments before all others that wait, in their order."""
        base = self.tree.base(tag)
        waiting = self.tree.with_status(tag, Status.QUEUED)
        first = front(waiting) - len(proposals)
        numbers = []
        with self._journal.transaction():
            for place, proposal in enumerate(proposals):
                number = self._journal.add_experiment(tag, base.id if base else None, proposal)
                self._journal.change_experiment(number, place=first + place)
                numbers.append(number)
        self.tree.refresh()
        return numbers

    def _line(self, tag: str) -> Line | None:
        best = self.tree.base(tag)
        if best is None or best.commit is None:
            return None
        path = lineage(self.tree.experiments, best.id)
        texts = [self._repo.read_text(e.commit, TRAIN_PY) if e.commit else "" for e in path]
        changes = [
            Change(own.id, own.title, before, after)
            for own, before, after in zip(path[1:], texts, texts[1:], strict=False)
        ]
        return Line(best, texts[-1], tuple(changes))

    def _made(self, tag: str) -> list[Experiment]:
        return [e for e in self.tree.of(tag).values() if e.proposer == PROPOSER]

    def _last_pass(self, tag: str) -> list[Experiment]:
        """Return the variants of the last pass: they were queued at once, one id after another."""
        variants = [e for e in self._made(tag) if self._journal.proposal(e.id).ablates is not None]
        last: list[Experiment] = []
        for own in reversed(variants):
            if last and own.id != last[0].id - 1:
                break
            last.insert(0, own)
        return last


def _passed_over(found: Sequence[Without]) -> str:
    return "; ".join(
        f"#{one.change.experiment}: {one.problem}" for one in found if one.problem is not None
    )
