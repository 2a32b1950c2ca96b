"""What models write, well and badly."""

import json

import pytest

from cockpit.core.answers import AnswerError, Said, from_text, from_tool, unanswered
from cockpit.core.edits import Edit
from cockpit.core.experiment import Hint, HintAnswer
from cockpit.core.tool import TOOL
from cockpit.core.unfinished import closed, readable

WHOLE = {
    "title": "Depth 5",
    "hypothesis": "One layer more.",
    "predicted_change": -0.004,
    "edits": [{"search": "DEPTH = 4", "replace": "DEPTH = 5"}],
    "hints": [{"id": 3, "applied": True, "why": "as asked"}],
}
SAID = Said(
    "Depth 5",
    "One layer more.",
    -0.004,
    (Edit("DEPTH = 4", "DEPTH = 5"),),
    (HintAnswer(3, True, "as asked"),),
)
TEXT = """Let me think about it.

TITLE: Depth 5
HYPOTHESIS: One layer more.
PREDICTED: -0.004
HINT 3: applied: as asked
<<<<<<< SEARCH
DEPTH = 4
=======
DEPTH = 5
>>>>>>> REPLACE
"""


def tool(**fields: object) -> str:
    return json.dumps(WHOLE | fields)


def hint(number: int, **fields: object) -> Hint:
    return Hint(number, "do it", "ada", 0.0, **fields)  # type: ignore[arg-type]


# --- a tool call -------------------------------------------------------------------------------


def test_a_call_is_read() -> None:
    assert from_tool(json.dumps(WHOLE)) == SAID


def test_what_the_tool_requires_is_what_is_read() -> None:
    parameters = TOOL["function"]["parameters"]
    assert set(parameters["properties"]) == set(WHOLE)
    assert set(parameters["required"]) == set(WHOLE) - {"hints"}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("-0.004", -0.004),
        ("about −0.01 bpb", -0.01),
        (None, None),
        ("better", None),
        (True, None),
        (float("nan"), None),
        ("1e999", None),
    ],
)
def test_a_prediction_is_a_finite_number_or_none(given: object, read: float | None) -> None:
    assert from_tool(tool(predicted_change=given)).predicted == read


def test_slips_that_hurt_nobody_are_forgiven() -> None:
    said = from_tool(
        tool(
            edits=json.dumps(WHOLE["edits"]),
            hints=[{"id": "#3", "applied": "true", "why": "as asked", "mood": "good"}],
        )
    )
    assert said == SAID
    assert from_tool(tool(hints=None)).hints == ()
    assert from_tool('{"title": "a\nb", "edits": [{"search": "x", "replace": ""}]}').title == "a b"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"title": "x", "edits": [}', "not JSON: Expecting value at character 25, between"),
        ("", "not JSON"),
        ('["x"]', "must be an object"),
        ("[" * 100_000, "nested|JSON"),
        ('{"predicted_change": ' + "1" * 5000 + "}", "JSON that can be read"),
        (tool(title=""), "no title"),
        (tool(title=["x"]), "no title"),
        (tool(edits=[]), "no edits"),
        (tool(edits=None), "edits must be a list"),
        (tool(edits="DEPTH = 5"), "not a text"),
        (tool(edits=[{"search": "x"}]), "edit 1 must have the texts search and replace"),
        (tool(edits=[{"search": "x", "replace": "a\0b"}]), "edit 1 has characters"),
        (tool(edits=[{"search": "x", "replace": "\ud83d"}]), "edit 1 has characters"),
        (tool(hints={"3": "done"}), "hints must be a list"),
        (tool(hints=[{"applied": True}]), "each of hints"),
        (tool(hints=[{"id": 10**30, "applied": True}]), "each of hints"),
    ],
)
def test_what_can_not_be_read_says_what_to_mend(arguments: str, told: str) -> None:
    with pytest.raises(AnswerError, match=told):
        from_tool(arguments)


def test_words_become_printable_and_short() -> None:
    title = "\x1b[2J\x1b]0;pwned\x07Depth\u202e 5\r\nnow " + "x" * 500
    said = from_tool(tool(title=title, hypothesis="one\n\x1b[31mtwo\x07 " + "y" * 5000))
    assert said.title.startswith("Depth 5 now xxx")
    assert len(said.title) == 120
    assert said.hypothesis.startswith("one\ntwo yyy")
    assert len(said.hypothesis) == 2000


# --- a text ------------------------------------------------------------------------------------


