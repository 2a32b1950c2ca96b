"""What each kept change is worth: the best without it."""

import random

import pytest

from cockpit.core.ablating import (
    Change,
    lean,
    lean_title,
    leave_one_out,
    table,
    told,
    variant_title,
    verdict,
    worth,
)
from cockpit.core.experiment import Event, Experiment, Proposal, Run, Status
from cockpit.core.noise import Noise
from tests.core.labs import TRAIN_PY

NOISE = Noise(0.001, 20, 10)


def change(number: int, before: str, old: str, new: str) -> Change:
    assert before.count(old) == 1
    return Change(number, f"idea {number}", before, before.replace(old, new))


def line() -> list[Change]:
    """Three changes of neighbouring lines, the last of which rewrites the second."""
    deeper = change(1, TRAIN_PY, "DEPTH = 2", "DEPTH = 3")
    faster = change(4, deeper.after, "MATRIX_LR = 0.03", "MATRIX_LR = 0.05")
    wider = change(9, faster.after, "nn.Linear(64, 64)", "nn.Linear(128, 128)")
    return [deeper, faster, wider]


def experiment(number: int, *scores: float, parent: int = 0) -> Experiment:
    runs = tuple(
        Run(number, n, n, "s", 0, "finished", 0.0, val_bpb=score)
        for n, score in enumerate(scores, 1)
    )
    return Experiment(number, "t", parent, f"idea {number}", "search", Status.KEPT, 0.0, runs=runs)


def test_each_change_is_taken_out_and_the_others_stay() -> None:
    found = leave_one_out(line(), line()[-1].after)
    assert [one.problem for one in found] == [None, None, None]
    texts = [one.train_py or "" for one in found]
    shown = [("DEPTH = 3" in t, "LR = 0.05" in t, "128" in t) for t in texts]
    assert shown == [(False, True, True), (True, False, True), (True, True, False)]
    assert variant_title(found[0].change) == "without #1 idea 1"


def test_a_change_that_later_ones_have_rewritten_is_passed_over_with_the_reason() -> None:
    changes = line()
    again = change(12, changes[-1].after, "MATRIX_LR = 0.05", "MATRIX_LR = 0.06")
    found = leave_one_out([*changes, again], again.after)
    assert found[1].train_py is None
    assert found[1].problem == "later changes have rewritten its lines"
    assert found[3].train_py == changes[-1].after


def test_a_change_that_was_taken_back_since_is_passed_over() -> None:
    deeper = line()[0]
    back = change(5, deeper.after, "DEPTH = 3", "DEPTH = 2")
    other = change(6, back.after, "LR = 0.03", "LR = 0.04")
    assert leave_one_out([deeper, back, other], other.after)[0].problem is not None


def test_what_others_build_on_can_not_be_taken_out() -> None:
    named = change(1, TRAIN_PY, "MATRIX_LR = 0.03", "WIDTH = 64  # units\nMATRIX_LR = 0.03")
    used = change(2, named.after, "nn.Linear(64, 64)", "nn.Linear(WIDTH, WIDTH)")
    broken = change(3, used.after, '"""A train.py', 'import os\n"""A train.py')
    found = leave_one_out([named, used, broken], broken.after)
    assert found[0].problem is not None
    assert found[0].problem.startswith("what is left without it is no train.py: ")


def test_all_dead_weight_goes_out_at_once() -> None:
    changes = line()
    found = lean(changes, changes[-1].after, [1, 9])
    assert found is not None
    assert (found.removed, found.stuck) == ((1, 9), ())
    assert found.train_py == TRAIN_PY.replace("LR = 0.03", "LR = 0.05")
    assert lean_title(found) == "lean: without #1, #9"
    assert lean(changes, changes[-1].after, [4, 1, 9]) is not None


