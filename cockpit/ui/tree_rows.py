"""Pure: experiments become the rows of a tree, in the order in which a tree is read."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from cockpit.core.experiment import Experiment

CONNECTOR_CELLS = 24
"""No more of the connectors is ever shown: deep down only the nearest ancestors matter."""


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment and the connectors before it."""

    id: int
    connectors: str
    """Ends in `├` or `└`; empty for a root."""

    @property
    def key(self) -> int | str:
        """Return what the row is known by."""
        return self.id


@dataclass(frozen=True, slots=True)
class Fold:
    """Another tag, in one line; its tree stands below it while it is open."""

    tag: str
    is_open: bool

    @property
    def key(self) -> int | str:
        """Return what the row is known by."""
        return self.tag


def history_rows(
    experiments: Mapping[int, Experiment],
    present: str | None,
    others: Iterable[str],
    opened: Collection[str],
) -> list[Row | Fold]:
    """Return the present tag's tree, then each other tag folded into one row, or open."""
    names = list(others)
    if not names:
        return list(tree_rows(experiments))
    groups: dict[str, dict[int, Experiment]] = {}
    for number, experiment in experiments.items():
        groups.setdefault(experiment.tag, {})[number] = experiment
    rows: list[Row | Fold] = list(tree_rows(groups.get(present or "", {})))
    for name in names:
        rows.append(Fold(name, name in opened))
        if name in opened:
            rows += tree_rows(groups.get(name, {}))
    return rows


def tree_rows(experiments: Mapping[int, Experiment]) -> list[Row]:
    """Return the rows of all trees, depth first, children by age.

    Without recursion: a night that goes well is one line thousands of experiments deep.
    """
    children: dict[int | None, list[int]] = {}
    for number, experiment in experiments.items():
        parent = experiment.parent if experiment.parent in experiments else None
        children.setdefault(parent, []).append(number)
    rows: list[Row] = []
    stack = [(number, "", "") for number in reversed(children.get(None, []))]
    while stack:
        number, connectors, below = stack.pop()
        rows.append(Row(number, connectors))
        own = children.get(number, [])
        for position in range(len(own) - 1, -1, -1):
            last = position == len(own) - 1
            shown = (below + ("└" if last else "├"))[-CONNECTOR_CELLS:]
            deeper = (below + (" " if last else "│"))[-CONNECTOR_CELLS:]
            stack.append((own[position], shown, deeper))
    return rows
