"""Reading and rewriting UPPER_CASE constants."""

import ast
import random

import pytest

from cockpit.core.constants import (
    Choices,
    ConstantsError,
    Interval,
    Value,
    read,
    render,
    rewrite,
    with_ranges,
)

TEXT = '''"""Docs: DEPTH = 9 [1, 2]."""
import math

PRESET = "auto"  # which preset
DEPTH = 4  # transformer layers [2, 12]
lower = 3
MATRIX_LR: float = 0.02   # Muon step size [0.005, 0.08, log]
TOTAL_BATCH = 2**16  # tokens [2048, 65_536, pow2]
OFFSET = -1_000
PATTERN = 'SSSL'  # windows [SSSL|SL|L]
FLAG = True; OTHER = 1.5e-3  # both [see the paper]
BASE = (
    10000.0  # wavelength [500.0, 200000.0, log]
)
SEQUENCE = 256  # given [fixed]
COMPUTED = math.pi
UMLAUT = "größe"  # grün [a|b]
if True:
    NESTED = 1


def main():
    LOCAL = 1
'''


def test_constants_have_value_comment_and_range() -> None:
    found = read(TEXT)
    assert list(found) == [
        "PRESET", "DEPTH", "MATRIX_LR", "TOTAL_BATCH", "OFFSET", "PATTERN", "FLAG", "OTHER",
        "BASE", "SEQUENCE", "UMLAUT",
    ]  # fmt: skip
    assert (found["DEPTH"].value, found["DEPTH"].line) == (4, 5)
    assert found["DEPTH"].comment == "transformer layers"
    assert found["DEPTH"].search == Interval(2, 12)
    assert found["MATRIX_LR"].search == Interval(0.005, 0.08, "log")
    assert (found["TOTAL_BATCH"].value, found["TOTAL_BATCH"].search) == (
        65536, Interval(2048, 65536, "pow2"),
    )  # fmt: skip
    assert found["OFFSET"].value == -1000
    assert found["PATTERN"].search == Choices(("SSSL", "SL", "L"))
    assert found["FLAG"].value is True
    assert found["OTHER"].comment == "both [see the paper]"
    assert found["BASE"].search == Interval(500, 200000, "log")
    assert found["SEQUENCE"].fixed
    assert found["SEQUENCE"].search is None


def test_rewriting_changes_only_the_values() -> None:
    new: dict[str, Value] = {
        "DEPTH": 5, "MATRIX_LR": 0.0123, "TOTAL_BATCH": 4096, "BASE": 5, "UMLAUT": "ß",
        "FLAG": False,
    }  # fmt: skip
    told = rewrite(TEXT, new)
    expected = (
        TEXT.replace("DEPTH = 4", "DEPTH = 5")
        .replace("= 0.02 ", "= 0.0123 ")
        .replace("2**16", "4096")
        .replace("10000.0 ", "5.0 ")
        .replace('"größe"', '"ß"')
        .replace("FLAG = True", "FLAG = False")
    )
    assert told == expected


def test_rewriting_with_the_same_values_changes_no_byte() -> None:
    assert rewrite(TEXT, {name: c.value for name, c in read(TEXT).items()}) == TEXT
    crlf = TEXT.replace("\n", "\r\n")
    assert rewrite(crlf, {"DEPTH": 6}) == crlf.replace("DEPTH = 4", "DEPTH = 6")


def random_value(generator: random.Random, kind: type) -> object:
    if kind is bool:
        return generator.random() < 0.5
    if kind is int:
        return generator.randint(-(10**12), 10**12)
    if kind is float:
        return generator.choice([-1, 1]) * 10 ** generator.uniform(-300, 300)
    letters = "ab'\"\\\n\t#[]{}é\u2028\x00😀"
    return "".join(generator.choice(letters) for _ in range(generator.randint(0, 12)))


@pytest.mark.parametrize("seed", range(60))
def test_what_is_written_is_read_again(seed: int) -> None:
    generator = random.Random(seed)
    before = read(TEXT)
    names = generator.sample(list(before), 5)
    new = {name: random_value(generator, type(before[name].value)) for name in names}
    text = rewrite(TEXT, new)
    after = read(text)
    ast.parse(text)
    assert {name: after[name].value for name in names} == new
    assert {n: c.value for n, c in after.items() if n not in new} == {
        n: c.value for n, c in before.items() if n not in new
    }
    assert {n: (c.comment, c.search) for n, c in after.items()} == {
        n: (c.comment, c.search) for n, c in before.items()
    }
    restored = rewrite(text, {name: before[name].value for name in names})
    assert {n: c.value for n, c in read(restored).items()} == {
        n: c.value for n, c in before.items()
    }


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"MISSING": 1}, "MISSING"),
        ({"lower": 1}, "lower"),
        ({"DEPTH": 1.0}, "DEPTH is a whole number"),
        ({"DEPTH": True}, "DEPTH is a whole number"),
        ({"FLAG": 1}, "FLAG is a truth value"),
        ({"PATTERN": 3}, "PATTERN is a text"),
        ({"MATRIX_LR": float("nan")}, "finite"),
        ({"MATRIX_LR": "0.1"}, "MATRIX_LR is a number"),
        ({"MATRIX_LR": 10**400}, "too large"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(values: dict[str, object], told: str) -> None:
    with pytest.raises(ConstantsError, match=told):
        rewrite(TEXT, values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["A = (", "def f(:\n", "A = 1\n  B = 2\n", "A = '\x00'", "A = '\ud800'"]
)
def test_a_text_that_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(ConstantsError):
        read(text)


@pytest.mark.parametrize(
    "literal",
    [
        "9**9**9",
        "1/0",
        "2**-0.5j",
        "1e999",
        "(-1)**0.5",
        "None",
        "b'x'",
        "f'{1}'",
        "1j",
        "10**5000",
    ],
)
def test_what_is_no_plain_value_is_no_constant(literal: str) -> None:
    assert read(f"A = {literal}\nB = 1\n").keys() == {"B"}


def test_of_two_assignments_the_last_counts() -> None:
    text = "A = 1\nA = 2\nB = 1\nB = len('x')\n"
    assert {n: c.value for n, c in read(text).items()} == {"A": 2}
    assert rewrite(text, {"A": 5}).startswith("A = 1\nA = 5\n")


@pytest.mark.parametrize(
    "brackets",
    [
        "[1]",
        "[3, 1]",
        "[1, 2, 3]",
        "[a, b]",
        "[0, 1, log]",
        "[inf, 1]",
        "[]",
        "[0.5, 8, pow2]",
        "[x|y]",
    ],
)
def test_brackets_that_are_no_range_stay_comment(brackets: str) -> None:
    constant = read(f"A = 4  # told {brackets}")["A"]
    assert (constant.search, constant.comment) == (None, f"told {brackets}")


def test_numbers_are_written_short() -> None:
    assert [render(v) for v in (0.0123, 1e-05, 524288, True, "SSSL", 'a"b')] == [
        "0.0123", "1e-05", "524288", "True", '"SSSL"', "'a\"b'",
    ]  # fmt: skip


def test_a_form_feed_above_does_not_move_a_range_to_another_constant() -> None:
    text = "A = 1  # one [0, 4]\n\f\nDEPTH = 4  # layers [2, 12]\n"
    assert with_ranges(text, {"DEPTH": "[4, 16]"}) == text.replace("[2, 12]", "[4, 16]")


def test_a_range_without_brackets_to_replace_is_refused() -> None:
    with pytest.raises(ConstantsError, match="no range"):
        with_ranges("A = 1  # one\n", {"A": "[0, 4]"})
