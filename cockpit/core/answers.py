"""What a model says when it is asked for an experiment, and what is wrong with it.

There are two ways to say it: the arguments of one tool call, or a text with lines such as
TITLE: and edit blocks. Both become the same `Said`. What can't be read is an `AnswerError`
whose message goes back to the model, so it says what to mend and not only that it is wrong.

All of it is data. Nothing of an answer is carried out, and its words are made printable
before anybody sees them.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.core.edits import Edit, EditError, edits_from_json, parse
from cockpit.core.experiment import Hint, HintAnswer
from cockpit.core.quoting import clean, one_line

TITLE_CHARACTERS = 120
HYPOTHESIS_CHARACTERS = 2_000
WHY_CHARACTERS = 500
MOST_HINTS = 1_000_000_000
SHOWN_CHARACTERS = 40
"""Of what stands around a slip in JSON, to either side."""


class AnswerError(ValueError):
    """An answer can't be used; the message says what to mend, to the model that wrote it."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, read."""

    title: str
    hypothesis: str
    predicted: float | None
    """The change of val_bpb that it expects."""
    edits: tuple[Edit, ...]
    hints: tuple[HintAnswer, ...]


def unanswered(said: Said, hints: Iterable[Hint]) -> str | None:
    """Return what the model has to say yet about the hints that stand; None where it has."""
    answers = {answer.hint: answer for answer in said.hints}
    missing = [hint.id for hint in hints if not _answers(answers.get(hint.id))]
    if not missing:
        return None
    which = _listed(missing)
    return (
        f"{which} not answered: say of every hint whether this proposal applies it, and how, or "
        "why not now"
    )


def _answers(answer: HintAnswer | None) -> bool:
    return answer is not None and (answer.applied or bool(answer.why))


