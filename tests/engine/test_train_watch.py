"""A train.py of the working tree that was never tried is offered, once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.core.experiment import Status
from cockpit.engine.checkpoints import Checkpoints
from cockpit.engine.file_watch import FileWatch
from cockpit.engine.judging import Judging
from cockpit.engine.outcomes import Outcomes
from cockpit.engine.own_texts import OwnTexts
from cockpit.engine.rule import Rule
from cockpit.engine.train_watch import TrainWatch
from cockpit.lab.repo import TRAIN_PY
from cockpit.lab.tree import Tree
from tests.engine.hands import TEXT, Hands, wide

Wait = Callable[..., Any]


class Watched:
    """A lab, and what an engine that has just started sees of its working tree."""

    def __init__(self, root: Path) -> None:
        self.lab = Hands(root)
        self.path = self.lab.lab.root / TRAIN_PY
        journal, repo = self.lab.journal, self.lab.repo
        self.tree = Tree(journal)
        self.tree.refresh()
        judging = Judging(
            journal,
            repo,
            self.tree,
            Checkpoints(self.lab.lab, self.tree, 1e9),
            Rule(journal, repo, self.tree),
        )
        self.texts = OwnTexts(journal, repo, self.tree, Outcomes(journal, self.tree, judging))
        self.files = FileWatch(self.path)

    def started(self) -> TrainWatch:
        """Return what a start makes."""
        return TrainWatch(self.lab.lab, self.files, self.tree, self.texts)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path / "lab")
    with made.files:
        yield made
    made.lab.journal.close()


def test_what_was_written_while_no_engine_ran_is_offered_at_the_start_and_only_once(
    watched: Watched,
) -> None:
    watched.path.write_text(wide(128), encoding="utf-8")
    watch = watched.started()
    assert watch.news() == (
        "trainer/train.py has changed in the working tree (+1 −1): "
        "`cockpit try --file trainer/train.py` makes an experiment of it"
    )
    assert watch.news() is None
    assert watched.started().news() is None


def test_what_is_written_in_a_night_is_offered(watched: Watched, wait_until: Wait) -> None:
    watch = watched.started()
    assert watch.news() is None
    # Written until it is seen: the thread may not watch yet.
    widths = iter(range(100, 500))

    def seen() -> str | None:
        watched.path.write_text(wide(next(widths)), encoding="utf-8")
        return watch.news()

    assert "(+1 −1)" in wait_until(seen, 20, "the offer")


def test_what_was_tried_already_is_not_offered(watched: Watched) -> None:
    watched.lab.measured(Status.DISCARDED, 70, 2.1)
    watched.lab.queued(80)
    watched.tree.refresh()
    for text in (TEXT, wide(70), wide(80)):
        watched.path.write_text(text, encoding="utf-8")
        assert watched.started().news() is None


def test_what_is_half_typed_is_not_offered(watched: Watched) -> None:
    watched.path.write_text(TEXT + "def half(\n", encoding="utf-8")
    assert watched.started().news() is None
    watched.path.unlink()
    assert watched.started().news() is None


def test_what_would_be_refused_is_told_with_the_reason(watched: Watched) -> None:
    watched.path.write_text(TEXT + "import os\n", encoding="utf-8")
    told = watched.started().news()
    assert told is not None
    assert "(+1 −0): as it is it can't be tried: guard: " in told


def test_nothing_is_offered_before_there_is_a_base(watched: Watched) -> None:
    watched.lab.journal.change_experiment(0, status=Status.RUNNING)
    watched.tree.refresh()
    watched.path.write_text(wide(128), encoding="utf-8")
    watch = watched.started()
    assert watch.news() is None
    watched.lab.journal.change_experiment(0, status=Status.KEPT)
    watched.tree.refresh()
    assert watch.news() is not None
