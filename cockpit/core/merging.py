"""A three-way merge of texts by lines, which takes a change out of a text that has moved on.

Two texts have come of one `base`: `ours` and `theirs`. What either has changed is in the merge,
as long as no line of the base was changed by both. With `base` the text that a change has made,
`theirs` the text before it, and `ours` what later changes have made of it, the merge is what they
would have made without it: a revert.

Unlike git's merge, changes of neighbouring lines are no conflict: the constants of a train.py
stand one below the other, and two of them are two changes. What two changes make of one line, or
put into one place, only their author could put together.

Source: Khanna, Kunal, Pierce, "A Formal Investigation of Diff3", FSTTCS 2007.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Hunk:
    start: int
    end: int
    """Lines [start, end) of the base go …"""
    lines: tuple[str, ...]
    """… and these come; for an insertion start and end are the same."""

    def disturbs(self, other: "_Hunk") -> bool:
        """Tell whether two hunks are about the same lines, or the same place between two."""
        if self.start == self.end or other.start == other.end:
            if self.start == self.end == other.start == other.end:
                return True
            inserted, wide = (self, other) if self.start == self.end else (other, self)
            return wide.start < inserted.start < wide.end
        return max(self.start, other.start) < min(self.end, other.end)


def merge(base: str, ours: str, theirs: str) -> str | None:
    """Return `base` with the changes of both sides; None where they are about the same lines."""
    lines = base.splitlines(keepends=True)
    left, right = _hunks(lines, ours), _hunks(lines, theirs)
    new = [hunk for hunk in right if hunk not in left]
    if any(mine.disturbs(other) for mine in left for other in new):
        return None
    merged, at = [], 0
    for hunk in sorted([*left, *new], key=lambda hunk: (hunk.start, hunk.end)):
        merged += [*lines[at : hunk.start], *hunk.lines]
        at = hunk.end
    return "".join([*merged, *lines[at:]])


def _hunks(lines: Sequence[str], changed: str) -> list[_Hunk]:
    import difflib  # 5 ms that whoever only looks at experiments need not wait for

    after = changed.splitlines(keepends=True)
    opcodes = difflib.SequenceMatcher(None, lines, after, autojunk=False).get_opcodes()
    return [
        hunk
        for kind, i1, i2, j1, j2 in opcodes
        if kind != "equal"
        for hunk in _line_by_line(_Hunk(i1, i2, tuple(after[j1:j2])))
    ]


def _line_by_line(hunk: _Hunk) -> list[_Hunk]:
    """Take a block of lines of which each became another one for as many changes as lines."""
    if len(hunk.lines) != hunk.end - hunk.start:
        return [hunk]
    return [_Hunk(hunk.start + n, hunk.start + n + 1, (line,)) for n, line in enumerate(hunk.lines)]
