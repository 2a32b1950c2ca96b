"""Foreign text made harmless, and numbers in columns."""

import pytest
from rich.cells import cell_len

from cockpit.ui import text

HOSTILE = "\x1b[31mred\x1b[0m \x1b]0;title\x07a\x9b31mb\x00\u202ec\r\nd"


def test_escape_sequences_and_controls_are_dropped() -> None:
    cleaned = text.clean(HOSTILE)
    assert cleaned.isprintable()
    assert "31m" not in cleaned.replace("31mb", "")
    assert "title" not in cleaned


def test_length_is_bounded() -> None:
    assert len(text.clean("x" * 10_000, 100)) == 100


def test_line_breaks_become_spaces() -> None:
    assert text.clean("a\nb") == "a b"


@pytest.mark.parametrize(
    "foreign", ["", "short", "日本語のタイトルです", "🙂" * 30, "e\u0301" * 40]
)
@pytest.mark.parametrize("width", [1, 2, 7, 20])
def test_fitted_text_has_exactly_its_width(foreign: str, width: int) -> None:
    assert cell_len(text.fit(text.clean(foreign), width)) == width


@pytest.mark.parametrize("foreign", ["a b c d e f", "unbroken" * 9, "日本語" * 9, "", "a  b"])
def test_wrapped_lines_hold_the_width_and_all_of_the_text(foreign: str) -> None:
    lines = text.wrap(foreign, 7)
    assert all(cell_len(line) <= 7 for line in lines)
    assert "".join(lines).replace(" ", "") == foreign.replace(" ", "")


def test_a_difference_has_a_true_minus_sign() -> None:
    assert text.signed(-0.0119) == "−0.0119"
    assert text.signed(0.0008) == "+0.0008"


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0:00"), (192.9, "3:12"), (15_000, "4:10 h"), (None, "—")]
)
def test_clock(seconds: float | None, told: str) -> None:
    assert text.clock(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(5, "now"), (700, "11m"), (15_000, "4h"), (9e5, "10d")]
)
def test_age(seconds: float, told: str) -> None:
    assert text.age(seconds) == told


@pytest.mark.parametrize(
    ("value", "told"), [(1_710_000, "1.71M"), (16_400, "16.4k"), (553, "553"), (None, "—")]
)
def test_count(value: float | None, told: str) -> None:
    assert text.count(value) == told


def test_size() -> None:
    assert text.size(59_200_000_000) == "59.2 GB"


@pytest.mark.parametrize(("seconds", "told"), [(10, "10s"), (300, "5m"), (7200, "2h")])
def test_budget(seconds: float, told: str) -> None:
    assert text.budget(seconds) == told
