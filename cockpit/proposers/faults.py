"""What goes wrong with a call of a model: one typed fault for whatever a library raised.

Providers fail in a hundred ways and libraries dress each of them differently. Only the
names of exceptions, their status and their words are looked at, along the whole chain of
what raised what, so nothing here needs the library itself.
"""

import email.utils
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DETAIL_CHARACTERS = 200
LONGEST_CHAIN = 12
LONGEST_PAUSE = 60.0
"""Seconds between two tries where nobody says how long to wait."""
LONGEST_WAIT = 180.0
"""A provider that wants to be left alone for longer is not waited for."""

WORDS = {
    "rate": "rate limit",
    "server": "the server failed",
    "silence": "silent for too long",
    "cut": "the answer broke off",
    "unreachable": "can't be reached",
    "garbled": "what came back is no answer of a model",
    "empty": "an empty answer",
    "spent": "it used up its tokens before it answered",
    "refusal": "it refused to answer",
    "context": "the prompt is too long for it",
    "key": "its key is missing, wrong or not allowed to do this",
    "model": "there is no such model",
    "credit": "its account is out of credit",
    "rejected": "the request was rejected",
    "money": "not affordable",
}
"""The kinds of faults, and what a person reads."""
TRANSIENT = frozenset({"rate", "server", "silence", "cut", "unreachable", "garbled", "empty"})
"""Those that another try may mend."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call has no answer."""

    kind: str
    """One of `WORDS`."""
    detail: str = ""
    """What the provider said, one line: foreign text."""
    status: int | None = None
    """Of HTTP, where there was one."""
    wait_seconds: float | None = None
    """How long the provider asks to wait."""

    @property
    def transient(self) -> bool:
        """Tell whether another try makes sense, and soon."""
        return self.kind in TRANSIENT and (self.wait_seconds or 0) <= LONGEST_WAIT

    @property
    def says(self) -> str:
        """Return it in one line."""
        status = f" ({self.status})" if self.status else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{WORDS[self.kind]}{status}{detail}"


class CallError(Exception):
    """A call of a model gave no answer."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.says)
        self.fault = fault


def pause_seconds(fault: Fault, tries: int, first_seconds: float) -> float:
    """Return how long to wait after so many tries that failed: exponential, with full jitter.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Where the
    provider named a time, that and a little more, so that not all come back at once.
    """
    jitter = random.random()  # noqa: S311 it spreads the load, nothing hangs on it
    if fault.wait_seconds is not None:
        return fault.wait_seconds + jitter * min(first_seconds, 1.0)
    return float(jitter * min(LONGEST_PAUSE, first_seconds * 2 ** (tries - 1)))


# ---- from an exception ------------------------------------------------------------------------


def fault_of(error: BaseException, now: datetime | None = None) -> Fault:
    """Return what an exception of a provider's library means."""
    chain = list(_chain(error))
    names = {base.__name__ for one in chain for base in type(one).__mro__}
    status = next((found for one in chain if (found := _status(one)) is not None), None)
    if names & _UNANSWERED:
        status = None  # made up by the library
    text = " ".join(str(one) for one in chain)[:20_000]
    headers: Mapping[str, str] = next(filter(None, map(_headers, chain)), {})
    kind = _kind(names, status, text.lower())
    wait = wait_seconds(headers, text, now or datetime.now(UTC)) if kind in _WAITING else None
    return Fault(kind, "" if kind in _SPEAKING else _detail(chain), status, wait)


