"""What the rule for stopping early would have done, and what that proves."""

import random
from dataclasses import replace

import pytest

from cockpit.core.bound import needed
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.hindsight import (
    MOST_WRONG,
    Case,
    Proof,
    cases,
    hindsight,
    proof,
    taught,
)
from cockpit.core.pruning import FRACTIONS, LOOKS, limit_of

SIGMA = 0.002


def test_59_without_an_error_turn_the_rule_on_and_an_error_off_again() -> None:
    assert [needed(wrong, MOST_WRONG) for wrong in range(3)] == [59, 93, 124]
    assert not Proof(58, 0).on
    assert Proof(59, 0).on
    assert not Proof(60, 1).on
    assert Proof(93, 1).on


def night(count: int, seed: int = 3, slope: float = 2.5) -> list[Case]:
    """Cases of runs one after the other, whose curves tell their end with some noise."""
    draw = random.Random(seed)
    limit, made = limit_of(SIGMA, 2), []
    for number in range(1, count + 1):
        change = draw.choice((draw.uniform(-0.01, 0.0), draw.uniform(0.0, 0.06)))
        leads = tuple(slope * change + draw.gauss(0.0, 0.004) for _ in LOOKS)
        made.append(
            Case(number, 10.0 * number, 10.0 * number + 9, leads, change, limit, change < limit)
        )
    return made


def test_the_rule_is_asked_with_nothing_known_but_the_runs_before() -> None:
    known = night(80)
    at_first = list(hindsight(known[:50], SIGMA))
    assert list(hindsight(known, SIGMA))[:50] == at_first
    assert at_first[0].chances == (None,) * len(LOOKS)
    last = known[-1]
    live = taught(known, SIGMA, last.began)
    told = list(hindsight(known, SIGMA))[-1]
    assert told.chances[0] == live.survives(0, last.leads[0], last.limit)


def test_a_run_that_had_not_ended_teaches_nothing_to_one_beside_it() -> None:
    known = night(40)
    beside = replace(known[-2], ended=known[-1].began + 1)
    alone = [*known[:-2], known[-1]]
    assert (
        list(hindsight([*known[:-2], beside, known[-1]], SIGMA))[-1]
        == (list(hindsight(alone, SIGMA))[-1])
    )


def test_curves_that_tell_the_end_prove_the_rule_and_those_that_do_not_stop_nothing() -> None:
    good = proof(hindsight(night(300), SIGMA))
    assert good.stopped >= 59
    assert good.on
    blind = proof(hindsight(night(300, slope=0.0), SIGMA))
    assert not blind.on


def test_an_error_counts_whoever_kept_it_and_what_has_no_verdict_does_not() -> None:
    answers = [a for a in hindsight(night(300), SIGMA) if a.stopped_at is not None]
    turned = [replace(a, case=replace(a.case, wrong=n < 4)) for n, a in enumerate(answers)]
    assert proof(turned).wrong == 4
    assert proof(turned).bound > MOST_WRONG
    waiting = [replace(a, case=replace(a.case, wrong=None)) for a in answers]
    assert proof(waiting) == Proof(0, 0)


# ---- from experiments to cases -----------------------------------------------------------------


def run(experiment: int, score: float | None, **fields: object) -> Run:
    at = 100.0 * experiment
    made = Run(experiment, 1, experiment, "setup", 0, "finished", at, at + 50, score)
    return replace(made, **fields)  # type: ignore[arg-type]


def lab(**of_the_second: object) -> dict[int, Experiment]:
    base = Experiment(
        0, "t", None, "baseline", "baseline", Status.KEPT, 0.0,
        runs=(run(0, 2.0), run(0, 2.002, number=2)),
    )  # fmt: skip
    own = Experiment(1, "t", 0, "idea", "search", Status.DISCARDED, 0.0, runs=(run(1, 2.01),))
    return {0: base, 1: replace(own, **of_the_second)}  # type: ignore[arg-type]


CURVES = {
    (0, 1): [3.0] * len(FRACTIONS),
    (0, 2): [9.0] * len(FRACTIONS),
    (1, 1): [3.0] + [3.1] * (len(FRACTIONS) - 1),
}


def test_a_case_holds_first_run_against_first_run_and_the_limit_against_the_mean() -> None:
    (case,) = cases(lab(), (), CURVES, SIGMA)
    assert case.leads == pytest.approx((0.1,) * len(LOOKS))
    assert case.change == pytest.approx(0.01)
    assert case.limit == pytest.approx(limit_of(SIGMA, 2) + 0.001)
    assert case.wrong is False


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (Status.KEPT, True), (Status.BORDERLINE, True), (Status.DISCARDED, False),
        (Status.INVALID, False), (Status.RUNNING, None), (Status.QUEUED, None),
    ],
)  # fmt: skip
def test_wrong_are_those_that_a_verdict_did_not_discard(status: Status, wrong: bool) -> None:
    (case,) = cases(lab(status=status), (), CURVES, SIGMA)
    assert case.wrong is wrong


def test_what_a_person_asked_for_and_what_has_no_curve_is_no_case() -> None:
    assert cases(lab(), {1}, CURVES, SIGMA) == []
    assert cases(lab(proposer="anna"), (), CURVES, SIGMA) == []
    assert cases(lab(runs=(run(1, 2.01, setup="another"),)), (), CURVES, SIGMA) == []
    assert cases(lab(runs=(run(1, None, state="pruned"),)), (), CURVES, SIGMA) == []
    assert cases(lab(runs=(run(1, 2.01, purpose="confirm"),)), (), CURVES, SIGMA) == []
    without_base = {key: curve for key, curve in CURVES.items() if key != (0, 1)}
    assert cases(lab(), (), without_base, SIGMA) == []
    rebuilt = {key: curve for key, curve in CURVES.items() if key != (1, 1)}
    assert cases(lab(), (), rebuilt, SIGMA) == []
