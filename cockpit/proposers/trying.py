"""From a list of models to one answer: tries, pauses between them, and the next model.

Nothing of this ends a night. Whatever goes wrong is one fault of one model; when all models
have theirs, one error says so in a line, and the engine goes on with another proposer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cockpit.proposers.base import Hear, ProposerError
from cockpit.proposers.calling import Call, Caller
from cockpit.proposers.faults import CallError, Fault, pause_seconds
from cockpit.proposers.keys import KeyRing, KeysError, keys_file
from cockpit.proposers.models import Models
from cockpit.proposers.pricing import Prices
from cockpit.proposers.written import Written

SHORTENINGS = 3
"""Times that a prompt is halved for a model that finds it too long."""
LEAST_ANSWER_TOKENS = 500
"""Nobody proposes anything in fewer."""
NO_PRICE = (
    "its price is not known, and a limit is set: give dollars a million tokens of prompt and of "
    "answer as model_prices in cockpit.toml"
)
PATIENCE_SECONDS = 1200.0
"""After so long no other try begins: the engine waits for an order's answer half an hour."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an order says of how it is to be carried out."""

    models: tuple[str, ...] = ()
    """The first that answers is taken."""
    api_base: str | None = None
    """Where the first model's provider is, if not where it always is."""
    silence_seconds: float = 90.0
    attempts: int = 3
    """Tries with each model."""
    answer_tokens: int = 16_000
    dollars_left: float | None = None
    prices: Mapping[str, Sequence[float]] | None = None
    keys_file: Path | None = None
    pause_seconds: float = 2.0
    """Longest pause after the first failed try; it doubles with each."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """Return the options of an order; what is None or unknown counts as not given."""
        known = {k: v for k, v in given.items() if k in cls.__slots__ and v is not None}
        if "keys_file" in known:
            known["keys_file"] = Path(known["keys_file"])
        return cls(**known | {"models": tuple(known.get("models", ()))})

    @property
    def keys(self) -> Path:
        """Return the file of keys."""
        return self.keys_file or keys_file()


@dataclass(frozen=True, slots=True)
class Task:
    """What a model is asked for."""

    purpose: str
    """`proposal`, `repair`, `question` or `probe`."""
    doing: str
    """The same for the screen: `proposing`, `mending`, `answering`, `probing`."""
    messages: Callable[[bool, int], Sequence[tuple[str, str]]]
    """Makes the messages, with or without tools, within so many tokens."""
    token_limit: int = 48_000
    tools: bool = False
    """Whether a call of our tool is an answer."""
    answer_tokens: int | None = None
    """Where the answer may be shorter than the options say."""


class NoAnswer(ProposerError):  # noqa: N818 it is one of several outcomes
    """No model answered; `faults` say why, in the order of the models."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        """Make one line and one kind of all faults."""
        kinds = {fault.kind for fault in faults.values()}
        kind = "money" if kinds == {"money"} else "key" if kinds <= {"key", "money"} else "fault"
        super().__init__("; ".join(f"{m}: {fault.says}" for m, fault in faults.items()), kind)
        self.faults = dict(faults)


class Trying:
    """Carries out the calls of one order."""

    def __init__(self, models: Models, keys: KeyRing, options: Options, hear: Hear) -> None:
        """`hear` gets the events."""
        self._models = models
        self._keys = keys
        self._options = options
        self._hear = hear
        self._prices = Prices(models.library, options.prices or {})
        self._caller = Caller(models.library, self._prices, hear, keys.redact)
        self._until = time.monotonic() + PATIENCE_SECONDS
        self.told: list[str] = []
        """What a person should know of how the answer came about."""

    def answer(self, task: Task) -> tuple[str, Written]:
        """Return the model that answered, and what it wrote; raises `NoAnswer`."""
        faults: dict[str, Fault] = {}
        for model in self._options.models:
            try:
                written = self._from(model, task)
            except CallError as error:
                faults[model] = error.fault
                self.told.append(f"{model}: {error.fault.says}")
            else:
                if self._caller.guessed:
                    self.told.append("not every call said what it took: the cost is estimated")
                return model, written
        raise NoAnswer(faults)

    def _from(self, model: str, task: Task) -> Written:
        """Return what one model wrote, after as many tries as it is worth."""
        alone = len(self._options.models) == 1
        attempts = self._options.attempts if alone or model not in self._models.resting else 1
        failed = shortened = 0
        while True:
            try:
                written = self._once(model, task)
            except CallError as error:
                fault = error.fault
                if fault.kind == "context" and shortened < SHORTENINGS:
                    shortened += 1
                    self._shorten(model, task)
                    continue
                if self._models.learn(model, fault):
                    continue
                failed += 1
                if (
                    not fault.transient
                    or failed >= attempts
                    or not self._pause(model, fault, failed)
                ):
                    self._models.resting.add(model)
                    if fault.kind == "context":
                        self._models.forget_length(model)
                    raise
            else:
                self._models.resting.discard(model)
                return written

    def _once(self, model: str, task: Task) -> Written:
        self._check_keys(model)
        keys = self._keys.present
        try:
            written = self._caller.make(self._affordable(self._call(model, task)), task.doing)
        except CallError as error:
            if error.fault.kind == "key":
                self._models.refusals.note(model, keys, error.fault)
            raise
        self._models.refusals.forget(model)
        return written

    def _check_keys(self, model: str) -> None:
        """Take the keys as they are now; raises `CallError` where the model's is not there."""
        try:
            self._keys.refresh(self._options.keys)
        except KeysError as error:
            raise CallError(Fault("key", str(error))) from None
        if missing := self._models.missing_keys(model):
            raise CallError(Fault("key", not_set(missing, self._options.keys)))
        if fault := self._models.refusals.known(model, self._keys.present):
            raise CallError(fault)

    def _call(self, model: str, task: Task) -> Call:
        tools = task.tools and self._models.has_tools(model)
        wanted = task.answer_tokens or self._options.answer_tokens
        answer_tokens = self._models.answer_tokens(model, wanted)
        limit = self._models.prompt_tokens(model, task.token_limit, answer_tokens)
        messages = task.messages(tools, limit)
        return Call(
            model=model,
            purpose=task.purpose,
            messages=tuple((role, self._keys.redact(text)) for role, text in messages),
            max_tokens=answer_tokens,
            silence_seconds=self._options.silence_seconds,
            tools=tools,
            usage=self._models.tells_usage(model),
            api_base=self._base_of(model),
        )

    def _base_of(self, model: str) -> str | None:
        """Return the given address for all models of the first one's provider."""
        first = self._models.provider(self._options.models[0])
        return self._options.api_base if self._models.provider(model) == first else None

    def _affordable(self, call: Call) -> Call:
        """Return a call whose answer is no longer than what may be spent."""
        if self._options.dollars_left is None:
            return call
        left = self._options.dollars_left - self._caller.dollars
        tokens = self._prices.affordable(call.model, self._caller.prompt_tokens(call), left)
        if tokens is None:
            raise CallError(Fault("money", NO_PRICE))
        if tokens < min(LEAST_ANSWER_TOKENS, call.max_tokens):
            raise CallError(Fault("money", f"${max(0.0, left):.4f} is left of the limit"))
        return replace(call, max_tokens=min(call.max_tokens, tokens))

    def _shorten(self, model: str, task: Task) -> None:
        answer_tokens = self._models.answer_tokens(model, self._options.answer_tokens)
        self._models.shorten(
            model, self._models.prompt_tokens(model, task.token_limit, answer_tokens)
        )

    def _pause(self, model: str, fault: Fault, failed: int) -> bool:
        """Wait before the next try; tell whether there is time for one."""
        seconds = pause_seconds(fault, failed, self._options.pause_seconds)
        if time.monotonic() + seconds > self._until:
            return False
        self._hear({"event": "trouble", "says": f"{model}: {fault.says}", "seconds": seconds})
        time.sleep(seconds)
        return True


def not_set(names: Sequence[str], keys: Path) -> str:
    """Return which variables are missing, and where they may be set."""
    verb = "is" if len(names) == 1 else "are"
    return f"{', '.join(names)} {verb} not set, neither in the environment nor in {keys}"
