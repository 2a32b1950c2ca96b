"""A person's own editor on a text, while the screen stands aside."""

import contextlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

FALLBACK = "vi"
"""What POSIX has everywhere."""
CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*)\s*(?::[^=]+)?=\s*([^#\n]+)", re.MULTILINE)
TITLED_CONSTANTS = 3


class EditError(Exception):
    """The editor could not be used; the message says why and what can be done."""


class Edited:
    """A text in a file of its own, which stays until `forget`."""

    def __init__(self, before: str) -> None:
        """Write the text into a new file, readable for the person alone."""
        directory = Path(tempfile.mkdtemp(prefix="cockpit-"))
        self.before, self.path = before, directory / "train.py"
        self.path.write_text(before, encoding="utf-8", newline="")

    def edit(self, environment: Mapping[str, str]) -> str | None:
        """Run the editor and return the new text, None where it is the same. Blocks.

        Raises `EditError`; the terminal must be the editor's meanwhile.
        """
        command = editor(environment)
        try:
            done = subprocess.run([*command, str(self.path)], check=False)
        except OSError as error:
            raise EditError(f"can't run {command[0]}: {error.strerror}; set EDITOR") from error
        if done.returncode:
            raise EditError(f"{command[0]} ended with {done.returncode}: nothing is queued")
        try:
            text = self.path.read_bytes().decode("utf-8")  # its line ends as they are
        except (OSError, UnicodeDecodeError) as error:
            raise EditError(f"what {command[0]} left is no text: {error}") from error
        return text if text != self.before else None

    def forget(self) -> None:
        """Remove the file; what an editor left beside it stays."""
        with contextlib.suppress(OSError):
            self.path.unlink()
            self.path.parent.rmdir()


def editor(environment: Mapping[str, str]) -> list[str]:
    """Return the command of a person's editor: VISUAL, EDITOR, or vi."""
    named = environment.get("VISUAL") or environment.get("EDITOR") or FALLBACK
    try:
        return shlex.split(named) or [FALLBACK]
    except ValueError as error:
        raise EditError(f"EDITOR can't be read: {error}") from error


def suggested_title(before: str, after: str) -> str:
    """Return what an edit may be called: the constants it moves, else how much it changes."""
    old, new = dict(CONSTANT.findall(before)), dict(CONSTANT.findall(after))
    moved = [
        f"{name} {old[name].strip()} → {new[name].strip()}"
        for name in new
        if name in old and old[name].strip() != new[name].strip()
    ]
    if 0 < len(moved) <= TITLED_CONSTANTS:
        return ", ".join(moved)
    import difflib  # 5 ms that the first paint need not wait for

    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    lines = [line for line in list(changes)[2:] if line[:1] in "+-"]
    added = sum(line[0] == "+" for line in lines)
    return f"by hand: +{added} −{len(lines) - added} lines"


def environment() -> Mapping[str, str]:
    """Return this process's environment."""
    return os.environ
