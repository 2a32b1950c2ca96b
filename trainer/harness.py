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

The score, in this order: the model is written to checkpoint.pt and its hash is noted by the
supervisor; only then do the validation rows arrive, through a file descriptor. What is scored can
no longer be changed by what it is scored on. See `scoring.py`.

Two ways to run the same code:
- `serve()`: a warm spare. It loads torch, rehearses one step, says "ready" and waits on its control
  channel for a run directory; so an experiment starts in a fraction of a second.
- `run_by_hand()`: `python trainer/train.py`, in `by_hand.py`.

What train.py sees is `Task`:

    task = harness.start()
    model = build_model(task)
    task.warm_up(step, model, optimizers, compiled=COMPILE)
    while not task.done:
        inputs, targets = task.next_batch(rows)
        ...
        task.report(loss=loss, lr_factor=factor)
    task.finish(model)
"""

from __future__ import annotations

import copy
import gc
import hashlib
import importlib.util
import json
import math
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import device as devices
import numpy as np
import scoring
import torch

STEP_LINES_PER_SECOND = 10
WARM_UP_STEPS = 3


class HarnessError(Exception):
    """train.py asked for something that the contract does not give, or the run was cut off."""


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
    rows_directory: str
    """Where prepare.py has put this setup's rows."""
    sequence_length: int
    vocab_size: int
    evaluation_rows: int

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Read spec.json; fields that are not ours are left alone."""
        saved = json.loads(text)
        return cls(**{name: saved.get(name) for name in cls.__slots__})


class Examiner(Protocol):
    """Who notes the checkpoint and hands out validation rows: the supervisor, or nobody."""

    def exchange(self, checkpoint: Path) -> tuple[int, int, str]:
        """Give the checkpoint; get the rows' descriptor, the first row, and its SHA-256."""


