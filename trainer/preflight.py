"""A rehearsal of train.py on next to nothing: what cannot work is told before it costs a slot.

The child of `cockpit.executors.trying`, which believes it as far as one may believe a process in
which train.py runs: a script that lies here only wastes its own slot.

In this order: the model is built on the meta device, where it costs nothing, to count what it
holds; main() trains for two steps on random rows, with few and short ones and with constants made
tiny by whoever called; and the model it hands over is looked at as an audit would: does
`build_model` make the same one from its weights, does each row's prediction depend on that row
alone, and on nothing that comes later? For these last questions its weights are shaken, because
what is initialized to zero hides what is behind it.

Over the control channel:
    <- {"event": "rehearse", "seed", "device", "cpus", "threads", "length", "sequence_length",
        "vocab_size", "memory_bytes"}
    -> {"event": "started"}
    -> {"event": "counted", "parameters", "bytes"}, or with "advice" where it can't be counted
    -> {"event": "advice", "advice"}, any number of times
    -> {"event": "passed"}, or {"event": "failed", "kind", "message"} and the end of the process
"""

from __future__ import annotations

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

ROWS = 64
"""Random training rows."""
PATIENCE = 200
"""Batches that main() may still take when the budget is used up."""
SHAKE = 0.05
"""Standard deviation of what is added to every weight."""
SAME_SHARE = 0.02
"""Logits are the same when they differ by no more than this share of their spread: bfloat16
differs by a hundredth at most."""
LEAST_STATES = 2
"""Besides the weights at least a gradient and one optimizer state of the same size."""


class ContractError(Exception):
    """train.py does not keep the contract; the message is a sentence its author can act on."""


class Rehearsal(harness.Run):
    """A run on random rows that ends with a look at the model instead of a score."""

    def __init__(
        self, spec: harness.Spec, directory: Path, device: torch.device, control: Control
    ) -> None:
        super().__init__(spec, directory, device, watcher=self)
        self.task = ImpatientTask(self)
        self._control = control

    def start_clock(self) -> int:
        """Random training rows."""
        path = self.directory / "train.bin"
        shape = (ROWS, self.spec.sequence_length + 1)
        draw = np.random.default_rng(self.spec.seed)
        path.write_bytes(draw.integers(self.spec.vocab_size, size=shape, dtype="<u2").tobytes())
        return os.open(path, os.O_RDONLY)

    def examine(self, model: torch.nn.Module, totals: dict[str, Any]) -> None:
        """Look at what main() hands over."""
        for advice in look_at(model, self.spec, self.device):
            self._control.send(event="advice", advice=advice)
        self.result = totals


