"""JSON objects, one a line, from a pipe or a socket whose other end may say anything."""

import contextlib
import json
import os

LINE_BYTES = 1 << 16
"""Longest line; of a longer one only the end is looked at, which then is no JSON."""


class JsonLines:
    """Reads one descriptor, non-blocking."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_closed = False
        """The other end has gone: there is nothing to wait for any more."""
        self._rest = b""

    def read(self) -> list[dict[str, object]]:
        """The objects that have come in since; anything else is passed over."""
        try:
            content = os.read(self.descriptor, LINE_BYTES)
        except BlockingIOError:
            return []
        except ConnectionError:
            content = b""
        self.is_closed = not content
        *lines, rest = (self._rest + content).split(b"\n")
        self._rest = rest[-LINE_BYTES:]
        records = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                records.append(json.loads(line))
        return [record for record in records if isinstance(record, dict)]
