"""Runs that something else slowed down: a neighbour on the machine, heat, a clock turned back.

Two runs of the same code on the same device train as many tokens in the same time. Where one falls
far below the other it has not been measured under the same conditions, and its score says less of
the change than of the neighbour.
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


def _speed(run: Run) -> float | None:
    if run.val_bpb is None or not run.tokens or not run.training_seconds:
        return None
    return run.tokens / run.training_seconds