def test_what_two_changes_made_of_one_line_goes_out_when_both_do() -> None:
    changes = line()
    again = change(12, changes[-1].after, "MATRIX_LR = 0.05", "MATRIX_LR = 0.06")
    whole = [*changes, again]
    both = lean(whole, again.after, [4, 12])
    assert both is not None
    assert both.removed == (4, 12)
    assert "MATRIX_LR = 0.03" in both.train_py
    alone = lean(whole, again.after, [4, 9])
    assert alone is not None
    assert (alone.removed, alone.stuck) == ((9,), (4,))
    assert lean(whole, again.after, [4]) is None


def test_what_costs_clearly_when_it_is_missing_carries_its_weight() -> None:
    best = experiment(9, 0.990, 0.991, 0.9905, parent=4)
    found = worth(4, experiment(15, 0.9965, parent=9), best, NOISE)
    assert found.finding == "carries its weight"
    assert told(found) == "#4 is worth −0.0060 ±0.0012: it carries its weight"


def test_what_costs_nothing_when_it_is_missing_is_dead_weight() -> None:
    best = experiment(9, 0.990, 0.991, 0.9905, parent=4)
    found = worth(4, experiment(15, 0.9890, parent=9), best, NOISE)
    assert found.finding == "dead weight"
    assert told(found).startswith("dead weight: #4 is worth +0.0015 ±0.0012, P(worth more than")


def test_what_is_unclear_runs_again_and_stays_after_three_runs() -> None:
    best = experiment(9, 0.990, 0.991, 0.9905, parent=4)
    assert worth(4, experiment(15, 0.9912, parent=9), best, NOISE).finding is None
    thrice = experiment(15, 0.9912, 0.9911, 0.9913, parent=9)
    found = worth(4, thrice, best, NOISE)
    assert found.finding == "unclear"
    assert "unclear after 3 runs, it stays" in told(found)


def test_a_variant_is_discarded_whatever_it_scores_and_says_what_is_worth() -> None:
    best = experiment(9, 0.990, 0.991, 0.9905, parent=4)
    better = verdict(experiment(15, 0.9850, parent=9), best, NOISE, 4)
    assert better is not None
    assert better.event is Event.DISCARD
    assert better.reason.startswith("dead weight: #4 is worth +0.0055")
    assert better.facts["probability"] > 0.99
    assert (better.facts["gain"], better.facts["ablates"]) == (pytest.approx(-0.0055), 4)
    assert verdict(experiment(15, 0.9912, parent=9), best, NOISE, 4) is None


def test_without_a_score_or_a_noise_nothing_is_found() -> None:
    best = experiment(9, 0.99)
    assert worth(4, experiment(15, parent=9), best, NOISE).finding is None
    assert worth(4, experiment(15, 0.99), best, Noise(None, 0, 0)).gain is None
    assert told(worth(4, experiment(15, parent=9), best, NOISE)) == (
        "#4: not measured without it yet"
    )


def test_the_table_has_the_newest_variant_of_each_change() -> None:
    experiments = {
        e.id: e
        for e in (
            experiment(9, 0.99, 0.99, parent=4),
            experiment(15, 0.996, parent=9),
            experiment(16, 0.989, parent=9),
            experiment(21, 0.999, parent=9),
        )
    }
    proposals = {
        number: Proposal("idea", "ablate", ablates=ablates)
        for number, ablates in ((9, None), (15, (4,)), (16, (2,)), (21, (4,)))
    }
    rows = table(experiments, proposals, NOISE)
    assert [(row.experiment, row.variant, row.of) for row in rows] == [(2, 16, 9), (4, 21, 9)]


@pytest.mark.parametrize(("cost", "most"), [(2.0, 0.04), (3.0, 0.01)])
def test_what_is_worth_something_is_seldom_called_dead_weight(cost: float, most: float) -> None:
    draw, dead = random.Random(7), 0
    for _ in range(1000):
        best = experiment(9, *(draw.gauss(0, 1) for _ in range(5)))
        scores: list[float] = []
        finding = None
        while finding is None:
            scores.append(draw.gauss(cost, 1))
            finding = worth(4, experiment(15, *scores), best, Noise(1.0, 20, 10)).finding
        dead += finding == "dead weight"
    assert dead / 1000 <= most
