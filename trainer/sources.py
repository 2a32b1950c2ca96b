"""Where text comes from: the sources of this machine, as lists of files.

`stdlib` is the text of Python's own standard library without its tests, one file a document;
`local:PATH` is a file, or a folder of .txt, .md, .jsonl and .parquet files. The corpora of the
Hugging Face hub are in `hub.py`; how files become documents is in `documents.py`.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KNOWN = "stdlib, tinystories, climbmix[:SHARDS] or local:PATH"
"""What may be named as a source."""

LOCAL_SUFFIXES = (".jsonl", ".md", ".parquet", ".txt")
STDLIB_LEFT_OUT = frozenset(
    {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}
)

Report = Callable[[str, float], None]
"""Called with what is being done and how much of that is done, 0 to 1."""


class CorpusError(Exception):
    """The corpus, the cache or the request is not usable; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source, as its directory entry shows it."""

    path: str
    """Absolute path."""
    size: int
    """Bytes."""
    modified: int
    """Time of the last change, in nanoseconds."""
    held_out: bool = False
    """Whether all its documents are for validation and sealed, and none for training."""
    downloaded: bool = False
    """Whether it comes from the hub and is ours to fetch again."""


def list_files(source: str) -> list[SourceFile]:
    """The files of `source`, sorted by path, by directory entries alone.

    Raises CorpusError when the source is not one of this machine, or has no file.
    """
    if source == "stdlib":
        root = sysconfig.get_paths()["stdlib"]
        files = sorted(_walk(root, (".py",), STDLIB_LEFT_OUT), key=lambda file: file.path)
        if not files:
            raise CorpusError(
                f"this Python has no standard library in source form under {root}; "
                "use --source local:PATH"
            )
        return files
    if not source.startswith("local:"):
        raise CorpusError(f"unknown corpus {source!r}; use {KNOWN}")
    path = os.path.abspath(os.path.expanduser(source.removeprefix("local:")))
    try:
        status = os.stat(path)
    except OSError as error:
        raise CorpusError(f"corpus {path}: {reason(error)}; check the path") from error
    if not os.path.isdir(path):
        return [SourceFile(path, status.st_size, status.st_mtime_ns)]
    files = sorted(_walk(path, LOCAL_SUFFIXES, frozenset()), key=lambda file: file.path)
    if not files:
        raise CorpusError(f"corpus {path}: the folder has no .txt, .md, .jsonl or .parquet file")
    return files


def reason(error: OSError) -> str:
    """What the system says went wrong, as part of a sentence."""
    return (error.strerror or str(error)).lower()


def _walk(root: str, suffixes: tuple[str, ...], left_out: frozenset[str]) -> Iterator[SourceFile]:
    """Files under `root` with one of `suffixes`; not hidden, not in linked folders."""
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in left_out:
                        yield from _walk(entry.path, suffixes, left_out)
                elif entry.name.endswith(suffixes) and entry.is_file():
                    status = entry.stat()
                    yield SourceFile(entry.path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise CorpusError(f"corpus {root}: {reason(error)}") from error
