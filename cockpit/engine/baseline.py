"""A baseline that can't be measured: nothing can be compared to it, so the night has no use."""

from cockpit.core.experiment import Experiment, Status

FAILURES = 2
"""The night ends when the baseline itself fails this often."""
LOST_IN_A_ROW = 2
"""From this many lost runs in a row on, the slot waits before the next."""
MEND = "mend trainer/train.py, commit it, and begin a new tag: cockpit start --tag NEW"


def what_is_wrong(own: Experiment, night_started_at: float) -> str | None:
    """Return why a night ends for its baseline; None while it may yet be measured.

    Only failures of this night count. Of what is no baseline there is nothing to say.
    """
    if own.parent is not None or own.status is Status.KEPT:
        return None
    if own.status is Status.INVALID:
        return f"the baseline does not count: {own.reason}; {MEND}"
    failed = [
        run
        for run in own.runs
        if run.state in ("failed", "invalid") and run.started_at >= night_started_at
    ]
    if len(failed) >= FAILURES:
        return f"the baseline does not train: {failed[-1].reason}; {MEND}"
    return None


def lost_again(own: Experiment) -> bool:
    """Tell whether the last runs of a baseline were all lost: something ends them each time."""
    last = [run.state for run in own.runs[-LOST_IN_A_ROW:]]
    return own.parent is None and last == ["lost"] * LOST_IN_A_ROW
