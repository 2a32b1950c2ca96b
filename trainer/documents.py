"""Read the files of a source as a stream of documents.

What a document is:
- a record of a .jsonl or .parquet file (its `text` column), or a file of `stdlib`;
- a .txt or .md file of at most `PIECE_CHARACTERS`;
- of a longer .txt or .md file, every block of whole paragraphs: a block ends at the first blank
  line after `BLOCK_CHARACTERS`, or at the first line end after eight times that. So one big text
  file still gives the many documents that a split needs.

Text is UTF-8; what is not becomes U+FFFD, and NULs, which carry no text, are dropped. Nothing is
ever held whole: a document longer than `PIECE_CHARACTERS` is passed on in pieces, cut at white
space where there is some. (A record is the exception: JSON and parquet give it in one go, so it
must not be longer than `RECORD_BYTES`.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sources import CorpusError, SourceFile, reason

PIECE_CHARACTERS = 65536
"""The longest text that is hashed, tokenized or kept in memory at once, in characters."""

BLOCK_CHARACTERS = 2048
"""How much of a big text file makes a document, at the least, in characters."""

RECORD_BYTES = 64 << 20
"""The longest record: a line of JSON costs about ten times its size while it is parsed."""

READ_CHARACTERS = 1 << 20
PARQUET_BATCH_BYTES = 4 << 20
"""About how much text of a parquet file is decoded at once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A document, or a part of a long one."""

    text: str
    """At most `PIECE_CHARACTERS` characters, without NULs, valid Unicode."""
    starts_document: bool
    """False for the second and later pieces of a long document."""


def read_pieces(source: str, file: SourceFile) -> Iterator[Piece]:
    """Stream the documents of one file. Raises CorpusError, naming the file, when it cannot."""
    try:
        if file.path.endswith(".jsonl"):
            yield from _documents(_read_jsonl(file.path))
        elif file.path.endswith(".parquet"):
            yield from _documents(_read_parquet(file))
        elif source == "stdlib":
            yield from _documents(iter([Path(file.path).read_bytes().decode("utf-8", "replace")]))
        else:
            yield from _blocks(file.path)
    except OSError as error:
        raise CorpusError(f"corpus {file.path}: {reason(error)}") from error


def _read_jsonl(path: str) -> Iterator[str]:
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(RECORD_BYTES + 1):
            number += 1
            if len(line) > RECORD_BYTES:
                raise _too_long(f"{path}, line {number}")
            if line.isspace():
                continue
            try:
                record = json.loads(line.decode("utf-8", "replace"))
            except ValueError as error:
                raise CorpusError(f"corpus {path}, line {number}: not JSON ({error})") from error
            if not isinstance(record, dict) or "text" not in record:
                names = ", ".join(map(str, record)) if isinstance(record, dict) else "no object"
                raise _no_text(f"{path}, line {number}", names)
            if isinstance(record["text"], str):
                yield record["text"]


def _read_parquet(file: SourceFile) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    again = "; delete it, and it is downloaded again" if file.downloaded else ""
    try:
        # Buffered, and not before: else the column of a whole row group is read at once.
        with pyarrow.parquet.ParquetFile(
            file.path, buffer_size=1 << 20, pre_buffer=False
        ) as parquet:
            names = parquet.schema_arrow.names
            if "text" not in names:
                raise _no_text(file.path, ", ".join(names))
            rows = _rows_at_once(parquet.metadata)
            for batch in parquet.iter_batches(rows, columns=["text"], use_threads=False):
                if batch.nbytes > RECORD_BYTES and _longest(batch.column(0)) > RECORD_BYTES:
                    raise _too_long(file.path)
                for text in batch.column(0).to_pylist():
                    if isinstance(text, str):
                        yield text
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise CorpusError(
            f"corpus {file.path}: not a readable parquet file ({words}){again}"
        ) from error


def _rows_at_once(metadata: Any) -> int:
    """How many rows hold about `PARQUET_BATCH_BYTES`, by the row group with the longest ones."""
    longest = 1.0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        longest = max(longest, group.total_byte_size / max(1, group.num_rows))
    return int(min(1024, max(1, PARQUET_BATCH_BYTES // longest)))


def _longest(texts: Any) -> int:
    """The length of the longest text of an Arrow array, in bytes."""
    from pyarrow import compute

    return compute.max(compute.binary_length(texts)).as_py() or 0


def _no_text(where: str, names: str) -> CorpusError:
    return CorpusError(
        f"corpus {where}: no 'text' column (found: {names[:100]}); "
        "rename the column that holds the text"
    )


def _too_long(where: str) -> CorpusError:
    return CorpusError(
        f"corpus {where}: a record longer than {RECORD_BYTES >> 20} MiB; cut it into documents"
    )


def _documents(texts: Iterator[str]) -> Iterator[Piece]:
    """Clean each text, pass on those that hold more than white space, the long ones in pieces."""
    for text in texts:
        clean = _clean(text)
        if not clean or clean.isspace():
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
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