class Metrics:
    """metrics.jsonl: one JSON object a line, flushed line by line; never NaN, always null."""

    def __init__(self, path: Path, watch: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - lives as long
        self._watch = watch

    def write(self, kind: str, **fields: Any) -> None:
        """Write one line with both clocks in it, and show it to whoever watches."""
        record = {"kind": kind, **fields, "at": time.time(), "monotonic": time.monotonic()}
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        if self._watch is not None:
            self._watch(record)


class Batches:
    """Training rows in an order that the seed decides; every row once in each epoch.

    A batch costs a gather from a memory-mapped file. On CUDA it goes through pinned memory and is
    copied while the device computes.
    """

    def __init__(self, path: Path, sequence_length: int, seed: int, device: torch.device) -> None:
        rows = np.memmap(path, dtype="<u2", mode="r").reshape(-1, sequence_length + 1)
        self._rows = rows  # [N, T+1]
        self._seed = seed
        self._device = device
        self.epoch = 0
        self._order = self._shuffled()
        self._position = 0
        self._pinned: list[tuple[torch.Tensor, torch.cuda.Event]] = []

    def take(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The next `count` rows as inputs and targets, int64 [count, T] each, on the device."""
        picked = self._next_indices(count)
        if self._device.type != "cuda":
            chunk = torch.from_numpy(self._rows[picked].astype(np.int64)).to(self._device)
            return chunk[:, :-1], chunk[:, 1:]
        host, copied = self._pinned_buffer(count)
        np.take(self._rows, picked, axis=0, out=host.numpy().view(np.uint16), mode="clip")
        chunk = host.to(self._device, non_blocking=True).to(torch.int64) & 0xFFFF  # [B, T+1]
        copied.record()
        return chunk[:, :-1].contiguous(), chunk[:, 1:].contiguous()

    def _pinned_buffer(self, count: int) -> tuple[torch.Tensor, torch.cuda.Event]:
        """One of two pinned buffers, in turn, once its last copy is over."""
        shape = (count, self._rows.shape[1])
        if len(self._pinned) == 2:
            buffer, copied = self._pinned.pop(0)
            copied.synchronize()
            if buffer.shape != shape:
                buffer = torch.empty(shape, dtype=torch.int16, pin_memory=True)
        else:
            buffer = torch.empty(shape, dtype=torch.int16, pin_memory=True)
            copied = torch.cuda.Event()
        self._pinned.append((buffer, copied))
        return buffer, copied

    def _next_indices(self, count: int) -> np.ndarray:
        parts = []
        while count:
            if self._position == len(self._order):
                self.epoch += 1
                self._order = self._shuffled()
                self._position = 0
            part = self._order[self._position : self._position + count]
            self._position += len(part)
            count -= len(part)
            parts.append(part)
        return np.concatenate(parts)

    def _shuffled(self) -> np.ndarray:
        return np.random.default_rng([self._seed, self.epoch]).permutation(len(self._rows))


class Task:
    """What train.py works with: device, batches, clock, metrics, and the end of the run."""

    def __init__(self, run: Run) -> None:
        spec = run.spec
        self.device: torch.device = run.device
        self.seed: int = spec.seed
        self.vocab_size: int = spec.vocab_size
        self.sequence_length: int = spec.sequence_length
        self.has_bf16: bool = devices.has_bf16(run.device)
        self.flops_per_token: float | None = None
        """Set it to have MFU measured: training FLOPs a token by the PaLM formula."""
        self._run = run
        self._batches = Batches(
            Path(spec.rows_directory) / "train.bin", spec.sequence_length, spec.seed, run.device
        )
        self._peak_flops = devices.peak_flops(run.device)
        self._warming = False
        self._started: float | None = None
        self._tokens = 0
        self._steps = 0
        self._waiting: _Step | None = None  # reported, not read from the device yet
        self._unwritten: dict[str, Any] | None = None
        self._last_written = (-math.inf, 0)  # seconds, tokens
        self._tenths: list[list[float]] = [[] for _ in range(10)]

    @property
    def progress(self) -> float:
        """How much of the budget is used, 0 to 1. 0 until the first real batch is taken."""
        spec = self._run.spec
        if spec.budget_tokens is not None:
            return min(1.0, self._tokens / spec.budget_tokens)
        return min(1.0, self._seconds() / spec.budget_seconds)

    @property
    def done(self) -> bool:
        """Whether the budget is used up."""
        return self.progress >= 1.0

    @property
    def epoch(self) -> int:
        """How often every training row has been seen."""
        return self._batches.epoch

    def next_batch(self, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The next rows: inputs and targets, int64 [rows, T] each. The first one starts the clock.

        Inside `warm_up` the rows are dummies, of which neither clock nor counters know.
        """
        if self._warming:
            chunk = torch.randint(
                self.vocab_size, (rows, self.sequence_length + 1), device=self.device
            )
            return chunk[:, :-1].contiguous(), chunk[:, 1:].contiguous()
        if self._started is None:
            self._start_clock()
        self._tokens += rows * self.sequence_length
        return self._batches.take(rows)

    def warm_up(
        self,
        step: Callable[[], object],
        model: torch.nn.Module,
        optimizers: Iterable[torch.optim.Optimizer],
        compiled: bool = True,
    ) -> None:
        """Run `step` on dummy rows, then put model, optimizers and random state back.

        So that compilation, kernel selection and allocation happen before the clock. Without
        compilation on a CPU there is nothing to win, and the step is not run.
        """
        if self._started is not None:
            raise HarnessError("warm_up comes before the first real batch")
        if self.device.type == "cpu" and not compiled:
            return
        self._run.metrics.write("phase", phase="warming")
        optimizers = list(optimizers)
        weights = [*model.parameters(), *model.buffers()]
        before = [tensor.detach().clone() for tensor in weights]
        states = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]
        randomness = _random_state(self.device)
        self._warming = True
        try:
            for _ in range(WARM_UP_STEPS):
                step()
            devices.synchronize(self.device)
        finally:
            self._warming = False
        with torch.no_grad():
            for tensor, saved in zip(weights, before, strict=True):
                tensor.copy_(saved)
                tensor.grad = None
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.load_state_dict(state)
        _restore_random_state(self.device, randomness)

    def report(
        self,
        loss: torch.Tensor | float | None = None,
        lr_factor: float | None = None,
        grad_norm: torch.Tensor | float | None = None,
        **named: torch.Tensor | float,
    ) -> None:
        """Say that an optimizer step is over, with its figures; further names are yours to choose.

        Tensors are best left on the device: they are read one step later, so that the device never
        waits for Python.
        """
        if self._warming:
            return
        self._steps += 1
        values = {"loss": loss, "grad_norm": grad_norm, **named}
        step = _Step(self._steps, self._tokens, self.progress, lr_factor, values, self.device)
        if self._waiting is not None:
            self._record(self._waiting)
        self._waiting = None if step.is_read else step
        if step.is_read:
            self._record(step)

    def finish(self, model: torch.nn.Module) -> None:
        """Hand over the model: stop the clock, write the checkpoint, score, write the result.

        Served by a supervisor, this ends the process; by hand it returns.
        """
        if self._run.result is not None:
            raise HarnessError("finish was called before: a run has one result")
        devices.synchronize(self.device)
        seconds = self._seconds()
        if self._waiting is not None:
            self._record(self._waiting)
        if self._unwritten is not None:
            self._write_step(self._unwritten)
        model = getattr(model, "_orig_mod", model)  # the module under torch.compile
        totals = {
            "training_seconds": seconds,
            "startup_seconds": (self._started or time.monotonic()) - self._run.began,
            "tokens": self._tokens,
            "steps": self._steps,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "mfu": self._mfu(self._tokens / seconds if seconds > 0 else 0.0),
            "loss_tenths": [_mean(losses) for losses in self._tenths],
        }
        self._run.examine(model, totals)

    def _start_clock(self) -> None:
        gc.collect(1)
        gc.freeze()  # what lives now lives to the end: the collector need not look at it again
        self._run.metrics.write("phase", phase="training")
        self._started = time.monotonic()

    def _seconds(self) -> float:
        return 0.0 if self._started is None else time.monotonic() - self._started

    def _record(self, step: _Step) -> None:
        """Turn a step whose figures are there into a line; write it unless one was just written."""
        values = step.read()
        loss, grad_norm = values.pop("loss"), values.pop("grad_norm")
        if loss is not None:
            self._tenths[min(9, int(step.progress * 10))].append(loss)
        seconds = self._seconds()
        last_seconds, last_tokens = self._last_written
        elapsed = seconds - max(0.0, last_seconds)
        rate = (step.tokens - last_tokens) / elapsed if elapsed > 0 else 0.0
        line = {
            "step": step.number,
            "seconds": seconds,
            "progress": step.progress,
            "tokens": step.tokens,
            "loss": loss,
            "tokens_per_second": rate,
            "lr_factor": _finite(step.lr_factor),
            "grad_norm": grad_norm,
            "mfu": self._mfu(rate),
        }
        if values:
            line["named"] = values
        if seconds - last_seconds >= 1 / STEP_LINES_PER_SECOND:
            self._write_step(line)
        else:
            self._unwritten = line

    def _mfu(self, tokens_per_second: float) -> float | None:
        if self.flops_per_token is None or self._peak_flops is None:
            return None
        return _finite(tokens_per_second * self.flops_per_token / self._peak_flops)

    def _write_step(self, line: dict[str, Any]) -> None:
        memory = devices.peak_memory_bytes(self.device)
        self._run.metrics.write("step", **line, memory_bytes=memory)
        self._last_written = (line["seconds"], line["tokens"])
        self._unwritten = None


class _Step:
    """A reported step whose figures may still be on their way from the device."""

    def __init__(
        self,
        number: int,
        tokens: int,
        progress: float,
        lr_factor: float | None,
        values: dict[str, torch.Tensor | float | None],
        device: torch.device,
    ) -> None:
        self.number, self.tokens, self.progress = number, tokens, progress
        self.lr_factor = lr_factor
        self._values = dict(values)
        self._names = [name for name, value in values.items() if isinstance(value, torch.Tensor)]
        self._host: torch.Tensor | None = None
        self._copied: torch.cuda.Event | None = None
        if self._names:
            stacked = torch.stack(
                [values[name].detach().float().reshape(()) for name in self._names]
            )
            if device.type == "cuda":
                self._host = torch.empty(len(self._names), pin_memory=True)
                self._host.copy_(stacked, non_blocking=True)
                self._copied = torch.cuda.Event()
                self._copied.record()
            else:
                self._host = stacked
        self.is_read = device.type == "cpu" or not self._names

    def read(self) -> dict[str, float | None]:
        """All figures as finite floats or None; waits for the device if need be."""
        if self._host is not None:
            if self._copied is not None:
                self._copied.synchronize()
            self._values.update(zip(self._names, self._host.tolist(), strict=True))
        return {name: _finite(value) for name, value in self._values.items()}


class Run:
    """One execution: its directory's files, its device, and who examines it."""

    def __init__(
        self,
        spec: Spec,
        directory: Path,
        device: torch.device,
        examiner: Examiner,
        served: bool,
        watch: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.spec, self.directory, self.device = spec, directory, device
        self.began = time.monotonic()
        self.metrics = Metrics(directory / "metrics.jsonl", watch)
        self.result: dict[str, Any] | None = None
        """result.json, when the run is over."""
        self.task: Task | None = None
        self._examiner = examiner
        self._served = served
        self.metrics.write("phase", phase="starting")

    def train(self) -> None:
        """Load the directory's train.py as the module `train`, and train."""
        global _current
        _current = self
        devices.keep_to(self.spec.cpus, self.spec.threads)
        random.seed(self.spec.seed)
        np.random.seed(self.spec.seed % 2**32)
        torch.manual_seed(self.spec.seed)
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        load_train(self.directory / "train.py").main()
        if self.result is None:
            raise HarnessError("train.main() returned without task.finish(model)")

    def examine(self, model: torch.nn.Module, totals: dict[str, Any]) -> None:
        """Checkpoint, then validation rows, then score, then result: in this order."""
        spec = self.spec
        began = time.monotonic()
        self.metrics.write("phase", phase="evaluating")
        checkpoint = self.directory / "checkpoint.pt"
        torch.save(model.state_dict(), checkpoint)
        descriptor, first_row, digest = self._examiner.exchange(checkpoint)
        rows = _read_rows(descriptor, first_row, spec.evaluation_rows, spec.sequence_length)
        token_bytes = np.load(Path(spec.rows_directory) / "token_bytes.npy")
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
            "checkpoint_sha256": digest,
            "scored_at": time.time(),
            "monotonic": scored,
        }
        with open(self.directory / "row_losses.npy", "wb") as file:
            np.save(file, score.row_nats)
        self.metrics.write("phase", phase="done")
        _write_json(self.directory / "result.json", self.result)
        if self._served:
            _leave(0)


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


def load_train(path: Path) -> Any:
    """Import `path` as the module `train`, so that tracebacks and inspection see its text."""
    module_spec = importlib.util.spec_from_file_location("train", path)
    module = importlib.util.module_from_spec(module_spec)
    sys.modules["train"] = module
    module_spec.loader.exec_module(module)
    return module


# --- served by a supervisor --------------------------------------------------------------------


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

    def exchange(self, checkpoint: Path) -> tuple[int, int, str]:
        """Have the supervisor note the checkpoint; it answers with the validation rows."""
        self.send(event="checkpoint", path=checkpoint.name)
        answer = self.receive()
        if answer is None or not answer[1]:
            raise HarnessError("the supervisor is gone: no validation rows")
        message, descriptors = answer
        return descriptors[0], message["rows_offset"], message["checkpoint_sha256"]


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
        _leave(0)
    directory = Path.cwd()  # the spare's directory has been renamed meanwhile
    os.environ["HOME"] = str(directory)
    os.environ["TMPDIR"] = str(directory / "tmp")
    tempfile.tempdir = None
    spec = Spec.from_json((directory / "spec.json").read_text(encoding="utf-8"))
    Run(spec, directory, device, control, served=True).train()
    raise AssertionError("a served run ends in finish()")


def _leave(status: int) -> NoReturn:
    """End at once: a tidy interpreter exit costs a quarter of a second with torch loaded."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


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


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _random_state(device: torch.device) -> tuple[Any, ...]:
    on_device = None
    if device.type == "cuda":
        on_device = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        on_device = torch.mps.get_rng_state()
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), on_device


def _restore_random_state(device: torch.device, state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[3], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state[3])


if __name__ == "__main__":
    import by_hand

    sys.exit(by_hand.probe())
