"""Notices that the brief has changed, so that a person sees it was noticed.

Every proposal reads program.md anew; the watching is for the word about it alone, and a
file system that tells of no changes takes nothing away but that word.
"""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

from cockpit.engine.briefer import brief_version

POLL_MILLISECONDS = 200
"""How often the watching thread looks whether it is to end."""


class ProgramWatch:
    """Watches one program.md, in a thread, for as long as it is entered."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._stop = threading.Event()
        self._touched = threading.Event()
        self._version = self._read()
        self._thread = threading.Thread(target=self._watch, name="program.md", daemon=True)

    def __enter__(self) -> "ProgramWatch":
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def changed(self) -> str | None:
        """Return the version of the brief where it is another than the last time, else None."""
        if not self._touched.is_set():
            return None
        self._touched.clear()
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

    def _watch(self) -> None:
        import watchfiles  # 50 ms that a start need not wait for

        # The directory, not the file: editors put a new file in its place.
        with contextlib.suppress(OSError, RuntimeError):
            for changes in watchfiles.watch(
                self._program.parent,
                watch_filter=lambda _, path: Path(path).name == self._program.name,
                stop_event=self._stop,
                rust_timeout=POLL_MILLISECONDS,
                yield_on_timeout=False,
                recursive=False,
            ):
                if changes:
                    self._touched.set()
