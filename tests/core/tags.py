"""A tag in a line an experiment, for tests of what is counted over one."""

from collections.abc import Iterable

from cockpit.core.experiment import Experiment, Proposal, Run, Status

Row = tuple[int, int | None, str, Status, tuple[float, ...]]
"""Id, parent, title, status and the scores of its runs."""


def tag(rows: Iterable[Row]) -> dict[int, Experiment]:
    """Return the experiments of a tag by id."""
    return {
        number: Experiment(
            number, "t", parent, title, "llm", status, 0.0,
            runs=tuple(
                Run(number, n, n, "s", 0, "finished", 0.0, val_bpb=score)
                for n, score in enumerate(scores, 1)
            ),
        )
        for number, parent, title, status, scores in rows
    }  # fmt: skip


def proposals(experiments: dict[int, Experiment], **others: Proposal) -> dict[int, Proposal]:
    """Return proposals without a change, but for those named `p<ID>`."""
    return {n: others.get(f"p{n}", Proposal(e.title, "llm")) for n, e in experiments.items()}
