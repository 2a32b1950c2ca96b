"""What a process that holds keys does before it touches one."""

import atexit
import contextlib
import ctypes
import os
import select
import sys
import threading
from collections.abc import Callable

PR_SET_DUMPABLE = 4  # prctl(2)
LINE_BYTES = 1 << 16
"""A longer line of standard error is cut: it is no message for anybody."""
LAST_SECONDS = 2.0
"""How long the end of standard error is waited for when the process ends."""


def not_dumpable() -> None:
    """Keep memory and environment from other processes of the user, and out of cores (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def redact_standard_error(redact: Callable[[str], str]) -> None:
    """Let what anything in this process writes to standard error pass through `redact`.

    That is tracebacks, what libraries print, and what native code writes: the descriptor
    itself is replaced by a pipe, which a thread reads line by line until the process ends.
    """
    sys.stderr.flush()
    real, (read, write) = os.dup(2), os.pipe()
    os.dup2(write, 2)
    os.close(write)
    reader = threading.Thread(target=_pass_on, args=(read, real, redact), daemon=True)
    reader.start()
    atexit.register(_finish, real, reader)


def _finish(real: int, reader: threading.Thread) -> None:
    sys.stderr.flush()
    sys.stdout.flush()
    for descriptor in (1, 2):  # both lead into the pipe while orders are served
        os.dup2(real, descriptor)
    reader.join(LAST_SECONDS)


def _pass_on(read: int, real: int, redact: Callable[[str], str]) -> None:
    with open(read, "rb") as lines:
        while line := lines.readline(LINE_BYTES):
            text = redact(line.decode("utf-8", "replace"))
            with contextlib.suppress(OSError):
                os.write(real, text.encode("utf-8", "replace"))


def end_when_nobody_listens() -> None:
    """End this process when its standard input closes, also in the middle of a call.

    The engine holds the other end. While a model is waited for nobody reads standard input,
    and a call that goes on after the engine has died costs money for nothing.
    """
    if hasattr(select, "poll"):
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    poll = select.poll()
    poll.register(0, 0)  # no event but the end of it, which is always reported
    poll.poll()
    os._exit(0)
