"""Edit blocks: found exactly, found loosely, refused with a reason, and made of two texts."""

import random

import pytest

from cockpit.core.edits import Edit, EditError, apply, diff_lines, difference, parse

TEXT = """DEPTH = 8  # layers
DEPTH_TWO = 8
RATE = 0.02


def block(x):
    if x:
        y = norm(x)
        return y
    return x


def other(x):
    if x:
        return 1
    return x
"""


def test_whole_lines_are_replaced_where_they_stand() -> None:
    changed = apply(TEXT, [Edit("RATE = 0.02", "RATE = 0.04\nFLOOR = 0.1")])
    assert changed == TEXT.replace("RATE = 0.02\n", "RATE = 0.04\nFLOOR = 0.1\n")


def test_blocks_are_applied_one_after_the_other() -> None:
    edits = [Edit("RATE = 0.02", "RATE = 0.04"), Edit("RATE = 0.04", "RATE = 0.08")]
    assert "RATE = 0.08" in apply(TEXT, edits)


def test_a_part_of_a_line_will_do_but_never_a_part_of_a_name_or_number() -> None:
    assert "DEPTH = 12  # layers" in apply(TEXT, [Edit("DEPTH = 8", "DEPTH = 12")])
    with pytest.raises(EditError, match="not in the file"):
        apply(TEXT, [Edit("RATE = 0.0", "RATE = 1.0")])


def test_a_passage_that_is_there_twice_goes_back() -> None:
    with pytest.raises(EditError, match=r"edit 1: .* 2 times: quote more"):
        apply(TEXT, [Edit("    return x", "    return -x")])


def test_a_passage_without_its_indentation_is_found_and_keeps_the_files() -> None:
    edit = Edit("y = norm(x)\nreturn y", "y = norm(x)\nif y is None:\n    y = x\nreturn y")
    changed = apply(TEXT, [edit])
    assert "        if y is None:\n            y = x\n        return y\n" in changed


def test_a_loose_match_must_be_the_only_one_and_even() -> None:
    with pytest.raises(EditError, match="2 times"):
        apply(TEXT, [Edit("if  x:", "if not x:")])
    with pytest.raises(EditError, match="indentation of single lines"):
        apply(TEXT, [Edit("y = norm(x)\n   return y", "return x")])


def test_what_is_not_there_is_answered_with_the_nearest_lines() -> None:
    with pytest.raises(
        EditError, match=r"not in the file\nThe nearest lines are:\n        y = norm\(x\)"
    ):
        apply(TEXT, [Edit("        y = rmsnorm(x)\n        return y", "")])
    with pytest.raises(EditError, match="empty"):
        apply(TEXT, [Edit("  \n", "x")])


def test_an_empty_replacement_takes_the_lines_away() -> None:
    assert apply(TEXT, [Edit("DEPTH_TWO = 8\n", "")]) == TEXT.replace("DEPTH_TWO = 8\n", "")


def test_blocks_are_read_out_of_a_text() -> None:
    text = (
        "Here:\n<<<<<<< SEARCH\nRATE = 0.02\n=======\nRATE = 0.04\n>>>>>>> REPLACE\nand\n"
        "<<<<<<< SEARCH\nDEPTH_TWO = 8\n=======\n>>>>>>> REPLACE\n"
    )
    assert parse(text) == (Edit("RATE = 0.02", "RATE = 0.04"), Edit("DEPTH_TWO = 8", ""))
    assert parse("nothing") == ()
    with pytest.raises(EditError, match="1 edit blocks begin and 0 are whole"):
        parse("<<<<<<< SEARCH\nRATE = 0.02\n")


def test_a_difference_applied_to_the_old_text_gives_the_new_one() -> None:
    random.seed(5)
    lines = [f"line {n % 7}" for n in range(80)]
    for _ in range(200):
        new = list(lines)
        for _ in range(random.randint(1, 5)):
            at = random.randrange(len(new))
            put = [f"new {random.randint(0, 3)}"] * random.randint(0, 3)
            new[at : at + random.randint(0, 3)] = put
        old_text, new_text = "\n".join(lines) + "\n", "\n".join(new) + "\n"
        assert apply(old_text, difference(old_text, new_text)) == new_text


def test_a_difference_is_small_and_carries_over_to_a_newer_text() -> None:
    edits = difference(TEXT, TEXT.replace("RATE = 0.02", "RATE = 0.04"))
    assert sum(len(edit.search) for edit in edits) < 60
    newer = TEXT.replace("return 1", "return 2")
    assert apply(newer, edits) == newer.replace("RATE = 0.02", "RATE = 0.04")
    assert {"-RATE = 0.02", "+RATE = 0.04"} <= set(diff_lines(edits))
    assert difference(TEXT, TEXT) == ()
