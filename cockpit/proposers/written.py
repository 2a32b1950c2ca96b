"""What a model has written so far: pieces of a stream put together, and shown meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cockpit.core.tool import TOOL
from cockpit.core.unfinished import readable
from cockpit.proposers.base import Hear

LIMIT_CHARACTERS = 200_000
"""No answer is read further: a whole train.py is a tenth of it."""
THOUGHT_CHARACTERS = 2_000_000
"""The same of what a model thinks before it answers."""
SHOWN_CHARACTERS = 8_000
SHOWN_MARGIN = 1_000
"""Taken before the end that is shown: a key that begins there has to be whole to be found."""
SHOWN_EVERY_SECONDS = 1 / 6
TOOL_NAME = TOOL["function"]["name"]


@dataclass(slots=True)
class Written:
    """An answer while it comes in; foreign text throughout."""

    texts: list[str] = field(default_factory=list)
    calls: dict[int, list[str]] = field(default_factory=dict)
    """Of each tool call its name and the pieces of its arguments."""
    refusals: list[str] = field(default_factory=list)
    thought: str = ""
    """The end of what it thought aloud."""
    thought_characters: int = 0
    characters: int = 0
    finish: str | None = None
    """Why it stopped, as the provider says; None while it has not."""
    usage: Any = None
    """The library's record of the tokens it took; None where the provider told nothing."""

    @property
    def begun(self) -> bool:
        """Tell whether anything came."""
        return bool(self.characters or self.thought_characters)

    @property
    def huge(self) -> bool:
        """Tell whether it is longer than anybody reads."""
        return self.characters > LIMIT_CHARACTERS or self.thought_characters > THOUGHT_CHARACTERS

    @property
    def text(self) -> str:
        """Return what was written besides tool calls."""
        return _whole("".join(self.texts))

    @property
    def refusal(self) -> str:
        """Return the words by which it refused."""
        return _whole("".join(self.refusals))

    @property
    def arguments(self) -> str:
        """Return the arguments of the first call of our tool, else of the first call."""
        ours = [pieces for pieces in self.calls.values() if pieces[0] == TOOL_NAME]
        chosen = [*ours, *self.calls.values()]
        return _whole("".join(chosen[0][1:])) if chosen else ""

    @property
    def answer(self) -> str:
        """Return what counts of it: the tool call where there is one."""
        return self.arguments.strip() or self.text.strip()

    def take(self, chunk: Any) -> None:
        """Add a chunk of the stream."""
        choices = getattr(chunk, "choices", None)
        if not choices:
            return
        self.finish = getattr(choices[0], "finish_reason", None) or self.finish
        delta = getattr(choices[0], "delta", None)
        self._add(self.texts, getattr(delta, "content", None))
        self._add(self.refusals, getattr(delta, "refusal", None))
        for call in getattr(delta, "tool_calls", None) or ():
            self._take_call(call)
        thought = getattr(delta, "reasoning_content", None)
        if isinstance(thought, str):
            self.thought_characters += len(thought)
            self.thought = (self.thought + thought)[-SHOWN_CHARACTERS:]

    def shown(self) -> str:
        """Return the end of it as a person reads it."""
        text = "\n\n".join(filter(None, (self.text.strip(), _readable(self.arguments))))
        return (text or self.refusal or _whole(self.thought))[-SHOWN_CHARACTERS - SHOWN_MARGIN :]

    def _take_call(self, call: Any) -> None:
        index = getattr(call, "index", None)
        pieces = self.calls.setdefault(index if isinstance(index, int) else 0, [""])
        function = getattr(call, "function", None)
        name = getattr(function, "name", None)
        if isinstance(name, str) and name:
            pieces[0] = name
        self._add(pieces, getattr(function, "arguments", None))

    def _add(self, pieces: list[str], piece: object) -> None:
        if isinstance(piece, str) and piece:
            pieces.append(piece)
            self.characters += len(piece)


def _readable(arguments: str) -> str:
    return _whole(readable(arguments)).strip() if arguments else ""


def _whole(text: str) -> str:
    """Return a text without half characters: a stream may cut one in two, JSON may hold one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Showing:
    """Says what is written so far, a few times a second."""

    def __init__(self, hear: Hear, redact: Callable[[str], str], doing: str) -> None:
        """`doing` says what it is, in a word or two."""
        self._hear = hear
        self._redact = redact
        self._doing = doing
        self._next = 0.0
        self._last = ""

    def show(self, written: Written, *, now: bool = False) -> None:
        """Say it where it is time to, or now."""
        present = time.monotonic()
        if present < self._next and not now:
            return
        self._next = present + SHOWN_EVERY_SECONDS
        text = self._redact(written.shown())[-SHOWN_CHARACTERS:]
        if text and text != self._last:
            self._last = text
            doing = self._doing if written.characters else "thinking"
            self._hear({"event": "text", "text": text, "about": doing})
