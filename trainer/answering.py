"""The audit's child: loads a checkpoint and turns token rows into logits. It knows nothing else.

The auditor, another process, believes none of what happens here: train.py is loaded in this
process and may do anything to it. So this process is given nothing worth stealing (rows without
their last target, no losses, no word about what they are compared with), and what it answers is
judged by the answers alone. See cockpit/core/audit.py for what they prove.

Over the control channel, JSON lines:
    <- {"event": "load", "seed", "device", "cpus", "threads", "sequence_length", "vocab_size"}
       with the descriptors of the checkpoint and of a shared memory
    -> {"event": "started"}               from here on, what fails is train.py's fault
    -> {"event": "loaded", "parameters"}
    <- {"event": "rows", "rows": B}       int64 [B, T] at the start of the shared memory
    -> {"event": "answered", "rows": B}   float32 [B, T, V] at the start of the shared memory
    -> {"event": "failed", "message"}     at any time, and the end of the process
The shared memory is a descriptor because /dev/shm is small in containers.
"""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import device as devices
import faults
import harness
import numpy as np
import torch
from serving import Control, leave


class Answering:
    """One model and the shared memory in which it answers."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def run(self) -> NoReturn:
        """Load what the auditor hands in, then answer until it has gone."""
        received = self._control.receive()
        if received is None:
            leave(0)
        order, (checkpoint, memory) = received
        device = devices.choose(order["device"])
        if device.type == "cpu":
            devices.keep_memory()
        self._length, self._vocab_size = order["sequence_length"], order["vocab_size"]
        shared = mmap.mmap(memory, 0)
        self._tokens = np.frombuffer(shared, dtype="<i8", count=len(shared) // 8)
        self._logits = torch.frombuffer(shared, dtype=torch.float32, count=len(shared) // 4)
        self._control.send(event="started")
        self._model = load(order, device, checkpoint)
        self._device = device
        parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self._control.send(event="loaded", parameters=parameters)
        while (received := self._control.receive()) is not None:
            rows = received[0]["rows"]
            self._answer(rows)
            self._control.send(event="answered", rows=rows)
        leave(0)

    def tell(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """Report an exception that nobody caught: Python calls this before it ends."""
        self._control.send(event="failed", message=faults.told(error, trace))
        sys.__excepthook__(kind, error, trace)

    @torch.no_grad()
    def _answer(self, rows: int) -> None:
        count = rows * self._length
        inputs = torch.from_numpy(self._tokens[:count].reshape(rows, -1).copy())  # [B, T]
        size = count * self._vocab_size
        out = self._logits[:size].view(rows, self._length, self._vocab_size)  # [B, T, V]
        try:
            self._compute(inputs.to(self._device), out)
            return
        except RuntimeError as error:
            if rows == 1 or not devices.is_out_of_memory(error):
                raise
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        for half in (slice(rows // 2), slice(rows // 2, rows)):
            self._compute(inputs[half].to(self._device), out[half])

    def _compute(self, inputs: torch.Tensor, out: torch.Tensor) -> None:
        logits = self._model(inputs)  # [B, T, V]
        shape = tuple(getattr(logits, "shape", ()))
        if shape != tuple(out.shape):
            raise ValueError(f"forward gave logits of shape {shape}, not {tuple(out.shape)}")
        for own, shared in zip(logits, out, strict=True):  # a row at a time: one in float32
            shared.copy_(own)


def load(order: dict[str, Any], device: torch.device, checkpoint: int) -> torch.nn.Module:
    """The model of ./train.py with the weights of the checkpoint, ready to be asked."""
    harness.settle(device, order["seed"], order["cpus"], order["threads"])
    train = harness.load_train(Path("train.py"))
    info = harness.TaskInfo(device, order["seed"], order["vocab_size"], order["sequence_length"])
    model = train.build_model(info)
    model = getattr(model, "_orig_mod", model)  # the module under torch.compile
    # As a map it has a position of its own: the descriptor is another process's too.
    with mmap.mmap(checkpoint, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as file:
        weights = torch.load(file, map_location=device, weights_only=True)
    model.load_state_dict(weights, strict=True)
    return model.eval()


def main() -> NoReturn:
    """Answer over the descriptor named in the environment."""
    answering = Answering(Control(int(os.environ["COCKPIT_CONTROL_FD"])))
    sys.excepthook = answering.tell
    answering.run()
