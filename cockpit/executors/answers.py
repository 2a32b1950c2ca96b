"""Losses from the logits that a witness leaves in shared memory.

The memory is the witness's too, so nothing is read from it twice: a piece is copied, and all that
is computed comes from the copy. Copies are small enough for a core's cache; two GiB of logits
take a second on one core.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from cockpit.executors import memfile

PIECE_BYTES = 1 << 20

Tokens = npt.NDArray[np.int64]
Nats = npt.NDArray[np.float64]


class AnswerError(RuntimeError):
    """What lies in the shared memory is no answer; the message says why."""


class Answers:
    """Shared memory for one batch: int64 tokens go in, float32 logits come out."""

    def __init__(self, rows: int, sequence_length: int, vocab_size: int, threads: int) -> None:
        """Raises OSError where there is no room."""
        self._vocab_size = vocab_size
        self.descriptor = memfile.blank(rows * sequence_length * vocab_size * 4)
        self._threads = ThreadPoolExecutor(threads)  # it starts them when they are needed

    def put(self, tokens: Tokens) -> None:
        """Write [B, T] to its start."""
        os.pwrite(self.descriptor, np.ascontiguousarray(tokens, dtype="<i8").tobytes(), 0)

    def losses(self, targets: Tokens, positions: Sequence[int]) -> list[Nats]:
        """Return the cross-entropy of the first `positions[i]` targets of each row, in nats.

        `targets` is [B, T]. Raises AnswerError where a loss is not finite.
        """
        rows = range(len(targets))
        return list(self._threads.map(self._row, rows, targets, positions))

    def close(self) -> None:
        """Give the memory back, once the witness has gone too."""
        self._threads.shutdown()
        os.close(self.descriptor)

    def _row(self, row: int, targets: Tokens, positions: int) -> Nats:
        losses = np.empty(positions)
        row_bytes = 4 * self._vocab_size  # of one position's logits
        at_once = max(1, PIECE_BYTES // row_bytes)
        copy = np.empty((min(at_once, positions), self._vocab_size), dtype="<f4")
        with np.errstate(all="ignore"):  # what is not finite is told below
            for start in range(0, positions, at_once):
                piece = copy[: min(at_once, positions - start)]  # [P, V]
                offset = (row * len(targets) + start) * row_bytes
                if os.preadv(self.descriptor, [piece.data], offset) != piece.nbytes:
                    raise AnswerError("its shared memory has shrunk")
                piece -= piece.max(axis=1, keepdims=True)
                wanted = targets[start : start + len(piece), None]
                of_target = np.take_along_axis(piece, wanted, axis=1)[:, 0].astype(np.float64)
                np.exp(piece, out=piece)
                whole = piece.sum(axis=1).astype(np.float64)
                losses[start : start + len(piece)] = np.log(whole) - of_target
        if not np.isfinite(losses).all():
            raise AnswerError("its logits give a loss that is not finite")
        return losses
