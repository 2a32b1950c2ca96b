"""Notices that the brief has changed, so that a person sees it was noticed.

Every proposal reads program.md anew: this is for the word about it alone.
"""

from pathlib import Path

from cockpit.engine.briefer import brief_version
from cockpit.engine.file_watch import FileWatch


class ProgramWatch:
    """Looks at one program.md whenever it was written."""

    def __init__(self, program: Path, files: FileWatch) -> None:
        """`files` watches it."""
        self._program = program
        self._files = files
        self._version = self._read()

    def changed(self) -> str | None:
        """Return the version of the brief where it is another than the last time, else None."""
        if not self._files.touched(self._program):
            return None
        version = self._read()
        if version in (None, self._version):
            return None
        self._version = version
        return version

    def _read(self) -> str | None:
        try:
            return brief_version(self._program.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None
