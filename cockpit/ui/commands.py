"""Pure: what a person types in the agent pane becomes a command, or a line that says why not."""

from dataclasses import dataclass, field
from typing import Any

HINT_CHARACTERS = 2_000
"""A hint stands in every prompt: it is a nudge, not a paper."""
PLAIN_VERBS = ("pause", "resume", "undo", "ablate")
ID_VERBS = ("accept", "reject", "replicate", "rerun", "drop", "first", "later", "finish")
OPTIONS = {"skip": "requeue", "stop": "now"}
"""The one word that may follow."""
TEXT_VERBS = ("hint", "once", "ask", "try")
PAGES = ("yours", "hints", "findings", "score")
"""What opens a page of its own."""
COMMANDS = (
    ("TEXT", "a hint, in every prompt until withdrawn"),
    ("/once TEXT", "a hint for the next proposal only"),
    ("/edit N TEXT", "other words for a hint that nobody has read yet"),
    ("/withdraw N", "take a hint back"),
    ("/hints", "all hints, and what became of them"),
    ("/ask TEXT", "a question, answered at once; the run is not disturbed"),
    ("/try TEXT", "a direct order: the next proposal is this"),
    ("/findings", "what the night has learnt"),
    ("/score", "proposals, kept, gain and dollars of each proposer"),
    ("/yours", "what waits for you, most valuable first"),
    ("/accept N", "keep an experiment by hand"),
    ("/reject N", "discard an experiment by hand"),
    ("/undo", "take the last decision by hand back"),
    ("/replicate N", "run it once more, with another seed"),
    ("/rerun N", "run it anew"),
    ("/branch N|best", "make it the base of what comes next; best gives it back"),
    ("/note N TEXT", "write a line to an experiment"),
    ("/drop N", "take an experiment from the queue"),
    ("/first N", "put it at the front of the queue"),
    ("/later N", "put it at the end of the queue"),
    ("/confirm [N]", "fresh pairs of runs of it, or the best, and the baseline"),
    ("/ablate", "the best without each of its changes: which are dead weight"),
    ("/pause", "start nothing new"),
    ("/resume", "go on"),
    ("/skip [requeue]", "end the run under way: stopped, or back to the queue"),
    ("/finish N", "never stop its run early"),
    ("/stop [now]", "end the night after the run under way, or at once"),
    ("/help", "keys and words"),
)
"""What may be typed, and what it does."""
USAGE = "  ".join(usage for usage, _ in COMMANDS if usage.startswith("/"))


@dataclass(frozen=True, slots=True)
class Typed:
    """A command for the engine; `help` and the pages are the screen's own."""

    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


def parse(text: str) -> Typed | str:
    """Return the command in a line of input, or what is wrong with it.

    Text without a slash is a hint.
    """
    text = text.strip()
    if not text.startswith("/"):
        return _text("hint", text)
    verb, _, rest = text[1:].partition(" ")
    rest = rest.strip()
    if verb in TEXT_VERBS:
        return _text(verb, rest)
    if verb in ID_VERBS:
        number = _number(rest)
        wanted = f"/{verb} wants the number of an experiment, as in /{verb} 12"
        return wanted if number is None else Typed(verb, {"id": number})
    if verb == "branch":
        number = _number(rest)
        if number is None and rest != "best":
            return "/branch wants the number of an experiment, or best: /branch 12"
        return Typed(verb, {"id": number})
    if verb == "confirm":
        number = _number(rest)
        if number is None and rest:
            return "/confirm wants the number of an experiment, or nothing for the best"
        return Typed(verb, {"id": number})
    if verb == "note":
        return _note(rest)
    if verb in OPTIONS:
        word = OPTIONS[verb]
        known = rest in {"", word}
        return Typed(verb, {word: rest == word}) if known else f"/{verb} takes {word} or nothing"
    if verb in {"edit", "withdraw"}:
        return _of_a_hint(verb, rest)
    if verb in (*PLAIN_VERBS, *PAGES, "help"):
        return f"/{verb} takes nothing after it" if rest else Typed(verb)
    return _unknown(verb)


def _text(verb: str, text: str) -> Typed | str:
    what = {"ask": "a question", "try": "an order"}.get(verb, "a hint")
    if not text:
        return f"{what} needs words"
    if len(text) > HINT_CHARACTERS:
        return f"{what} has at most {HINT_CHARACTERS} characters, this one has {len(text)}"
    if verb in {"hint", "once"}:
        return Typed("hint", {"text": text, "once": verb == "once"})
    return Typed(verb, {"text": text})


def _note(rest: str) -> Typed | str:
    first, _, text = rest.partition(" ")
    number, text = _number(first), text.strip()
    if number is None or not text:
        return "/note wants a number and words, as in /note 12 look at its curve again"
    if len(text) > HINT_CHARACTERS:
        return f"a note has at most {HINT_CHARACTERS} characters, this one has {len(text)}"
    return Typed("note", {"id": number, "text": text})


def _of_a_hint(verb: str, rest: str) -> Typed | str:
    first, _, text = rest.partition(" ")
    number = _number(first)
    if number is None:
        example = "/edit 3 other words" if verb == "edit" else "/withdraw 3"
        return f"/{verb} wants the number of a hint, as in {example}; /hints has them"
    if verb == "withdraw":
        return "/withdraw takes one number" if text else Typed("withdraw", {"id": number})
    edited = _text("hint", text.strip())
    if isinstance(edited, str):
        return edited
    return Typed("edit_hint", {"id": number, "text": edited.arguments["text"]})


def _number(text: str) -> int | None:
    number = text.removeprefix("#")
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 9 else None


def _unknown(verb: str) -> str:
    import difflib  # 5 ms that the first paint need not wait for

    verbs = [usage[1:].partition(" ")[0] for usage, _ in COMMANDS if usage.startswith("/")]
    near = difflib.get_close_matches(verb.lower(), [*verbs, "hint"], n=1, cutoff=0.5)
    if near:
        return f"no command /{verb}: did you mean /{near[0]}?"
    return f"no command /{verb}: {USAGE}"
