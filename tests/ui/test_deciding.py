"""What a person may keep or discard, and what is asked before."""

from dataclasses import replace

import pytest

from cockpit.core.experiment import Experiment, Run, Status
from cockpit.ui.deciding import question, why_not


def experiment(number: int, parent: int | None, status: Status, score: float | None) -> Experiment:
    run = Run(number, 1, 1, "setup", 0, "finished", 0.0, val_bpb=score)
    return Experiment(number, "t", parent, "idea", "search", status, 0.0, runs=(run,))


BASE = experiment(0, None, Status.KEPT, 2.0)


@pytest.mark.parametrize(
    ("status", "verb", "told"),
    [
        (Status.QUEUED, "accept", "#1 waits in the queue: there is nothing to judge yet"),
        (Status.RUNNING, "reject", "#1 is under way: there is nothing to judge yet"),
        (Status.KEPT, "accept", "#1 is kept already"),
        (Status.DISCARDED, "reject", "#1 is discarded already"),
        (Status.CRASHED, "accept", "#1 is crashed: no accept"),
        (Status.BORDERLINE, "accept", None),
        (Status.DISCARDED, "accept", None),
        (Status.KEPT, "reject", None),
    ],
)
def test_what_is_not_possible_says_why(status: Status, verb: str, told: str | None) -> None:
    assert why_not(experiment(1, 0, status, 2.1), verb) == told


def test_a_baseline_is_not_judged() -> None:
    assert why_not(BASE, "reject") == "#0 is a baseline: it is measured, not judged"


@pytest.mark.parametrize(
    ("status", "score", "verb", "asked"),
    [
        (
            Status.DISCARDED,
            2.1364,
            "accept",
            "#1 is worse than its base by 0.1364. Keep it all the same?",
        ),
        (
            Status.KEPT,
            1.9,
            "reject",
            "#1 is better than its base by 0.1000. Discard it all the same?",
        ),
        (Status.BORDERLINE, 2.0001, "accept", None),
    ],
)
def test_only_a_verdict_of_the_rule_is_asked_about(
    status: Status, score: float, verb: str, asked: str | None
) -> None:
    assert question({0: BASE, 1: experiment(1, 0, status, score)}, 1, verb) == asked


def test_the_honest_gain_is_told_before_the_rule_is_overruled() -> None:
    own = replace(
        experiment(1, 0, Status.DISCARDED, 1.9), gain=0.002, gain_error=0.05, probability=0.18
    )
    assert question({0: BASE, 1: own}, 1, "accept") == (
        "#1 is better than its base by 0.1000 (honest +0.0020 ±0.0500, P(better) 0.18). "
        "Keep it all the same?"
    )


def test_what_grew_from_a_kept_one_is_named() -> None:
    known = {0: BASE, 1: experiment(1, 0, Status.KEPT, 1.9)}
    known[2] = experiment(2, 1, Status.KEPT, 1.8)
    asked = question(known, 1, "reject")
    assert asked is not None
    assert asked.endswith("What grew from it is unsound then.")
