"""A provider of models on loopback: it speaks OpenAI's chat completions and plays a script.

Everything is real but the model: HTTP, server-sent events, pieces of tool calls, the last
chunk with the usage, and all that goes wrong with them. A script is a list of steps, one a
request, or a function that makes a step of a request and so can answer a whole night:

    with serving([answer(title="Depth 5", edits=[...]), status(429, retry_after="1")]) as server:
        ...
    with serving(lambda request: answer(edits=[request.edit("DEPTH", 5)])) as server:
        ...

`server.requests` holds what came in, `server.told` the usage that went out.
"""

import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHARACTERS_A_TOKEN = 4
PIECE_CHARACTERS = 24
"""Of an answer in one chunk of the stream."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for."""

    number: int
    """0 for the first."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: Mapping[str, Any]

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def key(self) -> str:
        """What the client showed as its key."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def prompt(self) -> str:
        """All messages as one text."""
        return "\n\n".join(str(message.get("content")) for message in self.body["messages"])

    @property
    def roles(self) -> list[str]:
        return [message["role"] for message in self.body["messages"]]

    @property
    def tools(self) -> bool:
        """Whether the client offers tools."""
        return bool(self.body.get("tools"))

    @property
    def probe(self) -> bool:
        """Whether it only wants to know if somebody is there."""
        return len(self.prompt) < 200

    @property
    def hints(self) -> list[int]:
        """Numbers of the hints and the order that the prompt wants to be answered."""
        return [int(n) for n in re.findall(r"^(?:Hint|Order) (\d+) \(", self.prompt, re.MULTILINE)]

    def find(self, pattern: str) -> str | None:
        """The first group of the last place in the prompt where a pattern fits a line's start."""
        found = list(re.finditer(pattern, self.prompt, re.MULTILINE))
        return found[-1][1] if found else None

    def edit(self, name: str, value: object) -> dict[str, str]:
        """An edit that gives a constant of the prompt's train.py another value."""
        places = re.finditer(rf"^{name} = [^#\n]*?(?P<rest> *(?:#.*)?)$", self.prompt, re.MULTILINE)
        line = next(places)
        return {"search": line[0], "replace": f"{name} = {value}{line['rest']}"}


Step = Callable[["Exchange"], None]
"""What the server does with one request."""
Script = Iterable[Step] | Callable[[Request], Step]


class ModelServer:
    """What the server plays, and what it was asked."""

    def __init__(self, script: Script = ()) -> None:
        self.requests: list[Request] = []
        self.told: list[tuple[str, int, int]] = []
        """Model, tokens of prompt and of answer of every usage that was told."""
        self.port = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self.play(script)

    def play(self, script: Script) -> None:
        """Play this from the next request on, and forget what was asked."""
        with self._lock:
            self._script = script if callable(script) else iter(script)
            self.requests = []
            self.told = []

    @property
    def base_url(self) -> str:
        """What `api_base` or OPENAI_BASE_URL has to be."""
        return f"http://127.0.0.1:{self.port}/v1"

    def next_step(
        self, headers: Mapping[str, str], body: Mapping[str, Any]
    ) -> tuple[Request, Step]:
        with self._lock:
            request = Request(len(self.requests), headers, body)
            self.requests.append(request)
            if callable(self._script):
                return request, self._script(request)
            return request, next(self._script, status(500, "the script is over"))


@contextmanager
def serving(script: Script = ()) -> Iterator[ModelServer]:
    """Serve until the block is left; whoever waits then is let go."""
    played = ModelServer(script)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"played": played}))
    played.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield played
    finally:
        played.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


# ---- steps ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer says that it took; what is None is counted in characters."""

    prompt: int | None = None
    completion: int | None = None
    cached: int = 0
    """Of the prompt."""


def answer(
    title: str = "An idea",
    *,
    hypothesis: str = "It may help.",
    predicted: float = -0.001,
    edits: Sequence[Mapping[str, str]] = (),
    hints: Sequence[Mapping[str, Any]] = (),
    usage: Usage | None = Usage(),
    pause: float = 0.0,
) -> Step:
    """Answer by a call of the tool; by text where the client offers none.

    `pause` is in seconds, between the pieces of the stream; without `usage` none is told.
    """
    fields = {
        "title": title, "hypothesis": hypothesis, "predicted_change": predicted,
        "edits": list(edits), "hints": list(hints),
    }  # fmt: skip

    def step(exchange: "Exchange") -> None:
        if exchange.request.tools:
            call(json.dumps(fields), usage=usage, pause=pause)(exchange)
        else:
            text(_as_text(fields), usage=usage, pause=pause)(exchange)

    return step


