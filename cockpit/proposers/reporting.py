"""What the engine is told while an agent works: what it writes, and what its models took."""

import time
from collections.abc import Callable, Iterable

from cockpit.core.answers import line
from cockpit.proposers.base import Hear
from cockpit.proposers.speech import Speech
from cockpit.proposers.transcript import Transcript

TELLING_SECONDS = 1 / 6
"""Nobody is told more often."""
ABOUT = {"proposal": "proposing", "repair": "mending", "question": "answering"}
"""What an agent is at, by the purpose of its errand."""


class Report:
    """Hears one agent and passes on what is worth it."""

    def __init__(
        self,
        speech: Speech,
        purpose: str,
        secrets: Iterable[str],
        redact: Callable[[str], str],
        hear: Hear,
    ) -> None:
        """`purpose` is `proposal`, `repair` or `question`."""
        secrets = tuple(secrets)
        self.speech = speech
        self._purpose, self._redact, self._hear = purpose, redact, hear
        self._all = Transcript(secrets, redact)
        self._words = Transcript(secrets, redact)
        """Of what it wrote to standard output: some show there what they say, and no progress."""
        self._told_at = 0.0
        self._shown = ""

    def heard(self, channel: int, content: bytes) -> None:
        """Take output: `channel` is 1 or 2, for where it was written."""
        shown = self.speech.read(content) if channel == 1 else content
        self._all.add(shown)
        if channel == 1:
            self._words.add(shown)

    def tick(self) -> None:
        """Tell how far it is, if it is time."""
        if time.monotonic() - self._told_at >= TELLING_SECONDS:
            self._told_at = time.monotonic()
            self._tell(ended=False)

    def end(self, agent: str, seconds: float, outcome: str) -> None:
        """Tell the end of what it wrote, and what its models took where it says so."""
        self._tell(ended=True)
        bill = self.speech.bill
        if bill.model or bill.dollars is not None:
            self._hear(
                {
                    "event": "call",
                    "model": line(self._redact(bill.model), 80) or agent,
                    "purpose": self._purpose,
                    "prompt_tokens": bill.prompt_tokens,
                    "completion_tokens": bill.completion_tokens,
                    "dollars": bill.dollars,
                    "seconds": seconds,
                    "outcome": line(self._redact(outcome), 200),
                }
            )

    @property
    def answer(self) -> str:
        """Return what it says in the end."""
        return self._redact(self.speech.answer.strip()) or self._words.text(ended=True)

    @property
    def everything(self) -> str:
        """Return the end of all that it wrote."""
        return self._all.text(ended=True)

    @property
    def complaint(self) -> str:
        """Return in a line what went wrong: its own words for it, or the last that it wrote."""
        return line(self._redact(self.speech.error), 300) or self._all.last_line()

    def _tell(self, *, ended: bool) -> None:
        text = self._all.text(ended=ended)
        if text != self._shown:
            self._shown = text
            self._hear({"event": "text", "text": text, "about": ABOUT[self._purpose]})
