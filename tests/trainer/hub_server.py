"""A small Hugging Face hub on loopback, with the faults that a network has.

It speaks what a download needs: `HEAD` and `GET` of `/datasets/NAME/resolve/COMMIT/FILE`, which
redirect to a storage under another host's name, as the hub does for large files, and `Range`
there. `Hub.faults` says how the next answers for a file go wrong.
"""

import hashlib
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40
SHARDS = ("shard_00000.parquet", "shard_00001.parquet", "shard_06542.parquet")
"""The files of `climbmix:2`."""


class Hub:
    """What the server gives, what goes wrong, and what it was asked."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: dict[str, list[str]] = defaultdict(list)
        """For each file, what the next answers of the storage do: `break` or `reset` in the
        middle, `stall` there, `wrong` bytes, `whole` file whatever was asked for, or a status."""
        self.answers: list[int] = []
        """Statuses of the next answers to `HEAD`; then 302."""
        self.token = ""
        """Where set, nothing is given without it."""
        self.is_hub = True
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and headers of every request."""
        self.port = 0
        self.closing = threading.Event()

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self.port}"

    def ranges(self, name: str) -> list[str | None]:
        """The `Range` of each request to the storage for a file."""
        return [
            headers.get("range")
            for method, path, headers in self.asked
            if method == "GET" and path == f"/storage/{name}"
        ]


@contextmanager
def serving(served: Hub) -> Iterator[Hub]:
    """Serve it until the block is left."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": served}))
    server.daemon_threads = True
    served.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield served
    finally:
        served.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Describe a file."""
        self._resolve()

    def do_GET(self) -> None:
        """Give a file: where it is stored, or from the storage."""
        if self.path.startswith("/storage/"):
            self._store(self.path.removeprefix("/storage/"))
        else:
            self._resolve()

    def _note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.asked.append((self.command, self.path, headers))

    def _resolve(self) -> None:
        self._note()
        hub, name = self.hub, self.path.rpartition("/")[2]
        if not hub.is_hub:
            self._say(200, {"Content-Type": "text/html"}, b"<p>Welcome to the hotel!</p>")
        elif self.command == "HEAD" and hub.answers and (status := hub.answers.pop(0)) != 302:
            self._say(status)
        elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._say(401, {"X-Error-Code": "GatedRepo"})
        elif name not in hub.files:
            self._say(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            data = hub.files[name]
            told = {
                "Location": f"http://localhost:{hub.port}/storage/{name}",
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(len(data)),
                "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                "ETag": '"of-the-redirect"',
            }
            self._say(302, told)

    def _store(self, name: str) -> None:
        self._note()
        faults = self.hub.faults[name]
        fault = faults.pop(0) if faults else ""
        data = self.hub.files[name]
        if fault.isdigit():
            self._say(int(fault))
            return
        if fault == "wrong":
            data = data[:100] + bytes(255 - byte for byte in data[100:110]) + data[110:]
        start = 0
        if fault != "whole" and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        body = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if fault not in ("break", "reset", "stall"):
            self.wfile.write(body)
            return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        if fault == "stall":
            self.hub.closing.wait(60)
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def _say(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ((headers or {}) | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
