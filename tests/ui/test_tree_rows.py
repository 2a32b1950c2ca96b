"""Experiments in the order in which a tree is read."""

import time

from cockpit.core.experiment import Experiment, Status
from cockpit.ui.tree_rows import CONNECTOR_CELLS, tree_rows


def experiments(parents: dict[int, int | None]) -> dict[int, Experiment]:
    return {
        number: Experiment(number, "t", parent, f"idea {number}", "search", Status.KEPT, 0.0)
        for number, parent in parents.items()
    }


def test_children_follow_their_parent_with_connectors() -> None:
    rows = tree_rows(experiments({0: None, 1: 0, 2: 1, 3: 1, 4: 0}))
    assert [(row.id, row.connectors) for row in rows] == [
        (0, ""),
        (1, "├"),
        (2, "│├"),
        (3, "│└"),
        (4, "└"),
    ]


def test_an_orphan_is_a_root() -> None:
    assert [row.id for row in tree_rows(experiments({5: 99, 6: 5}))] == [5, 6]


def test_a_line_ten_thousand_deep_is_read_fast_and_stays_narrow() -> None:
    deep = experiments({n: n - 1 if n else None for n in range(10_000)})
    began = time.perf_counter()
    rows = tree_rows(deep)
    assert time.perf_counter() - began < 1.0
    assert len(rows) == 10_000
    assert max(len(row.connectors) for row in rows) == CONNECTOR_CELLS
