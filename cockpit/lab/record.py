"""A JSON object from a file that somebody else wrote, and refusals that name file and field."""

import contextlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

FILE_BYTES = 1 << 20
"""No JSON file of a run directory is longer than this; a longer one is not ours."""

_Name = TypeVar("_Name", bound=str)
_Value = TypeVar("_Value", float, int)


class RunDirectoryError(ValueError):
    """A file of a run directory does not say what it should; the message is one line."""


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """Open a regular file for reading and give its descriptor; raises OSError for anything else.

    A training may leave a link to a device or a pipe where a file is expected: neither is
    followed nor waited for.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def read_record(path: Path) -> "Record | None":
    """The object in `path`; None where there is no such file. Raises RunDirectoryError."""
    try:
        with open_regular(path) as descriptor:
            content = os.pread(descriptor, FILE_BYTES + 1, 0)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > FILE_BYTES:
        raise RunDirectoryError(f"{path} is longer than {FILE_BYTES} bytes")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise RunDirectoryError(f"{path} holds {type(values).__name__}, not an object")
    return Record(path, values)


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON object and where it came from, so that a refusal can name the file and the field."""

    path: Path
    values: dict[str, object]

    def wrong(self, name: str, expected: str) -> RunDirectoryError:
        found = repr(self.values.get(name))
        return RunDirectoryError(f"{self.path}: {name} is {found[:80]}, expected {expected}")

    def check_number(self, name: str, value: object, minimum: float = -math.inf) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number")
        with contextlib.suppress(OverflowError):
            if math.isfinite(value) and value >= minimum:
                return float(value)
        raise self.wrong(name, "a finite number" + (" >= 0" if minimum == 0.0 else ""))

    def number_or_none(self, name: str, minimum: float = -math.inf) -> float | None:
        return self.check_number(name, self.values.get(name), minimum)

    def number(self, name: str, minimum: float = -math.inf) -> float:
        return self._present(self.number_or_none, name, "a number", minimum)

    def whole_or_none(self, name: str, minimum: float = -math.inf) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise self.wrong(name, "a whole number")
        return value

    def whole(self, name: str, minimum: float = -math.inf) -> int:
        return self._present(self.whole_or_none, name, "a whole number", minimum)

    def text_or_none(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value

    def text(self, name: str) -> str:
        value = self.text_or_none(name)
        if not value:
            raise self.wrong(name, "a text")
        return value

    def one_of(self, name: str, choices: tuple[_Name, ...]) -> _Name:
        value = self.values.get(name)
        if value not in choices:
            raise self.wrong(name, "one of " + ", ".join(choices))
        return value

    def _present(
        self, read: Callable[[str, float], _Value | None], name: str, kind: str, minimum: float
    ) -> _Value:
        value = read(name, minimum)
        if value is None:
            raise self.wrong(name, kind)
        return value