def _listed(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"hint {numbers[0]} is"
    return f"hints {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} are"


# ---- a tool call ------------------------------------------------------------------------------


def from_tool(arguments: str) -> Said:
    """Return what the arguments of a call of `propose` say; raises `AnswerError`."""
    given = _object(arguments)
    return Said(
        _title(given.get("title")),
        _prose(given.get("hypothesis"), HYPOTHESIS_CHARACTERS),
        _number(given.get("predicted_change")),
        _edits(given.get("edits")),
        _hints(given.get("hints")),
    )


def _object(arguments: str) -> Mapping[str, Any]:
    try:
        # Not strict: a line break within a string is a slip that hurts nobody.
        given = json.loads(arguments, strict=False)
    except json.JSONDecodeError as error:
        before = arguments[max(0, error.pos - SHOWN_CHARACTERS) : error.pos]
        after = arguments[error.pos : error.pos + SHOWN_CHARACTERS]
        raise AnswerError(
            f"the arguments are not JSON: {error.msg} at character {error.pos}, between "
            f"{before!r} and {after!r}; write the whole call again"
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, a thousand brackets
        raise AnswerError(
            "the arguments are no JSON that can be read; write the call again"
        ) from None
    if not isinstance(given, dict):
        raise AnswerError("the arguments must be an object with title, hypothesis and edits")
    return given


def _title(given: object) -> str:
    title = line(given, TITLE_CHARACTERS)
    if not title:
        raise AnswerError("it has no title: give the idea in one short line")
    return title


def _number(given: object) -> float | None:
    if isinstance(given, str):
        found = _NUMBER.search(given.replace("−", "-"))
        given = float(found[0]) if found else None
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        number = float(given)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?")


def _edits(given: object) -> tuple[Edit, ...]:
    if isinstance(given, str):  # some models write the list as a text of JSON
        try:
            given = json.loads(given, strict=False)
        except (ValueError, RecursionError):
            raise AnswerError("edits must be a list of {search, replace}, not a text") from None
    try:
        edits = edits_from_json(given)
    except EditError as error:
        raise AnswerError(str(error)) from None
    return _some(edits)


def _some(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    if not edits:
        raise AnswerError("it has no edits: quote lines of train.py and what replaces them")
    for number, edit in enumerate(edits, 1):
        if not _writable(edit.search + edit.replace):
            raise AnswerError(f"edit {number} has characters that no file can hold")
    return edits


def _writable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _hints(given: object) -> tuple[HintAnswer, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise AnswerError("hints must be a list of {id, applied, why}")
    return tuple(_hint(one) for one in given)


def _hint(given: object) -> HintAnswer:
    number = _whole(given.get("id")) if isinstance(given, dict) else None
    if not isinstance(given, dict) or number is None:
        raise AnswerError("each of hints must be {id, applied, why} with the number of the hint")
    applied = given.get("applied")
    if isinstance(applied, str):
        applied = applied.strip().lower() in ("true", "yes", "applied")
    return HintAnswer(number, applied is True, line(given.get("why"), WHY_CHARACTERS))


def _whole(given: object) -> int | None:
    if isinstance(given, str) and re.fullmatch(r"\s*#?\d{1,9}\s*", given):
        return int(given.strip().removeprefix("#"))
    if not isinstance(given, int) or isinstance(given, bool):
        return None
    return given if 0 <= given < MOST_HINTS else None


# ---- a text -----------------------------------------------------------------------------------

_HEADER = re.compile(
    r"[ \t>*_#-]*(?P<name>TITLE|HYPOTHESIS|PREDICTED(?:[ _]CHANGE)?|HINT[ \t]*#?(?P<hint>\d{1,9}))"
    r"[ \t*_]*:[ \t*_]*(?P<rest>.*)",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"^<{5,9} ?SEARCH.*?^>{5,9} ?REPLACE[^\n]*", re.DOTALL | re.MULTILINE)
_SAID = re.compile(
    r"(?P<word>applied|not now|not applied|declined)\b[ \t*_]*[:,.;—–-]*(?P<why>.*)",
    re.IGNORECASE,
)
_WHOLE_JSON = re.compile(r"(?:```\w*\s*)?(\{.*\})\s*(?:```)?", re.DOTALL)


def from_text(text: str, *, blocks: bool = True) -> Said:
    """Return what a text says in lines such as `TITLE:` and in edit blocks.

    Without `blocks` only the lines are read, as where a coding agent has edited the file
    itself. Raises `AnswerError`.
    """
    text = text.replace("\r\n", "\n")
    whole = _WHOLE_JSON.fullmatch(text.strip())
    if blocks and whole and '"edits"' in text:  # the tool's arguments, written as text
        return from_tool(whole[1])
    fields = _fields(_BLOCK.sub("\n```\n", text))
    title = _first_line(fields.get("TITLE", ()))
    if not title:
        raise AnswerError("it has no line TITLE: with the idea in one short line")
    predicted = fields.get("PREDICTED", fields.get("PREDICTED CHANGE", ()))
    return Said(
        _title(title),
        _prose("\n".join(fields.get("HYPOTHESIS", ())), HYPOTHESIS_CHARACTERS),
        _number(" ".join(predicted)),
        _blocks(text) if blocks else (),
        tuple(
            _hint_line(int(name), " ".join(words))
            for name, words in fields.items()
            if name.isdigit()
        ),
    )


def _fields(text: str) -> dict[str, list[str]]:
    """Return the lines of each field by its name, those of a hint by its number."""
    fields: dict[str, list[str]] = {}
    present: list[str] | None = None
    for written in text.split("\n"):
        found = _HEADER.match(written)
        if found:
            name = found["hint"] or found["name"].upper().replace("_", " ")
            present = fields[str(int(name)) if name.isdigit() else name] = [found["rest"]]
        elif written.lstrip().startswith("```"):
            present = None
        elif present is not None:
            present.append(written)
    return fields


def _first_line(lines: Iterable[str]) -> str:
    return next((written.strip(" *_`") for written in lines if written.strip(" *_`")), "")


def _blocks(text: str) -> tuple[Edit, ...]:
    try:
        edits = parse(text)
    except EditError as error:
        raise AnswerError(str(error)) from None
    return _some(edits)


def _hint_line(number: int, words: str) -> HintAnswer:
    found = _SAID.match(words.strip())
    if found is None:
        raise AnswerError(
            f"HINT {number} must begin with `applied:` or `not now:`, and say how or why"
        )
    applied = found["word"].lower() == "applied"
    return HintAnswer(number, applied, line(found["why"], WHY_CHARACTERS))


# ---- words ------------------------------------------------------------------------------------


def line(given: object, limit: int) -> str:
    """Return a text as one printable line; anything else is empty."""
    return one_line(given, limit) if isinstance(given, str) else ""


def _prose(given: object, limit: int) -> str:
    """Return a text as printable lines."""
    return clean(given[: 4 * limit]).strip()[:limit].rstrip() if isinstance(given, str) else ""
