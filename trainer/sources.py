"""Where text comes from: a source is named on the command line and read as a stream of documents.

`stdlib` is the text of Python's own standard library without its tests, one file a document;
`local:PATH` is a file, or a folder of .txt, .md, .jsonl and .parquet files.

What a document is:
- a record of a .jsonl or .parquet file (its `text` column), or a file of `stdlib`;
- a .txt or .md file of at most `PIECE_CHARACTERS`;
- of a longer .txt or .md file, every block of whole paragraphs: a block ends at the first blank
  line after `BLOCK_CHARACTERS`, or at the first line end after eight times that. So one big text
  file still gives the many documents that a split needs.

Text is UTF-8; what is not becomes U+FFFD, and NULs, which carry no text, are dropped. Nothing is
ever held whole: a document longer than `PIECE_CHARACTERS` is passed on in pieces, cut at white
space where there is some. (One line of a .jsonl file is the exception: JSON needs all of it.)
"""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PIECE_CHARACTERS = 65536
"""The longest text that is hashed, tokenized or kept in memory at once, in characters."""

BLOCK_CHARACTERS = 2048
"""How much of a big text file makes a document, at the least, in characters."""

READ_CHARACTERS = 1 << 20
LOCAL_SUFFIXES = (".jsonl", ".md", ".parquet", ".txt")
STDLIB_LEFT_OUT = frozenset(
    {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}
)


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


@dataclass(frozen=True, slots=True)
class Piece:
    """A document, or a part of a long one."""

    text: str
    """At most `PIECE_CHARACTERS` characters, without NULs, valid Unicode."""
    starts_document: bool
    """False for the second and later pieces of a long document."""


def list_files(source: str) -> list[SourceFile]:
    """The files of `source`, sorted by path, by directory entries alone.

    Raises CorpusError when the source is not one of ours, or has no file.
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
        raise CorpusError(f"unknown corpus {source!r}; use stdlib or local:PATH")
    path = os.path.abspath(os.path.expanduser(source.removeprefix("local:")))
    try:
        status = os.stat(path)
    except OSError as error:
        raise CorpusError(f"corpus {path}: {_reason(error)}; check the path") from error
    if not os.path.isdir(path):
        return [SourceFile(path, status.st_size, status.st_mtime_ns)]
    files = sorted(_walk(path, LOCAL_SUFFIXES, frozenset()), key=lambda file: file.path)
    if not files:
        raise CorpusError(f"corpus {path}: the folder has no .txt, .md, .jsonl or .parquet file")
    return files


def read_pieces(source: str, file: SourceFile) -> Iterator[Piece]:
    """Stream the documents of one file. Raises CorpusError, naming the file, when it cannot."""
    try:
        if file.path.endswith(".jsonl"):
            yield from _documents(_read_jsonl(file.path))
        elif file.path.endswith(".parquet"):
            yield from _documents(_read_parquet(file.path))
        elif source == "stdlib":
            yield from _documents(iter([Path(file.path).read_bytes().decode("utf-8", "replace")]))
        else:
            yield from _blocks(file.path)
    except OSError as error:
        raise CorpusError(f"corpus {file.path}: {_reason(error)}") from error


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
        raise CorpusError(f"corpus {root}: {_reason(error)}") from error


def _read_jsonl(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise CorpusError(f"corpus {path}, line {number}: not JSON ({error})") from error
            if not isinstance(record, dict) or "text" not in record:
                names = ", ".join(map(str, record)) if isinstance(record, dict) else "no object"
                raise CorpusError(
                    f"corpus {path}, line {number}: no 'text' column (found: {names[:100]}); "
                    "rename the column that holds the text"
                )
            if isinstance(record["text"], str):
                yield record["text"]


def _read_parquet(path: str) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if "text" not in names:
                raise CorpusError(
                    f"corpus {path}: no 'text' column (found: {', '.join(names)[:100]}); "
                    "rename the column that holds the text"
                )
            for batch in file.iter_batches(batch_size=64, columns=["text"]):
                for value in batch.column(0):
                    text = value.as_py()
                    if isinstance(text, str):
                        yield text
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise CorpusError(f"corpus {path}: not a readable parquet file ({error})") from error


def _documents(texts: Iterator[str]) -> Iterator[Piece]:
    """Clean each text, pass on those that hold more than white space, the long ones in pieces."""
    for text in texts:
        clean = _clean(text)
        if not clean.strip():
            continue
        position = 0
        while position < len(clean):
            end = _cut(clean, position)
            yield Piece(clean[position:end], position == 0)
            position = end


def _blocks(path: str) -> Iterator[Piece]:
    """The documents of a text file: all of it when it is short, blocks of paragraphs when not."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        text = _clean(file.read(PIECE_CHARACTERS + 1))
        if len(text) <= PIECE_CHARACTERS and not file.read(1):
            yield from _documents(iter([text]))
            return
        file.seek(0)
        text = ""
        while more := file.read(READ_CHARACTERS):
            text += _clean(more)
            position = 0
            while (end := _block_end(text, position)) is not None:
                yield from _documents(iter([text[position:end]]))
                position = end
            text = text[position:]
        yield from _documents(iter([text]))


def _block_end(text: str, start: int) -> int | None:
    """Where the block that begins at `start` ends; None when more text is needed to tell."""
    blank = text.find("\n\n", start + BLOCK_CHARACTERS)
    line = text.find("\n", start + 8 * BLOCK_CHARACTERS)
    ends = [blank + 2] if blank >= 0 else []
    ends += [line + 1] if line >= 0 else []
    if ends and min(ends) - start <= PIECE_CHARACTERS:
        return min(ends)
    return _cut(text, start) if len(text) - start > PIECE_CHARACTERS else None


def _cut(text: str, start: int) -> int:
    """The end of the piece that begins at `start`: before white space, if half of it has some."""
    end = start + PIECE_CHARACTERS
    if end >= len(text):
        return len(text)
    for mark in ("\n", " "):
        found = text.rfind(mark, start + PIECE_CHARACTERS // 2, end)
        if found > start:
            return found
    return end


def _clean(text: str) -> str:
    """Drop NULs, and lone surrogates, which JSON can spell and UTF-8 cannot."""
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
