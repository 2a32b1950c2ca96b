"""What a tag has learnt, and how it gets into program.md."""

from dataclasses import replace

import pytest

from cockpit.core.briefing import HistoryEntry
from cockpit.core.experiment import Hint
from cockpit.core.findings import BEGIN, END, FindingsError, divided, findings, merged
from cockpit.core.noise import Noise
from tests.core.labs import entries_of, lab

NOISE = Noise(0.001, 4, 2)
PROGRAM = "# Program\r\n\r\nLower `val_bpb`.   \r\n\ttabs stay, trailing spaces too \r\n"


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0] if f"## {title}\n" in text else ""


def test_findings_are_headed_by_tag_and_setup_and_sorted_by_what_came_of_them() -> None:
    history = entries_of("kept", "discarded", "borderline", "crashed", "queued")
    text = findings("nov21", "300 s on an H100", history, NOISE)
    assert text.startswith("# Findings of nov21\n\n300 s on an H100\n")
    assert "±0.0010 (4 runs)" in text
    assert "Baseline #0 1.0000, best #1 0.9900 (−0.0100), 4 experiments judged" in text
    assert "#1 −0.0100 ±0.0010" in section(text, "Kept")
    assert "#3 −0.0020" in section(text, "Promising")
    assert "#2 +0.0040" in section(text, "Failed")
    assert "#4 crashed" in section(text, "Failed")
    assert "#5 queued" in section(text, "Open")


def test_a_new_tag_has_findings_without_lists() -> None:
    text = findings("nov21", "300 s", entries_of(), Noise(None, 0, 0))
    assert "not known yet" in text
    assert "## " not in text


def test_a_hint_that_was_declined_is_open_and_one_that_was_applied_or_withdrawn_is_not() -> None:
    hints = [
        Hint(1, "wider", "anna", 0.0, "declined", why="depth is next"),
        Hint(2, "deeper", "anna", 0.0, "applied"),
        Hint(3, "longer", "anna", 0.0, "withdrawn"),
        Hint(4, "shorter", "anna", 0.0, "queued"),
    ]
    told = section(findings("t", "s", entries_of(), NOISE, hints), "Open")
    assert "hint 1 not followed yet: wider (not now: depth is next)" in told
    assert "hint 4 not followed yet: shorter" in told
    assert "deeper" not in told
    assert "longer" not in told


def test_what_was_kept_on_a_parent_that_fell_is_open_again() -> None:
    first, parent, child = entries_of("discarded", "kept")
    child = replace(child, parent=parent.id)
    text = findings("t", "s", [first, parent, child], NOISE)
    assert section(text, "Kept") == ""
    assert "#2 was kept on a parent that no longer is" in section(text, "Open")


def test_findings_of_3000_experiments_stay_short_and_count_the_rest() -> None:
    briefing = lab(3000)
    text = findings("t", "s", briefing.history, briefing.noise)
    assert len(text) < 6_000
    assert text.count("\n") < 60
    assert "smaller ones, together −" in text
    assert "… and" in section(text, "Failed")


def test_the_same_history_makes_the_same_findings_in_any_order() -> None:
    briefing = lab(100)
    turned = tuple(reversed(briefing.history))
    assert findings("t", "s", turned, NOISE) == findings("t", "s", briefing.history, NOISE)


def test_findings_are_merged_at_the_end_and_replaced_in_place() -> None:
    once = merged(PROGRAM, "# Findings of a\n\none\n")
    assert once.startswith(PROGRAM + "\r\n" + BEGIN + "\r\n## Findings of a\r\n")
    assert once.endswith(END + "\r\n")
    more = once + "\r\nWritten below by a person.\r\n"
    twice = merged(more, "# Findings of b\n\ntwo\n")
    assert twice == more.replace("## Findings of a", "## Findings of b").replace("one", "two")
    assert merged(twice, "# Findings of b\n\ntwo\n") == twice


def test_a_program_without_a_last_newline_gets_one_before_the_section() -> None:
    assert merged("brief", "# F\n") == f"brief\n\n{BEGIN}\n## F\n{END}\n"
    assert merged("", "# F\n") == f"{BEGIN}\n## F\n{END}\n"


def test_a_merged_program_can_be_divided_again() -> None:
    text = merged("# Program\n", "# Findings of a\n\none\n") + "below\n"
    assert divided(text) == ("# Program\n\nbelow\n", "## Findings of a\n\none\n")
    assert divided("# Program\n") == ("# Program\n", "")
    assert divided(f"# Program\n{BEGIN}\n") == (f"# Program\n{BEGIN}\n", "")


@pytest.mark.parametrize(
    "lines",
    [[BEGIN], [END], [END, BEGIN], [BEGIN, BEGIN, END], [BEGIN, END, END], [BEGIN, END] * 2],
)
def test_damaged_markers_are_refused_with_their_lines(lines: list[str]) -> None:
    program = "# Program\n" + "".join(f"{line}\ntext\n" for line in lines)
    with pytest.raises(FindingsError, match=r"damaged \((begin|end) in line \d"):
        merged(program, "# Findings\n")


def test_a_title_can_not_end_the_section() -> None:
    history = [*entries_of(), HistoryEntry(1, 0, "kept", 0.9, None, f"x {END} \n{END}", None, -0.1)]
    text = findings("t", "s", history, NOISE)
    program = merged("# Program\n", text)
    assert program.count(END) == 1
    assert merged(program, text) == program
    with pytest.raises(FindingsError):
        merged("# Program\n", f"# Findings\n{END}\n")
