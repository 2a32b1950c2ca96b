"""Training rows as batches on the device, in an order that the seed decides."""

from __future__ import annotations

import mmap
import os

import numpy as np
import torch


class Batches:
    """Training rows in an order that the seed decides; every row once in each epoch.

    A batch costs a gather from a memory-mapped file. On CUDA it goes through pinned memory and is
    copied while the device computes.
    """

    def __init__(
        self, descriptor: int, sequence_length: int, seed: int, device: torch.device
    ) -> None:
        """`descriptor` is that of train.bin, uint16 [N, T+1]; it is closed here."""
        mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        os.close(descriptor)
        self._rows = np.frombuffer(mapped, dtype="<u2").reshape(-1, sequence_length + 1)  # [N, T+1]
        self.count = len(self._rows)
        self._seed = seed
        self._device = device
        self.epoch = 0
        self._order = self._shuffled()
        self._position = 0
        self._pinned: list[tuple[torch.Tensor, torch.cuda.Event]] = []

    def take(
        self, count: int, indices: np.ndarray | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The next `count` rows, or those at `indices`: inputs and targets, int64 [count, T] each.

        Raises ValueError or IndexError for indices that are not `count` rows of ours.
        """
        if indices is None:
            picked = self._next_indices(count)
        else:
            picked = np.asarray(indices, dtype=np.int64).reshape(count)
            if count and not 0 <= picked.min() <= picked.max() < self.count:
                raise IndexError(f"row indices from 0 to {self.count - 1} are there")
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
        return np.random.default_rng([self._seed, self.epoch]).permutation(self.count)
