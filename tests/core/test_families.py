"""What a family of changes has brought, and whether it still does."""

from dataclasses import replace

import pytest

from cockpit.core.edits import Edit
from cockpit.core.experiment import Proposal, Status
from cockpit.core.families import area_of, families
from tests.core.tags import Row, proposals, tag

K, D, C = Status.KEPT, Status.DISCARDED, Status.CRASHED
ROWS: list[Row] = [
    (0, None, "baseline", K, (1.0, 1.0)),
    (1, 0, "halve the learning rate", K, (0.98,)),
    (2, 1, "longer warmdown", K, (0.97,)),
    (3, 2, "EMBEDDING_LR 0.3 → 0.2", D, (0.975,)),
    (4, 2, "learning rate of 9", C, ()),
    (5, 2, "rate again", Status.QUEUED, ()),
]


def test_a_family_counts_what_has_a_verdict() -> None:
    own = tag(ROWS)
    found = {family.name: family for family in families(own, proposals(own))}
    rates = found["step sizes"]
    assert (rates.tried, rates.kept, rates.failed, rates.measured) == (3, 1, 1, 2)
    assert rates.gain == pytest.approx(-0.02)
    assert rates.best == 1
    assert rates.success == pytest.approx(1 / 3)
    assert found["schedule"].kept == 1


def test_the_family_that_gained_most_stands_first() -> None:
    own = tag(ROWS)
    assert [family.name for family in families(own, proposals(own))] == ["step sizes", "schedule"]


def test_the_honest_gain_counts_where_the_rule_has_one() -> None:
    own = tag(ROWS)
    own[1] = replace(own[1], gain=-0.012)
    assert families(own, proposals(own))[0].gain == pytest.approx(-0.012)


def test_a_kept_change_on_a_lost_parent_gains_nothing() -> None:
    own = tag([*ROWS[:2], (2, 1, "lr", K, (0.9,))])
    own[1] = replace(own[1], status=D)
    assert families(own, proposals(own))[0].gain == 0.0


def test_constants_and_edits_tell_an_area_where_the_title_does_not() -> None:
    own = tag([(0, None, "baseline", K, (1.0,)), (1, 0, "an idea", D, (1.0,))])[1]
    assert area_of(own, None) == "other"
    assert area_of(own, Proposal("an idea", "x", constants={"WARMUP": 0.1})) == "schedule"
    edit = Edit("NUM_HEADS = 4\n", "NUM_HEADS = 8\n")
    assert area_of(own, Proposal("an idea", "x", edits=(edit,))) == "attention"


def lr_tries(gains: list[float]) -> dict[int, object]:
    rows: list[Row] = [(0, None, "baseline", K, (1.0,))]
    rows += [(n, 0, "lr", D, (1.0 + gain,)) for n, gain in enumerate(gains, 1)]
    return tag(rows)


@pytest.mark.parametrize(
    ("gains", "trend"),
    [
        ([-0.01, -0.011, -0.009, 0.001, 0.0, -0.001], "fading"),
        ([0.001, 0.0, -0.001, -0.01, -0.011, -0.009], "rising"),
        ([-0.01, 0.02, -0.03, 0.01, -0.02, 0.03], "level"),
        ([-0.01, 0.0, 0.0, 0.0, 0.0], ""),
    ],
)
def test_returns_diminish_only_beyond_the_noise(gains: list[float], trend: str) -> None:
    own = lr_tries(gains)
    assert families(own, proposals(own))[0].trend == trend
