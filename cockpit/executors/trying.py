"""Rehearses a train.py: `python -m cockpit.executors.trying`, the order on standard input.

Trusted, and the parent of a confined witness that loads the script (`trainer/preflight.py`). The
first try is at sizes that cost next to nothing. What fails there may still work at its true size
(a window of 128 tokens does not fit a row of 64), so a second try with true lengths decides,
unless the error is of a kind that no size cures. What only a GPU can run is not tried here.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from cockpit.core.constants import ConstantsError, Value, read, rewrite
from cockpit.executors.environment import reserved_cpus
from cockpit.executors.host import cpu_device
from cockpit.executors.preflight import Preflight, PreflightOrder
from cockpit.executors.probing import probe
from cockpit.executors.processes import LINUX, RUN_TOKEN
from cockpit.executors.training import become_subreaper
from cockpit.executors.witness import (
    NobodyWaitsError,
    Place,
    TooLargeError,
    Witness,
    WitnessError,
    end_all,
    said,
)

REHEARSE = "import preflight; preflight.main()"
NICENESS = 10
"""Below the next run's warm spare, for which a slot waits."""
SHORT = 64
"""Tokens a row at the first try."""
ROWS = 2
"""Rows a batch, two batches a step, two steps."""
DEEP = 4
"""Models of more layers are tried with two of them first."""
TRUE_SIZE = ("NameError", "UnboundLocalError", "AttributeError", "TypeError", "ImportError",
             "ModuleNotFoundError", "SyntaxError", "IndentationError", "ContractError",
             "HarnessError")  # fmt: skip
"""Errors that have nothing to do with sizes."""
MOST_ADVICE = 10
NEEDS_GPU = re.compile(
    r"cuda|nvidia|triton|flash.?att|not implemented for|not supported on cpu|no kernel", re.I
)
"""What code says that was made for a GPU."""
MEMORY_SHARE = 0.5
"""Of the machine's memory, what a rehearsal may take."""


