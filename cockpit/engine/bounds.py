"""The constraints that hold now: those of the settings, and those that program.md has."""

from collections.abc import Sequence
from pathlib import Path

from cockpit.core.constraints import Constraint, in_program


class Bounds:
    """Reads program.md again when it has changed; what can't be read there binds nothing."""

    def __init__(self, program: Path, stated: Sequence[str]) -> None:
        """`stated` are those of the settings, which have been read once already."""
        self._program = program
        self._stated = [Constraint.parse(text) for text in stated]
        self._read: tuple[int, int] | None = None
        self._written: list[Constraint] = []
        self.problems: list[str] = []
        """A line for each constraint in program.md that can't be read."""

    def __call__(self) -> list[Constraint]:
        """Return the constraints of this moment."""
        try:
            seen = self._program.stat()
            if self._read != (seen.st_mtime_ns, seen.st_size):
                text = self._program.read_text(encoding="utf-8", errors="replace")
                self._written, self.problems = in_program(text)
                self._read = (seen.st_mtime_ns, seen.st_size)
        except FileNotFoundError:  # an editor is replacing it: what was read holds
            pass
        return [*self._stated, *(one for one in self._written if one not in self._stated)]
