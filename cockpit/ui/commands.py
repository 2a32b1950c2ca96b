"""Pure: what a person types in the agent pane becomes a command, or a line that says why not."""

from dataclasses import dataclass, field
from typing import Any

HINT_CHARACTERS = 2_000
"""A hint stands in every prompt: it is a nudge, not a paper."""
PLAIN_VERBS = ("pause", "resume", "skip", "stop")
ID_VERBS = ("accept", "reject")
USAGE = "/pause  /resume  /skip  /stop [now]  /accept N  /reject N  /hint TEXT  /help"


@dataclass(frozen=True, slots=True)
class Typed:
    """A command for the engine; `help` is the screen's own."""

    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


def parse(text: str) -> Typed | str:
    """Return the command in a line of input, or what is wrong with it.

    Text without a slash is a hint.
    """
    text = text.strip()
    if not text.startswith("/"):
        return _hint(text)
    verb, _, rest = text[1:].partition(" ")
    rest = rest.strip()
    if verb == "hint":
        return _hint(rest)
    if verb in ID_VERBS:
        number = rest.removeprefix("#")
        if not (number.isascii() and number.isdigit()) or len(number) > 9:
            return f"/{verb} wants the number of an experiment, as in /{verb} 12"
        return Typed(verb, {"id": int(number)})
    if verb == "stop" and rest in {"", "now"}:
        return Typed("stop", {"now": rest == "now"})
    if verb in (*PLAIN_VERBS, "help"):
        return f"/{verb} takes nothing after it" if rest else Typed(verb)
    return f"no command /{verb}: {USAGE}"


def _hint(text: str) -> Typed | str:
    if not text:
        return "a hint needs words"
    if len(text) > HINT_CHARACTERS:
        return f"a hint has at most {HINT_CHARACTERS} characters, this one has {len(text)}"
    return Typed("hint", {"text": text})
