"""Pure: experiments become the rows of a tree, in the order in which a tree is read."""

from collections.abc import Mapping
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
