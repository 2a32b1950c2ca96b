"""Two wins on one base: the second runs again on top of the first before the branch moves."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.core.edits import Edit
from cockpit.core.experiment import Event, Experiment, Proposal, Status, Verdict
from cockpit.engine.conversation import Conversation
from cockpit.engine.known import KnownTexts
from cockpit.engine.rebasing import Rebasing
from cockpit.engine.spending import Spending
from cockpit.lab.repo import TRAIN_PY, Repo
from tests.engine.test_judging import Bench

BASE = "A = 1\nB = 1\n"


class Queue:
    """A bench whose experiments have commits, and a queue that is kept on the base."""

    def __init__(self, root: Path) -> None:
        self.bench = Bench(root)
        self.repo = Repo(root)
        git = ("git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@localhost")
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
        journal, tree = self.bench.journal, self.bench.tree
        self.bench.baseline()
        self._commit(0, self.repo.head()[0], BASE)
        self.rebasing = Rebasing(
            journal,
            tree,
            "t",
            KnownTexts(self.repo, tree, "t", lambda _: None),
            Conversation(journal, Spending(journal, 1, None), None),
            proposal_of=journal.proposal,
            text_of=lambda own: self.repo.read_text(str(own.commit), TRAIN_PY),
            propose_anew=lambda *_: False,
        )

    def _commit(self, number: int, parent: str, text: str) -> None:
        commit = self.repo.commit_experiment(
            parent, text, title="t", body="", tag="t", number=number, proposer="ada"
        )
        self.bench.journal.change_experiment(number, commit_hash=commit)
        self.bench.tree.refresh()

    def wins(self, gain: float, search: str, replacement: str) -> int:
        """Keep a change of the baseline by its edit."""
        journal = self.bench.journal
        edit = Proposal("idea", "ada", edits=(Edit(search, replacement),))
        number = journal.add_experiment("t", 0, edit)
        journal.decide(number, Status.RUNNING, Verdict(Event.CLAIM, "its turn"))
        self.bench.tree.refresh()
        start = self.bench.own(0).commit
        self._commit(number, str(start), BASE.replace(search, replacement))
        for _ in range(2):
            self.bench.ends(number, 2.0 - gain, ended_at=time.time())
        self.bench.audited(number, "passed")
        assert self.bench.own(number).status is Status.KEPT
        return number

    @property
    def base(self) -> Experiment:
        self.bench.tree.refresh()
        base = self.bench.tree.base("t")
        assert base is not None
        return base

    @property
    def queued(self) -> list[Experiment]:
        self.bench.tree.refresh()
        return self.bench.tree.with_status("t", Status.QUEUED)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path / "lab")
    yield made
    made.bench.journal.close()


def test_the_second_of_two_wins_is_queued_on_the_first(queue: Queue) -> None:
    first = queue.wins(0.3, "A = 1", "A = 2")
    second = queue.wins(0.4, "B = 1", "B = 2")
    queue.rebasing.bring_together()
    [together] = queue.queued
    assert (together.parent, queue.bench.journal.proposal(together.id).reapplies) == (first, second)
    assert queue.base.id == first, "the branch does not move before it has run"
    queue.rebasing.bring_together()
    assert len(queue.queued) == 1


def test_once_it_has_run_the_lower_of_the_two_is_the_base(queue: Queue) -> None:
    queue.wins(0.3, "A = 1", "A = 2")
    second = queue.wins(0.4, "B = 1", "B = 2")
    queue.rebasing.bring_together()
    [together] = queue.queued
    queue.bench.journal.decide(together.id, Status.INVALID, Verdict(Event.REFUSE, "it broke"))
    assert queue.base.id == second
    queue.rebasing.bring_together()
    assert queue.queued == []


def test_two_changes_of_one_line_are_not_brought_together(queue: Queue) -> None:
    queue.wins(0.3, "A = 1", "A = 2")
    second = queue.wins(0.4, "A = 1", "A = 3")
    queue.rebasing.bring_together()
    assert queue.queued == []
    assert queue.base.id == second
    refused = queue.bench.tree.with_status("t", Status.INVALID)
    assert ["does not apply to #1" in (own.reason or "") for own in refused] == [True]


def test_one_win_is_left_alone(queue: Queue) -> None:
    first = queue.wins(0.3, "A = 1", "A = 2")
    queue.rebasing.bring_together()
    assert queue.queued == []
    assert queue.base.id == first
