"""Pure: what the calls of models have taken, added up as they come."""

from collections.abc import Iterable
from dataclasses import dataclass

from cockpit.lab.rows import Call


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls, tokens and dollars of one night."""

    calls: int = 0
    dollars: float = 0.0
    """As far as prices are known."""
    unpriced: int = 0
    """Calls that were answered by a model whose price is not known."""
    tokens: int = 0
    model: str | None = None
    """The one that answered last."""
    last: int = 0
    """Number of the last call that is counted in."""

    def and_then(self, calls: Iterable[Call]) -> "Spent":
        """Return the sum with later calls in it; itself where there are none."""
        spent = self
        for call in calls:
            answered = call.outcome == "ok"
            spent = Spent(
                calls=spent.calls + 1,
                dollars=spent.dollars + (call.dollars or 0.0),
                unpriced=spent.unpriced + (call.dollars is None and answered),
                tokens=spent.tokens + call.prompt_tokens + call.completion_tokens,
                model=call.model if answered else spent.model,
                last=call.id,
            )
        return spent


NOTHING_SPENT = Spent()


def dollars(value: float) -> str:
    """Return an amount as `$0.42`; what is less than a cent keeps its digits."""
    return f"${value:.4f}" if 0 < value < 0.01 else f"${value:.2f}"


def spent_word(spent: Spent) -> str:
    """Return what a night has cost, `$?` or a `+` behind it where prices are not known."""
    if not spent.calls:
        return ""
    if spent.unpriced and not spent.dollars:
        return "$?"
    return dollars(spent.dollars) + ("+" if spent.unpriced else "")


def short_model(name: str) -> str:
    """Return a model's name without the provider before it."""
    return name.rsplit("/", 1)[-1]
