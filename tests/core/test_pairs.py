"""Changes that were tried together and apart: what the tree can tell, and nothing else."""

import pytest

from cockpit.core.edits import Edit
from cockpit.core.experiment import Experiment, Proposal, Status
from cockpit.core.noise import Noise
from cockpit.core.pairs import pairs
from tests.core.tags import proposals, tag

K, D = Status.KEPT, Status.DISCARDED
NOISE = Noise(0.001, 10, 5)
LR, WIDE = Proposal("lr", "x", constants={"LR": 0.1}), Proposal("wide", "x", constants={"W": 9})


def two_on_one_base(again: tuple[float, ...]) -> dict[int, Experiment]:
    """#1 and #2 both on the baseline; #3 is #2 once more, on #1."""
    return tag(
        [
            (0, None, "baseline", K, (1.0,)),
            (1, 0, "lr", K, (0.98,)),
            (2, 0, "wide", D, (0.99,)),
            (3, 1, "wide", K, again),
        ]
    )


def test_a_change_reapplied_on_another_is_measured_alone_and_in_company() -> None:
    own = two_on_one_base((0.96,))
    found = pairs(own, proposals(own, p3=Proposal("wide", "x", reapplies=2)), NOISE)
    assert len(found) == 1
    pair = found[0]
    assert (pair.change, pair.company, pair.by, pair.how) == (2, (1,), 3, "re-applied")
    assert (pair.apart, pair.together) == (pytest.approx(-0.01), pytest.approx(-0.02))
    assert pair.interaction == pytest.approx(-0.01)
    assert pair.error == pytest.approx(0.002)  # four means of one run each
    assert pair.says == "help each other"


@pytest.mark.parametrize(
    ("again", "says"),
    [(0.9705, "add up, as far as the noise shows"), (0.985, "in each other's way")],
)
def test_less_than_two_errors_says_nothing(again: float, says: str) -> None:
    own = two_on_one_base((again,))
    changes = proposals(own, p2=WIDE, p3=WIDE)
    assert [pair.says for pair in pairs(own, changes, NOISE)] == [says]


def test_the_same_edits_are_the_same_change() -> None:
    own = two_on_one_base((0.96,))
    edit = (Edit("a = 1\n", "a = 2\n"),)
    same = Proposal("wide", "x", edits=edit)
    assert len(pairs(own, proposals(own, p2=same, p3=same), NOISE)) == 1


def test_changes_without_a_known_text_are_not_compared() -> None:
    own = two_on_one_base((0.96,))
    assert not pairs(own, proposals(own), NOISE)


def test_the_same_change_on_unrelated_bases_tells_nothing() -> None:
    own = tag(
        [
            (0, None, "baseline", K, (1.0,)),
            (1, 0, "a", K, (0.9,)),
            (2, 0, "b", K, (0.9,)),
            (3, 1, "lr", D, (0.9,)),
            (4, 2, "lr", D, (0.8,)),
        ]
    )
    assert not pairs(own, proposals(own, p3=LR, p4=LR), NOISE)


def test_what_is_taken_out_again_shows_its_worth_in_company() -> None:
    own = tag(
        [
            (0, None, "baseline", K, (1.0,)),
            (1, 0, "lr", K, (0.98,)),
            (2, 1, "wide", K, (0.95,)),
            (3, 2, "without lr", D, (0.95,)),
        ]
    )
    pair = pairs(own, proposals(own, p3=Proposal("without lr", "x", ablates=(1,))), NOISE)[0]
    assert (pair.change, pair.company, pair.how) == (1, (2,), "taken out")
    assert pair.apart == pytest.approx(-0.02)
    assert pair.together == pytest.approx(0.0)
    assert pair.error == pytest.approx(0.002)
    assert pair.says == "in each other's way"


def test_taking_out_the_newest_alone_is_no_pair() -> None:
    own = tag([(0, None, "b", K, (1.0,)), (1, 0, "lr", K, (0.98,)), (2, 1, "no lr", D, (1.0,))])
    assert not pairs(own, proposals(own, p2=Proposal("no lr", "x", ablates=(1,))), NOISE)


def test_parts_of_a_joint_change_measured_alone_are_compared_with_it() -> None:
    own = tag(
        [
            (0, None, "baseline", K, (1.0,)),
            (1, 0, "lr", D, (0.99,)),
            (2, 0, "wide", D, (0.98,)),
            (3, 0, "both", K, (0.97,)),
        ]
    )
    both = Proposal("both", "x", constants={"LR": 0.1, "W": 9})
    pair = pairs(own, proposals(own, p1=LR, p2=WIDE, p3=both), NOISE)[0]
    assert (pair.change, pair.company, pair.how) == (1, (2,), "combined")
    assert pair.interaction == pytest.approx(0.0)
    assert pair.error == pytest.approx(0.002)


def test_without_noise_nothing_is_claimed() -> None:
    own = two_on_one_base((0.96,))
    found = pairs(own, proposals(own, p2=WIDE, p3=WIDE), Noise(None, 0, 0))
    assert [pair.says for pair in found] == ["noise not known"]
