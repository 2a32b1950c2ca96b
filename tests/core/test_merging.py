"""Taking a change out of a text that has moved on."""

import random

import pytest

from cockpit.core.merging import merge

BASE = "a = 1\nb = 2\nc = 3\n\ndef f():\n    return a\n"


def test_changes_of_different_lines_are_both_in_the_merge() -> None:
    ours = BASE.replace("a = 1", "a = 10")
    theirs = BASE.replace("return a", "return b")
    assert merge(BASE, ours, theirs) == ours.replace("return a", "return b")


def test_changes_of_neighbouring_lines_are_no_conflict() -> None:
    ours, theirs = BASE.replace("a = 1", "a = 10"), BASE.replace("b = 2", "b = 20")
    assert merge(BASE, ours, theirs) == "a = 10\nb = 20\nc = 3\n\ndef f():\n    return a\n"


def test_two_lines_changed_at_once_are_two_changes() -> None:
    child = BASE.replace("b = 2", "b = 20")
    best = child.replace("a = 1", "a = 10").replace("c = 3", "c = 30")
    assert merge(child, best, BASE) == best.replace("b = 20", "b = 2")


def test_what_both_have_made_of_one_line_is_a_conflict() -> None:
    assert merge(BASE, BASE.replace("a = 1", "a = 10"), BASE.replace("a = 1", "a = 9")) is None


def test_what_both_have_put_into_one_place_is_a_conflict() -> None:
    ours, theirs = BASE.replace("c = 3\n", "c = 3\nd = 4\n"), BASE.replace("c = 3\n", "c = 3\ne\n")
    assert merge(BASE, ours, theirs) is None


def test_a_change_inside_what_the_other_has_removed_is_a_conflict() -> None:
    ours = BASE.replace("    return a\n", "    c = 5\n    return a\n")
    theirs = BASE.replace("def f():\n    return a\n", "")
    assert merge(BASE, ours, theirs) is None


def test_the_same_change_on_both_sides_counts_once() -> None:
    both = BASE.replace("a = 1", "a = 10")
    assert merge(BASE, both, both) == both


@pytest.mark.parametrize("seed", range(30))
def test_a_change_that_is_taken_out_leaves_what_the_others_alone_make(seed: int) -> None:
    draw = random.Random(seed)
    lines = [f"line {n}\n" for n in range(40)]
    places = draw.sample(range(0, 40, 2), 6)

    def text_with(chosen: list[int]) -> str:
        made = list(lines)
        for place in chosen:
            kind = place % 3
            made[place] = (f"new {place}\n", "", f"line {place}\nmore {place}\n")[kind]
        return "".join(made)

    for removed in places:
        before = places[: places.index(removed)]
        child = text_with([*before, removed])
        without = merge(child, text_with(places), text_with(before))
        assert without == text_with([place for place in places if place != removed])
