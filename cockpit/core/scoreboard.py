"""What each proposer has brought, and what each version of the brief has.

Gains are verified ones: the parent's mean minus the own one over sound kept experiments, so that
what is summed still stands.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cockpit.core.experiment import Experiment, Proposal, Status
from cockpit.core.tree import delta, sound_ids

OPEN = (Status.QUEUED, Status.RUNNING)
FAILED = (Status.CRASHED, Status.INVALID)
UNKNOWN = "unknown"
"""The version of a brief that was not noted: of the classical search, which reads none."""

Spent = Iterable[tuple[str, float | None]]
"""Who a call of a model was for, and its dollars; None where its price is not known."""


@dataclass(frozen=True, slots=True)
class Score:
    """One row."""

    name: str
    """A proposer, or a version of program.md."""
    proposals: int = 0
    kept: int = 0
    discarded: int = 0
    borderline: int = 0
    failed: int = 0
    """Crashed or invalid."""
    open: int = 0
    """Queued or running."""
    stopped: int = 0
    gain: float = 0.0
    """val_bpb won by sound kept experiments over their parents; positive is better."""
    dollars: float = 0.0
    """Of the calls whose price is known."""
    unpriced: int = 0
    """Calls whose price is not known."""
    predictions: int = 0
    """Predictions that were followed by a measurement."""
    prediction_error: float | None = None
    """Mean distance of predicted and measured change of val_bpb."""


def by_proposer(
    experiments: Mapping[int, Experiment], proposals: Mapping[int, Proposal], spent: Spent = ()
) -> tuple[Score, ...]:
    """Return a row for each proposer, most verified gain first; baselines are left out.

    `spent` names proposers. Who only spent has a row too.
    """
    return _scores(experiments, proposals, spent, lambda e: e.proposer)


def by_program(
    experiments: Mapping[int, Experiment], proposals: Mapping[int, Proposal], spent: Spent = ()
) -> tuple[Score, ...]:
    """Return a row for each version of program.md, in the order of their first proposals.

    `spent` names versions.
    """

    def version(e: Experiment) -> str:
        proposal = proposals.get(e.id)
        return proposal.program or UNKNOWN if proposal else UNKNOWN

    first: dict[str, int] = {}
    for number in sorted(experiments):
        first.setdefault(version(experiments[number]), number)
    rows = _scores(experiments, proposals, spent, version)
    return tuple(sorted(rows, key=lambda row: first.get(row.name, len(first))))


def _scores(
    experiments: Mapping[int, Experiment],
    proposals: Mapping[int, Proposal],
    spent: Spent,
    name_of: Callable[[Experiment], str],
) -> tuple[Score, ...]:
    sound = sound_ids(experiments)
    members: defaultdict[str, list[Experiment]] = defaultdict(list)
    for e in experiments.values():
        if e.parent is not None:
            members[name_of(e)].append(e)
    dollars: defaultdict[str, list[float | None]] = defaultdict(list)
    for name, price in spent:
        dollars[name].append(price)
    rows = [
        _score(name, members[name], dollars[name], experiments, proposals, sound)
        for name in {**members, **dollars}
    ]
    return tuple(sorted(rows, key=lambda row: (-row.gain, row.name)))


def _score(
    name: str,
    own: list[Experiment],
    prices: list[float | None],
    experiments: Mapping[int, Experiment],
    proposals: Mapping[int, Proposal],
    sound: set[int],
) -> Score:
    deltas = {e.id: found for e in own if (found := delta(experiments, e)) is not None}
    errors = [
        abs(proposal.predicted - found)
        for number, found in deltas.items()
        if (proposal := proposals.get(number)) is not None and proposal.predicted is not None
    ]
    standing = sound & deltas.keys()
    won = [deltas[e.id] for e in own if e.status is Status.KEPT and e.id in standing]

    def count(*statuses: Status) -> int:
        return sum(e.status in statuses for e in own)

    return Score(
        name=name,
        proposals=len(own),
        kept=count(Status.KEPT),
        discarded=count(Status.DISCARDED),
        borderline=count(Status.BORDERLINE),
        failed=count(*FAILED),
        open=count(*OPEN),
        stopped=count(Status.STOPPED),
        gain=0.0 - sum(won),
        dollars=sum(price for price in prices if price is not None),
        unpriced=sum(price is None for price in prices),
        predictions=len(errors),
        prediction_error=sum(errors) / len(errors) if errors else None,
    )
