"""The size of code, however a text is laid out."""

from cockpit.core.code_size import code_lines

TEXT = '''"""About it."""

X = 1  # a constant


def f(a, b):
    """Add them."""
    return a + b
''' * 10  # fmt: skip


def test_comments_docstrings_and_blank_lines_count_for_nothing() -> None:
    size = code_lines(TEXT)
    assert size is not None
    assert 10 <= size <= 20
    assert code_lines(TEXT + "\n\n# more words\n") == size
    assert code_lines(TEXT.replace('"""Add them."""', '"""Add them, one to the other."""')) == size


def test_where_a_line_is_broken_does_not_matter() -> None:
    once = "total = sum(first, second, third)\n" * 10
    broken = once.replace("(", "(\n    ").replace(", ", ",\n    ")
    assert broken.count("\n") == 40
    assert code_lines(broken) == code_lines(once)


def test_golf_saves_nothing() -> None:
    plain = code_lines("A = 1\nB = 2\nC = 3\nD = 4\n" * 10)
    golf = code_lines("A, B, C, D = 1, 2, 3, 4\n" * 10)
    assert plain is not None
    assert golf is not None
    assert golf >= plain


def test_a_text_that_is_no_python_has_no_size() -> None:
    assert code_lines('"""never closed\n') is None
    assert code_lines("(\n") is None


def test_depth_is_no_matter() -> None:
    assert code_lines("X = " + " + ".join(["1"] * 5000) + "\n") == 1000
