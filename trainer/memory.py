"""How much memory a training step needs, found out without needing it.

The forward and backward pass of a train.py are run on the meta device, with tensors that have
shapes and no data, and every storage is followed from the operation that makes it to the end of
the last tensor in it. So the answer holds for whatever the model is, not for one architecture.

It is what operations need that run one by one. Compiled ones need less, because they recompute
what is cheap instead of keeping it: take it as an upper bound. Attention counts as a fused kernel
(see `attention.by_shape`). What comes on top, the CUDA context, the workspaces of matrix products
and the gaps between allocations, is `OVERHEAD_BYTES` and `OVERHEAD_SHARE`.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import Any

import harness
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

STATES = 2
"""Running means that an optimizer keeps of each parameter: AdamW's two; Muon keeps one."""
COPIES = 4
"""Copies of its parameters that an optimizer's step makes and lets go: Muon stacks weights and
gradients, and orthogonalizes by products of the same size."""
OVERHEAD_BYTES = 0.8e9
"""A CUDA context with the libraries' kernels and workspaces."""
OVERHEAD_SHARE = 0.08
"""Of an allocator's memory, what lies between its blocks."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a training step needs on its device."""

    parameters: int
    """How many numbers are trained."""
    weights: int
    """Parameters and buffers."""
    states: int
    """What the optimizers keep from step to step."""
    passes: int
    """The most that lives at once in forward and backward pass: activations and gradients."""
    update: int
    """The most that lives at once while the optimizers step, gradients included."""

    @property
    def total(self) -> int:
        """All of it at the worst moment, with what comes on top on a GPU."""
        tensors = self.weights + self.states + max(self.passes, self.update)
        return int(tensors * (1 + OVERHEAD_SHARE) + OVERHEAD_BYTES)


class Meter(TorchDispatchMode):
    """Follows the storages that operations make, as long as it is entered."""

    def __init__(self, known: list[torch.Tensor]) -> None:
        """`known` tensors are there already and cost nothing more."""
        super().__init__()
        self._seen = {tensor.untyped_storage()._cdata for tensor in known}
        self._live = 0
        self.peak_bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        """Run one operation and follow what it made."""
        made = function(*arguments, **(named or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor.untyped_storage())
        return made

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self._live += size
        self.peak_bytes = max(self.peak_bytes, self._live)
        weakref.finalize(storage, self._let_go, key, size)

    def _let_go(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._live -= size


def estimate(train: Any, vocab_size: int, sequence_length: int) -> Need:
    """What a step of the module `train`, a loaded train.py, needs by its own constants.

    It has to have `loss(inputs, targets)` on its model, as ours does, and TOTAL_BATCH_TOKENS and
    DEVICE_BATCH_ROWS; AttributeError otherwise.
    """
    rows = max(1, train.TOTAL_BATCH_TOKENS // sequence_length)
    device_rows = min(rows, train.DEVICE_BATCH_ROWS)
    info = harness.TaskInfo(torch.device("meta"), 0, vocab_size, sequence_length)
    model = train.build_model(info)
    trained = [p for p in model.parameters() if p.requires_grad]
    held = [*model.parameters(), *model.buffers()]
    meter = Meter(held)
    with meter:
        for _ in range(min(2, math.ceil(rows / device_rows))):
            idx = torch.zeros(device_rows, sequence_length, dtype=torch.int64, device="meta")
            model.loss(idx, idx).backward()
    weights = _bytes(trained)
    return Need(
        parameters=sum(p.numel() for p in trained),
        weights=_bytes(held),
        states=STATES * weights,
        passes=meter.peak_bytes,
        update=(1 + COPIES) * weights,
    )


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
