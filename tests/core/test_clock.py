"""The trusted clock against the budget."""

from cockpit.core.clock import overtime


def test_a_run_may_be_over_by_its_last_step_and_its_checkpoint() -> None:
    assert overtime(10.9, 10.0, 0) is None
    assert overtime(302.9, 300.0, 0) is None
    assert overtime(12.9, 10.0, 200_000_000) is None


def test_a_run_that_trained_on_is_told_by_how_much() -> None:
    told = overtime(20.1, 10.0, 0)
    assert told is not None
    assert told.startswith("the clock: trained 20.1 s of a budget of 10.0 s")
    assert overtime(304.0, 300.0, 0) is not None


def test_a_large_checkpoint_buys_no_training_time() -> None:
    assert overtime(320.0, 300.0, 10**12) is not None
