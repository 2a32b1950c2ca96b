"""The tree of experiments: who descends from whom, what is sound, which one is best."""

from collections.abc import Iterable, Mapping

from cockpit.core.experiment import Experiment, Status


def lineage(experiments: Mapping[int, Experiment], experiment: int) -> list[Experiment]:
    """Return the path from the baseline down to `experiment`, both included."""
    path: list[Experiment] = []
    current: int | None = experiment
    while current is not None:
        path.append(experiments[current])
        current = experiments[current].parent
    return path[::-1]


def sound_ids(experiments: Mapping[int, Experiment]) -> set[int]:
    """Return the ids whose ancestors are all kept (the experiment's own verdict aside).

    One pass over ids in ascending order is enough: a parent is always older.
    """
    sound: set[int] = set()
    for number in sorted(experiments):
        parent = experiments[number].parent
        if parent is None or (parent in sound and experiments[parent].status is Status.KEPT):
            sound.add(number)
    return sound


def unsound_kept(experiments: Mapping[int, Experiment], tag: str) -> list[Experiment]:
    """Return what is kept although an ancestor is not, the best first: offered for another run."""
    sound = sound_ids(experiments)
    astray = [
        e
        for e in experiments.values()
        if e.tag == tag and e.status is Status.KEPT and e.id not in sound
    ]
    return sorted(astray, key=lambda e: (e.val_bpb is None, e.val_bpb or 0.0, e.id))


def baseline(experiments: Iterable[Experiment], tag: str) -> Experiment | None:
    """Return the first, unedited experiment of `tag`, or None."""
    return next((e for e in experiments if e.tag == tag and e.parent is None), None)


def delta(experiments: Mapping[int, Experiment], experiment: Experiment) -> float | None:
    """Return mean val_bpb minus the parent's (negative is better), or None."""
    if experiment.parent is None or experiment.parent not in experiments:
        return None
    own, base = experiment.val_bpb, experiments[experiment.parent].val_bpb
    return own - base if own is not None and base is not None else None
