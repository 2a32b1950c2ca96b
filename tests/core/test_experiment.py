"""The life cycle as one table."""

import dataclasses

import pytest

from cockpit.core.experiment import (
    ASIDE,
    TRANSITIONS,
    VERDICTS,
    Event,
    Experiment,
    Run,
    Status,
    TransitionError,
    after,
)


def reachable(start: Status) -> set[Status]:
    found = {start}
    while True:
        more = {to for (status, _), to in TRANSITIONS.items() if status in found} - found
        if not more:
            return found
        found |= more


def test_every_status_is_reached_from_the_queue() -> None:
    assert reachable(Status.QUEUED) == set(Status)


def test_a_verdict_leads_only_to_another_verdict() -> None:
    assert all(to in VERDICTS for (status, _), to in TRANSITIONS.items() if status in VERDICTS)


def test_every_event_is_possible_somewhere() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event) - ASIDE


def test_a_decision_by_hand_can_be_taken_back() -> None:
    assert after(after(Status.KEPT, Event.REJECT), Event.ACCEPT) is Status.KEPT


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (Status.QUEUED, Event.ACCEPT), (Status.CRASHED, Event.ACCEPT), (Status.KEPT, Event.CLAIM),
        (Status.RUNNING, Event.CLAIM), (Status.STOPPED, Event.RETURN),
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_is_refused_in_words(status: Status, event: Event) -> None:
    with pytest.raises(TransitionError, match=f"{event} is not possible: it is {status}"):
        after(status, event)


def test_the_score_is_the_mean_over_the_runs_that_have_one() -> None:
    runs = tuple(
        Run(1, n, n, "s", 0, "finished", 0.0, val_bpb=score)
        for n, score in enumerate((2.0, None, 3.0), 1)
    )
    own = Experiment(1, "t", 0, "x", "search", Status.KEPT, 0.0, runs=runs)
    assert (own.scores, own.val_bpb) == ((2.0, 3.0), 2.5)
    assert dataclasses.replace(own, runs=()).val_bpb is None
