"""Whether a proposer can be asked: after a failure it rests, for longer each time."""

from dataclasses import dataclass

FIRST_REST_SECONDS = 15.0
LONGEST_REST_SECONDS = 300.0
KEY_REST_SECONDS = 10.0
"""A new key should be taken soon, and asking without a valid one costs nothing."""


@dataclass(slots=True)
class Health:
    """The state of one proposer; all times are monotonic seconds."""

    rests: bool = False
    reason: str = ""
    until: float = 0.0
    held_until: float = 0.0
    """It says itself that it waits for something until then."""
    refused: int = 0
    """Ideas in a row that could not be used."""
    _wait: float = FIRST_REST_SECONDS

    def fail(self, reason: str, kind: str, now: float) -> bool:
        """Note a failure (`kind` as in `ProposerError`); tell whether it was well before."""
        first, self.rests, self.reason = not self.rests, True, reason
        if kind == "money":
            self.until = float("inf")
        elif kind == "key":
            self.until = now + KEY_REST_SECONDS
        else:
            self.until = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_REST_SECONDS)
        self.held_until = 0.0
        return first

    def recover(self) -> bool:
        """End a rest, because it seems well; tell whether it was resting.

        The next rest is longer all the same: whoever answers a probe may yet have no idea.
        """
        rested, self.rests = self.rests, False
        self.held_until = 0.0
        return rested

    def succeed(self) -> bool:
        """Note an idea that can be used; tell whether it was resting."""
        self._wait, self.refused = FIRST_REST_SECONDS, 0
        return self.recover()

    def held_up(self, now: float) -> bool:
        """Tell whether it waits for something at this moment."""
        return now < self.held_until

    def probe_due(self, now: float) -> bool:
        """Tell whether it is time to look whether it answers again."""
        return self.rests and now >= self.until
