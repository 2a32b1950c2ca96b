"""Faults of the engine: it tries again, ever more slowly, and says so after five in a row."""

from dataclasses import dataclass

PAUSE_AFTER = 5
"""The same fault this often in a row pauses the night."""
LONGEST_SECONDS = 600.0
"""The longest wait before it tries again."""


@dataclass(slots=True)
class Faults:
    """Counts faults in a row."""

    count: int = 0
    retry_at: float = 0.0
    """Monotonic seconds before which nothing new is tried."""
    reason: str = ""
    progress: int = 0
    """How far the night was at the last fault."""
    wait_seconds: float = 0.0
    """How long it waits after the last fault."""

    def note(self, fault: BaseException, now: float, progress: int) -> None:
        """Count a fault; another one, or the same after some progress, begins a new row."""
        reason = f"{fault or type(fault).__name__}".splitlines()[0]
        same = reason == self.reason and progress == self.progress
        self.count = self.count + 1 if same else 1
        self.reason, self.progress = reason, progress
        self.wait_seconds = min(2.0 ** (self.count - 1), LONGEST_SECONDS)
        self.retry_at = now + self.wait_seconds

    def due(self, ending: bool) -> float:
        """Return the monotonic time of the next try; a night that ends does not wait for long."""
        return self.retry_at - max(0.0, self.wait_seconds - 1.0) if ending else self.retry_at

    def clear(self) -> None:
        """Forget the row: the night has come further than where it failed."""
        self.count, self.reason, self.retry_at = 0, "", 0.0

    def retry_now(self) -> None:
        """Try again at once: a person said so."""
        self.retry_at = 0.0

    @property
    def pausing(self) -> bool:
        """Tell whether the row is long enough to pause the night."""
        return self.count >= PAUSE_AFTER