def call(arguments: str, *, usage: Usage | None = Usage(), pause: float = 0.0) -> Step:
    """Answer by a call of the tool with these very arguments."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        first = {"index": 0, "id": "call_1", "type": "function"}
        exchange.delta(
            {"tool_calls": [{**first, "function": {"name": "propose", "arguments": ""}}]}
        )
        for piece in _pieces(arguments):
            exchange.wait(pause)
            exchange.delta({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        exchange.end("tool_calls", usage)

    return step


def text(
    words: str,
    *,
    finish: str = "stop",
    usage: Usage | None = Usage(),
    pause: float = 0.0,
) -> Step:
    """Answer in words."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        for piece in _pieces(words):
            exchange.wait(pause)
            exchange.delta({"content": piece})
        exchange.end(finish, usage)

    return step


def malformed() -> Step:
    """Answer by a call whose arguments are no JSON."""
    return call('{"title": "Broken", "edits": [{"search": "DEPTH = 4", "replace": ]}')


def empty() -> Step:
    """Answer nothing."""
    return text("")


def refusal() -> Step:
    """Stop because a filter found something."""
    return text("I am", finish="content_filter")


def huge(size: int = 2_000_000, *, piece: int = 10_000) -> Step:
    """Answer so many characters, so many in one chunk."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        for _ in range(size // piece):
            exchange.delta({"content": "tick " * (piece // 5)})
        exchange.end("stop", Usage())

    return step


def cut(after: int = 5, *, reset: bool = False) -> Step:
    """Break off after so many chunks: as a connection that was closed, or that was reset."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        for _ in range(after):
            exchange.delta({"content": "TITLE: something that "})
        exchange.drop(reset=reset)

    return step


def ended_early(after: int = 5) -> Step:
    """End the stream in good order, but without a reason to stop."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        for _ in range(after):
            exchange.delta({"content": "TITLE: something that "})
        exchange.raw(b"")

    return step


def silence(seconds: float, after: int | None = None) -> Step:
    """Say nothing for so long, from the beginning or after some chunks; then break off."""

    def step(exchange: Exchange) -> None:
        if after is not None:
            exchange.begin()
            for _ in range(after):
                exchange.delta({"content": "TITLE: something that "})
        exchange.wait(seconds)
        exchange.drop()

    return step


def muttering(seconds: float, every: float = 0.1) -> Step:
    """Keep the connection alive for so long, and say nothing all the same."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        for _ in range(int(seconds / every)):
            exchange.wait(every)
            exchange.raw(b": keep-alive\n\n")
        exchange.drop()

    return step


def delay(seconds: float, then: Step) -> Step:
    """Play a step after so long."""

    def step(exchange: Exchange) -> None:
        exchange.wait(seconds)
        then(exchange)

    return step


def status(
    code: int,
    message: str = "something went wrong",
    *,
    retry_after: str | None = None,
    kind: str = "server_error",
    error_code: str | None = None,
) -> Step:
    """Refuse with a status and an error as OpenAI writes it."""
    error = {"message": message, "type": kind, "param": None, "code": error_code}
    headers = {"Retry-After": retry_after} if retry_after is not None else {}

    def step(exchange: Exchange) -> None:
        exchange.say(code, json.dumps({"error": error}), "application/json", headers)

    return step


def rate_limited(retry_after: str | None = None) -> Step:
    """Refuse because there were too many requests."""
    told = "Rate limit reached for requests"
    return status(
        429, told, retry_after=retry_after, kind="requests", error_code="rate_limit_exceeded"
    )


def out_of_credit() -> Step:
    """Refuse because nobody has paid."""
    told = "You exceeded your current quota, please check your plan and billing details."
    return status(429, told, kind="insufficient_quota", error_code="insufficient_quota")


def key_revoked() -> Step:
    """Refuse the key, and repeat some of it as OpenAI does."""

    def step(exchange: Exchange) -> None:
        key = exchange.request.key
        told = f"Incorrect API key provided: {key[:8]}{'*' * 12}{key[-4:]}. You can find it at"
        status(401, told, kind="invalid_request_error", error_code="invalid_api_key")(exchange)

    return step


def forbidden() -> Step:
    """Refuse because the key may not do this."""
    return status(403, "Project does not have access to this model", kind="invalid_request_error")


def no_such_model() -> Step:
    """Refuse because there is no such model."""
    told = "The model `gpt-9` does not exist or you do not have access to it."
    return status(404, told, kind="invalid_request_error", error_code="model_not_found")


def context_too_long(limit: int = 8192) -> Step:
    """Refuse because the prompt is too long."""
    told = f"This model's maximum context length is {limit} tokens. Your messages resulted in more."
    kind = "invalid_request_error"
    return status(400, told, kind=kind, error_code="context_length_exceeded")


def no_tools() -> Step:
    """Refuse because tools were offered."""
    return status(400, "tools is not supported with this model", kind="invalid_request_error")


