"""Lines of code, however a text is laid out."""

from cockpit.core.code_size import code_lines

TEXT = '''"""About it."""

X = 1  # a constant


def f(a, b):
    """Add them."""
    return a + b
'''


def test_comments_docstrings_and_blank_lines_count_for_nothing() -> None:
    assert code_lines(TEXT) == 3
    assert code_lines(TEXT + "\n\n# more words\n") == 3


def test_layout_does_not_matter() -> None:
    wide = TEXT.replace("a + b", "(\n        a\n        + b\n    )")
    assert code_lines(wide) == code_lines(TEXT)
    assert code_lines("X = 1; Y = 2\n") == code_lines("X = 1\nY = 2\n") == 2


def test_a_text_that_is_no_python_has_no_size() -> None:
    assert code_lines("def f(:\n") == 0
    assert code_lines("\0") == 0
