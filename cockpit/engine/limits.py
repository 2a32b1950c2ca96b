"""What ends a night by itself."""

from dataclasses import dataclass

ALL_ASKED_FOR = "what was asked for is measured"


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a night by itself; None is no limit."""

    experiments: int | None
    """Experiments to claim, the baseline not counted."""
    seconds: float | None
    """Wall clock after which nothing new starts."""

    @property
    def goes_on(self) -> bool:
        """Tell whether it is a night with ideas, not one of what was asked for alone."""
        return self.experiments != 0

    def time_is_up(self, elapsed: float) -> bool:
        """Tell whether a night of `elapsed` seconds begins nothing new any more."""
        return self.seconds is not None and elapsed >= self.seconds

    def most(self, claimed: int, elapsed: float) -> int | None:
        """Return how many experiments may be claimed, of which `claimed` were; None for any."""
        return claimed if self.time_is_up(elapsed) else self.experiments

    def reached(self, claimed: int, elapsed: float) -> str | None:
        """Return what ends the night, in words; None while it goes on."""
        if self.time_is_up(elapsed):
            return f"the duration of {self.seconds:.0f} s is over"
        if self.experiments is None or claimed < self.experiments:
            return None
        return f"all {self.experiments} experiments are done" if self.experiments else ALL_ASKED_FOR
