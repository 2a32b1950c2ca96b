"""Tokens to rows: documents of any length, packed without padding."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from sources import Report
from splitting import FORMAT

WAITING_DOCUMENTS = 1024
"""How many documents best-fit packing chooses among."""

LENGTHS_AT_ONCE = 1 << 16


class Packer:
    """BOS-aligned best-fit packing without padding (the idea is karpathy/nanochat's).

    Every row starts with BOS, and so does every document, or rest of one, inside a row. Documents
    longer than a row fill whole rows first. What is left of them and the short ones wait; a row is
    filled with the longest that fits, again and again; when none fits, the shortest is cropped to
    finish the row, and its rest waits on. Every token of the text is used once, in order within
    its document, but for the last row's worth.
    """

    def __init__(self, sequence_length: int, bos: int) -> None:
        self._body = sequence_length
        self._bos = bos
        self._by_length: dict[int, list[np.ndarray]] = {}
        self._lengths: list[int] = []  # sorted, one entry for each waiting document
        self._tokens = 0  # waiting, with a BOS each

    def add(self, document: np.ndarray) -> Iterator[np.ndarray]:
        """Take the tokens of one document, without BOS; yield arrays of finished rows."""
        whole = len(document) // self._body * self._body
        if whole:
            rows = document[:whole].reshape(-1, self._body)
            yield np.insert(rows, 0, self._bos, axis=1)
        if whole < len(document):
            self._wait(document[whole:])
        while len(self._lengths) > WAITING_DOCUMENTS:
            yield self._row()[None]

    def finish(self) -> Iterator[np.ndarray]:
        """Yield the rows that the waiting documents still fill."""
        while self._tokens > self._body:
            yield self._row()[None]

    def _wait(self, document: np.ndarray) -> None:
        bisect.insort(self._lengths, len(document))
        self._by_length.setdefault(len(document), []).append(document)
        self._tokens += len(document) + 1

    def _take(self, index: int) -> np.ndarray:
        length = self._lengths.pop(index)
        self._tokens -= length + 1
        return self._by_length[length].pop()

    def _row(self) -> np.ndarray:
        row = np.empty(self._body + 1, dtype="<u2")
        filled = 0
        while filled < len(row):
            row[filled] = self._bos
            filled += 1
            space = len(row) - filled
            fitting = bisect.bisect_right(self._lengths, space)
            document = self._take(fitting - 1 if fitting else 0) if space else row[:0]
            row[filled : filled + len(document)] = document[:space]
            filled += min(space, len(document))
            if len(document) > space:
                self._wait(document[space:])
        return row


def pack_split(
    tokens: Path, rows: Path, split: str, sequence_length: int, bos: int, report: Report
) -> int:
    """Write `split`.bin; return its number of rows.

    Held-out rows are shuffled once for all, so that the first rows are a fair sample of them.
    """
    stage = f"packing {split}"
    size = (tokens / f"{split}.tokens").stat().st_size
    packer = Packer(sequence_length, bos)
    count = done = 0
    with (
        open(tokens / f"{split}.tokens", "rb", buffering=1 << 20) as stream,
        open(rows / f"{split}.bin", "wb", buffering=1 << 20) as output,
    ):

        def write(arrays: Iterator[np.ndarray]) -> None:
            nonlocal count
            for array in arrays:
                output.write(np.ascontiguousarray(array))
                count += len(array)

        with open(tokens / f"{split}.lengths", "rb") as lengths:
            for length in _lengths(lengths):
                write(packer.add(np.frombuffer(stream.read(2 * length), dtype="<u2")))
                done += 2 * length
                report(stage, min(0.99, done / size))
        write(packer.finish())
    if split != "train":
        packed = np.fromfile(rows / f"{split}.bin", dtype="<u2").reshape(count, sequence_length + 1)
        order = np.random.default_rng(FORMAT).permutation(count)
        packed[order].tofile(rows / f"{split}.bin")
    report(stage, 1.0)
    return count


def _lengths(file: BinaryIO) -> Iterator[int]:
    """The numbers of tokens that were written for a split, a few at a time."""
    while len(lengths := np.fromfile(file, dtype="<u4", count=LENGTHS_AT_ONCE)):
        yield from lengths.tolist()
