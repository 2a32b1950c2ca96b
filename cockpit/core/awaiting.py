"""What waits for a person, most valuable first.

The value of deciding is what would be won if it is a gain, times the probability that it is one.
"""

from collections.abc import Collection, Iterable, Mapping

from cockpit.core.experiment import Experiment, Status

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
    own = [e for e in experiments if e.status is Status.BORDERLINE and e.id in sound]
    return sorted(own, key=lambda e: (-worth(e, known.get(e.id)), e.id))


def worth(experiment: Experiment, delta: float | None = None) -> float:
    """Return the expected gain of val_bpb, positive is better; 0 where there are no figures.

    `delta` is the measured change, taken where there is no honest one.
    """
    change = experiment.gain if experiment.gain is not None else delta
    if change is None:
        return 0.0
    chance = experiment.probability if experiment.probability is not None else UNKNOWN
    return chance * max(0.0, 0.0 - change)
