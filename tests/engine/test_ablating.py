"""Leaving kept changes out of the best, in a lab with real commits."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.core.applying import applied
from cockpit.core.experiment import Event, Experiment, Proposal, Run, Status, Verdict
from cockpit.engine.ablating import Ablating
from cockpit.engine.outcomes import DecisionError
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from tests.core.labs import TRAIN_PY as TEXT


class Desk:
    """A lab whose experiments score what a test says."""

    def __init__(self, root: Path) -> None:
        path = root / TRAIN_PY
        path.parent.mkdir(parents=True)
        path.write_text(TEXT)
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
            name = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
            subprocess.run(["git", *name, *words], cwd=root, check=True)
        self.repo = Repo(root)
        self.journal = EngineJournal(root / "journal.db")
        self.tree = Tree(self.journal)
        self.journal.add_tag("t", {"budget_seconds": 300.0, "device": "cuda"}, "s", "gpu", {})
        self.ablating = Ablating(self.journal, self.repo, self.tree)
        self.kept(None, Proposal("baseline", "baseline", train_py=TEXT), 1.0, 1.0007, 0.9995)

    def own(self, number: int) -> Experiment:
        self.tree.refresh()
        return self.tree.experiments[number]

    def text(self, number: int) -> str:
        return self.repo.read_text(self.own(number).commit or "", TRAIN_PY)

    def kept(self, parent: int | None, proposal: Proposal, *scores: float) -> int:
        number = self.journal.add_experiment("t", parent, proposal)
        self.measured(number, Status.KEPT, *scores)
        return number

    def measured(self, number: int, status: Status, *scores: float) -> None:
        """Commit an experiment on its parent, give it runs, and a verdict."""
        own, proposal = self.own(number), self.journal.proposal(number)
        on = self.own(own.parent).commit if own.parent is not None else self.repo.head()[0]
        base = self.text(own.parent) if own.parent is not None else TEXT
        commit = self.repo.commit_experiment(
            on or "", applied(proposal, base),
            title=own.title, body="", tag="t", number=number, proposer=own.proposer,
        )  # fmt: skip
        self.journal.change_experiment(number, commit_hash=commit)
        for run, score in enumerate(scores, 1):
            self.journal.add_run(
                Run(number, run, run, "s", 0, "finished", time.time(), val_bpb=score)
            )
        self.journal.decide(number, status, Verdict(Event.KEEP, "as a test says"))
        self.tree.refresh()

    def changed(self, parent: int, score: float, **constants: float) -> int:
        title = ", ".join(f"{name} {value:g}" for name, value in constants.items())
        proposal = Proposal(title, "search", constants=constants)
        return self.kept(parent, proposal, score, score + 0.0004)

    def ask(self) -> str:
        return self.ablating.ask("ada", {})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


def test_a_pass_queues_the_best_without_each_kept_change_before_all_else(desk: Desk) -> None:
    deeper = desk.changed(0, 0.99, DEPTH=3)
    waiting = desk.journal.add_experiment("t", deeper, Proposal("idea", "search", constants={}))
    faster = desk.changed(deeper, 0.98, MATRIX_LR=0.05)
    assert desk.ask() == (
        f"2 of the 2 kept changes of #{faster} are left out, one at a time, before the next new "
        f"idea; first 1 run more of #{faster} itself"
    )
    assert [(w.experiment, w.purpose) for w in desk.journal.wanted()] == [(faster, "confirm")]
    first, second = (desk.own(number) for number in (faster + 1, faster + 2))
    assert (first.title, second.title) == ("without #1 DEPTH 3", "without #3 MATRIX_LR 0.05")
    assert first.place is not None
    assert second.place is not None
    assert first.place < second.place < waiting
    assert {first.parent, second.parent} == {faster}
    proposals = [desk.journal.proposal(e.id) for e in (first, second)]
    assert [p.ablates for p in proposals] == [(deeper,), (faster,)]
    texts = [applied(p, desk.text(faster)) for p in proposals]
    assert texts == [TEXT.replace("LR = 0.03", "LR = 0.05"), desk.text(deeper)]
    with pytest.raises(DecisionError, match="a pass is under way already: #4, #5"):
        desk.ask()


def test_a_change_whose_lines_were_rewritten_is_passed_over_with_its_reason(desk: Desk) -> None:
    first = desk.changed(0, 0.99, DEPTH=3)
    desk.changed(first, 0.98, DEPTH=4)
    assert desk.ask().endswith("; not #1: later changes have rewritten its lines")
    assert len(desk.tree.with_status("t", Status.QUEUED)) == 1


def test_without_a_kept_change_there_is_nothing_to_leave_out(desk: Desk) -> None:
    with pytest.raises(DecisionError, match="nothing was kept in t yet"):
        desk.ask()


def test_when_all_is_measured_the_lean_text_is_queued_once(desk: Desk) -> None:
    deeper = desk.changed(0, 0.99, DEPTH=3)
    faster = desk.changed(deeper, 0.98, MATRIX_LR=0.05)
    desk.ask()
    began = time.time() - 60
    dead, heavy = faster + 1, faster + 2
    desk.measured(dead, Status.DISCARDED, 0.9780, 0.9779)
    assert desk.ablating.proceed("t", began) is None
    assert desk.ablating.asked_for("t")
    desk.measured(heavy, Status.DISCARDED, 0.991)
    told = desk.ablating.proceed("t", began)
    assert told is not None
    assert "dead weight: #1 is worth +0.0022" in told
    assert "#2 is worth −0.0108" in told
    assert told.endswith("; #5 is the lean train.py")
    lean = desk.own(5)
    assert (lean.title, lean.proposer) == ("lean: without #1", "ablate")
    assert desk.journal.proposal(5).ablates is None
    assert applied(desk.journal.proposal(5), desk.text(faster)) == desk.text(dead)
    assert desk.ablating.proceed("t", began) is None
    again = Ablating(desk.journal, desk.repo, desk.tree)
    assert again.proceed("t", began) is None
    assert len(desk.tree.of("t")) == 6


def test_a_pass_without_dead_weight_says_so_and_queues_nothing(desk: Desk) -> None:
    desk.changed(0, 0.98, DEPTH=3)
    desk.ask()
    desk.measured(2, Status.DISCARDED, 0.999)
    assert not desk.ablating.asked_for("t")
    told = desk.ablating.proceed("t", 0.0)
    assert told is not None
    assert told.startswith("the pass is over: #1 is worth −0.0188 ±")
    assert told.endswith("it carries its weight")
    assert desk.ablating.proceed("t", 0.0) is None


def test_a_pass_of_an_earlier_night_is_left_alone(desk: Desk) -> None:
    desk.changed(0, 0.98, DEPTH=3)
    desk.ask()
    desk.measured(2, Status.DISCARDED, 0.97)
    assert desk.ablating.proceed("t", time.time() + 60) is None
