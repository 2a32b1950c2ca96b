"""Edit blocks: a change of train.py as pairs of what to find and what to put in its place.

A model quotes a passage and writes it anew. The passage is looked for exactly, as whole
lines first; else as lines that differ in white space alone, because models lose an
indentation more often than a word. It has to be in one place only: an edit in the wrong
place costs a run. Blocks are applied in their order, each to what the one before has left.

The same blocks carry a change over to a newer base: what they quote is still there, or it
is not and the change has to be proposed anew.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

CLOSE_ENOUGH = 0.6
"""Likeness (0 to 1) from which a passage is shown as the one that may have been meant."""
SHOWN_LINES = 12
"""Lines of a passage that a refusal quotes."""
CONTEXT = (1, 2, 3, 5, 8, 13, 30)
"""Lines around a change, tried in turn until they say in one place only where it belongs."""


class EditError(ValueError):
    """Edit blocks do not apply; the message says which and why, to who wrote them."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One block."""

    search: str
    """Lines of the present text."""
    replace: str
    """What stands there afterwards."""


def edits_from_json(given: Any) -> tuple[Edit, ...]:
    """Return the edits in a list of objects; raises `EditError` for anything else."""
    if not isinstance(given, list | tuple):
        raise EditError("edits must be a list of {search, replace}")
    edits = []
    for number, one in enumerate(given, 1):
        search = one.get("search") if isinstance(one, dict) else None
        replace = one.get("replace") if isinstance(one, dict) else None
        if not isinstance(search, str) or not isinstance(replace, str):
            raise EditError(f"edit {number} must have the texts search and replace")
        edits.append(Edit(search, replace))
    return tuple(edits)


# ---- blocks in a text -------------------------------------------------------------------------

_BLOCK = re.compile(
    r"^<{5,9} ?SEARCH[^\n]*\n(?P<search>.*?)^={5,9}[^\n=]*\n(?P<replace>.*?)^>{5,9} ?REPLACE",
    re.DOTALL | re.MULTILINE,
)


def parse(text: str) -> tuple[Edit, ...]:
    """Return the blocks written as

        <<<<<<< SEARCH
        the present lines
        =======
        the new lines
        >>>>>>> REPLACE

    Raises `EditError` where a block is begun and not ended.
    """
    edits = tuple(
        Edit(_unended(m["search"]), _unended(m["replace"])) for m in _BLOCK.finditer(text)
    )
    begun = len(re.findall(r"^<{5,9} ?SEARCH", text, re.MULTILINE))
    if begun > len(edits):
        raise EditError(
            f"{begun} edit blocks begin and {len(edits)} are whole: each needs <<<<<<< SEARCH, "
            "=======, >>>>>>> REPLACE on lines of their own"
        )
    return edits


def _unended(lines: str) -> str:
    return lines.removesuffix("\n").removesuffix("\r")


# ---- applying ---------------------------------------------------------------------------------


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with all edits made; raises `EditError` for the first that does not fit."""
    changed = text
    for number, edit in enumerate(edits, 1):
        try:
            changed = _applied(changed, edit)
        except EditError as error:
            raise EditError(f"edit {number}: {error}") from None
    return changed


def _applied(text: str, edit: Edit) -> str:
    if not edit.search.strip():
        raise EditError("its search text is empty: quote the lines that it replaces")
    search, replace = _whole(edit.search), _whole(edit.replace)
    places = _line_places(text, search)
    if len(places) == 1:
        return text[: places[0]] + replace + text[places[0] + len(search) :]
    if not places:
        inside = [m.start() for m in re.finditer(_bounded(edit.search), text)]
        if len(inside) == 1:
            return text[: inside[0]] + edit.replace + text[inside[0] + len(edit.search) :]
        places = inside
    if places:
        raise EditError(
            f"its search text is there {len(places)} times: quote more of the lines around it"
        )
    return _applied_loosely(text, edit)


def _whole(lines: str) -> str:
    """Return a text as whole lines; nothing stays nothing."""
    return lines if not lines or lines.endswith("\n") else lines + "\n"


def _line_places(text: str, lines: str) -> list[int]:
    """Return where whole lines begin in a text."""
    text = _whole(text)
    places, at = [], text.find(lines)
    while at >= 0:
        if at == 0 or text[at - 1] == "\n":
            places.append(at)
        at = text.find(lines, at + 1)
    return places


def _bounded(passage: str) -> str:
    """Return a pattern for a passage within a line that cuts no word or number in two."""
    before = r"(?<![\w.])" if re.match(r"\w", passage) else ""
    after = r"(?![\w.])" if re.search(r"\w\Z", passage) else ""
    return before + re.escape(passage) + after


def _applied_loosely(text: str, edit: Edit) -> str:
    """Apply an edit where its lines are but for white space; the text's indentation stays."""
    lines = text.splitlines(keepends=True)
    wanted = [line for line in edit.search.splitlines() if line.strip()]
    filled = [number for number, line in enumerate(lines) if line.strip()]
    tight = [_tight(lines[number]) for number in filled]
    pattern = [_tight(line) for line in wanted]
    found = [
        at
        for at in range(len(tight) - len(pattern) + 1)
        if tight[at : at + len(pattern)] == pattern
    ]
    if len(found) > 1:
        raise EditError(
            f"its search text is there {len(found)} times: quote more of the lines around it"
        )
    if not found:
        raise EditError(f"its search text is not in the file{_nearest(lines, edit.search)}")
    first, last = filled[found[0]], filled[found[0] + len(pattern) - 1]
    shifts = {
        _indentation(lines[filled[found[0] + n]]) - _indentation(line)
        for n, line in enumerate(wanted)
    }
    if len(shifts) > 1:
        raise EditError(
            "its search text differs from the file in the indentation of single lines: "
            "quote the lines as they stand"
        )
    shifted = "".join(_shifted(line, next(iter(shifts))) for line in _split(edit.replace))
    return "".join(lines[:first]) + shifted + "".join(lines[last + 1 :])


