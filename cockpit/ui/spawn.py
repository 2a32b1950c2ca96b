"""The processes that the screen starts: a night's start, and one tick of an engine."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.1
COMMAND = (sys.executable, "-m", "cockpit.cli")


def own_cores() -> frozenset[int]:
    """Return the cores that this process may use; empty where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def stay_on(cores: Iterable[int]) -> None:
    """Keep every thread of this process on `cores`."""
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(int(thread.name), cores)


@contextlib.contextmanager
def _on(cores: frozenset[int]) -> Iterator[None]:
    """Let this thread use `cores`: what it starts must not inherit the screen's one core."""
    if not cores:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _spawn(
    arguments: list[str], root: Path, cores: frozenset[int], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    # A file, not a pipe, and a session of its own: closing the terminal under the screen
    # ends neither a start nor a tick half way.
    with _on(cores):
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _read(output: IO[bytes], offset: int) -> bytes:
    return os.pread(output.fileno(), 1 << 20, offset)


class OneOffTick:
    """One tick of the engine, where none is running to take a command."""

    def __init__(self, root: Path, cores: frozenset[int]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the process
        self._process = _spawn(["_tick"], root, cores, self._output)

    def failure(self) -> str | None:
        """Return why the tick failed, or None while it runs or when it went well."""
        code = self._process.poll()
        if not code:
            return None
        lines = _read(self._output, 0).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"it could not be carried out (exit {code})"


def start_night(
    root: Path, options: list[str], cores: frozenset[int], progress: Callable[[str], None]
) -> str | None:
    """Start the engine and wait until it stands; return None, or why it does not.

    `progress` is called with a line of text now and then. Blocks: call it in a thread.
    """
    pause = threading.Event()
    with tempfile.TemporaryFile() as output:
        process = _spawn(["start", "--json-progress", *options], root, cores, output)
        offset, ended, answer, rest = 0, False, None, ""
        while True:
            ended = process.poll() is not None
            content = _read(output, offset)
            whole = content if ended else content[: content.rfind(b"\n") + 1]
            offset += len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                record = _record(line)
                if "error" in record:
                    answer = str(record["error"])
                elif "progress" in record:
                    progress(str(record["progress"]))
                elif not record and line.strip():
                    rest = line
            if ended and not whole:
                break
            pause.wait(POLL_SECONDS)
    if process.returncode == 0:
        return None
    return answer or rest or f"the start ended with exit code {process.returncode}"


def _record(line: str) -> dict[str, object]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
