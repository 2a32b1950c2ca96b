"""A warm spare: loads torch, rehearses one step, waits for a run, does it, and leaves.

So an experiment starts in a fraction of a second. The supervisor that started it talks with it
over a Unix socket: what is said there is in `Control`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import device as devices
import harness

PROTOCOL = 2
"""How supervisor and training talk to each other; raise it when either must change with it."""


class Control:
    """The channel to the supervisor: JSON lines over a Unix socket, descriptors beside them."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._received = b""
        self._descriptors: list[int] = []

    def send(self, **message: Any) -> None:
        """Send one message."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message and the descriptors that came with it; None when the peer is gone."""
        while b"\n" not in self._received:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 65536, 4)
            if not data:
                return None
            self._received += data
            self._descriptors += descriptors
        line, _, self._received = self._received.partition(b"\n")
        descriptors, self._descriptors = self._descriptors, []
        return json.loads(line), descriptors

    def start_clock(self) -> int:
        """Have the supervisor note that training begins; it answers with the training rows."""
        self.send(event="clock")
        return self._answer(1)[1][0]

    def hand_in(self, checkpoint: Path) -> harness.Handed:
        """Have the supervisor note the checkpoint; it answers with what is scored on."""
        self.send(event="checkpoint", path=checkpoint.name)
        message, (rows, token_bytes) = self._answer(2)
        return harness.Handed(
            rows, message["rows_offset"], token_bytes, message["checkpoint_sha256"]
        )

    def _answer(self, descriptors: int) -> tuple[dict[str, Any], list[int]]:
        answer = self.receive()
        if answer is None or len(answer[1]) != descriptors:
            raise harness.HarnessError("the supervisor is gone: no rows")
        return answer


def serve() -> NoReturn:
    """Be a warm spare: get ready, wait for a run, do it, and leave.

    Leaves with 0 after a result, or when the channel closes before there is a run; an exception
    in train.py goes to standard error, and the status is 1.
    """
    control = Control(int(os.environ["COCKPIT_CONTROL_FD"]))
    device = devices.choose(os.environ.get("COCKPIT_DEVICE", "auto"))
    devices.rehearse(device)
    control.send(event="ready")
    go = control.receive()
    if go is None:
        leave(0)
    directory = Path.cwd()  # the spare's directory has been renamed meanwhile
    os.environ["HOME"] = str(directory)
    os.environ["TMPDIR"] = str(directory / "tmp")
    tempfile.tempdir = None
    spec = harness.Spec.from_json((directory / "spec.json").read_text(encoding="utf-8"))
    # Leave with the result in place: whatever train.py does after it is not wanted.
    harness.Run(spec, directory, device, control, after=lambda: leave(0)).train()
    raise AssertionError("a served run ends in finish()")


def leave(status: int) -> NoReturn:
    """End at once: a tidy interpreter exit costs a quarter of a second with torch loaded."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