class ImpatientTask(harness.Task):
    """Gives no more batches when the budget has long been used up."""

    _late = 0

    def next_batch(self, rows: int, indices: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
        """See `harness.Task`."""
        self._late += self.done
        if self._late > PATIENCE:
            raise ContractError(
                "main() goes on taking batches though the budget is used up: train"
                " `while not task.done`"
            )
        return super().next_batch(rows, indices)


def count(path: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Parameters and bytes of the model at its true size, built on the meta device.

    Raises ContractError where it cannot fit the device. What is not made for the meta device is
    told as advice.
    """
    train = harness.load_train(path)
    for name in ("build_model", "main"):
        if not callable(getattr(train, name, None)):
            raise ContractError(f"train.py has no function {name}()")
    meta = torch.device("meta")
    info = harness.TaskInfo(meta, order["seed"], order["vocab_size"], order["sequence_length"])
    try:
        with meta:
            model = train.build_model(info)
    except (RuntimeError, ValueError, TypeError) as error:  # what a tensor without data answers
        told = faults.told(error, error.__traceback__)
        return {"advice": f"not counted, because it can't be built on the meta device: {told}"}
    parameters = list(model.parameters())
    held = sum(t.numel() * t.element_size() for t in [*parameters, *model.buffers()])
    trained = sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
    needed = held + LEAST_STATES * trained
    number = sum(parameter.numel() for parameter in parameters)
    if needed > order["memory_bytes"]:
        raise ContractError(
            f"its {number / 1e6:,.0f}M parameters need at least {needed / 2**30:.1f} GiB (weights,"
            f" gradients, one optimizer state), and the device has"
            f" {order['memory_bytes'] / 2**30:.1f} GiB"
        )
    return {"parameters": number, "bytes": held}


@torch.no_grad()
def look_at(model: torch.nn.Module, spec: harness.Spec, device: torch.device) -> list[str]:
    """Hold a trained model to the contract; returns advice. Raises ContractError."""
    model = model.eval()
    draw = torch.Generator().manual_seed(spec.seed)
    shape = (2, spec.sequence_length)
    rows = torch.randint(spec.vocab_size, shape, generator=draw).to(device)  # [B, T]
    logits = model(rows)  # [B, T, V]
    if not isinstance(logits, torch.Tensor):
        raise ContractError(f"forward gives a {type(logits).__name__}, not the logits alone")
    if logits.shape != (*shape, spec.vocab_size):
        raise ContractError(
            f"forward gives logits of shape {tuple(logits.shape)}, not {(*shape, spec.vocab_size)}"
        )
    advice = []
    if not torch.isfinite(logits).all():
        advice.append("after two steps on random rows, some logits are not finite")
    rebuilt = rebuild(model, spec, device)
    if not advice and not same(logits, rebuilt(rows)):
        raise ContractError(
            "build_model(task) with the weights of the model given to finish() gives other logits:"
            " keep all that forward() needs in parameters and buffers, and hand over that model"
        )
    for parameter in rebuilt.parameters():
        if parameter.is_floating_point():
            noise = torch.randn(parameter.shape, generator=draw).to(parameter)
            parameter.add_(SHAKE * noise)
    found = [dependence(rebuilt, rows.roll(shift, dims=1), spec.vocab_size) for shift in range(3)]
    if found[0] and all(found):  # once may be rounding: an expert chosen at a tie
        raise ContractError(found[0])
    return advice


def rebuild(model: torch.nn.Module, spec: harness.Spec, device: torch.device) -> torch.nn.Module:
    """The model as an audit makes it: by build_model, with the weights of `model`."""
    harness.settle(device, spec.seed, spec.cpus, spec.threads)
    info = harness.TaskInfo(device, spec.seed, spec.vocab_size, spec.sequence_length)
    rebuilt = sys.modules["train"].build_model(info)
    rebuilt = getattr(rebuilt, "_orig_mod", rebuilt)  # the module under torch.compile
    own, theirs = set(rebuilt.state_dict()), set(model.state_dict())
    if own != theirs:
        apart = sorted(own ^ theirs)
        raise ContractError(
            "the model given to finish() is not of the kind that build_model(task) makes: their"
            f" state_dicts differ in {len(apart)} names, {apart[0]} among them"
        )
    rebuilt.load_state_dict(model.state_dict(), strict=True)
    return rebuilt.eval()


def dependence(model: torch.nn.Module, rows: torch.Tensor, vocab_size: int) -> str | None:
    """What logits depend on that they must not: later tokens, or another row. [B, T] in."""
    usual = model(rows)  # [B, T, V]
    other = (rows + 1 + torch.arange(rows.size(1), device=rows.device) % 7) % vocab_size
    apart = torch.cat((rows[:1], other[1:]))
    if not same(usual[:1], model(apart)[:1]):
        return (
            "a row's logits depend on the other rows of its batch: each row must be predicted"
            " from its own tokens alone"
        )
    length = rows.size(1)
    for cut in sorted({1, length // 3, length // 2, length - 1}):
        changed = torch.cat((rows[:, :cut], other[:, cut:]), dim=1)
        if not same(usual[:, :cut], model(changed)[:, :cut]):
            return (
                f"the model sees the future: with other tokens from position {cut} on, the logits"
                " before it change; let each position depend on itself and earlier ones alone"
            )
    return None


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether logits are equal up to the noise of bfloat16."""
    first, second = first.float(), second.float()
    return bool((first - second).abs().max() <= SAME_SHARE * first.std() + 1e-6)


def main() -> NoReturn:
    """Rehearse ./train.py, at the sizes of tiny/train.py, as the control channel says."""
    control = Control(int(os.environ["COCKPIT_CONTROL_FD"]))

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        known = isinstance(error, ContractError)
        message = str(error) if known else faults.told(error, trace)
        control.send(event="failed", kind=kind.__name__, message=message)
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = tell
    received = control.receive()
    if received is None:
        leave(0)
    order = received[0]
    device = devices.choose(order["device"])
    control.send(event="started")
    control.send(event="counted", **count(Path("train.py"), order))
    spec = harness.Spec(
        seed=order["seed"],
        device=device.type,
        cpus=order["cpus"],
        threads=order["threads"],
        budget_seconds=order["budget_seconds"],
        budget_tokens=order["budget_tokens"],
        sequence_length=order["length"],
        vocab_size=order["vocab_size"],
        evaluation_rows=1,
    )
    Rehearsal(spec, Path("tiny"), device, control).train()
    control.send(event="passed")
    leave(0)
