"""What a run's training time may be: the trusted clock against the budget.

The supervisor's clock runs from handing in the training rows to the checkpoint's arrival. An honest
run is over its budget by the rest of its last step, by copying the weights off the device and by
writing the checkpoint; nothing else lies between. The allowance covers a slow disk and a long
step, and no more: three per cent of the budget are worth less than the run-to-run noise.
"""

LEAST_ALLOWANCE_SECONDS = 2.0
ALLOWANCE_SHARE = 0.03
CHECKPOINT_BYTES_PER_SECOND = 50e6
"""A disk that is slower than this is not one to train on."""


def overtime(clock_seconds: float, budget_seconds: float, checkpoint_bytes: int) -> str | None:
    """Return what is wrong with a training time, one line, or None where nothing is."""
    allowance = max(LEAST_ALLOWANCE_SECONDS, ALLOWANCE_SHARE * budget_seconds)
    allowance += checkpoint_bytes / CHECKPOINT_BYTES_PER_SECOND
    if clock_seconds <= budget_seconds + allowance:
        return None
    return (
        f"the clock: trained {clock_seconds:.1f} s of a budget of {budget_seconds:.1f} s; end the "
        "loop when task.done, with steps shorter than a second"
    )
