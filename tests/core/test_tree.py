"""Lineage, soundness, the order of the queue."""

import pytest

from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.tree import baseline, delta, lineage, sound_ids, unsound_kept

KEPT, DISCARDED = Status.KEPT, Status.DISCARDED


def make(
    *rows: tuple[int, int | None, Status, float | None], tag: str = "t"
) -> dict[int, Experiment]:
    return {
        number: Experiment(
            number, tag, parent, f"#{number}", "search", status, 0.0,
            runs=(Run(number, 1, 1, "s", 0, "finished", 0.0, val_bpb=score),),
        )
        for number, parent, status, score in rows
    }  # fmt: skip


TREE = make(
    (0, None, KEPT, 2.0),
    (1, 0, KEPT, 1.9),
    (2, 1, DISCARDED, 1.95),
    (3, 1, KEPT, 1.8),
    (4, 2, KEPT, 1.5),
    (5, 4, KEPT, 1.4),
)


def test_the_lineage_runs_from_the_baseline_down() -> None:
    assert [e.id for e in lineage(TREE, 5)] == [0, 1, 2, 4, 5]


def test_an_experiment_is_sound_when_all_its_ancestors_are_kept() -> None:
    assert sound_ids(TREE) == {0, 1, 2, 3}


def test_accepting_the_missing_link_makes_the_line_sound() -> None:
    tree = TREE | make((2, 1, KEPT, 1.95))
    assert sound_ids(tree) == set(tree)


def test_delta_is_against_the_parent_and_none_where_a_score_is_missing() -> None:
    tree = make((0, None, KEPT, 2.0), (1, 0, KEPT, 1.9), (2, 1, Status.CRASHED, None))
    assert delta(tree, tree[1]) == pytest.approx(-0.1)
    assert delta(tree, tree[0]) is None
    assert delta(tree, tree[2]) is None


def test_each_tag_has_its_own_baseline() -> None:
    tree = make((0, None, KEPT, 2.0)) | make((1, None, KEPT, 3.0), tag="u")
    found = baseline(tree.values(), "u")
    assert found is not None
    assert found.id == 1
    assert baseline(tree.values(), "v") is None


def test_what_is_kept_on_something_that_is_not_is_offered_the_best_first() -> None:
    assert [e.id for e in unsound_kept(TREE, "t")] == [5, 4]
    assert unsound_kept(TREE | make((2, 1, KEPT, 1.95)), "t") == []
