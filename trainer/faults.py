"""An exception in train.py, in one line: where, which, and what it says."""

from __future__ import annotations

import traceback
from types import TracebackType

LONGEST = 240
"""Characters of such a line, at most."""


def told(error: BaseException, trace: TracebackType | None) -> str:
    """`train.py line 12: ValueError: what it says`, without line breaks.

    The line is the innermost one in train.py; without one the exception is told alone.
    """
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        where = f"train.py line {error.lineno}: " if error.lineno else ""
        return _short(f"{where}{kind}: {error.msg}")
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(trace)
        if frame.filename.endswith("train.py") and frame.lineno
    ]
    where = f"train.py line {lines[-1]}: " if lines else ""
    message = " ".join(str(error).split())
    return _short(f"{where}{kind}: {message}" if message else f"{where}{kind}")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
