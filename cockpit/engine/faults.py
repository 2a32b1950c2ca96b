"""Faults of the engine: it tries again, ever more slowly, and says so after five in a row."""

import re
from dataclasses import dataclass

PAUSE_AFTER = 5
"""The same fault this often in a row pauses the night."""
LONGEST_SECONDS = 300.0
"""The longest wait before it tries again."""
_CHANGING = re.compile(r"/\S+|\b[0-9a-f]{6,}\b|\d+")
"""What differs between two tellings of the same fault: paths, hashes, numbers."""


@dataclass(slots=True)
class Faults:
    """Counts the same fault in a row; some progress, or another fault, begins a new row."""

    count: int = 0
    retry_at: float = 0.0
    """Monotonic seconds before which nothing new is tried."""
    wait_seconds: float = 0.0
    """How long it waits after the last fault."""
    reason: str = ""
    """The last fault in one line."""
    _kind: str = ""

    def note(self, fault: BaseException | str, now: float) -> bool:
        """Count a fault; False while it waits after an earlier one, which says it all."""
        if now < self.retry_at:
            return False
        self.reason = (str(fault).splitlines() or [type(fault).__name__])[0]
        kind = f"{type(fault).__name__} {_CHANGING.sub('#', self.reason)}"
        self.count = self.count + 1 if kind == self._kind else 1
        self._kind = kind
        self.wait_seconds = min(2.0 ** min(self.count - 1, 20), LONGEST_SECONDS)
        self.retry_at = now + self.wait_seconds
        return True

    def waits(self, now: float, ending: bool = False) -> bool:
        """Tell whether it is too early for another try; a night that ends waits a second."""
        patience = max(0.0, self.wait_seconds - 1.0) if ending else 0.0
        return now < self.retry_at - patience

    def clear(self) -> None:
        """Forget the row: the night has come further than where it failed."""
        self.count, self.reason, self.retry_at, self.wait_seconds, self._kind = 0, "", 0.0, 0.0, ""

    def retry_now(self) -> None:
        """Try again at once: a person said so."""
        self.retry_at = 0.0

    @property
    def pausing(self) -> bool:
        """Tell whether the row is long enough to pause the night."""
        return self.count >= PAUSE_AFTER
