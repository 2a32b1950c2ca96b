"""What an agent prints, as a person may see it: the end of it, plain, without a key in it.

An agent may print a hundred megabytes, so that bytes are only kept, the last of them, and made
readable no more often than somebody looks. A key is known only when all of it is there: where
the text ends with the beginning of one, that waits for its rest.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from cockpit.lab.rundir import plain_text

SHOWN_CHARACTERS = 8_000
"""So much of the end is shown."""
KEPT_BYTES = 64 << 10
"""So much of the end is kept."""
BEGUN_CHARACTERS = 4
"""So much of a key at the end of a text may be the beginning of one."""
LINE_CHARACTERS = 300

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC, DCS and friends
    r"|\x1b[ -/]*[0-~]?"
)


class Transcript:
    """The end of an output that grows."""

    def __init__(self, secrets: Iterable[str], redact: Callable[[str], str]) -> None:
        """`redact` takes keys out of a text; `secrets` are those whose beginnings wait."""
        self._secrets = tuple(secrets)
        self._redact = redact
        self._kept = b""
        self._is_cut = False

    def add(self, content: bytes) -> None:
        """Take more of it."""
        kept = self._kept + content
        if len(kept) > 2 * KEPT_BYTES:  # not at every line: copying would cost more than reading
            self._is_cut, kept = True, kept[-KEPT_BYTES:]
        self._kept = kept

    def text(self, *, ended: bool = False) -> str:
        """Return the end of it in printable lines; `ended` when nothing will come any more."""
        text = self._kept.decode("utf-8", "replace")
        if self._is_cut:  # it may begin within a key or an escape sequence
            text = text.partition("\n")[2] or text[len(text) // 2 :]
        text = self._redact("\n".join(_printable(_SEQUENCE.sub("", text))))
        if not ended:
            text = self._without_a_beginning(text)
        return text.strip("\n")[-SHOWN_CHARACTERS:]

    def last_line(self) -> str:
        """Return the last line that says something, empty where none does."""
        lines = [line.strip() for line in self.text(ended=True).splitlines()]
        return next((line[:LINE_CHARACTERS] for line in reversed(lines) if line), "")

    def _without_a_beginning(self, text: str) -> str:
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(text)), BEGUN_CHARACTERS - 1, -1):
                if text.endswith(secret[:length]):
                    return text[:-length]
        return text


def _printable(text: str) -> Iterator[str]:
    """Yield lines; a progress bar rewrites its line, and its last state is what one sees."""
    for line in text.split("\n"):
        yield plain_text(line.rstrip("\r").rpartition("\r")[2])
