"""What calls of models cost: the library's bundled table, and over it what a person says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.proposers.library import known

MILLION = 1_000_000
MEASURED_TOKENS = 1_000
"""So many tokens of an answer are priced to learn what one costs."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a call took."""

    prompt: int = 0
    completion: int = 0
    told: Any = None
    """The library's own record, where the provider told it: with cached tokens and the like."""


class Prices:
    """Prices by the names of models."""

    def __init__(self, library: Any, own: Mapping[str, Sequence[float]]) -> None:
        """`own` has dollars for a million tokens of prompt and of answer by a model's name."""
        self._library = library
        self._own = dict(own)

    def dollars(self, model: str, usage: Usage) -> float | None:
        """Return what a call cost, None where the price of the model is not known."""
        if not usage.prompt and not usage.completion:
            return 0.0
        if model in self._own:
            prompt, completion = self._own[model][:2]
            return (prompt * usage.prompt + completion * usage.completion) / MILLION
        if not self._listed(model):
            return None
        costs = known(lambda: self._library.cost_per_token(model=model, **self._taken(usage)), None)
        return float(sum(costs)) if costs is not None else None

    def known(self, model: str) -> bool:
        """Tell whether there is a price."""
        return model in self._own or self._listed(model)

    def affordable(self, model: str, prompt_tokens: int, dollars: float) -> int | None:
        """Return how many tokens an answer may have; None where the price is not known.

        A price may depend on the length of the prompt, so it is asked for at this length.
        """
        start = self.dollars(model, Usage(prompt_tokens))
        more = self.dollars(model, Usage(prompt_tokens, MEASURED_TOKENS))
        if start is None or more is None:
            return None
        if more <= start:  # it costs nothing
            return MILLION if start <= dollars else 0
        return max(0, int((dollars - start) / (more - start) * MEASURED_TOKENS))

    def says(self, model: str) -> str:
        """Return a model's price in a few words."""
        prompt = self.dollars(model, Usage(MILLION // 100))
        both = self.dollars(model, Usage(MILLION // 100, MILLION // 100))
        if prompt is None or both is None:
            return "price not known"
        return f"${100 * prompt:.2f} and ${100 * (both - prompt):.2f} a million tokens"

    def _taken(self, usage: Usage) -> dict[str, Any]:
        if usage.told is not None:
            return {"usage_object": usage.told}
        return {"prompt_tokens": usage.prompt, "completion_tokens": usage.completion}

    def _listed(self, model: str) -> bool:
        """Tell whether the table has a price; the library takes nothing for what it misses."""
        found = known(lambda: self._library.get_model_info(model=model), None)
        row = self._library.model_cost.get(found["key"], {}) if found else {}
        return any("cost_per_" in name or "pricing" in name for name in row)
