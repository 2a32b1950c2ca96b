"""Losses row by row, as numpy files: `row_losses.npy` in a run directory is a training's."""

import ast
import math
import os
import sys
from array import array
from pathlib import Path

from cockpit.lab.record import RunDirectoryError, open_regular

ROW_LOSSES = "row_losses.npy"
"""float32 [evaluation_rows], nats a row: what the harness measured. Not trusted."""
HEADER_BYTES = 1024
MOST_ROWS = 1 << 20
TYPES = {"<f4": "f", "<f8": "d"}


def read_losses(path: Path) -> "array[float]":
    """Return one loss a row, each finite and none negative. Raises RunDirectoryError.

    Reads the format of numpy.lib.format, versions 1 to 3, without numpy: a header that claims a
    petabyte, or one that holds Python objects, is refused before anything is made of it.
    """
    try:
        with open_regular(path) as descriptor:
            content = os.read(descriptor, HEADER_BYTES + 8 * MOST_ROWS + 1)
    except OSError as error:
        raise RunDirectoryError(f"{path.name} can't be read: {error.strerror or error}") from error
    code, rows, start = _header(content, path.name)
    losses: array[float] = array(code)
    if not 0 < rows <= MOST_ROWS or len(content) - start != rows * losses.itemsize:
        raise RunDirectoryError(f"{path.name} does not hold the {rows} rows it announces")
    losses.frombytes(content[start:])
    if sys.byteorder == "big":
        losses.byteswap()
    wrong = next((loss for loss in losses if not (math.isfinite(loss) and loss >= 0)), None)
    if wrong is not None:
        raise RunDirectoryError(f"{path.name} holds a loss of {wrong}")
    return losses


def _header(content: bytes, name: str) -> tuple[str, int, int]:
    """Type code, rows and where the data begin."""
    wide = content[6:7] != b"\x01"  # version 1 has two bytes of length, later ones four
    start = 12 if wide else 10
    end = start + int.from_bytes(content[8:start], "little")
    try:
        if content[:6] != b"\x93NUMPY" or end > HEADER_BYTES:
            raise ValueError("no header")
        header = ast.literal_eval(content[start:end].decode("ascii").strip())
        (rows,) = header["shape"]
        code, rows = TYPES[header["descr"]], int(rows)
    except (ValueError, KeyError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise RunDirectoryError(f"{name} is no array of losses") from error
    return code, rows, end
