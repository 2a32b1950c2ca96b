"""The harness owns everything a score depends on; `train.py` owns everything else.

The idea. A night compares hundreds of training scripts by one number, and the script under test is
written by something that wants the number to be low. So the number must not be the script's to
make. The harness holds the things that two experiments must share for their numbers to mean
anything: which device and seed, which rows in which order, when the clock starts and when time is
up, what is measured and how. The script asks for a batch, reports a loss, hands over a model. It
never sees a validation row, a byte count or a result file.

The clock. Compilation and warm-up run on dummy rows before the clock, and afterwards the model,
its optimizers and all random state are put back as they were, so that nothing can be learnt there.
The clock starts before the first real batch is taken and does not stop until the model is handed
over: whatever a script does in between, it pays for. Tests use a clock that counts tokens.

The rows. Training rows arrive with the clock, as a descriptor from whoever watches the run: before
it starts there is nothing to learn from. The watcher keeps a clock of its own from there to the
checkpoint, and what it reads is what counts.

The score, in this order: the model is written to checkpoint.pt and its hash is noted by the
watcher; only then do the validation rows arrive, through a descriptor too. What is scored can no
longer be changed by what it is scored on. See `scoring.py`.

All of this runs in one process with train.py, which may do anything, so it proves nothing by
itself: it keeps honest scripts comparable. Proof comes from outside, from the watcher's clock and
hash and from an audit that computes the losses again from the checkpoint in other processes.

Two ways to run the same code: `serve()`, a warm spare under a supervisor (`serving.py`), and
`run_by_hand()`, `python trainer/train.py` (`by_hand.py`).

What train.py sees is `Task`:

    task = harness.start()
    model = build_model(task)
    task.warm_up(step, model, optimizers, compiled=compiled)
    while not task.done:
        inputs, targets = task.next_batch(rows)
        ...
        task.report(loss=loss, lr_factor=factor)
    task.finish(model)
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import device as devices
import numpy as np
import scoring
import torch
from attention import attend as attention
from metrics import Metrics
from task import HarnessError, Task, TaskInfo
from torch.optim.optimizer import register_optimizer_step_pre_hook

__all__ = [
    "HarnessError",
    "Run",
    "Spec",
    "Task",
    "TaskInfo",
    "attention",
    "load_train",
    "settle",
    "start",
]


@dataclass(frozen=True, slots=True)
class Spec:
    """What a run is asked to do: spec.json."""

    seed: int
    device: str
    cpus: list[int] | None
    """Cores to compute on; None leaves that to the system."""
    threads: int
    budget_seconds: float
    budget_tokens: int | None
    """When given, the clock counts tokens: the same seed then gives the same losses."""
    sequence_length: int
    vocab_size: int
    evaluation_rows: int

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Read spec.json; fields that are not ours are left alone."""
        saved = json.loads(text)
        return cls(**{name: saved.get(name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Handed:
    """What is handed in once the checkpoint is noted."""

    rows: int
    """Descriptor of the validation rows."""
    first_row: int
    """Where in that file this run's rows begin."""
    token_bytes: int
    """Descriptor of token_bytes.npy."""
    checkpoint_sha256: str
    """As who hands it in has computed it."""


class Watcher(Protocol):
    """Who has the rows and notes when they were asked for: the supervisor, or nobody."""

    def start_clock(self) -> int:
        """Note that training begins now; return the descriptor of the training rows."""

    def hand_in(self, checkpoint: Path) -> Handed:
        """Note the checkpoint; only then give what it is scored on."""


class Run:
    """One execution: its directory's files, its device, and who examines it."""

    def __init__(
        self,
        spec: Spec,
        directory: Path,
        device: torch.device,
        watcher: Watcher,
        watch: Callable[[dict[str, Any]], None] | None = None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """`watch` is shown every line of metrics; `after` is called with the result in place."""
        self.spec, self.directory, self.device, self.watcher = spec, directory, device, watcher
        self.began = time.monotonic()
        self.metrics = Metrics(directory / "metrics.jsonl", watch)
        self.result: dict[str, Any] | None = None
        """result.json, when the run is over."""
        self._after = after
        self.task: Task | None = None
        self.metrics.write("phase", phase="starting")

    def train(self) -> None:
        """Load the directory's train.py as the module `train`, and train."""
        global _current
        _current = self
        settle(self.device, self.spec.seed, self.spec.cpus, self.spec.threads)
        self.task = Task(self)
        watch = register_optimizer_step_pre_hook(self.task.refuse_early_step)
        try:
            load_train(self.directory / "train.py").main()
        finally:
            watch.remove()
        if self.result is None:
            raise HarnessError("train.main() returned without task.finish(model)")

    def examine(self, model: torch.nn.Module, totals: dict[str, Any]) -> None:
        """Checkpoint, then validation rows, then score, then result: in this order."""
        spec = self.spec
        began = time.monotonic()
        self.metrics.write("phase", phase="evaluating")
        checkpoint = self.directory / "checkpoint.pt"
        torch.save(model.state_dict(), checkpoint)
        handed = self.watcher.hand_in(checkpoint)
        rows = _read_rows(handed.rows, handed.first_row, spec.evaluation_rows, spec.sequence_length)
        with open(handed.token_bytes, "rb") as file:
            token_bytes = np.load(file, allow_pickle=False)
        shown = len(rows) // 4 or 1

        def show(done: int) -> None:
            nonlocal shown
            if done >= shown:
                self.metrics.write("evaluation", done_rows=done, rows=len(rows))
                shown = done + (len(rows) // 4 or 1)

        score = scoring.score(model, rows, token_bytes, self.device, show)
        devices.synchronize(self.device)
        scored = time.monotonic()
        self.result = {
            "format": 1,
            "val_bpb": score.val_bpb,
            **totals,
            "total_seconds": scored - self.began,
            "evaluation_seconds": scored - began,
            "peak_memory_bytes": devices.peak_memory_bytes(self.device),
            "evaluation_rows": len(rows),
            "checkpoint_sha256": handed.checkpoint_sha256,
            "scored_at": time.time(),
            "monotonic": scored,
        }
        with open(self.directory / "row_losses.npy", "wb") as file:
            np.save(file, score.row_nats)
        self.metrics.write("phase", phase="done")
        _write_json(self.directory / "result.json", self.result)
        self._after()


_current: Run | None = None


def start() -> Task:
    """The task of this run, for train.main(): one run has one task, so one clock.

    Raises HarnessError where no run is under way.
    """
    if _current is None:
        raise HarnessError("no run is under way; start one with: python trainer/train.py")
    if _current.task is None:
        _current.task = Task(_current)
    return _current.task


def settle(device: torch.device, seed: int, cpus: list[int] | None, threads: int) -> None:
    """Keep to the cores, seed all that draws at random, choose the precision of products.

    Whoever builds a model does this first, also where nobody trains: what is drawn for it is then
    the same.
    """
    devices.keep_to(cpus, threads)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    devices.settle_libraries(device)


def load_train(path: Path) -> Any:
    """Import `path` as the module `train`, so that tracebacks and inspection see its text."""
    module_spec = importlib.util.spec_from_file_location("train", path)
    module = importlib.util.module_from_spec(module_spec)
    sys.modules["train"] = module
    module_spec.loader.exec_module(module)
    return module


def serve() -> NoReturn:
    """A warm spare under a supervisor. See `serving.py`."""
    import serving

    serving.serve()


def run_by_hand(path: str) -> NoReturn:
    """`python trainer/train.py`: prepare, train and print the figures. See `by_hand.py`."""
    import by_hand

    sys.exit(by_hand.main(Path(path)))


# --- small things ------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_rows(descriptor: int, first: int, count: int, sequence_length: int) -> np.ndarray:
    """uint16 [count, T+1] from an open file of rows, fewer when it ends before."""
    row_bytes = 2 * (sequence_length + 1)
    data = bytearray()
    while len(data) < count * row_bytes:
        more = os.pread(descriptor, count * row_bytes - len(data), first * row_bytes + len(data))
        if not more:
            break
        data += more
    os.close(descriptor)
    return np.frombuffer(data, dtype="<u2").reshape(-1, sequence_length + 1)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    """Write atomically: who sees the file sees all of it."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")
    os.replace(new, path)


if __name__ == "__main__":
    import by_hand

    sys.exit(by_hand.probe())
