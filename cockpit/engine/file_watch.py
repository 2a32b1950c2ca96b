"""Notices that files of the working tree have changed, in one thread for all of them.

What is noticed is only ever said to a person: a file system that tells of no changes takes
nothing away but that word.
"""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

POLL_MILLISECONDS = 200
"""How often the watching thread looks whether it is to end."""


class FileWatch:
    """Watches some files for as long as it is entered."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._stop = threading.Event()
        self._touched = {path: threading.Event() for path in paths}
        self._thread = threading.Thread(target=self._watch, name="file watch", daemon=True)

    def __enter__(self) -> "FileWatch":
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

    def touched(self, path: Path) -> bool:
        """Tell whether a file was written since the last time this was asked."""
        if not self._touched[path].is_set():
            return False
        self._touched[path].clear()
        return True

    def _watch(self) -> None:
        import watchfiles  # 50 ms that a start need not wait for

        # The directories, not the files: editors put a new file in the place of the old one.
        directories = {path.parent for path in self._paths}
        names = {path.resolve(): self._touched[path] for path in self._paths}
        with contextlib.suppress(OSError, RuntimeError):
            for changes in watchfiles.watch(
                *directories,
                watch_filter=lambda _, path: Path(path).resolve() in names,
                stop_event=self._stop,
                rust_timeout=POLL_MILLISECONDS,
                yield_on_timeout=False,
                recursive=False,
            ):
                for _, path in changes:
                    names[Path(path).resolve()].set()
