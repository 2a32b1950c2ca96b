"""Where every second of a slot went.

A slot is in exactly one category at any moment, so that the seconds of all categories
add up to slots times wall clock by construction: a change of category closes the old
one at the instant the new one begins. Times are readings of one monotonic clock.
"""

from dataclasses import dataclass, field, replace

CATEGORIES = (
    "training",
    "evaluation",
    "audit",
    "startup",
    "proposing",
    "paused",
    "other",
)
"""In the order they are shown. `startup` is from the claim to the first real step,
`proposing` is a slot without an idea, `other` everything between a score and the next claim."""


@dataclass(frozen=True, slots=True)
class SlotLedger:
    """One slot's seconds by category, and the category it is in."""

    category: str
    since: float
    """Monotonic seconds at which the present category began."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Closed seconds by category."""

    def mark(self, category: str, at: float) -> "SlotLedger":
        """Enter `category` at time `at` (never before `since`: late news is counted from there)."""
        if category not in CATEGORIES:
            raise ValueError(f"unknown ledger category: {category}")
        at = max(at, self.since)
        if category == self.category:
            return self
        return replace(self, category=category, since=at, seconds=self.totals(at))

    def totals(self, at: float) -> dict[str, float]:
        """Return seconds by category up to `at`, the open one included."""
        totals = dict(self.seconds)
        totals[self.category] = totals.get(self.category, 0.0) + max(0.0, at - self.since)
        return totals


def total(slots: list[SlotLedger], at: float) -> dict[str, float]:
    """Return the seconds of all slots by category up to `at`, every category present."""
    sums = dict.fromkeys(CATEGORIES, 0.0)
    for slot in slots:
        for category, seconds in slot.totals(at).items():
            sums[category] += seconds
    return sums
