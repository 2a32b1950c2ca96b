"""The contract of a proposer, and the child process that one lives in.

A proposer is a child of the engine that speaks JSON lines: an order comes in on its standard
input; on its standard output go events while it works (what it is writing, what a call of a
model took, what holds it up) and one answer; everything else it says goes to the engine's
log. It writes nothing, knows nothing but what the order tells, and ends when its standard
input closes, so that none outlives its engine.
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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cockpit
from cockpit.core.briefing import Briefing
from cockpit.core.edits import EditError
from cockpit.core.experiment import Proposal
from cockpit.core.schedule import KINDS
from cockpit.lab.lab import LabError

NICENESS = 10
"""A proposer never competes with a training for a core."""
LINE_BYTES = 8 << 20
"""No answer is longer than this; one that is comes from no proposer of ours."""


class ProposerError(LabError):
    """A proposer has no answer; the message says why.

    `kind` says what may be done about it: `refused` (it has nothing to propose), `fault` (the
    world is at fault: it may well answer later), `key` (a key is missing or revoked), `money`
    (the limit of the night) or `unusable` (it answers, but nothing that can be used).
    """

    def __init__(self, message: str, kind: str = "refused") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Order:
    """What the engine asks of a proposer."""

    kind: str
    """`propose`, `ask` (the briefing has a question), `probe` (would a call succeed now?) or
    `about` (is there all that it needs?)."""
    briefing: Briefing | None = None
    """None for `probe` and `about`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the settings say, by the names of the proposer's own options."""

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Order":
        """Return the order that `asdict` made JSON of."""
        briefing = fields.get("briefing")
        return cls(
            fields["kind"], Briefing.from_json(briefing) if briefing else None, fields["options"]
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proposer says to an order."""

    proposal: Proposal | None = None
    text: str = ""
    """What was written, as it was: the answer to a question, or what a repair refers to."""
    problem: str | None = None
    """Why it can't be used, for who wrote it."""
    told: tuple[str, ...] = ()
    """What a person should know of how it came about."""

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Answer":
        """Return the answer that `asdict` made JSON of; raises where it is none."""
        proposal = fields.get("proposal")
        return cls(
            Proposal.from_json(proposal) if proposal is not None else None,
            str(fields.get("text") or ""),
            fields.get("problem"),
            tuple(fields.get("told") or ()),
        )


Event = dict[str, Any]
"""What a proposer says while it works. By its `event`:

`text`     `text`: the end of what is written so far, `about`: what it is
`call`     `model`, `purpose`, `prompt_tokens`, `completion_tokens`, `dollars`, `seconds`,
           `outcome`: a call of a model that is over (`lab.rows.Call`)
`trouble`  `says`: what holds it up, `seconds`: for how long it waits
"""
Hear = Callable[[Event], None]


# ---- the engine's side ------------------------------------------------------------------------


class ProposerProcess:
    """A proposer's child process: started when it is first asked, and again after it died.

    `ask` is called from one thread at a time; `close` from any.
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

    def ask(self, order: Order, timeout_seconds: float, hear: Hear = lambda _: None) -> Answer:
        """Return the answer to an order; `hear` gets the events before it, in this thread.

        Raises `ProposerError` when there is none in time, the child dies, or it refuses. A
        child that was silent or died is replaced at the next order.
        """
        with self._asking:
            self._number += 1
            line = json.dumps({"number": self._number, "order": asdict(order)}) + "\n"
            process = self._started()
            deadline = time.monotonic() + timeout_seconds
            try:
                answer = self._exchange(process, line.encode(), deadline, hear)
            except ProposerError:
                self._discard(process)
                raise
        if "error" in answer:
            raise ProposerError(str(answer["error"]), str(answer.get("kind") or "refused"))
        try:
            return Answer.from_json(answer["answer"])
        except (KeyError, TypeError, EditError) as error:
            raise ProposerError(f"the proposer gave no proposal: {error}", "fault") from error

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
        self, process: subprocess.Popen[bytes], line: bytes, deadline: float, hear: Hear
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
                    raise ProposerError("the proposer was silent for too long", "fault")
                for key, _ in selector.select(left):
                    if key.fileobj is process.stdout:
                        for said in self._read(process):
                            if "event" not in said:
                                return said
                            hear(said)
                        continue
                    try:
                        line = line[os.write(process.stdin.fileno(), line) :]
                    except OSError as error:
                        raise self._died() from error
                    if not line:
                        selector.unregister(process.stdin)

    def _read(self, process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
        """Take what the child has said to this order; the answer is the last of it."""
        assert process.stdout is not None
        said = os.read(process.stdout.fileno(), 1 << 16)
        if not said:
            raise self._died()
        *lines, self._unread = (self._unread + said).split(b"\n")
        if len(self._unread) > LINE_BYTES:
            raise ProposerError("the proposer says more than anybody can read", "fault")
        messages = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError as error:
                raise ProposerError(
                    f"the proposer does not speak JSON: {line[:80]!r}", "fault"
                ) from error
            if isinstance(message, dict) and message.get("number") == self._number:
                messages.append(message)
        return messages

    def _died(self) -> ProposerError:
        return ProposerError(f"the proposer has died: see {self._log}", "fault")

    def _discard(self, process: subprocess.Popen[bytes]) -> None:
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def proposer_process(kind: str, log: Path, cpus: Sequence[int] = ()) -> ProposerProcess:
    """Return the process of a proposer by its name, not started yet.

    `cpus` are the cores it may use; empty: all. Raises `ProposerError` for an unknown name.
    """
    if kind not in KINDS:
        raise ProposerError(f"unknown proposer {kind}: there are {', '.join(KINDS)}")
    argv = [sys.executable, "-P", "-m", f"cockpit.proposers.{kind}"]
    if cpus:
        argv += ["--cpus", ",".join(map(str, cpus))]
    return ProposerProcess(argv, child_environment(everything=kind != "search"), log)


def child_environment(*, everything: bool = False) -> dict[str, str]:
    """Return what a proposer's process may see of our environment.

    `everything` is for those that hold keys: providers' variables have a thousand names.
    """
    allowed = ("PATH", "HOME", "TMPDIR", "LANG", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in allowed or name.startswith("LC_") or (everything and name[:6] != "PYTHON")
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


Handle = Callable[[Order, Hear], Answer]
"""What a proposer is to its process: an order and where its events go, to an answer."""


def serve(handle: Handle, cpus: Sequence[int] = ()) -> None:
    """Answer orders on standard input until it closes; what libraries print goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    if cpus and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cpus)
    for line in sys.stdin:
        message = json.loads(line)
        number = message["number"]

        def say(said: Mapping[str, Any], number: int = number) -> None:
            answers.write(json.dumps({"number": number, **said}) + "\n")
            answers.flush()

        try:
            try:
                answer = handle(Order.from_json(message["order"]), say)
                say({"answer": asdict(answer)})
            except ProposerError as error:
                say({"error": str(error), "kind": error.kind})
        except BrokenPipeError:
            return
