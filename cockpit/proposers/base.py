"""The contract of a proposer, and the child process that one lives in.

A proposer is a child of the engine that speaks JSON lines: a request comes in on its
standard input, an answer goes out on its standard output, everything else it says goes to
the engine's log. It writes nothing, knows nothing but what the request tells, and ends
when its standard input closes, so that none outlives its engine.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cockpit
from cockpit.core.experiment import Proposal
from cockpit.lab.lab import LabError

KINDS = ("search",)
"""The proposers there are; each is the module of its name."""
NICENESS = 10
"""A proposer never competes with a training for a core."""


class ProposerError(LabError):
    """A proposer has no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What a proposer is told of one experiment."""

    id: int
    parent: int | None
    status: str
    val_bpb: float | None
    constants: dict[str, Any] | None
    """What it changed against its parent; None where it brought a whole train.py."""
    title: str
    reason: str | None
    delta: float | None = None
    """val_bpb minus the parent's."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the engine asks a proposer."""

    tag: str
    base: int
    """The experiment that the proposal edits."""
    base_train_py: str
    baseline_train_py: str
    history: tuple[HistoryEntry, ...]
    """All experiments of the tag, queued and running ones included, oldest first."""
    hints: tuple[str, ...] = ()
    seed: int = 0

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Request":
        """Return the request that `asdict` made JSON of."""
        history = tuple(HistoryEntry(**entry) for entry in fields["history"])
        return cls(**{**fields, "history": history, "hints": tuple(fields["hints"])})


# ---- the engine's side ------------------------------------------------------------------------


class ProposerProcess:
    """A proposer's child process: started when it is first asked, and again after it died.

    `propose` is called from one thread at a time; `close` from any.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Remember how to start it; `log` takes what it writes to standard error."""
        self._argv = list(argv)
        self._environment = dict(environment)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._asking = threading.Lock()
        self._closed = False
        self._number = 0
        self._unread = b""

    @property
    def pid(self) -> int | None:
        """Return the child's process id, None while there is none."""
        return self._process.pid if self._process else None

    def propose(self, request: Request, timeout_seconds: float) -> Proposal:
        """Return the answer to a request.

        Raises `ProposerError` when there is none in time, the child dies, or it refuses. A
        child that was silent or died is replaced at the next request.
        """
        with self._asking:
            self._number += 1
            line = json.dumps({"number": self._number, "request": asdict(request)}) + "\n"
            process = self._started()
            deadline = time.monotonic() + timeout_seconds
            try:
                answer = self._exchange(process, line.encode(), deadline)
            except ProposerError:
                self._discard(process)
                raise
        if "error" in answer:
            raise ProposerError(str(answer["error"]))
        try:
            return Proposal(**answer["proposal"])
        except (KeyError, TypeError) as error:
            raise ProposerError(f"the proposer gave no proposal: {error}") from error

    def close(self) -> None:
        """End the child, also while another thread waits for its answer."""
        with self._starting:
            self._closed = True
            process = self._process
        if process is None:
            return
        _kill(process)
        with self._asking:  # whoever still waits for an answer sees the end and lets go
            self._discard(process)

    def _started(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._closed:
                raise ProposerError("the proposer is closed")
            if self._process is not None and self._process.poll() is None:
                return self._process
            if self._process is not None:
                self._discard(self._process)
            self._unread = b""
            try:
                with self._log.open("ab") as log:
                    self._process = subprocess.Popen(
                        self._argv,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        env=self._environment,
                        bufsize=0,
                        # Not in the terminal's group: ctrl+c is for the engine alone.
                        start_new_session=True,
                    )
            except OSError as error:
                raise ProposerError(f"can't start the proposer {self._argv}: {error}") from error
            return self._process

    def _exchange(
        self, process: subprocess.Popen[bytes], line: bytes, deadline: float
    ) -> dict[str, Any]:
        """Write a line and read lines until the answer to it; neither can block for ever."""
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ProposerError("the proposer was silent for too long")
                for key, _ in selector.select(left):
                    if key.fileobj is process.stdout:
                        answer = self._read(process)
                        if answer is not None:
                            return answer
                        continue
                    try:
                        line = line[os.write(process.stdin.fileno(), line) :]
                    except OSError as error:
                        raise ProposerError(f"the proposer has died: see {self._log}") from error
                    if not line:
                        selector.unregister(process.stdin)

    def _read(self, process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
        """Take what the child has said; return the answer if it is there."""
        assert process.stdout is not None
        said = os.read(process.stdout.fileno(), 1 << 16)
        if not said:
            raise ProposerError(f"the proposer has died: see {self._log}")
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            try:
                answer = json.loads(line)
            except ValueError as error:
                raise ProposerError(f"the proposer does not speak JSON: {line[:80]!r}") from error
            if isinstance(answer, dict) and answer.get("number") == self._number:
                return answer
        return None

    def _discard(self, process: subprocess.Popen[bytes]) -> None:
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def proposer_process(proposer: str | None, log: Path, cpus: Sequence[int] = ()) -> ProposerProcess:
    """Return the process of a proposer by its name (`search` when None), not started yet.

    `cpus` are the cores it may use; empty: all. Raises `ProposerError` for an unknown name.
    """
    kind = proposer or KINDS[0]
    if kind not in KINDS:
        raise ProposerError(f"unknown proposer {kind}: there is {', '.join(KINDS)}")
    argv = [sys.executable, "-P", "-m", f"cockpit.proposers.{kind}"]
    if cpus:
        argv += ["--cpus", ",".join(map(str, cpus))]
    return ProposerProcess(argv, child_environment(), log)


def child_environment() -> dict[str, str]:
    """Return what a proposer's process may see of our environment."""
    allowed = ("PATH", "HOME", "TMPDIR", "LANG", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in allowed or name.startswith("LC_")
    }
    return kept | {
        "PYTHONPATH": str(Path(cockpit.__file__).resolve().parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


# ---- the child's side -------------------------------------------------------------------------


def serve(propose: Callable[[Request], Proposal], cpus: Sequence[int] = ()) -> None:
    """Answer requests on standard input until it closes; what libraries print goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    if cpus and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cpus)
    for line in sys.stdin:
        message = json.loads(line)
        answer: dict[str, Any] = {"number": message["number"]}
        try:
            answer["proposal"] = asdict(propose(Request.from_json(message["request"])))
        except ProposerError as error:
            answer["error"] = str(error)
        try:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        except BrokenPipeError:
            return
