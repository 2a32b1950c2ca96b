"""The cache of prepared corpora, shared by all labs of a user.

    manifests/<hash of paths, sizes, times>.json     -> which content that is
    corpora/<content hash>/tokens-<vocabulary>/      tokenizer and tokens
    corpora/<content hash>/rows-<vocabulary>-<T>/    train.bin, val.bin, sealed.bin, ...
    downloads/<repository>-<revision>/               files of the hub, checked (`hub.py`)

Everything is built in a directory beside its place and renamed into it, under a lock for each
manifest: a second process waits and finds it done.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sources import Report, reason
from splitting import FORMAT, SPLITS


def cache_directory() -> Path:
    """Where prepared corpora are kept: `$COCKPIT_CACHE`, or the user's cache directory."""
    if own := os.environ.get("COCKPIT_CACHE"):
        return Path(own).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cockpit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cockpit"


def manifest_of(source: str, entries: Iterable[str]) -> str:
    """A hash of a source and of what tells its files apart; a changed file changes it."""
    text = "\n".join([source, *entries])
    return hashlib.sha256(f"{FORMAT}\n{text}".encode(errors="replace")).hexdigest()[:24]


def manifest_path(cache: Path, manifest: str) -> Path:
    """The file that says which content a manifest stands for."""
    return cache / "manifests" / f"{manifest}.json"


def tokens_directory(cache: Path, content: str, vocab_size: int) -> Path:
    """Where a tokenizer of some content is, and the tokens it gave."""
    return cache / "corpora" / content / f"tokens-{vocab_size}"


def rows_directory(cache: Path, content: str, sequence_length: int, vocab_size: int) -> Path:
    """Where the rows of some content are."""
    return cache / "corpora" / content / f"rows-{vocab_size}-{sequence_length}"


def find_rows(
    cache: Path, manifest: str, sequence_length: int, vocab_size: int
) -> dict[str, Any] | None:
    """What an earlier call has built, or None; a damaged entry is none."""
    surveyed = read_json(manifest_path(cache, manifest))
    if surveyed is None:
        return None
    directory = rows_directory(cache, surveyed["corpus_hash"], sequence_length, vocab_size)
    meta = read_json(directory / "meta.json")
    if meta is None:
        return None
    row_bytes = 2 * (sequence_length + 1)
    counts = (meta["train_rows"], meta["validation_rows"], meta["sealed_rows"])
    for split, rows in zip(SPLITS, counts, strict=True):
        try:
            if os.stat(directory / f"{split}.bin").st_size != rows * row_bytes:
                return None
        except FileNotFoundError:
            return None
    return {"directory": str(directory), **meta}


def read_json(path: Path) -> dict[str, Any] | None:
    """An object from a file, or None where there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object to a file that is there in full or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(new, path)


@contextlib.contextmanager
def locked(cache: Path, manifest: str, report: Report) -> Iterator[None]:
    """Hold the manifest's lock; wait for whoever prepares the same corpus."""
    (cache / "locks").mkdir(parents=True, exist_ok=True)
    with open(cache / "locks" / manifest, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that prepares this corpus", 0.0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def replacing(directory: Path, manifest: str) -> Iterator[Path]:
    """A directory to build in, renamed to `directory` at the end, removed when that fails.

    Its name belongs to the lock's holder, so what a killed process left there is ours to remove.
    """
    import shutil

    new = directory.with_name(f".building-{manifest}-{directory.name}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        if directory.exists():  # damaged, or built by a twin: the same text under other paths
            shutil.rmtree(directory)
        os.rename(new, directory)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def trouble(cache: Path, error: OSError) -> str:
    """What to say when the cache cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"no space left for the prepared corpus in {cache}; free some, or set COCKPIT_CACHE "
            "to a place with more"
        )
    return (
        f"cannot write the cache {cache}: {reason(error)}; set COCKPIT_CACHE to a place you can "
        "write"
    )
