"""Who brought what, and for how many dollars."""

import pytest

from cockpit.core.experiment import Experiment, Proposal, Run, Status
from cockpit.core.scoreboard import UNKNOWN, Score, by_program, by_proposer

ROWS = (
    # id, parent, proposer, status, scores, predicted, version
    (0, None, "baseline", Status.KEPT, (2.0, 2.0), None, None),
    (1, 0, "llm", Status.KEPT, (1.9, 1.92), -0.05, "a"),
    (2, 1, "search", Status.KEPT, (1.88,), None, None),
    (3, 1, "llm", Status.DISCARDED, (1.95,), -0.01, "a"),
    (4, 3, "llm", Status.KEPT, (1.5,), None, "b"),
    (5, 2, "llm", Status.CRASHED, (), -0.02, "b"),
    (6, 2, "llm", Status.INVALID, (), None, "b"),
    (7, 2, "search", Status.BORDERLINE, (1.87,), None, None),
    (8, 2, "search", Status.RUNNING, (), None, None),
    (9, 2, "anna", Status.STOPPED, (), None, None),
)
EXPERIMENTS = {
    number: Experiment(
        number, "t", parent, f"#{number}", proposer, status, 0.0,
        runs=tuple(Run(number, n, n, "s", 0, "finished", 0.0, val_bpb=score)
                   for n, score in enumerate(scores, 1)),
    )
    for number, parent, proposer, status, scores, _, _ in ROWS
}  # fmt: skip
PROPOSALS = {
    number: Proposal(f"#{number}", proposer, predicted=predicted, program=version)
    for number, _, proposer, _, _, predicted, version in ROWS
}


def rows(scores: tuple[Score, ...]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_proposals_are_counted_by_who_made_them_and_the_baseline_is_not() -> None:
    found = rows(by_proposer(EXPERIMENTS, PROPOSALS))
    assert set(found) == {"llm", "search", "anna"}
    llm = found["llm"]
    assert (llm.proposals, llm.kept, llm.discarded, llm.failed) == (5, 2, 1, 2)
    assert (found["search"].borderline, found["search"].open, found["anna"].stopped) == (1, 1, 1)


def test_a_gain_counts_where_it_is_sound() -> None:
    found = rows(by_proposer(EXPERIMENTS, PROPOSALS))
    assert found["llm"].gain == pytest.approx(0.09)
    assert found["search"].gain == pytest.approx(0.03)
    assert found["anna"].gain == 0.0
    assert by_proposer(EXPERIMENTS, PROPOSALS)[0].name == "llm"


def test_predictions_are_held_against_what_was_measured() -> None:
    llm = rows(by_proposer(EXPERIMENTS, PROPOSALS))["llm"]
    assert llm.predictions == 2
    assert llm.prediction_error == pytest.approx((0.04 + 0.05) / 2)
    assert rows(by_proposer(EXPERIMENTS, PROPOSALS))["search"].prediction_error is None


def test_dollars_are_added_and_unknown_prices_are_counted() -> None:
    spent = [("llm", 0.25), ("llm", None), ("llm", 0.5), ("command", 0.1)]
    found = rows(by_proposer(EXPERIMENTS, PROPOSALS, spent))
    assert found["llm"].dollars == pytest.approx(0.75)
    assert found["llm"].unpriced == 1
    assert found["command"] == Score("command", dollars=0.1)


def test_versions_of_the_brief_are_compared_in_their_order() -> None:
    scores = by_program(EXPERIMENTS, PROPOSALS, [("b", 0.5)])
    assert [score.name for score in scores] == [UNKNOWN, "a", "b"]
    found = rows(scores)
    assert (found["a"].proposals, found["a"].kept) == (2, 1)
    assert found["a"].gain == pytest.approx(0.09)
    assert (found["b"].failed, found["b"].dollars) == (2, 0.5)


def test_an_empty_lab_has_no_rows() -> None:
    assert by_proposer({}, {}) == ()
    assert by_program({}, {}) == ()
