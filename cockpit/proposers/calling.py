"""One call of one model: the request, the stream that answers it, and what it cost."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from cockpit.core.tool import TOOL
from cockpit.proposers.base import Hear
from cockpit.proposers.faults import WORDS, CallError, Fault
from cockpit.proposers.library import known
from cockpit.proposers.pricing import Prices, Usage
from cockpit.proposers.streaming import Streaming
from cockpit.proposers.written import Showing, Written

CONNECT_SECONDS = 10.0
WRITE_SECONDS = 30.0
BEGINNING_SECONDS = 10.0
"""What connecting may take, and the library's own imports at the first call of a process."""
CHARACTERS_A_TOKEN = 4
"""Of what a model thinks aloud, where its tokens have to be guessed."""
CHARGED = frozenset({"silence", "cut", "empty", "spent", "refusal"})
"""Faults after which the provider has read the prompt, and may have written."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request."""

    model: str
    purpose: str
    """`proposal`, `repair`, `question` or `probe`."""
    messages: tuple[tuple[str, str], ...]
    """Role and text."""
    max_tokens: int
    """Of the answer."""
    silence_seconds: float
    """Longest silence before and within the answer."""
    tools: bool = False
    """Whether it may answer by a call of our tool."""
    usage: bool = True
    """Whether it is asked to say what it took."""
    api_base: str | None = None

    @property
    def told(self) -> list[dict[str, str]]:
        """Return the messages as the library takes them."""
        return [{"role": role, "content": text} for role, text in self.messages]

    @property
    def offered(self) -> list[dict[str, Any]] | None:
        """Return the tools as the library takes them."""
        return [TOOL] if self.tools else None


class Caller:
    """Makes calls, and says of each what it took."""

    def __init__(
        self, library: Any, prices: Prices, hear: Hear, redact: Callable[[str], str]
    ) -> None:
        """`hear` gets the events."""
        self._library = library
        self._prices = prices
        self._hear = hear
        self._redact = redact
        self.dollars = 0.0
        """What all calls took so far, as far as prices are known."""
        self.guessed = False
        """Whether the tokens of any of them had to be counted here."""

    def prompt_tokens(self, call: Call) -> int:
        """Return about how many tokens the prompt of a call has, without asking anybody."""
        counted = known(
            lambda: self._library.token_counter(
                model=call.model, messages=call.told, tools=call.offered
            ),
            None,
        )
        if isinstance(counted, int):
            return counted
        return sum(len(text) for _, text in call.messages) // CHARACTERS_A_TOKEN

    def make(self, call: Call, doing: str) -> Written:
        """Return what a model wrote; raises `CallError` where that is no answer."""
        written = Written()
        showing = Showing(self._hear, self._redact, doing)
        began = time.monotonic()
        fault: Fault | None = None
        try:
            self._stream(call, written, showing)
            fault = _fault_in(written, probe=call.purpose == "probe")
            if fault is not None:
                raise CallError(fault)
        except CallError as error:
            fault = error.fault
            raise
        finally:
            showing.show(written, now=True)
            self._record(call, written, fault, time.monotonic() - began)
        return written

    def _stream(self, call: Call, written: Written, showing: Showing) -> None:
        arguments, usage = self._arguments(call), None
        with Streaming(lambda: self._library.completion(**arguments)) as streaming:
            patience = call.silence_seconds + BEGINNING_SECONDS
            while not written.huge:
                chunk = streaming.next(patience)
                if chunk is None:
                    break
                patience = call.silence_seconds
                written.take(chunk)
                usage = getattr(chunk, "usage", None) or usage
                showing.show(written)
            stream = streaming.stream
        if any(getattr(chunk, "usage", None) for chunk in getattr(stream, "chunks", ())):
            written.usage = usage  # else the library has only counted for itself
        if not written.huge:
            _check_end(stream, written)

    def _arguments(self, call: Call) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": call.model,
            "messages": call.told,
            "max_tokens": call.max_tokens,
            "stream": True,
            "timeout": _timeout(call.silence_seconds),
            "num_retries": 0,
            "max_retries": 0,
            # Where tools are offered the library would import a package that it does not require.
            "_skip_mcp_handler": True,
        }
        if call.usage:
            arguments["stream_options"] = {"include_usage": True}
        if call.tools:
            arguments["tools"] = call.offered
        if call.api_base:
            arguments["api_base"] = call.api_base
        return arguments

    def _record(self, call: Call, written: Written, fault: Fault | None, seconds: float) -> None:
        usage, estimated = self._usage(call, written, fault)
        dollars = self._prices.dollars(call.model, usage)
        self.dollars += dollars or 0.0
        self.guessed = self.guessed or estimated
        outcome = "ok" if fault is None else WORDS[fault.kind]
        if written.huge:
            outcome = "longer than anybody reads"
        if estimated and outcome != "ok":
            outcome += ", its cost is estimated"
        self._hear(
            {
                "event": "call",
                "model": call.model,
                "purpose": call.purpose,
                "prompt_tokens": usage.prompt,
                "completion_tokens": usage.completion,
                "dollars": dollars,
                "seconds": round(seconds, 3),
                "outcome": outcome,
                "estimated": estimated,
            }
        )

    def _usage(self, call: Call, written: Written, fault: Fault | None) -> tuple[Usage, bool]:
        """Return what a call took, and whether that is an estimate."""
        told = written.usage
        if told is not None:
            prompt, completion = (
                int(getattr(told, name, 0) or 0) for name in ("prompt_tokens", "completion_tokens")
            )
            return Usage(prompt, completion, told), False
        if not written.begun and fault is not None and fault.kind not in CHARGED:
            return Usage(), False
        return Usage(self.prompt_tokens(call), self._written_tokens(call, written)), True

    def _written_tokens(self, call: Call, written: Written) -> int:
        text = written.text + written.arguments
        thought = written.thought_characters // CHARACTERS_A_TOKEN
        counted = known(lambda: self._library.token_counter(model=call.model, text=text), None)
        if not isinstance(counted, int):
            counted = len(text) // CHARACTERS_A_TOKEN
        return counted + thought


def _timeout(silence_seconds: float) -> Any:
    return httpx.Timeout(
        connect=min(CONNECT_SECONDS, silence_seconds),
        read=silence_seconds,
        write=WRITE_SECONDS,
        pool=CONNECT_SECONDS,
    )


def _check_end(stream: Any, written: Written) -> None:
    """Raise `CallError` for a stream that ended without saying so, or was none."""
    headers = getattr(stream, "_response_headers", None)
    kind = str(headers.get("content-type", "")) if isinstance(headers, Mapping) else ""
    if "html" in kind:
        raise CallError(Fault("garbled", "a page of HTML"))
    # The library makes up a reason to stop where the connection was just closed.
    ended = getattr(stream, "received_finish_reason", written.finish)
    if not ended and not getattr(stream, "intermittent_finish_reason", None):
        raise CallError(Fault("cut" if written.begun else "empty"))


def _fault_in(written: Written, *, probe: bool) -> Fault | None:
    """Return what is wrong with an answer that came to its end."""
    if written.huge:
        return None
    if written.finish in ("content_filter", "refusal") or (written.refusal and not written.answer):
        return Fault("refusal", " ".join(written.refusal.split())[:200])
    if not written.answer and not probe:
        return Fault("spent" if written.finish == "length" else "empty")
    return None