def test_a_text_is_read() -> None:
    assert from_text(TEXT) == SAID
    assert from_text(TEXT.replace("\n", "\r\n")) == SAID


def test_a_text_in_the_manner_of_markdown_is_read() -> None:
    text = (
        "# Proposal\n**TITLE:** Depth 5\n**Hypothesis:** One\nlayer more.\n\n"
        "- **Predicted change**: −0.004 or so\n> HINT #3: Applied — as asked\n"
        "```python\n<<<<<<< SEARCH\nDEPTH = 4\n=======\nDEPTH = 5\n>>>>>>> REPLACE\n```\nDone."
    )
    said = from_text(text)
    assert (said.title, said.hypothesis) == ("Depth 5", "One\nlayer more.")
    assert (said.predicted, said.edits) == (-0.004, SAID.edits)
    assert said.hints == SAID.hints


def test_the_tools_arguments_written_as_text_are_read() -> None:
    assert from_text(json.dumps(WHOLE)) == SAID
    assert from_text(f"```json\n{json.dumps(WHOLE, indent=2)}\n```") == SAID


def test_hints_of_a_text() -> None:
    text = TEXT + "HINT 4: not now: depth is next\nand it is late\nHINT 5: applied\n"
    assert from_text(text).hints[1:] == (
        HintAnswer(4, False, "depth is next and it is late"),
        HintAnswer(5, True, ""),
    )
    with pytest.raises(AnswerError, match="HINT 4 must begin with"):
        from_text(TEXT + "HINT 4: maybe\n")


def test_lines_within_blocks_are_no_fields() -> None:
    text = TEXT.replace("DEPTH = 5\n", "DEPTH = 5\n# TITLE: not this\n# HINT 9: maybe\n")
    assert from_text(text).title == "Depth 5"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no line TITLE"),
        ("I can't help with that.", "no line TITLE"),
        ("TITLE: Depth 5\nHYPOTHESIS: none\n", "no edits"),
        (TEXT.replace(">>>>>>> REPLACE\n", ""), "1 edit blocks begin and 0 are whole"),
    ],
)
def test_a_text_that_can_not_be_read_says_what_to_mend(text: str, told: str) -> None:
    with pytest.raises(AnswerError, match=told):
        from_text(text)


def test_without_blocks_only_the_lines_are_read() -> None:
    said = from_text("TITLE: Depth 5\nPREDICTED: -0.004\n", blocks=False)
    assert (said.title, said.predicted, said.edits) == ("Depth 5", -0.004, ())


# --- hints -------------------------------------------------------------------------------------


def test_every_hint_has_to_be_answered() -> None:
    assert unanswered(SAID, [hint(3)]) is None
    assert "hint 4 is not answered" in (unanswered(SAID, [hint(3), hint(4)]) or "")
    told = unanswered(SAID, [hint(4), hint(5), hint(6, order=True)]) or ""
    assert "hints 4, 5 and 6 are not answered" in told


def test_not_now_needs_a_reason() -> None:
    silent = Said("x", "", None, (), (HintAnswer(3, False, ""),))
    assert "why not now" in (unanswered(silent, [hint(3)]) or "")
    assert unanswered(Said("x", "", None, (), (HintAnswer(3, False, "late"),)), [hint(3)]) is None


# --- while it is written -----------------------------------------------------------------------


def test_a_call_is_readable_at_every_moment() -> None:
    arguments = json.dumps(
        WHOLE
        | {"title": 'Dépth "5" \\ 😀', "edits": [{"search": "A = 1\nB", "replace": "A = 2\nB"}]}
    )
    for end in range(2, len(arguments)):
        assert isinstance(closed(arguments[:end]), dict), arguments[:end]
    assert readable(arguments) == (
        'Dépth "5" \\ 😀\n\nOne layer more.\n\npredicted −0.0040\n\n-A = 1\n+A = 2\n B\n\n'
        "hint 3: applied: as asked"
    )


def test_an_edit_that_is_being_written_shows_what_goes_and_what_comes() -> None:
    cut = '{"title": "Depth", "edits": [{"search": "A = 1\\nB = 2", "replace": "A = 3\\n'
    assert readable(cut) == "Depth\n\n-A = 1\n-B = 2\n+A = 3\n+"


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2", '"x', "{]", "[" * 5_000, "\\"])
def test_what_is_no_call_is_shown_as_it_is(text: str) -> None:
    assert readable(text) == text
