"""What exceptions of libraries mean, and how long is waited after them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cockpit.proposers.faults import Fault, fault_of, pause_seconds, wait_seconds

NOW = datetime(2026, 11, 21, 3, 0, 0, tzinfo=UTC)


def raised(name: str, message: str = "", cause: BaseException | None = None, **has: Any) -> Any:
    """An exception as a library raises it: known by the name of its class and what it has."""
    error = type(name, (Exception,), has)(message)
    error.__cause__ = cause
    return error


class Response:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised("RateLimitError", status_code=429), "rate"),
        (raised("APIError", "overloaded_error", status_code=529), "server"),
        (raised("InternalServerError", status_code=500), "server"),
        (raised("Timeout", "Request timed out", status_code=408), "silence"),
        (raised("APIConnectionError", status_code=500, cause=raised("ReadTimeout")), "silence"),
        (
            raised("APIConnectionError", status_code=500, cause=raised("ConnectError")),
            "unreachable",
        ),
        (raised("MidStreamError", original_exception=raised("RemoteProtocolError")), "cut"),
        (raised("APIConnectionError", cause=raised("JSONDecodeError")), "garbled"),
        (raised("AuthenticationError", status_code=401), "key"),
        (raised("PermissionDeniedError", status_code=403), "key"),
        (raised("BadRequestError", "API key not valid. Please pass", status_code=400), "key"),
        (raised("OpenAIError", "The api_key client option must be set"), "key"),
        (raised("APIConnectionError", status_code=500, cause=raised("LocalProtocolError")), "key"),
        (raised("NotFoundError", status_code=404), "model"),
        (raised("BadRequestError", "LLM Provider NOT provided", status_code=400), "model"),
        (raised("APIError", "Insufficient credits", status_code=402), "credit"),
        (raised("RateLimitError", "{'code': 'insufficient_quota'}", status_code=429), "credit"),
        (raised("BadRequestError", "Your credit balance is too low", status_code=400), "credit"),
        (raised("ContextWindowExceededError", status_code=400), "context"),
        (
            raised("BadRequestError", "prompt is too long: 210000 tokens", status_code=400),
            "context",
        ),
        (raised("RateLimitError", "Request too large for gpt-4o", status_code=429), "context"),
        (raised("ContentPolicyViolationError", status_code=400), "refusal"),
        (raised("BadRequestError", "unknown field", status_code=400), "rejected"),
        (KeyError("choices"), "server"),
    ],
)
def test_every_exception_has_a_kind(error: BaseException, kind: str) -> None:
    assert fault_of(error).kind == kind


def test_a_chain_that_bites_its_tail_is_followed_once() -> None:
    error = raised("MidStreamError", status_code=503)
    error.original_exception = error
    error.__cause__ = raised("APIError", cause=error)
    assert fault_of(error).kind == "server"


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        (
            "litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached",
            "Rate limit reached",
        ),
        ('AnthropicError - {"error": {"message": "Overloaded", "type": "x"}}', "Overloaded"),
        ('Error - b\'{"error": {"message": "it\\\'s late"}}\'', "it\\'s late"),
        ("<!DOCTYPE html><html><body>502</body></html>", "a page of HTML"),
        ("two\nlines \x1b[31mred", "two lines [31mred"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_what_the_provider_said_is_one_short_line(message: str, detail: str) -> None:
    assert fault_of(raised("APIError", message)).detail == detail


def test_a_fault_reads_as_one_line() -> None:
    fault = fault_of(raised("RateLimitError", "Slow down", status_code=429))
    assert fault.says == "rate limit (429): Slow down"
    unreachable = raised("APIConnectionError", "no", status_code=500, cause=raised("ConnectError"))
    assert fault_of(unreachable).says == "can't be reached"


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, "", 0.25),
        ({"retry-after": "Sat, 21 Nov 2026 03:00:30 GMT"}, "", 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 02:00:00 GMT"}, "", 0.0),
        ({"retry-after": "soon"}, "try again in 3s", None),
        ({}, "Please try again in 7.66s. Visit", 7.66),
        ({}, "Please try again in 1m30.5s", 90.5),
        ({}, "please retry in 300ms", 0.3),
        ({}, "later", None),
    ],
)
def test_how_long_a_provider_asks_to_wait(
    headers: dict[str, str], text: str, seconds: float | None
) -> None:
    assert wait_seconds(headers, text, NOW) == seconds


def test_retry_after_is_found_on_the_exception_or_its_response() -> None:
    with_response = raised("RateLimitError", status_code=429, response=Response(Retry_After="9"))
    assert fault_of(with_response).wait_seconds == 9
    kept = raised("InternalServerError", litellm_response_headers={"Retry-After": "9"})
    assert fault_of(kept).wait_seconds == 9
    assert fault_of(raised("BadRequestError", status_code=400, headers={"retry-after": "9"})) == (
        Fault("rejected", "", 400)
    )


def test_pauses_grow_to_a_limit_and_are_spread() -> None:
    fault = Fault("server")
    for tries, most in ((1, 2.0), (2, 4.0), (3, 8.0), (30, 60.0)):
        pauses = [pause_seconds(fault, tries, 2.0) for _ in range(200)]
        assert 0 <= min(pauses) < most / 4
        assert 3 * most / 4 < max(pauses) <= most
    asked = [pause_seconds(Fault("rate", wait_seconds=5.0), 1, 2.0) for _ in range(50)]
    assert 5.0 <= min(asked) < max(asked) <= 6.0


def test_who_wants_to_be_left_alone_for_long_is_not_waited_for() -> None:
    assert Fault("rate", wait_seconds=100).transient
    assert not Fault("rate", wait_seconds=1000).transient
    assert not Fault("key").transient
