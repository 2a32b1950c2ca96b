"""What models cost: every call in the journal, and what is left of the night's limit."""

import time

from cockpit.lab.rows import Call
from cockpit.lab.writing import EngineJournal
from cockpit.proposers.base import Event


class Spending:
    """Counts the dollars of one night; a restart goes on with what the journal says."""

    def __init__(self, journal: EngineJournal, night: int, limit: float | None) -> None:
        """`limit` is in dollars; None is no limit."""
        self._journal = journal
        self._night = night
        self.limit = limit
        self.spent = journal.dollars(night)

    @property
    def left(self) -> float | None:
        """Return the dollars that may still be spent, None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.spent)

    @property
    def over(self) -> bool:
        """Tell whether the limit is reached."""
        return self.left == 0.0

    def record(self, proposer: str, event: Event) -> int:
        """Record a call that an event of a proposer tells of, and return its number."""
        dollars = _number(event.get("dollars"))
        number = self._journal.add_call(
            Call(
                id=0,
                at=time.time(),
                night=self._night,
                proposer=proposer,
                model=str(event.get("model", "")),
                purpose=str(event.get("purpose", "proposal")),
                experiment=None,
                prompt_tokens=int(_number(event.get("prompt_tokens")) or 0),
                completion_tokens=int(_number(event.get("completion_tokens")) or 0),
                dollars=dollars,
                seconds=_number(event.get("seconds")) or 0.0,
                outcome=str(event.get("outcome", "")),
            )
        )
        self.spent += dollars or 0.0  # once it is written down: what fails is tried again
        return number


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
