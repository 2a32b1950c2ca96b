"""Only what differs is drawn again."""

import pytest

from cockpit.ui.lines import changed_span
from cockpit.ui.text import Line


def plain(text: str) -> Line:
    return ((text, ""),)


def test_equal_lines_are_left_alone() -> None:
    assert changed_span(plain("abc"), plain("abc")) is None


@pytest.mark.parametrize(
    ("old", "new", "span"),
    [
        ("loss 3.214 step", "loss 3.215 step", (8, 10)),
        ("abc", "abcd", (2, None)),
        ("", "a", (0, None)),
        ("日本 1 x", "日本 2 x", (4, 6)),
    ],
)
def test_the_span_covers_what_differs(old: str, new: str, span: tuple[int, int | None]) -> None:
    assert changed_span(plain(old), plain(new)) == span


def test_another_colour_is_a_difference() -> None:
    assert changed_span((("ab", "kept"),), (("ab", "best"),)) == (0, 2)
