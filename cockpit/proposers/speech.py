"""The JSON that some agents speak, an object a line, as text for a person and as a bill.

Only what is sure to be there is read; anything else is passed over, and what is no JSON is shown
as it is. Sources: code.claude.com/docs/en/headless and /en/agent-sdk/cost-tracking for Claude
Code's `stream-json`; packages/coding-agent/docs/json.md of github.com/earendil-works/pi.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.proposers.agents import Speech as Kind

LINE_BYTES = 4 << 20
"""A longer line is passed over."""
ARGUMENT_CHARACTERS = 200


@dataclass(slots=True)
class Bill:
    """What the agent says that its models took."""

    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = None


class Speech:
    """Turns an agent's output into text, and remembers its answer and its bill."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._rest = b""
        self.bill = Bill()
        self.answer = ""
        """The last that it said in words; empty for an agent that speaks plain text."""
        self.error = ""
        """What went wrong, in its words: some end with success after a failed call."""

    def read(self, content: bytes) -> bytes:
        """Return what more there is to show."""
        if self._kind == "text":
            return content
        *lines, rest = (self._rest + content).split(b"\n")
        self._rest = rest if len(rest) <= LINE_BYTES else b""
        return "".join(self._line(line) for line in lines).encode("utf-8", "replace")

    def _line(self, line: bytes) -> str:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            words = line.decode("utf-8", "replace")
            return words + "\n" if words.strip() else ""
        shown = self._claude(said) if self._kind == "claude" else self._pi(said)
        return shown + "\n" if shown else ""

    # ---- Claude Code --------------------------------------------------------------------------

    def _claude(self, said: Mapping[str, Any]) -> str:
        if said.get("type") == "assistant":
            message = _object(said.get("message"))
            self.bill.model = _text(message.get("model")) or self.bill.model
            return self._words(message, "tool_use", "input")
        if said.get("type") == "result":
            usage = _object(said.get("usage"))
            self.bill.prompt_tokens = sum(
                _whole(usage.get(name))
                for name in (
                    "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"
                )
            )  # fmt: skip
            self.bill.completion_tokens = _whole(usage.get("output_tokens"))
            self.bill.dollars = _number(said.get("total_cost_usd"))
            self.answer = _text(said.get("result")) or self.answer
            if said.get("is_error"):
                self.error = self.answer or _text(said.get("subtype"))
                return self.error
        return ""

    # ---- pi -----------------------------------------------------------------------------------

    def _pi(self, said: Mapping[str, Any]) -> str:
        message = _object(said.get("message"))
        if said.get("type") != "message_end" or message.get("role") != "assistant":
            return ""
        usage = _object(message.get("usage"))
        cost = _number(_object(usage.get("cost")).get("total"))
        self.bill.model = _text(message.get("model")) or self.bill.model
        for name in ("input", "cacheRead", "cacheWrite"):
            self.bill.prompt_tokens += _whole(usage.get(name))
        self.bill.completion_tokens += _whole(usage.get("output"))
        if cost is not None:
            self.bill.dollars = (self.bill.dollars or 0.0) + cost
        failed = message.get("stopReason") == "error"
        self.error = (_text(message.get("errorMessage")) or "a call failed") if failed else ""
        return self.error or self._words(message, "toolCall", "arguments")

    def _words(self, message: Mapping[str, Any], tool: str, arguments: str) -> str:
        """Return a message as text: its words, and which tools it uses on what."""
        parts = []
        content = message.get("content")
        for part in map(_object, content if isinstance(content, list) else ()):
            if part.get("type") == "text" and _text(part.get("text")).strip():
                self.answer = _text(part.get("text"))
                parts.append(self.answer)
            elif part.get("type") == tool:
                given = json.dumps(part.get(arguments), ensure_ascii=False)
                parts.append(f"→ {_text(part.get('name'))} {given[:ARGUMENT_CHARACTERS]}")
        return "\n".join(parts)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0


def _number(value: object) -> float | None:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6
    return float(value) if sound else None  # type: ignore[arg-type]
