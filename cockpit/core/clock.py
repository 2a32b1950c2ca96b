"""What a run's training time may be: the trusted clock against the budget.

The supervisor's clock runs from handing in the training rows to the checkpoint's arrival. An honest
run is over its budget by the rest of its last step, by copying the weights off the device and by
writing the checkpoint; nothing else lies between. The allowance covers a slow disk and a long
step. It is no budget to be used up: the harness gives no batch once a step has ended after the
budget, so that an overrun of more than a step takes more than ignoring `task.done`.
"""

LEAST_ALLOWANCE_SECONDS = 2.0
ALLOWANCE_SHARE = 0.01
CHECKPOINT_BYTES_PER_SECOND = 200e6
CHECKPOINT_SECONDS = 15.0
"""What a checkpoint may take is bounded: its size is the script's own choice."""


def overtime(clock_seconds: float, budget_seconds: float, checkpoint_bytes: int) -> str | None:
    """Return what is wrong with a training time, one line, or None where nothing is."""
    allowance = max(LEAST_ALLOWANCE_SECONDS, ALLOWANCE_SHARE * budget_seconds)
    allowance += min(CHECKPOINT_SECONDS, checkpoint_bytes / CHECKPOINT_BYTES_PER_SECOND)
    if clock_seconds <= budget_seconds + allowance:
        return None
    return (
        f"the clock: trained {clock_seconds:.1f} s of a budget of {budget_seconds:.1f} s; end the "
        "loop when task.done, with steps shorter than a second"
    )