def _split(text: str) -> list[str]:
    return _whole(text).splitlines(keepends=True)


def _tight(line: str) -> str:
    return re.sub(r"\s+", "", line)


def _indentation(line: str) -> int:
    spread = line.expandtabs(4)
    return len(spread) - len(spread.lstrip())


def _shifted(line: str, by: int) -> str:
    if not line.strip():
        return line
    return " " * max(0, _indentation(line) + by) + line.lstrip()


def _nearest(lines: Sequence[str], search: str) -> str:
    """Return the passage most like the one looked for, behind a line end; it may be nothing."""
    import difflib  # 5 ms that whoever only looks at experiments need not wait for

    wanted = search.strip("\n").splitlines()
    first = next(line for line in wanted if line.strip())
    close = difflib.get_close_matches(first, lines, n=1, cutoff=CLOSE_ENOUGH)
    if not close:
        return ""
    at = lines.index(close[0])
    passage = "".join(lines[at : at + min(len(wanted), SHOWN_LINES)]).rstrip("\n")
    return f"\nThe nearest lines are:\n{passage}"


# ---- the other way round ----------------------------------------------------------------------


def difference(old: str, new: str) -> tuple[Edit, ...]:
    """Return edits that make `new` of `old`, each with as few lines around it as will do.

    Edits deal in whole lines: a last line without its end is taken with it.
    """
    import difflib

    old, new = _whole(old), _whole(new)
    if old == new:
        return ()
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    opcodes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    changes = [opcode[1:] for opcode in opcodes if opcode[0] != "equal"]
    for context in CONTEXT:
        edits = tuple(_blocks(before, after, changes, context))
        try:
            if apply(old, edits) == new:
                return edits
        except EditError:
            continue
    return (Edit(old, new),)


def _blocks(
    before: Sequence[str],
    after: Sequence[str],
    changes: Sequence[tuple[int, int, int, int]],
    context: int,
) -> Iterable[Edit]:
    """Yield one edit for each run of changes that lie within `context` lines of each other."""
    groups: list[list[int]] = []
    for i1, i2, j1, j2 in changes:
        if groups and i1 - groups[-1][1] <= 2 * context:
            groups[-1][1], groups[-1][3] = i2, j2
        else:
            groups.append([i1, i2, j1, j2])
    for i1, i2, j1, j2 in groups:
        lead, tail = min(context, i1), min(context, len(before) - i2)
        yield Edit("".join(before[i1 - lead : i2 + tail]), "".join(after[j1 - lead : j2 + tail]))


def diff_lines(edits: Iterable[Edit]) -> list[str]:
    """Return edits as the lines of a diff, for a person or a prompt."""
    import difflib

    lines = []
    for edit in edits:
        old, new = edit.search.splitlines(), edit.replace.splitlines()
        found = list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
        lines += [line for line in found if not line.startswith("@@")]
    return lines
