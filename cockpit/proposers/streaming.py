"""A stream that is read by a thread of its own, so that nobody waits longer than they want.

Some providers' libraries take a limit on silence, some ignore it, and a line that keeps the
connection alive counts as noise for all of them. Here only what is written counts.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any

from cockpit.proposers.faults import CallError, Fault
from cockpit.proposers.library import guarded, known

AHEAD = 1_000
"""Chunks that may wait for whoever takes them."""
LOOK_SECONDS = 0.5
"""How often a reader that can't hand over a chunk looks whether anybody still wants it."""


class Streaming:
    """Reads one stream of the library; to be used in a `with`, which gives up what is left."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        """`begin` sends the request and returns the stream."""
        self.stream: Any = None
        self._begin = begin
        self._given_up = threading.Event()
        self._waiting: queue.Queue[Any] = queue.Queue(AHEAD)
        # A daemon: a connection that nobody can close must not keep the process alive.
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Streaming":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up.set()
        close = getattr(getattr(self.stream, "completion_stream", None), "close", None)
        if callable(close):
            known(close, None)

    def next(self, silence_seconds: float) -> Any:
        """Return the next chunk, None at the end; raises `CallError` for a fault or silence."""
        try:
            found = self._waiting.get(timeout=silence_seconds)
        except queue.Empty:
            raise CallError(Fault("silence")) from None
        if isinstance(found, Fault):
            raise CallError(found)
        return found

    def _read(self) -> None:
        try:
            self.stream = guarded(self._begin)
            chunk: Any = self.stream
            while chunk is not None and not self._given_up.is_set():
                chunk = guarded(lambda: next(self.stream, None))
                self._hand_over(chunk)
        except CallError as error:
            self._hand_over(error.fault)

    def _hand_over(self, found: Any) -> None:
        while not self._given_up.is_set():
            try:
                self._waiting.put(found, timeout=LOOK_SECONDS)
            except queue.Full:
                continue
            return
