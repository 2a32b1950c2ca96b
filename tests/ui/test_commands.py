"""What a person types in the agent pane."""

import pytest

from cockpit.ui.commands import HINT_CHARACTERS, Typed, parse


def test_plain_text_is_a_hint() -> None:
    assert parse(" try fewer heads ") == Typed("hint", {"text": "try fewer heads"})


@pytest.mark.parametrize("verb", ["pause", "resume", "skip", "help"])
def test_a_verb_with_a_slash_is_a_command(verb: str) -> None:
    assert parse(f"/{verb}") == Typed(verb)


def test_stop_may_be_at_once() -> None:
    assert parse("/stop") == Typed("stop", {"now": False})
    assert parse("/stop now") == Typed("stop", {"now": True})


@pytest.mark.parametrize("number", ["12", "#12"])
def test_a_decision_names_an_experiment(number: str) -> None:
    assert parse(f"/accept {number}") == Typed("accept", {"id": 12})


@pytest.mark.parametrize(
    "wrong", ["/accept", "/reject x", "/accept ²", "/pause now", "/frobnicate", "/hint", "", "/"]
)
def test_what_makes_no_sense_is_answered_with_a_line(wrong: str) -> None:
    answer = parse(wrong)
    assert isinstance(answer, str)
    assert "\n" not in answer


def test_a_hint_is_bounded() -> None:
    assert isinstance(parse("x" * (HINT_CHARACTERS + 1)), str)
