"""From constants to the space of a search."""

import pytest

from cockpit.core.constants import read
from cockpit.proposers.space import Knob, knob_of, knobs, shown


def knob(line: str) -> Knob | None:
    (constant,) = read(line).values()
    return knob_of(constant)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A = 0.02  # x [0.005, 0.08, log]", Knob("A", "float", 0.005, 0.08, True)),
        ("A = 0.5  # x [0.0, 1.0]", Knob("A", "float", 0.0, 1.0)),
        ("A = 4  # x [2, 12]", Knob("A", "int", 2, 12)),
        ("A = 4096  # x [2048, 65536, pow2]", Knob("A", "pow2", 11, 16)),
        ("A = 'S'  # x [S|L]", Knob("A", "choice", choices=("S", "L"))),
        ("A = 'X'  # x [S|L]", Knob("A", "choice", choices=("S", "L", "X"))),
        ("A = True", Knob("A", "choice", choices=(False, True))),
        ("A = 0.02", Knob("A", "float", 0.005, 0.08, True)),
        ("A = 0.5", Knob("A", "float", 0.125, 1.0, True)),
        ("A = 10.0", Knob("A", "float", 5.0, 20.0, True)),
        ("A = 6", Knob("A", "int", 3, 12)),
        ("A = 1", Knob("A", "int", 1, 2)),
        ("A = 64", Knob("A", "pow2", 5, 7)),
        ("COMPILE = False  # x [True|False]", Knob("COMPILE", "choice", choices=(True, False))),
    ],
)
def test_a_range_comes_from_the_comment_else_from_the_value(line: str, expected: Knob) -> None:
    assert knob(line) == expected


@pytest.mark.parametrize(
    "line",
    ["PRESET = 'auto'", "PRESET = 'a'  # x [a|b]", "COMPILE = False", "PRECISION = 'bfloat16'",
     "DEVICE_BATCH_ROWS = 16", "A = 256  # given [fixed]", "A = 'text'", "A = 0", "A = 0.0",
     "A = -3", "A = 'S'  # x [S]"],
)  # fmt: skip
def test_what_is_no_research_knob_is_left_out(line: str) -> None:
    assert knob(line) is None


@pytest.mark.parametrize(
    ("line", "low", "high"),
    [
        ("A = 524288  # x [1024, 16384, pow2]", 17, 21),
        ("A = 0.4  # x [0.01, 0.09, log]", 0.4 / 3, 1.2),
        ("A = 20  # x [2, 12]", 15, 25),
    ],
)
def test_a_value_outside_its_range_moves_the_range(line: str, low: float, high: float) -> None:
    found = knob(line)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high))


def test_values_are_rounded_clipped_and_given_back() -> None:
    rate = Knob("A", "float", 0.005, 0.08, True)
    assert rate.outer(0.0312345) == 0.0312
    assert rate.outer(0.005001) == 0.005
    assert rate.inner(5.0) == 0.08
    tokens = Knob("A", "pow2", 11, 16)
    assert (tokens.inner(4096), tokens.outer(12), tokens.inner(10)) == (12, 4096, 11)
    pattern = Knob("A", "choice", choices=("S", "L"))
    assert (pattern.inner("L"), pattern.inner("other")) == ("L", "S")


def test_a_knob_suits_only_the_constant_it_was_made_for() -> None:
    depth = knobs(read("A = 4  # x [2, 12]").values())["A"]
    assert depth.suits(read("A = 5")["A"])
    assert not depth.suits(read("A = 5.0")["A"])
    assert not depth.suits(read("A = 5  # [fixed]")["A"])
    assert not depth.suits(None)


def test_values_are_shown_as_a_person_writes_them() -> None:
    assert [shown(v) for v in (15.0, 0.0312, 1e-05, 4, "SL", True)] == [
        "15", "0.0312", "1e-05", "4", "SL", "True",
    ]  # fmt: skip
