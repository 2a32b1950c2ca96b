"""What a person types in the agent pane."""

import pytest

from cockpit.ui.commands import COMMANDS, HINT_CHARACTERS, Typed, parse


def test_plain_text_is_a_hint() -> None:
    expected = Typed("hint", {"text": "try fewer heads", "once": False})
    assert parse(" try fewer heads ") == expected
    assert parse("/hint try fewer heads") == expected


@pytest.mark.parametrize(
    "verb", ["pause", "resume", "undo", "help", "yours", "hints", "findings", "score"]
)
def test_a_verb_with_a_slash_is_a_command(verb: str) -> None:
    assert parse(f"/{verb}") == Typed(verb)


def test_what_runs_is_stopped_or_goes_back_to_the_queue() -> None:
    assert parse("/skip") == Typed("skip", {"requeue": False})
    assert parse("/skip requeue") == Typed("skip", {"requeue": True})


@pytest.mark.parametrize("verb", ["replicate", "rerun", "drop", "first", "later", "finish"])
def test_what_is_done_to_an_experiment_names_it(verb: str) -> None:
    assert parse(f"/{verb} #12") == Typed(verb, {"id": 12})


def test_a_base_is_an_experiment_or_the_best() -> None:
    assert parse("/branch 7") == Typed("branch", {"id": 7})
    assert parse("/branch best") == Typed("branch", {"id": None})


def test_the_best_is_confirmed_or_another() -> None:
    assert parse("/confirm") == Typed("confirm", {"id": None})
    assert parse("/confirm 3") == Typed("confirm", {"id": 3})
    assert parse("/ablate") == Typed("ablate")


def test_a_note_has_words() -> None:
    assert parse("/note 7 odd  curve") == Typed("note", {"id": 7, "text": "odd  curve"})


def test_stop_may_be_at_once() -> None:
    assert parse("/stop") == Typed("stop", {"now": False})
    assert parse("/stop now") == Typed("stop", {"now": True})


@pytest.mark.parametrize("number", ["12", "#12"])
def test_a_decision_names_an_experiment(number: str) -> None:
    assert parse(f"/accept {number}") == Typed("accept", {"id": 12})


def test_a_hint_may_be_for_once_changed_and_taken_back() -> None:
    assert parse("/once no depth") == Typed("hint", {"text": "no depth", "once": True})
    assert parse("/edit 3  less depth") == Typed("edit_hint", {"id": 3, "text": "less depth"})
    assert parse("/withdraw 3") == Typed("withdraw", {"id": 3})


def test_a_question_and_an_order_keep_their_words() -> None:
    assert parse("/ask why does /depth not help?") == Typed(
        "ask", {"text": "why does /depth not help?"}
    )
    assert parse("/try a cosine warmdown") == Typed("try", {"text": "a cosine warmdown"})


@pytest.mark.parametrize(
    "wrong",
    [
        "/accept", "/reject x", "/accept ²", "/pause now", "/frobnicate", "/hint", "", "/",
        "/once", "/ask", "/try ", "/edit", "/edit 3", "/edit x words", "/withdraw", "/withdraw 1 2",
        "/findings now", "/skip now", "/branch", "/branch worst", "/note 7", "/note words",
        "/undo 3", "/confirm it", "/replicate", "/note 7 " + "x" * 3000,
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_with_a_line(wrong: str) -> None:
    answer = parse(wrong)
    assert isinstance(answer, str)
    assert "\n" not in answer


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("/paus", "/pause"), ("/withdrw 3", "/withdraw"), ("/Findings", "/findings")],
)
def test_a_slip_is_told_what_was_meant(typed: str, meant: str) -> None:
    assert f"did you mean {meant}?" in str(parse(typed))


def test_a_hint_is_bounded() -> None:
    assert isinstance(parse("x" * (HINT_CHARACTERS + 1)), str)
    assert isinstance(parse("/ask " + "x" * (HINT_CHARACTERS + 1)), str)


def test_every_command_that_is_explained_is_understood() -> None:
    for usage, _ in COMMANDS:
        typed = usage.replace("N", "3").replace("TEXT", "words")
        for word in ("[now]", "[requeue]", "[3]"):
            typed = typed.replace(word, word.strip("[]"))
        assert isinstance(parse(typed.partition("|")[0]), Typed), usage
