"""Runs that something else slowed down: a neighbour on the machine, heat, a clock turned back.

Two runs of the same code on the same device train as many tokens in the same time. Where one falls
far below the other it has not been measured under the same conditions, and its score says less of
the change than of the neighbour. A first run that falls far below its base's, though model and
steps are as large, runs once more, and then its twin tells.
"""

from collections.abc import Sequence

from cockpit.core.experiment import Run

SLOW = 0.75
"""Of the tokens a second of its twin: what is below was disturbed."""
MOST = 2
"""Disturbed runs of one experiment; the next one counts as it is."""
DISTURBED = "disturbed"


def disturbed(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    """Return those of an experiment's scored runs that were slowed down, each with how far."""
    speeds = [(speed, run) for run in runs if (speed := _speed(run)) is not None]
    if len(speeds) < 2:
        return []
    fastest = max(speed for speed, _ in speeds)
    return [
        (
            run,
            f"disturbed: {1 - speed / fastest:.0%} fewer tokens/s than its twin, so that its "
            f"val_bpb {run.val_bpb:.4f} does not count",
        )
        for speed, run in speeds
        if speed < SLOW * fastest
    ]


def slowed_down(run: Run, base: Sequence[Run]) -> bool:
    """Tell whether a run was far slower than its base's runs, and nothing it changed says why.

    A model of other size, or steps of another size, are its own doing.
    """
    speed = _speed(run)
    twins = [other for one in base if _like(run, one) and (other := _speed(one)) is not None]
    return speed is not None and bool(twins) and speed < SLOW * max(twins)


def _like(run: Run, other: Run) -> bool:
    if not (run.steps and other.steps and run.tokens and other.tokens):
        return False
    same_step = abs(run.tokens / run.steps - other.tokens / other.steps) < 1.0
    return run.parameters == other.parameters and same_step


def _speed(run: Run) -> float | None:
    if run.val_bpb is None or not run.tokens or not run.training_seconds:
        return None
    return run.tokens / run.training_seconds
