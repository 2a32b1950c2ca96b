"""What the rule for stopping early would have done to the runs of the past, and what that proves.

The rule is off until it has shown on the lab's own curves that it may be trusted. It is asked in
hindsight of each run that has finished, in their order, with nothing known but the runs that had
ended before that one began: would it have stopped it (Dawid, "The prequential approach", JRSS A
147, 1984)? Only the noise, a mere scale, is today's. Of those, wrong are the ones that a verdict
did not discard: the kept ones, whoever kept them, and the borderline ones. The rule is on while the
share of wrong ones is at most `MOST_WRONG` with 95 % confidence, by the exact bound (`core.bound`):
59 without an error, 93 with one, 124 with two.

Once it is on, what it stops can't prove anything any more: no one knows how it would have ended.
So one in ten of those is drawn to finish all the same and counts. An error among them can turn the
rule off again. The bound is looked at many times, which makes it somewhat weaker than it says; that
the rule must stay below it, and not only pass it once, is what keeps it honest.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cockpit.core.bound import needed, upper_bound
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.pruning import LOOKS, SURE, Rule, leads, limit_of
from cockpit.core.schedule import KINDS

MOST_WRONG = 0.05
"""Share of wrongly stopped ones that is accepted."""

Curves = Mapping[tuple[int, int], Sequence[float | None]]
"""Kept curves by experiment and run."""


@dataclass(frozen=True, slots=True)
class Case:
    """A first run that has ended with a score."""

    experiment: int
    began: float
    ended: float
    leads: tuple[float | None, ...]
    """Over its base's curve, at each of `LOOKS`."""
    change: float
    """val_bpb at the end minus that of the same run of the base."""
    limit: float
    """The change below which it would perhaps not be discarded."""
    wrong: bool | None
    """Whether stopping it would have been an error; None while it has no verdict."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rule would have done to a run."""

    case: Case
    chances: tuple[float | None, ...]
    """Of not being discarded, at each look; None where nothing could be said."""

    @property
    def stopped_at(self) -> int | None:
        """Return the look at which it would have been stopped, or None."""
        sure = (n for n, p in enumerate(self.chances) if p is not None and p < SURE)
        return next(sure, None)


@dataclass(frozen=True, slots=True)
class Proof:
    """How far the rule may be trusted."""

    stopped: int = 0
    """Runs that it would have stopped and that finished all the same, with a verdict."""
    wrong: int = 0
    """Those of them that were not discarded."""

    @property
    def bound(self) -> float:
        """Return the upper bound of the share of wrong ones."""
        return upper_bound(self.wrong, self.stopped)

    @property
    def on(self) -> bool:
        """Tell whether the rule may stop runs."""
        return self.bound <= MOST_WRONG

    @property
    def needed(self) -> int:
        """Return how many it takes to trust the rule, with as many wrong ones as there are."""
        return needed(self.wrong, MOST_WRONG)


def prunable(own: Experiment, ordered: Collection[int]) -> bool:
    """Tell whether an experiment's first run may be stopped early.

    Not a baseline's, nor what a person has asked for: they want its number. `ordered` has the ids
    of those whose proposal is an order, or takes a change out to see what it is worth.
    """
    return own.parent is not None and own.proposer in KINDS and own.id not in ordered


def base_run(base: Experiment, setup: str, curves: Curves) -> Run | None:
    """Return the run of the base that another is held against, None where it left no curve."""
    first = next((run for run in base.scored if run.purpose == "verdict"), None)
    if first is None or first.setup != setup or (base.id, first.number) not in curves:
        return None
    return first


def limit_against(run: Run, base: Experiment, sigma: float, before: float) -> float | None:
    """Return the change against one run of the base below which a result may not be discarded.

    The judge holds it against the mean of the base's runs, of which those count that had ended
    `before`.
    """
    scores = [r.val_bpb for r in base.scored if r.val_bpb and (r.ended_at or 0.0) <= before]
    if run.val_bpb is None:
        return None
    mean = sum(scores) / len(scores) if scores else run.val_bpb
    return limit_of(sigma, len(scores)) + mean - run.val_bpb


def cases(
    experiments: Mapping[int, Experiment],
    ordered: Collection[int],
    curves: Curves,
    sigma: float,
) -> list[Case]:
    """Return the runs of a tag that can teach and prove something, in the order they began."""
    found = [
        case
        for own in experiments.values()
        if prunable(own, ordered) and (case := _case(own, experiments, curves, sigma))
    ]
    return sorted(found, key=lambda case: case.began)


def _case(
    own: Experiment, experiments: Mapping[int, Experiment], curves: Curves, sigma: float
) -> Case | None:
    first = next((run for run in own.runs if run.val_bpb is not None), None)
    base = experiments.get(own.parent) if own.parent is not None else None
    if first is None or first.purpose != "verdict" or base is None:
        return None
    curve, against = curves.get((own.id, first.number)), base_run(base, first.setup, curves)
    if curve is None or against is None or first.val_bpb is None or against.val_bpb is None:
        return None
    limit = limit_against(against, base, sigma, first.started_at)
    if limit is None:
        return None
    return Case(
        own.id,
        first.started_at,
        first.ended_at or first.started_at,
        leads(curve, curves[base.id, against.number]),
        first.val_bpb - against.val_bpb,
        limit,
        _wrong(own.status),
    )


def _wrong(status: Status) -> bool | None:
    if status in (Status.KEPT, Status.BORDERLINE):
        return True
    return False if status in (Status.DISCARDED, Status.INVALID) else None


def taught(known: Iterable[Case], sigma: float, before: float) -> Rule:
    """Return the rule as runs that had ended by a moment teach it."""
    rule = Rule(sigma)
    for case in known:
        if case.ended <= before:
            rule.learn(case.leads, case.change)
    return rule


def hindsight(known: Sequence[Case], sigma: float) -> Iterator[Answer]:
    """Yield what the rule would have done to each run, fitted only to runs before it."""
    rule, waiting = Rule(sigma), sorted(known, key=lambda case: -case.ended)
    for case in known:
        while waiting and waiting[-1].ended <= case.began:
            before = waiting.pop()
            rule.learn(before.leads, before.change)
        yield Answer(
            case,
            tuple(rule.survives(n, case.leads[n], case.limit) for n in range(len(LOOKS))),
        )


def proof(answers: Iterable[Answer]) -> Proof:
    """Return what the answers prove."""
    found = [a.case.wrong for a in answers if a.stopped_at is not None]
    verdicts = [wrong for wrong in found if wrong is not None]
    return Proof(len(verdicts), sum(verdicts))
