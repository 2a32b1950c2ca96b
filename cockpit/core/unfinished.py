"""A tool call as a person can read it, also while its JSON is still being written.

A model streams the arguments of its call as pieces of one JSON text. What is there so far
is closed where it stops, in the middle of a string or not, and shown as title, reason and
lines that go and come.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from cockpit.core.edits import Edit, diff_lines

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?P<end>"|\\?\Z)|[\[\]{}]', re.DOTALL)
_CUT_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_CUT_WORD = re.compile(r"[\w.+-]+\Z")


def readable(arguments: str) -> str:
    """Return what a call of `propose` says so far; what is no JSON object stays as it is."""
    try:
        given, whole = json.loads(arguments, strict=False), True
    except (ValueError, RecursionError):
        given, whole = closed(arguments), False
    return _shown(given, whole=whole) if isinstance(given, dict) else arguments


def closed(text: str) -> Any:
    """Return the JSON that a cut text begins, None where it begins none."""
    closers: list[str] = []
    inside = False
    for token in _TOKEN.finditer(text):
        if token["end"] is not None:
            inside = token["end"] != '"'
        elif token[0] in "[{":
            closers.append("]" if token[0] == "[" else "}")
        elif closers:
            closers.pop()
    if inside:
        text = _CUT_ESCAPE.sub(r"\1", text) + '"'
    tail = "".join(reversed(closers))
    for body in (text, text.rstrip().removesuffix(","), _CUT_WORD.sub("", text)):
        for ending in ("", "null", ":null"):  # after a value, a colon, a name
            try:
                return json.loads(body + ending + tail, strict=False)
            except (ValueError, RecursionError):
                continue
    return None


def _shown(given: Mapping[str, Any], *, whole: bool) -> str:
    parts = [_text(given.get("title")), _text(given.get("hypothesis"))]
    if isinstance(given.get("predicted_change"), int | float):
        parts.append(f"predicted {given['predicted_change']:+.4f}".replace("-", "−"))
    edits = given.get("edits")
    if isinstance(edits, list):
        parts += [
            _edit(one, whole=whole or number < len(edits)) for number, one in enumerate(edits, 1)
        ]
    hints = given.get("hints")
    if isinstance(hints, list):
        parts.append("\n".join(_hint(one) for one in hints if isinstance(one, dict)))
    return "\n\n".join(part for part in parts if part)


def _edit(given: object, *, whole: bool) -> str:
    """Return an edit as a diff; one that is still being written as what goes and what comes."""
    if not isinstance(given, dict):
        return ""
    search, replace = _text(given.get("search")), _text(given.get("replace"))
    if whole:
        return "\n".join(diff_lines([Edit(search, replace)]))
    return "\n".join(
        [f"-{line}" for line in search.split("\n") if search]
        + [f"+{line}" for line in replace.split("\n") if replace]
    )


def _hint(given: Mapping[str, Any]) -> str:
    word = "applied" if given.get("applied") is True else "not now"
    return f"hint {given.get('id')}: {word}: {_text(given.get('why'))}"


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""