_WAITING = frozenset({"rate", "server"})
_SPEAKING = frozenset({"silence", "cut", "unreachable"})
"""Kinds that say it all: what the library adds is about itself."""
_UNANSWERED = frozenset(
    {"ConnectError", "ConnectTimeout", "ReadTimeout", "RemoteProtocolError", "JSONDecodeError"}
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it came of."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting and len(seen) < LONGEST_CHAIN:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [getattr(one, "original_exception", None), one.__cause__, one.__context__]


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and 400 <= status < 600 else None


def _headers(error: BaseException) -> Mapping[str, str]:
    for holder in (getattr(error, "response", None), error):
        for name in ("headers", "litellm_response_headers"):
            found = getattr(holder, name, None)
            if isinstance(found, Mapping) and found:
                return {str(key).lower(): str(value) for key, value in found.items()}
    return {}


_KEY = re.compile(
    r"api.?key.{0,40}(?:invalid|incorrect|not valid|expired|missing|must be set)"
    r"|(?:invalid|incorrect|missing|no) .{0,20}(?:api.?key|credentials)|credentials.{0,30}not found"
)
_CREDIT = re.compile(
    r"insufficient.?(?:quota|credit|balance|fund)|credit balance|payment required|out of credit"
)
_CONTEXT = re.compile(
    r"context.?(?:length|window|limit|size)|prompt is too long|input is too long|too many tokens"
    r"|maximum.{0,20} tokens|request too large"
)
_MODEL = re.compile(r"model.{0,60}(?:not found|does not exist|not_found)|llm provider not provided")


def _kind(names: set[str], status: int | None, text: str) -> str:
    """Return the kind of a fault; the order is from what is sure to what is not."""
    if names & {"ConnectError", "ConnectTimeout", "gaierror"}:
        return "unreachable"
    if names & {"ReadTimeout", "WriteTimeout", "PoolTimeout"}:
        return "silence"
    if names & {"RemoteProtocolError", "ReadError", "IncompleteRead"}:
        return "cut"
    if "JSONDecodeError" in names:
        return "garbled"
    if names & {"LocalProtocolError", "UnicodeEncodeError"}:
        return "key"  # no header can hold it: a line end has come along
    if "ContextWindowExceededError" in names or (status in (400, 413) and _CONTEXT.search(text)):
        return "context"
    if status == 429 and "request too large" in text:  # for a minute's allowance
        return "context"
    if names & {"ContentPolicyViolationError", "RejectedRequestError"}:
        return "refusal"
    if status == 402 or _CREDIT.search(text):
        return "credit"
    if status in (401, 403) or "AuthenticationError" in names:
        return "key"
    if status in (None, 400) and _KEY.search(text):
        return "key"
    if status == 429 or "RateLimitError" in names:
        return "rate"
    if "Timeout" in names or status in (408, 504):
        return "silence"
    if status == 404 or "NotFoundError" in names or (status == 400 and _MODEL.search(text)):
        return "model"
    if status is not None and status < 500:
        return "rejected"
    return "server"


_PREFACE = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)\s*[:-]\s*)+")


def _detail(chain: list[BaseException]) -> str:
    """Return what the provider said in one line, without the library's own preface."""
    text = str(getattr(chain[0], "message", "") or chain[0])
    if re.search(r"<(?:!doctype|html|body)\b", text, re.IGNORECASE):
        return "a page of HTML"
    found = re.search(r"\{.*\}", text, re.DOTALL)
    if found:
        text = _message(found[0]) or text
    text = _PREFACE.sub("", text.strip())
    text = " ".join(text.split())
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= DETAIL_CHARACTERS else text[: DETAIL_CHARACTERS - 1] + "…"


_MESSAGE = re.compile(r'"message":\s*"((?:[^"\\]|\\.)*)"')


def _message(text: str) -> str:
    """Return the message in a provider's JSON, empty where it has none."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        found = _MESSAGE.search(text)  # such as the bytes of it, as Python writes them
        return found[1] if found else ""
    inner = given.get("error", given) if isinstance(given, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else inner
    return message if isinstance(message, str) else ""


# ---- how long to wait -------------------------------------------------------------------------

_IN_WORDS = re.compile(r"(?:try again|retry) in (?:(?P<m>\d+)m)?(?P<s>\d+(?:\.\d+)?)(?P<unit>ms|s)")


def wait_seconds(headers: Mapping[str, str], text: str, now: datetime) -> float | None:
    """Return the seconds that a provider asks to wait; None where it does not say.

    `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3); some say it in
    milliseconds, some in words alone.
    """
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after", "").strip()
    if said:
        seconds = _seconds(said)
        return seconds if seconds is not None else _until(said, now)
    found = _IN_WORDS.search(text.lower())
    if found is None:
        return None
    seconds = float(found["s"]) / (1000 if found["unit"] == "ms" else 1)
    return 60 * int(found["m"] or 0) + seconds


def _seconds(said: str) -> float | None:
    return float(said) if re.fullmatch(r"\d{1,9}(?:\.\d*)?", said) else None


def _until(said: str, now: datetime) -> float | None:
    try:
        then = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())
