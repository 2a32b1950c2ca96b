"""JSON files that appear whole or not at all, in a directory where a training writes too.

Names are random until the end: a training could leave a pipe where it foresees our file.
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping

RESERVED_BYTES = 8192
"""More than exit.json ever takes."""


def write_atomically(name: str, values: Mapping[str, object]) -> None:
    """Write a JSON file into the working directory. Raises OSError, as on a full disk."""
    temporary = f"{name}.{secrets.token_hex(8)}"
    try:
        with open(temporary, "x") as stream:
            json.dump(values, stream)
        os.replace(temporary, name)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class ReservedFile:
    """A JSON file that can be written on a full disk too: its blocks were taken beforehand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._temporary = f"{name}.{secrets.token_hex(8)}"
        with contextlib.suppress(OSError), open(self._temporary, "xb") as stream:
            stream.write(b" " * RESERVED_BYTES)

    def write(self, values: Mapping[str, object]) -> None:
        """Fill it in and give it its name. Raises OSError."""
        _clear(self.name)  # else what a training put there would be believed if we failed
        content = json.dumps(values).encode().ljust(RESERVED_BYTES)  # spaces end a JSON file well
        try:
            descriptor = os.open(self._temporary, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "wb") as stream:
                stream.write(content)
            os.replace(self._temporary, self.name)
        except OSError:  # it was never made, or the training removed it
            write_atomically(self.name, values)


def _clear(name: str) -> None:
    """Remove whatever has that name."""
    if os.path.isdir(name) and not os.path.islink(name):
        shutil.rmtree(name)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
