"""From a proposal to a text, and what of it a search can learn from."""

import pytest

from cockpit.core.applying import ApplyError, applied, changed_constants
from cockpit.core.edits import Edit
from cockpit.core.experiment import Proposal

TEXT = "DEPTH = 4  # layers [2, 12]\nRATE = 0.02  # step\n\n\ndef main():\n    pass\n"


def edited(*edits: tuple[str, str]) -> Proposal:
    return Proposal("t", "llm", edits=tuple(Edit(*pair) for pair in edits))


def test_constants_edits_and_whole_texts_are_applied() -> None:
    assert "DEPTH = 6  # layers" in applied(Proposal("t", "search", constants={"DEPTH": 6}), TEXT)
    assert "RATE = 0.1" in applied(edited(("RATE = 0.02", "RATE = 0.1")), TEXT)
    assert applied(Proposal("t", "you", train_py="X = 1\n"), TEXT) == "X = 1\n"


def test_what_changes_nothing_or_does_not_fit_is_refused() -> None:
    with pytest.raises(ApplyError, match="has it already"):
        applied(Proposal("t", "search", constants={"DEPTH": 4}), TEXT)
    with pytest.raises(ApplyError, match="not in the file"):
        applied(edited(("SPEED = 1", "SPEED = 2")), TEXT)


def test_edits_of_constants_alone_are_told_as_constants() -> None:
    both = edited(
        ("DEPTH = 4  # layers [2, 12]", "DEPTH = 6  # layers [2, 12]"),
        ("RATE = 0.02", "RATE = 0.1  # faster"),
    )
    assert changed_constants(both) == {"DEPTH": 6, "RATE": 0.1}
    around = edited((TEXT, TEXT.replace("RATE = 0.02", "RATE = 0.5")))
    assert changed_constants(around) == {"RATE": 0.5}


def test_edits_of_anything_else_are_not() -> None:
    assert changed_constants(edited(("    pass", "    return"))) is None
    mixed = edited(("RATE = 0.02", "RATE = 0.1"), ("    pass", "    return"))
    assert changed_constants(mixed) is None
    assert changed_constants(edited(("RATE = 0.02  # step", "RATE = 0.1\nNEW = 3"))) is None
    assert changed_constants(Proposal("t", "you", train_py="X = 1\n")) is None
