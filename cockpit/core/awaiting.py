"""What waits for a person, most valuable first.

The value of deciding is what would be won if it is a gain, times the probability that it is one.
So is a kept one that has come to look like none: further runs of it have told, and a verdict of
the rule is not taken back behind a person's back.
"""

from collections.abc import Collection, Iterable, Mapping

from cockpit.core.experiment import BY_RULE, Experiment, Status
from cockpit.core.judge import DROP_BELOW

UNKNOWN = 0.5
"""The probability where the rule has said none."""


def awaiting(
    experiments: Iterable[Experiment],
    sound: Collection[int],
    deltas: Mapping[int, float | None] | None = None,
) -> list[Experiment]:
    """Return the sound borderline experiments by worth, of equal ones the oldest first.

    One whose ancestors are not all kept has nothing to be decided about: it is offered for
    another run on the present base. `deltas` are the measured changes of val_bpb, for those
    that the rule has no honest estimate of.
    """
    known = deltas or {}
    own = [e for e in experiments if e.id in sound and is_a_persons(e)]
    return sorted(own, key=lambda e: (-worth(e, known.get(e.id)), e.id))


def is_a_persons(experiment: Experiment) -> bool:
    """Tell whether an experiment is of the kind that a person has to look at."""
    return experiment.status is Status.BORDERLINE or is_doubtful(experiment)


def is_doubtful(experiment: Experiment) -> bool:
    """Tell whether the rule has kept what it would discard today."""
    return (
        experiment.status is Status.KEPT
        and experiment.decided_by == BY_RULE
        and experiment.probability is not None
        and experiment.probability < DROP_BELOW[0]
    )


def worth(experiment: Experiment, delta: float | None = None) -> float:
    """Return what a decision is worth in val_bpb; 0 where there are no figures.

    The expected gain of one that may be kept, the expected loss of one that was.

    `delta` is the measured change, taken where there is no honest one.
    """
    change = experiment.gain if experiment.gain is not None else delta
    if change is None:
        return 0.0
    if experiment.status is Status.KEPT:
        return (1.0 - (experiment.probability or 0.0)) * max(0.0, change)
    chance = experiment.probability if experiment.probability is not None else UNKNOWN
    return chance * max(0.0, 0.0 - change)