def html(code: int = 200) -> Step:
    """Answer with a page, as a hotel does."""

    def step(exchange: Exchange) -> None:
        page = "<!DOCTYPE html><html><body><h1>Welcome to the hotel!</h1></body></html>"
        exchange.say(code, page, "text/html; charset=utf-8")

    return step


def not_json() -> Step:
    """Send an event whose data is no JSON."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        exchange.raw(b"data: {tilt}\n\n")
        exchange.drop()

    return step


def error_in_stream(
    message: str = "The server had an error while processing your request.",
) -> Step:
    """Begin to answer, then say in the stream that it failed."""

    def step(exchange: Exchange) -> None:
        exchange.begin()
        exchange.delta({"content": "TITLE: something"})
        exchange.event({"error": {"message": message, "type": "server_error", "code": None}})
        exchange.drop()

    return step


def with_faults(
    answers: Callable[[Request], Step], faults: Sequence[Step], every: int = 3
) -> Script:
    """Answer, but let every so-manieth request go wrong in one way after the other."""
    lock, failed = threading.Lock(), iter(range(1 << 30))

    def script(request: Request) -> Step:
        if faults and request.number % every == every - 1:
            with lock:
                return faults[next(failed) % len(faults)]
        return answers(request)

    return script


# ---- the wire ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Exchange:
    """One request, and the means to answer it."""

    request: Request
    played: ModelServer
    handler: "_Handler"
    written: int = 0
    """Characters of the answer so far."""
    _open: bool = field(default=False)

    def say(
        self, code: int, body: str, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer in one piece."""
        self.handler.send_response(code)
        for name, value in {**(headers or {}), "Content-Type": kind}.items():
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(body.encode())))
        self.handler.end_headers()
        self.handler.wfile.write(body.encode())

    def begin(self) -> None:
        """Begin a stream."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()
        self._open = True
        self.delta({"role": "assistant", "content": None})

    def delta(self, fields: Mapping[str, Any], finish: str | None = None) -> None:
        """Send a piece of the answer."""
        self.written += len(json.dumps(fields))
        self.event({"choices": [{"index": 0, "delta": dict(fields), "finish_reason": finish}]})

    def event(self, fields: Mapping[str, Any]) -> None:
        """Send one chunk of the stream."""
        whole = {
            "id": f"chatcmpl-{self.request.number}", "object": "chat.completion.chunk",
            "created": 1_700_000_000, "model": self.request.model, **fields,
        }  # fmt: skip
        self.raw(f"data: {json.dumps(whole)}\n\n".encode())

    def end(self, finish: str, usage: Usage | None) -> None:
        """Say why it ends and, if that was asked for, what it took."""
        self.delta({}, finish)
        asked = (self.request.body.get("stream_options") or {}).get("include_usage")
        if usage is not None and asked:
            self.event({"choices": [], "usage": self._told(usage)})
        self.raw(b"data: [DONE]\n\n")
        self.raw(b"")

    def raw(self, data: bytes) -> None:
        """Send bytes as one piece of the body; none end it."""
        self.handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.handler.wfile.flush()

    def wait(self, seconds: float) -> None:
        """Do nothing for so long, or until the server closes."""
        if seconds > 0:
            self.played.closing.wait(seconds)

    def drop(self, *, reset: bool = False) -> None:
        """Close the connection in the middle of things."""
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.close_connection = True

    def _told(self, usage: Usage) -> dict[str, Any]:
        prompt, completion = usage.prompt, usage.completion
        if prompt is None:
            prompt = len(self.request.prompt) // CHARACTERS_A_TOKEN
        if completion is None:
            completion = self.written // CHARACTERS_A_TOKEN
        self.played.told.append((self.request.model, prompt, completion))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": usage.cached},
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where the client has gone away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    played: ModelServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Play the next step."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request, step = self.played.next_step(headers, json.loads(body))
        step(Exchange(request, self.played, self))

    def do_GET(self) -> None:
        """There is nothing to get."""
        self.send_error(404)


def _pieces(whole: str) -> Iterator[str]:
    for start in range(0, len(whole), PIECE_CHARACTERS):
        yield whole[start : start + PIECE_CHARACTERS]


def _as_text(fields: Mapping[str, Any]) -> str:
    hints = [
        f"HINT {hint['id']}: {'applied' if hint['applied'] else 'not now'}: {hint['why']}"
        for hint in fields["hints"]
    ]
    blocks = [
        f"<<<<<<< SEARCH\n{edit['search']}\n=======\n{edit['replace']}\n>>>>>>> REPLACE"
        for edit in fields["edits"]
    ]
    head = [
        f"TITLE: {fields['title']}",
        f"HYPOTHESIS: {fields['hypothesis']}",
        f"PREDICTED: {fields['predicted_change']}",
    ]
    return "\n".join([*head, *hints, *blocks]) + "\n"
