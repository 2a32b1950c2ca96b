"""Text of others as data: cleaned, shortened, and behind a fence that it can't close.

Logs, titles, answers and findings come from programs and models. In a prompt they stand as lines
within a fence of backticks, longer than any run of backticks inside, and the system text says that
nothing in a fence is ever an instruction. What hides from a reader's eye is taken out first:
terminal sequences, control characters, marks that turn the direction of writing, tags and
variation selectors, in which whole sentences can be smuggled past a person.
"""

import math
import re
from collections.abc import Iterable

BYTES_A_TOKEN = 3.2
"""Of code and English mixed; the tokenizers in use need 3.3 to 4.2."""
LOG_LINES = 12
LINE_CHARACTERS = 200
SHORTEST_FENCE = 3

_SEQUENCES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-_])")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_FENCES = re.compile("`+")


def tokens(text: str) -> int:
    """Return how many tokens a text has: an estimate without a tokenizer, rather too many."""
    return math.ceil(size(text) / BYTES_A_TOKEN)


def size(text: str) -> int:
    """Return the bytes of a text as UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def clean(text: str) -> str:
    """Return a text without what can't be seen; its lines end in plain newlines."""
    if text.isascii() and text.isprintable():
        return text
    text = _BREAKS.sub("\n", text).replace("\t", "    ")
    return _HIDDEN.sub("", _SEQUENCES.sub("", text))


def one_line(text: str, most: int = LINE_CHARACTERS) -> str:
    """Return a text as one line of at most `most` characters."""
    line = " ".join(clean(text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def kept_lines(lines: Iterable[str], most: int, width: int = LINE_CHARACTERS) -> list[str]:
    """Return the first lines, each with its indentation, and how many more there are."""
    shown = [_narrow(line, width) for line in lines]
    if len(shown) <= most:
        return shown
    return [*shown[: most - 1], f"… {len(shown) - most + 1} more lines"]


def last_lines(lines: Iterable[str], most: int = LOG_LINES) -> list[str]:
    """Return the end of a log, as short lines without empty ones."""
    filled = [line for line in lines if line.strip()]
    return [_narrow(line, LINE_CHARACTERS) for line in filled[-most:]]


def _narrow(line: str, width: int) -> str:
    line = clean(line[: 4 * width]).replace("\n", " ").rstrip()
    return line if len(line) <= width else line[: width - 1] + "…"


def shortened(text: str, most: int) -> str:
    """Return a text with its middle left out where it has more than `most` characters."""
    if len(text) <= most:
        return text
    head, tail = 2 * most // 3, most // 3
    return f"{text[:head]}\n[… {len(text) - head - tail} characters left out …]\n{text[-tail:]}"


def fenced(content: str, kind: str = "untrusted") -> str:
    """Return a text as a block that nothing in it can end."""
    longest = max((len(run) for run in _FENCES.findall(content)), default=0)
    fence = "`" * max(SHORTEST_FENCE, longest + 1)
    return f"{fence}{kind}\n{content}{'' if content.endswith(chr(10)) else chr(10)}{fence}"
