"""What is known of models: their keys, what they can do, and what they refused before."""

import os
import re
import time
from pathlib import Path
from typing import Any

from cockpit.proposers.faults import Fault
from cockpit.proposers.library import known

KEYLESS = frozenset(
    {"ollama", "ollama_chat", "lm_studio", "hosted_vllm", "llamafile", "xinference"}
)
"""Providers on one's own machine."""
OWN_FILES = {
    "bedrock": ("~/.aws/credentials", "~/.aws/config"),
    "sagemaker": ("~/.aws/credentials", "~/.aws/config"),
    "vertex_ai": ("~/.config/gcloud/application_default_credentials.json",),
}
"""Where providers' own tools leave keys, which their libraries find by themselves."""
LEAST_PROMPT_TOKENS = 2_000
REFUSED_SECONDS = 5.0
"""A key that was refused is not shown to the same model again for so long, doubled each time."""
LONGEST_REFUSED_SECONDS = 300.0
_AT_MOST = re.compile(r"max_(?:completion_|output_)?tokens.{0,100}?at most (\d{2,7})")
_TOOLS = re.compile(r"\btools?\b|tool[_ -]|function.?call")
_REJECTING = frozenset({"rejected", "model"})


class Refusals:
    """Remembers which keys a model refused, so as not to show them again at every turn."""

    def __init__(self) -> None:
        """Remember none."""
        self._known: dict[str, tuple[int, int, float, Fault]] = {}

    def note(self, model: str, keys: frozenset[str], fault: Fault) -> None:
        """Remember a fault that comes of the keys that are set, for longer each time."""
        which, times, _, _ = self._known.get(model, (0, 0, 0.0, fault))
        times = times + 1 if which == hash(keys) else 1
        seconds = min(LONGEST_REFUSED_SECONDS, REFUSED_SECONDS * 2 ** (times - 1))
        self._known[model] = (hash(keys), times, time.monotonic() + seconds, fault)

    def forget(self, model: str) -> None:
        """Forget it: the model has answered."""
        self._known.pop(model, None)

    def known(self, model: str, keys: frozenset[str]) -> Fault | None:
        """Return the fault of these very keys, None where it is new or long ago."""
        if model not in self._known:
            return None
        which, _, until, fault = self._known[model]
        return fault if which == hash(keys) and time.monotonic() < until else None


class Models:
    """Knows models by their names, and learns while the process lives."""

    def __init__(self, library: Any) -> None:
        """Know nothing but what the library's tables say."""
        self.library = library
        self._without: dict[str, set[str]] = {}
        self._prompts: dict[str, int] = {}
        self._answers: dict[str, int] = {}
        self.resting: set[str] = set()
        """Those that did not answer when they were last asked."""
        self.refusals = Refusals()

    def provider(self, model: str) -> str | None:
        """Return who serves a model, None for a name that says it to nobody."""
        found = known(lambda: self.library.get_llm_provider(model=model), None)
        return str(found[1]) if found and found[1] else None

    def missing_keys(self, model: str) -> tuple[str, ...]:
        """Return the variables that a model needs and that are not set."""
        told: dict[str, Any] = known(lambda: self.library.validate_environment(model=model), {})
        provider = self.provider(model) or ""
        own_files = (Path(place).expanduser() for place in OWN_FILES.get(provider, ()))
        if (
            told.get("keys_in_environment")
            or provider in KEYLESS
            or any(map(Path.exists, own_files))
        ):
            return ()
        names = told.get("missing_keys") or ()
        return tuple(name for name in names if not os.environ.get(name))

    def has_tools(self, model: str) -> bool:
        """Tell whether a model may be offered a tool."""
        able = known(lambda: self.library.supports_function_calling(model=model), False)
        return bool(able) and "tools" not in self._without.get(model, ())

    def tells_usage(self, model: str) -> bool:
        """Tell whether a model may be asked to say what it took."""
        return "stream_options" not in self._without.get(model, ())

    def answer_tokens(self, model: str, wanted: int) -> int:
        """Return how long an answer may be, at most as long as wanted."""
        most = self._figure(model, "max_output_tokens") or wanted
        return min(wanted, most, self._answers.get(model, wanted))

    def prompt_tokens(self, model: str, wanted: int, answer_tokens: int) -> int:
        """Return how long a prompt may be, at most as long as wanted."""
        window = self._figure(model, "max_input_tokens") or 0
        if window:
            wanted = min(wanted, max(LEAST_PROMPT_TOKENS, window - answer_tokens))
        return min(wanted, self._prompts.get(model, wanted))

    def shorten(self, model: str, present: int) -> None:
        """Learn that a prompt of so many tokens was too long: the next has half of them."""
        self._prompts[model] = max(1, min(present, self._prompts.get(model, present)) // 2)

    def forget_length(self, model: str) -> None:
        """Unlearn it: shortening was of no use."""
        self._prompts.pop(model, None)

    def learn(self, model: str, fault: Fault) -> bool:
        """Learn from a refused request; tell whether another one may be accepted now."""
        if fault.kind not in _REJECTING:
            return False
        detail = fault.detail.lower()
        if found := _AT_MOST.search(detail):
            before = self._answers.get(model)
            self._answers[model] = int(found[1])
            return before != self._answers[model]
        without = self._without.setdefault(model, set())
        refused = "stream_options" if "stream_options" in detail else "tools"
        if refused in without or (refused == "tools" and not _TOOLS.search(detail)):
            return False
        without.add(refused)
        return True

    def _figure(self, model: str, name: str) -> int | None:
        row = known(lambda: self.library.get_model_info(model=model), None)
        figure = row.get(name) if row else None
        return figure if isinstance(figure, int) and figure > 0 else None
