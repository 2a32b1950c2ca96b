"""What train.py works with: the clock, the batches, the metrics. See `harness.py` for the idea."""

from __future__ import annotations

import copy
import gc
import math
import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import device as devices
import numpy as np
import torch
from batches import Batches
from dynamics import Point, summary
from metrics import Step, finite

if TYPE_CHECKING:
    from harness import Run

STEP_LINES_PER_SECOND = 10
WARM_UP_STEPS = 3
COLLECT_STEPS = 5000
"""The garbage collector, which would stop a step now and then, is called this seldom instead."""


class HarnessError(Exception):
    """train.py asked for something that the contract does not give, or the run was cut off."""


class TaskInfo:
    """What a model is built for: all that `build_model` may use, also where nobody trains."""

    def __init__(
        self, device: torch.device, seed: int, vocab_size: int, sequence_length: int
    ) -> None:
        self.device: torch.device = device
        self.seed: int = seed
        self.vocab_size: int = vocab_size
        self.sequence_length: int = sequence_length
        self.has_bf16: bool = devices.has_bf16(device)


class Task(TaskInfo):
    """What train.py works with: device, batches, clock, metrics, and the end of the run."""

    def __init__(self, run: Run) -> None:
        spec = run.spec
        super().__init__(run.device, spec.seed, spec.vocab_size, spec.sequence_length)
        self.budget_seconds: float = spec.budget_seconds
        self.flops_per_token: float | None = None
        """Set it to have MFU measured: training FLOPs a token by the PaLM formula."""
        self._run = run
        self._batches: Batches | None = None  # they arrive with the clock
        self._peak_flops = devices.peak_flops(run.device)
        self._warming = False
        self._started: float | None = None
        self._tokens = 0
        self._steps = 0
        self._most_rows = {"warm-up": 0, "training": 0}
        self._waiting: Step | None = None  # reported, not read from the device yet
        self._unwritten: dict[str, Any] | None = None
        self._last_written = (-math.inf, 0)  # seconds, tokens
        self._named: dict[str, float | None] = {}
        self._over = False
        """A step has ended after the budget: there are no more batches."""
        self._course: list[Point] = []
        self._warm_up_seconds = 0.0

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
        return self._batches.epoch if self._batches is not None else 0

    @property
    def compiling_pays(self) -> bool:
        """Whether torch.compile wins more time within the budget than it costs before it."""
        return devices.compiling_pays(self.device, self.budget_seconds)

    @property
    def train_rows(self) -> int:
        """How many training rows there are; known once the clock runs, so 0 before."""
        return self._batches.count if self._batches is not None else 0

    def next_batch(
        self, rows: int, indices: np.ndarray | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The next rows: inputs and targets, int64 [rows, T] each. The first one starts the clock.

        They come in a random order that the seed decides, or, given `indices` (int [rows], below
        `train_rows`), in one of your own. Inside `warm_up` the rows are dummies, of which neither
        clock nor counters know.
        """
        stage = "warm-up" if self._warming else "training"
        self._most_rows[stage] = max(self._most_rows[stage], rows)
        if self._warming:
            chunk = torch.randint(
                self.vocab_size, (rows, self.sequence_length + 1), device=self.device
            )
            return chunk[:, :-1].contiguous(), chunk[:, 1:].contiguous()
        if self._over:
            raise HarnessError(
                "the clock: a batch was asked for after the budget; train `while not task.done`"
            )
        batches = self._batches or self._start_clock()
        self._tokens += rows * self.sequence_length
        return batches.take(rows, indices)

    def halved(self, rows: int, error: BaseException) -> int:
        """Half as many rows, if `error` says that a batch of `rows` did not fit the memory.

        Else, and where one row alone does not fit, the error is raised. Compute the step again
        outside of the except block, whose error holds the memory; other rows come then.
        """
        half = devices.halved(rows, error)
        self._most_rows["warm-up"] = min(self._most_rows["warm-up"], half)
        return half

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
        began = time.monotonic()
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
        self._warm_up_seconds = time.monotonic() - began

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
        if self._started is None:
            raise HarnessError(
                "the clock: report() came before the first batch; take batches by next_batch()"
            )
        self._steps += 1
        self._over = self.done
        if self._steps % COLLECT_STEPS == 0:
            gc.collect()
        values = {"loss": loss, "grad_norm": grad_norm, **named}
        step = Step(self._steps, self._tokens, self.progress, lr_factor, values, self.device)
        if self._waiting is not None:
            self._record(self._waiting)
        self._waiting = None if step.is_read else step
        if step.is_read:
            self._record(step)

    def finish(self, model: torch.nn.Module) -> None:
        """Hand over the model: stop the clock, write the checkpoint, score, write the result.

        Nothing of the run is left to do after it: main() should return.
        """
        if self._run.result is not None:
            raise HarnessError("finish was called before: a run has one result")
        warmed, trained = self._most_rows["warm-up"], self._most_rows["training"]
        if warmed > trained:
            raise HarnessError(
                f"the clock: warm_up ran batches of {warmed} rows, training at most {trained}; "
                "warm up with the step that trains"
            )
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
            "warm_up_seconds": self._warm_up_seconds,
            "tokens": self._tokens,
            "steps": self._steps,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "mfu": self._mfu(self._tokens / seconds if seconds > 0 else 0.0),
            "named": self._named,
            **summary(self._course),
        }
        self._run.examine(model, totals)

    def _start_clock(self) -> Batches:
        gc.collect(1)
        gc.freeze()  # what lives now lives to the end: the collector need not look at it again
        gc.disable()
        self._run.metrics.write("phase", phase="training")
        rows = self._run.watcher.start_clock()
        self._started = time.monotonic()
        self._batches = Batches(rows, self.sequence_length, self.seed, self.device)
        return self._batches

    def refuse_early_step(self, *_: object) -> None:
        """Called before every optimizer step; raises HarnessError where it is not training yet."""
        if self._started is None and not self._warming:
            raise HarnessError(
                "the clock: an optimizer step before the first batch; train inside the budget"
            )

    def _seconds(self) -> float:
        return 0.0 if self._started is None else time.monotonic() - self._started

    def _record(self, step: Step) -> None:
        """Turn a step whose figures are there into a line; write it unless one was just written."""
        values = step.read()
        loss, grad_norm = values.pop("loss"), values.pop("grad_norm")
        seconds = self._seconds()
        self._course.append(Point(step.progress, loss, grad_norm, step.tokens, seconds))
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
            "lr_factor": finite(step.lr_factor),
            "grad_norm": grad_norm,
            "mfu": self._mfu(rate),
        }
        if values:
            line["named"] = values
            self._named |= values
        if seconds - last_seconds >= 1 / STEP_LINES_PER_SECOND:
            self._write_step(line)
        else:
            self._unwritten = line

    def _mfu(self, tokens_per_second: float) -> float | None:
        if self.flops_per_token is None or self._peak_flops is None:
            return None
        return finite(tokens_per_second * self.flops_per_token / self._peak_flops)

    def _write_step(self, line: dict[str, Any]) -> None:
        memory = devices.peak_memory_bytes(self.device)
        self._run.metrics.write("step", **line, memory_bytes=memory)
        self._last_written = (line["seconds"], line["tokens"])
        self._unwritten = None


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