class Trying:
    """The tries of one train.py, in one directory."""

    def __init__(self, order: PreflightOrder, work: Path) -> None:
        self._order = order
        self._work = work
        self._deadline = time.monotonic() + order.deadline_seconds
        self._advice: list[str] = []
        self._counted: dict[str, int | None] = {"parameters": None, "bytes": None}

    def run(self) -> Preflight:
        """Try, and try again where sizes may be to blame."""
        short = min(SHORT, self._order.sequence_length)
        small = {"TOTAL_BATCH_TOKENS": 2 * ROWS * short, "DEVICE_BATCH_ROWS": ROWS}
        first = self._try("first", short, small | {"COMPILE": False, "DEPTH": 2})
        if first is None or self._is_excused(first) or first[0] in TRUE_SIZE:
            return self._found(first)
        self._advice.clear()
        length = self._order.sequence_length
        small = {"TOTAL_BATCH_TOKENS": ROWS * length, "DEVICE_BATCH_ROWS": ROWS}
        second = self._try("second", length, small | {"COMPILE": False})
        if second is not None and second[0] == "late":
            self._advice.append(f"a tiny step failed, which sizes may explain: {first[1]}")
        return self._found(second)

    def _found(self, failure: tuple[str, str] | None) -> Preflight:
        """What to say of the last try."""
        needs_device = False
        reason = None
        if failure is not None and failure[0] == "late":
            self._advice.append(failure[1])
        elif failure is not None and self._is_excused(failure):
            needs_device = True
            self._advice.append(f"a step can't be tried on the CPU: {failure[1]}")
        elif failure is not None:
            reason = failure[1][:300]
        advice = tuple(advice[:300] for advice in self._advice)
        counted = self._counted
        return Preflight(
            reason is None,
            reason,
            advice,
            counted["parameters"],
            counted["bytes"],
            needs_device=needs_device,
        )

    def _is_excused(self, failure: tuple[str, str]) -> bool:
        """Whether it asked for a GPU that its slot has and this rehearsal had not."""
        order = self._order
        if order.on_device or order.device.kind == "cpu" or failure[0] == "ContractError":
            return False
        return NEEDS_GPU.search(failure[1]) is not None

    def _try(
        self, name: str, length: int, constants: Mapping[str, Value]
    ) -> tuple[str, str] | None:
        """One rehearsal. Returns the kind of its failure and a sentence, None when it passed."""
        directory = self._work / name
        (directory / "tiny").mkdir(parents=True)
        text = self._order.train_py
        (directory / "train.py").write_text(text, encoding="utf-8")
        try:
            tiny = with_constants(text, constants)
        except ConstantsError as error:
            return "SyntaxError", f"train.py does not parse: {error}"
        (directory / "tiny" / "train.py").write_text(tiny, encoding="utf-8")
        order = self._order
        sandbox = order.sandbox or probe(
            order.work_directory.parent, order.device, python=order.python
        )
        place = Place(
            directory,
            sandbox,
            order.trainer_directory,
            order.tried_on,
            f"{os.environ[RUN_TOKEN]}-{name}",
            int(MEMORY_SHARE * cpu_device().memory_bytes),
        )
        witness = Witness(place, REHEARSE)
        witness.tell(
            {
                "event": "rehearse",
                "seed": order.seed,
                "device": order.tried_on.kind,
                "cpus": list(reserved_cpus(order.device)),
                "threads": 1 if order.device.kind == "cpu" else min(4, order.device.threads),
                "length": length,
                "sequence_length": order.sequence_length,
                "vocab_size": order.vocab_size,
                "memory_bytes": order.device.memory_bytes,
                "budget_seconds": 60.0,
                "budget_tokens": 4 * ROWS * length,
            }
        )
        try:
            return self._listen(witness)
        finally:
            witness.end()

    def _listen(self, witness: Witness) -> tuple[str, str] | None:
        started = False
        while True:
            try:
                message = witness.hear(self._deadline)
            except WitnessError as error:
                if time.monotonic() >= self._deadline:
                    return "late", "two tiny steps took too long to be waited for"
                if not started:
                    raise
                if isinstance(error, TooLargeError) and self._order.device.kind != "cpu":
                    return "late", f"two tiny steps on the CPU were given up: {error}"
                return "ended", f"train.py did not get to the end: {error}"
            event = message.get("event")
            started = started or event == "started"
            if event == "passed":
                return None
            if event == "failed":
                return said(message, "kind"), said(message, "message")
            if "advice" in message and len(self._advice) < MOST_ADVICE:
                self._advice.append(said(message, "advice"))
            for figure in self._counted:
                if isinstance(value := message.get(figure), int):
                    self._counted[figure] = value


def with_constants(text: str, values: Mapping[str, Value]) -> str:
    """Return the text with those of the constants changed that it has; raises ConstantsError."""
    known = read(text)
    fitting = {
        name: value
        for name, value in values.items()
        if name in known and type(known[name].value) is type(value)
    }
    depth = known.get("DEPTH")
    if depth is not None and isinstance(depth.value, int) and depth.value <= DEEP:
        fitting.pop("DEPTH", None)
    return rewrite(text, fitting)


def main() -> None:
    """Rehearse as ordered, print what was found, and leave nothing running."""
    began = time.monotonic()
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    become_subreaper()
    os.nice(NICENESS)
    order = PreflightOrder.decode(sys.stdin.readline())
    if LINUX and (cpus := reserved_cpus(order.device)):
        with contextlib.suppress(OSError):  # a container's set of cores may have changed
            os.sched_setaffinity(0, cpus)
    work = Path(tempfile.mkdtemp(prefix="try-", dir=order.work_directory))
    work.chmod(0o711)  # a witness may be another user
    try:
        found = Trying(order, work).run()
    except NobodyWaitsError:
        return
    finally:
        end_all()
        shutil.rmtree(work, ignore_errors=True)
    found = dataclasses.replace(found, seconds=time.monotonic() - began)
    sys.stdout.write(json.dumps(dataclasses.asdict(found)))


if __name__ == "__main__":
    main()
