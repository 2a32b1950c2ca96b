"""A harness for tests: speaks the control protocol with the standard library only.

Copied as `harness.py` into a trainer directory. What the training does is in train.py, which may
call the functions here; what happens before it is ready, in `warm_up.py` beside this file.
"""

import hashlib
import json
import os
import runpy
import socket
import time
from pathlib import Path

control = None


def serve():
    global control
    control = socket.socket(fileno=int(os.environ["COCKPIT_CONTROL_FD"]))
    warm_up = Path(__file__).with_name("warm_up.py")
    if warm_up.exists():
        runpy.run_path(str(warm_up))
    say(event="ready")
    go = json.loads(control.recv(65536))
    assert go["event"] == "go"
    runpy.run_path("train.py", {"harness": __import__("harness"), "go": go})
    os._exit(0)


def say(**message):
    control.sendall(json.dumps(message).encode() + b"\n")


def start_clock():
    """Have the clock start: content of the file of training rows."""
    say(event="clock")
    message, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
    assert json.loads(message) == {"event": "rows"}
    return os.read(descriptors[0], 1000)


def checkpoint(content=b"weights"):
    """Write the checkpoint, get the rows: (answer, content of the rows file)."""
    Path("checkpoint.pt").write_bytes(content)
    say(event="checkpoint", path="checkpoint.pt")
    return receive_rows()


def receive_rows():
    message, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
    answer = json.loads(message)
    assert (
        answer["checkpoint_sha256"]
        == hashlib.sha256(Path("checkpoint.pt").read_bytes()).hexdigest()
    )
    assert os.read(descriptors[1], 1000) == b"bytes"
    return answer, os.read(descriptors[0], 1000)


def result(**figures):
    Path("result.tmp").write_text(json.dumps(figures))
    os.replace("result.tmp", "result.json")


def for_ever():
    """Until somebody ends it."""
    while True:
        time.sleep(60)
