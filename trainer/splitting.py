"""Which document is for training, which for validation, and which is sealed.

The split goes by the hash of a document's text, so it needs no state and identical documents
always land together. A tenth of a small corpus is held out for validation and another tenth is
sealed (nobody trains on it, no proposer sees its score); of a big one, see `held_out_share`.

A source may pin files that are held out (`climbmix` does). Then these files alone are halved
into validation and sealed, by the same hash; they are read first, and a training document that
is one of theirs, word for word, is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from documents import Piece, read_pieces
from sources import CorpusError, Report, SourceFile

FORMAT = 2
"""Part of every hash: raise it when the same text would give other rows."""

SPLITS = ("train", "val", "sealed")


def held_out_share(corpus_bytes: int) -> float:
    """The share of documents in validation, and again in sealed, for a corpus of this size.

    A tenth, but no more than 2 MiB of text or 2 % are needed, whichever is larger, and of a very
    big corpus never more than 64 MiB.
    """
    wanted = max(2 << 20, min(corpus_bytes // 50, 64 << 20))
    return min(0.1, wanted / max(1, corpus_bytes))


def split_of(text: str, share: float) -> int:
    """Index into SPLITS for a document with this text (of a long one: its first piece)."""
    place = point(text, b"split")
    return 1 if place < share else 2 if place < 2 * share else 0


def point(text: str, purpose: bytes) -> float:
    """A number in 0..1 that depends on the text alone, and on what it is for."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose).digest()
    return int.from_bytes(digest, "big") / 2**64


def survey(source: str, files: list[SourceFile], report: Report) -> dict[str, Any]:
    """Read everything once: the hash of the content, its bytes and documents."""
    digest = hashlib.sha256(b"%d" % FORMAT)
    size = documents = 0
    total = sum(file.size for file in files) or 1
    before = 0
    for file in files:
        began = size
        for piece in read_pieces(source, file):
            data = piece.text.encode()
            digest.update(b"%d %d\n" % (piece.starts_document + 2 * file.held_out, len(data)))
            digest.update(data)
            size += len(data)
            documents += piece.starts_document
            report("reading", min(0.99, (before + min(file.size, size - began)) / total))
        before += file.size
    report("reading", 1.0)
    if not documents:
        where = "" if source == "stdlib" else " (no document holds more than white space)"
        raise CorpusError(f"corpus {source} is empty{where}; give it some text")
    return {"corpus_hash": digest.hexdigest()[:24], "bytes": size, "documents": documents}


def split_pieces(
    source: str, files: list[SourceFile], surveyed: dict[str, Any], stage: str, report: Report
) -> Iterator[tuple[int, Piece]]:
    """All pieces with their split. The pieces of one document stay together.

    Raises CorpusError when the source is no longer what `survey` saw.
    """
    pinned = any(file.held_out for file in files)
    share = 0.5 if pinned else held_out_share(surveyed["bytes"])
    held_out: set[float] = set()
    done = documents = split = 0
    for file in sorted(files, key=lambda file: not file.held_out):
        for piece in read_pieces(source, file):
            if piece.starts_document:
                documents += 1
                if file.held_out:
                    held_out.add(point(piece.text, b"split"))
                    split = split_of(piece.text, share)
                elif pinned:
                    split = -1 if point(piece.text, b"split") in held_out else 0
                else:
                    split = split_of(piece.text, share)
            done += len(piece.text)
            report(stage, min(0.99, done / surveyed["bytes"]))
            if split >= 0:
                yield split, piece
    if documents != surveyed["documents"]:
        raise CorpusError(f"corpus {source} changed while it was read; call again")
    report(stage, 1.0)
