"""Turn a corpus into token rows on disk, once: documents -> tokenizer -> tokens -> packed rows.

    python trainer/prepare.py --source stdlib --sequence-length 256 --vocab-size 2048

Three passes over a stream of documents (`sources.py`), with bounded memory:
1. *read*: hash everything; the hash names the corpus in the cache;
2. *train* a byte-pair tokenizer on the training documents alone;
3. *tokenize*, then *pack* the tokens of each split into rows of `sequence_length` + 1.

The split goes by the hash of a document's text, so it needs no state and identical documents
always land together. A tenth of a small corpus is held out for validation and another tenth is
sealed (nobody trains on it, no proposer sees its score); of a big one, see `held_out_share`.

Cache (`$COCKPIT_CACHE`, else the user's cache directory), shared by all labs:

    manifests/<hash of paths, sizes, times>.json     -> which content that is
    corpora/<content hash>/tokens-<vocabulary>/      tokenizer and tokens
    corpora/<content hash>/rows-<vocabulary>-<T>/    train.bin, val.bin, sealed.bin, ...

Everything is built in a directory beside its place and renamed into it, under a lock for each
manifest: a second process waits and finds it done. Finding a corpus again reads directory entries
and two small files, so numpy and the tokenizers are imported only where they are used.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sources import CorpusError, Piece, SourceFile, list_files, read_pieces

if TYPE_CHECKING:
    import numpy as np
    import tiktoken

FORMAT = 1
"""Part of every hash: raise it when the same text would give other rows."""

SPECIAL_TOKENS = ("<|bos|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>")
"""The last ids of every vocabulary. BOS is the first of them: `vocab_size` - 4."""

SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
"""GPT-4's pre-tokenization with numbers of at most two digits, as karpathy/nanochat has it."""

SPLITS = ("train", "val", "sealed")
MINIMUM_ROWS = 16
"""Fewer rows than this in any split tell nothing: the corpus is refused."""

TOKENIZER_BYTES = 512 << 20
"""Text a tokenizer learns from, at most; of a bigger corpus a sample, by document hash."""

BATCH_CHARACTERS = 4 << 20
WAITING_DOCUMENTS = 1024
"""How many documents best-fit packing chooses among."""

Report = Callable[[str, float], None]
"""Called with what is being done and how much of that is done, 0 to 1."""


def cache_directory() -> Path:
    """Where prepared corpora are kept: `$COCKPIT_CACHE`, or the user's cache directory."""
    if own := os.environ.get("COCKPIT_CACHE"):
        return Path(own).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cockpit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cockpit"


def prepare(
    source: str,
    sequence_length: int,
    vocab_size: int,
    evaluation_rows: int,
    cache: Path | None = None,
    report: Report = lambda stage, fraction: None,
) -> dict[str, Any]:
    """Find or build the rows of `source`; the answer is what `--json` prints (see README).

    Raises CorpusError, with one line that says what to do, for a request, corpus or cache that
    cannot be used. A build that fails leaves nothing behind.
    """
    if not len(SPECIAL_TOKENS) + 256 <= vocab_size <= 65536:
        raise CorpusError(f"vocabulary of {vocab_size}: choose from 260 to 65536 tokens")
    if sequence_length < 8:
        raise CorpusError(f"sequence length of {sequence_length}: choose at least 8 tokens")
    if evaluation_rows < 1:
        raise CorpusError(f"{evaluation_rows} evaluation rows: choose at least 1")
    files = list_files(source)
    cache = cache or cache_directory()
    manifest = _manifest(source, files)
    meta = _find(cache, manifest, sequence_length, vocab_size)
    if meta is None:
        try:
            with _lock(cache, manifest, report):
                meta = _find(cache, manifest, sequence_length, vocab_size) or _build(
                    cache, manifest, source, files, sequence_length, vocab_size, report
                )
        except OSError as error:
            raise CorpusError(_cache_trouble(cache, error)) from error
    rows = min(evaluation_rows, meta["validation_rows"])
    warnings = []
    if rows < evaluation_rows:
        warnings.append(
            f"validation has {rows} rows of the {evaluation_rows} asked for: "
            "scores will be noisier; a larger corpus gives more"
        )
    return {**meta, "corpus": source, "evaluation_rows": rows, "warnings": warnings}


def load_tokenizer(directory: Path) -> tiktoken.Encoding:
    """The tokenizer that wrote the rows in `directory`."""
    import tiktoken

    saved = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    return tiktoken.Encoding(
        name="cockpit",
        pat_str=saved["pattern"],
        mergeable_ranks={bytes.fromhex(text): rank for rank, text in enumerate(saved["tokens"])},
        special_tokens=saved["special_tokens"],
    )


def held_out_share(corpus_bytes: int) -> float:
    """The share of documents in validation, and again in sealed, for a corpus of this size.

    A tenth, but no more than 2 MiB of text or 2 % are needed, whichever is larger, and of a very
    big corpus never more than 64 MiB.
    """
    wanted = max(2 << 20, min(corpus_bytes // 50, 64 << 20))
    return min(0.1, wanted / max(1, corpus_bytes))


def split_of(text: str, share: float) -> int:
    """Index into SPLITS for a document with this text (of a long one: its first piece)."""
    point = _point(text, b"split")
    return 1 if point < share else 2 if point < 2 * share else 0


def _point(text: str, purpose: bytes) -> float:
    """A number in 0..1 that depends on the text alone, and on what it is for."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose).digest()
    return int.from_bytes(digest, "big") / 2**64


# --- finding -----------------------------------------------------------------------------------


def _manifest(source: str, files: list[SourceFile]) -> str:
    """A hash of what the directory entries say; a changed file changes it."""
    text = "\n".join(f"{file.path}\t{file.size}\t{file.modified}" for file in files)
    return hashlib.sha256(f"{FORMAT}\n{source}\n{text}".encode(errors="replace")).hexdigest()[:24]


def _rows_directory(cache: Path, content: str, sequence_length: int, vocab_size: int) -> Path:
    return cache / "corpora" / content / f"rows-{vocab_size}-{sequence_length}"


def _find(
    cache: Path, manifest: str, sequence_length: int, vocab_size: int
) -> dict[str, Any] | None:
    """What an earlier call has built, or None; a damaged entry is none."""
    survey = _read_json(cache / "manifests" / f"{manifest}.json")
    if survey is None:
        return None
    directory = _rows_directory(cache, survey["corpus_hash"], sequence_length, vocab_size)
    meta = _read_json(directory / "meta.json")
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


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


# --- building ----------------------------------------------------------------------------------


def _build(
    cache: Path,
    manifest: str,
    source: str,
    files: list[SourceFile],
    sequence_length: int,
    vocab_size: int,
    report: Report,
) -> dict[str, Any]:
    """Build what is missing, tokens and rows; called with the manifest's lock held."""
    note = cache / "manifests" / f"{manifest}.json"
    survey = _read_json(note) or _survey(source, files, report)
    home = cache / "corpora" / survey["corpus_hash"]
    home.mkdir(parents=True, exist_ok=True)
    tokens = home / f"tokens-{vocab_size}"
    if not (tokens / "tokenizer.json").exists():
        with _replacing(tokens, manifest) as new:
            ranks = _train_tokenizer(source, files, survey, vocab_size, report)
            _save_tokenizer(new, ranks)
            _tokenize(source, files, survey, new, report)
    rows = _rows_directory(cache, survey["corpus_hash"], sequence_length, vocab_size)
    with _replacing(rows, manifest) as new:
        counts = [
            _pack_split(tokens, new, split, sequence_length, vocab_size, report) for split in SPLITS
        ]
        for split, count in zip(("training", "validation", "sealed"), counts, strict=True):
            if count < MINIMUM_ROWS:
                found = f"{count} {split} rows of {sequence_length} tokens"
                raise _too_small(source, survey, f"{found}, {MINIMUM_ROWS} are needed")
        for name in ("tokenizer.json", "token_bytes.npy"):
            _write(new / name, (tokens / name).read_bytes())
        tokenizer = (new / "tokenizer.json").read_bytes()
        meta = {
            "format": FORMAT,
            "corpus": source,
            "corpus_hash": survey["corpus_hash"],
            "tokenizer_hash": hashlib.sha256(tokenizer).hexdigest()[:24],
            "sequence_length": sequence_length,
            "vocab_size": vocab_size,
            "train_rows": counts[0],
            "validation_rows": counts[1],
            "sealed_rows": counts[2],
            "train_tokens": counts[0] * sequence_length,
            "bytes": survey["bytes"],
            "documents": survey["documents"],
        }
        _write(new / "meta.json", json.dumps(meta, indent=1).encode())
    note.parent.mkdir(exist_ok=True)
    _write(note.with_suffix(".new"), json.dumps(survey).encode())
    os.replace(note.with_suffix(".new"), note)
    return {"directory": str(rows), **meta}


def _too_small(source: str, survey: dict[str, Any], finding: str) -> CorpusError:
    return CorpusError(
        f"corpus {source} is too small for the split: {survey['bytes']:,} bytes in "
        f"{survey['documents']} documents give {finding}; use more text, more documents or a "
        "smaller --sequence-length"
    )


def _survey(source: str, files: list[SourceFile], report: Report) -> dict[str, Any]:
    """Read everything once: the hash of the content, its bytes and documents."""
    digest = hashlib.sha256(b"%d" % FORMAT)
    size = documents = 0
    total = sum(file.size for file in files) or 1
    read = 0
    for file in files:
        for piece in read_pieces(source, file):
            data = piece.text.encode()
            digest.update(b"%d %d\n" % (piece.starts_document, len(data)))
            digest.update(data)
            size += len(data)
            documents += piece.starts_document
            report("reading", min(0.99, (read + min(file.size, len(data))) / total))
        read += file.size
    report("reading", 1.0)
    if not documents:
        where = "" if source == "stdlib" else " (no document holds more than white space)"
        raise CorpusError(f"corpus {source} is empty{where}; give it some text")
    return {"corpus_hash": digest.hexdigest()[:24], "bytes": size, "documents": documents}


def _splits(
    source: str, files: list[SourceFile], survey: dict[str, Any], stage: str, report: Report
) -> Iterator[tuple[int, Piece]]:
    """All pieces with their split. The pieces of one document stay together."""
    share = held_out_share(survey["bytes"])
    done = documents = split = 0
    for file in files:
        for piece in read_pieces(source, file):
            if piece.starts_document:
                split = split_of(piece.text, share)
                documents += 1
            done += len(piece.text)
            report(stage, min(0.99, done / survey["bytes"]))
            yield split, piece
    if documents != survey["documents"]:
        raise CorpusError(f"corpus {source} changed while it was read; call again")
    report(stage, 1.0)


def _train_tokenizer(
    source: str, files: list[SourceFile], survey: dict[str, Any], vocab_size: int, report: Report
) -> list[bytes]:
    """Byte-pair merges learnt from the training documents: the bytes of each token, by id."""
    import rustbpe

    share = min(1.0, TOKENIZER_BYTES / survey["bytes"])
    trained = 0

    def texts() -> Iterator[str]:
        nonlocal trained
        for split, piece in _splits(source, files, survey, "training tokenizer", report):
            if split == 0 and (share == 1.0 or _point(piece.text, b"tokenizer") < share):
                trained += 1
                yield piece.text

    learner = rustbpe.Tokenizer()
    wanted = vocab_size - len(SPECIAL_TOKENS)
    learner.train_from_iterator(texts(), wanted, pattern=SPLIT_PATTERN)
    if not trained:
        raise _too_small(source, survey, "no training document")
    ranks = sorted(learner.get_mergeable_ranks(), key=lambda pair: pair[1])
    if len(ranks) < wanted:
        raise CorpusError(
            f"a vocabulary of {vocab_size} is too big for corpus {source}: its text gives "
            f"{len(ranks) + len(SPECIAL_TOKENS)} tokens; give it more text (or, by hand, a "
            "smaller --vocab-size)"
        )
    return [bytes(token) for token, _ in ranks]


def _save_tokenizer(directory: Path, tokens: list[bytes]) -> None:
    """tokenizer.json, and token_bytes.npy: how many bytes of text each token stands for."""
    import io

    import numpy as np

    saved = {
        "format": FORMAT,
        "pattern": SPLIT_PATTERN,
        "special_tokens": {name: len(tokens) + i for i, name in enumerate(SPECIAL_TOKENS)},
        "tokens": [token.hex() for token in tokens],
    }
    _write(directory / "tokenizer.json", json.dumps(saved).encode())
    lengths = [len(token) for token in tokens] + [0] * len(SPECIAL_TOKENS)
    buffer = io.BytesIO()
    np.save(buffer, np.array(lengths, dtype=np.int32))
    _write(directory / "token_bytes.npy", buffer.getvalue())


def _tokenize(
    source: str, files: list[SourceFile], survey: dict[str, Any], directory: Path, report: Report
) -> None:
    """Write the tokens of each split, and how many tokens each of its documents has."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    tokenizer = load_tokenizer(directory)

    def encode(text: str) -> np.ndarray:
        return tokenizer.encode_to_numpy(text, disallowed_special=())

    lengths: tuple[list[int], ...] = ([], [], [])
    pieces = _splits(source, files, survey, "tokenizing", report)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(_cores()))  # tiktoken lets go of the GIL
        outputs = [stack.enter_context(open(directory / f"{name}.tokens", "wb")) for name in SPLITS]
        for batch in _batches(pieces):
            encoded = pool.map(encode, [piece.text for _, piece in batch])
            for (split, piece), tokens in zip(batch, encoded, strict=True):
                outputs[split].write(tokens.astype("<u2").tobytes())
                if piece.starts_document:
                    lengths[split].append(0)
                lengths[split][-1] += len(tokens)
    for name, counts in zip(SPLITS, lengths, strict=True):
        _write(directory / f"{name}.lengths", np.array(counts, dtype="<i8").tobytes())


def _batches(pieces: Iterator[tuple[int, Piece]]) -> Iterator[list[tuple[int, Piece]]]:
    batch: list[tuple[int, Piece]] = []
    size = 0
    for item in pieces:
        batch.append(item)
        size += len(item[1].text)
        if size > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- packing -----------------------------------------------------------------------------------


class Packer:
    """BOS-aligned best-fit packing without padding (the idea is karpathy/nanochat's).

    Every row starts with BOS, and so does every document, or rest of one, inside a row. Documents
    longer than a row fill whole rows first. What is left of them and the short ones wait; a row is
    filled with the longest that fits, again and again; when none fits, the shortest is cropped to
    finish the row, and its rest waits on. Every token of the text is used once, in order within
    its document, but for the last row's worth.
    """

    def __init__(self, sequence_length: int, bos: int) -> None:
        self._body = sequence_length
        self._bos = bos
        self._by_length: dict[int, list[np.ndarray]] = {}
        self._lengths: list[int] = []  # sorted, one entry for each waiting document
        self._tokens = 0  # waiting, with a BOS each

    def add(self, document: np.ndarray) -> Iterator[np.ndarray]:
        """Take the tokens of one document, without BOS; yield arrays of finished rows."""
        import numpy as np

        whole = len(document) // self._body * self._body
        if whole:
            rows = document[:whole].reshape(-1, self._body)
            yield np.insert(rows, 0, self._bos, axis=1)
        if whole < len(document):
            self._wait(document[whole:])
        while len(self._lengths) > WAITING_DOCUMENTS:
            yield self._row()[None]

    def finish(self) -> Iterator[np.ndarray]:
        """Yield the rows that the waiting documents still fill."""
        while self._tokens > self._body:
            yield self._row()[None]

    def _wait(self, document: np.ndarray) -> None:
        bisect.insort(self._lengths, len(document))
        self._by_length.setdefault(len(document), []).append(document)
        self._tokens += len(document) + 1

    def _take(self, index: int) -> np.ndarray:
        length = self._lengths.pop(index)
        self._tokens -= length + 1
        return self._by_length[length].pop()

    def _row(self) -> np.ndarray:
        import numpy as np

        row = np.empty(self._body + 1, dtype="<u2")
        filled = 0
        while filled < len(row):
            row[filled] = self._bos
            filled += 1
            space = len(row) - filled
            fitting = bisect.bisect_right(self._lengths, space)
            document = self._take(fitting - 1 if fitting else 0) if space else row[:0]
            row[filled : filled + len(document)] = document[:space]
            filled += min(space, len(document))
            if len(document) > space:
                self._wait(document[space:])
        return row


def _pack_split(
    tokens: Path, rows: Path, split: str, sequence_length: int, vocab_size: int, report: Report
) -> int:
    """Write `split`.bin; return its number of rows.

    Held-out rows are shuffled once for all, so that the first rows are a fair sample of them.
    """
    import numpy as np

    lengths = np.fromfile(tokens / f"{split}.lengths", dtype="<i8")
    stream = open(tokens / f"{split}.tokens", "rb")  # noqa: SIM115 - closed by the with below
    packer = Packer(sequence_length, vocab_size - len(SPECIAL_TOKENS))
    count = 0
    with stream, open(rows / f"{split}.bin", "wb") as output:

        def write(arrays: Iterator[np.ndarray]) -> None:
            nonlocal count
            for array in arrays:
                output.write(array.tobytes())
                count += len(array)

        for index, length in enumerate(lengths):
            write(packer.add(np.frombuffer(stream.read(2 * int(length)), dtype="<u2")))
            report(f"packing {split}", index / len(lengths))
        write(packer.finish())
    if split != "train":
        packed = np.fromfile(rows / f"{split}.bin", dtype="<u2").reshape(count, sequence_length + 1)
        order = np.random.default_rng(FORMAT).permutation(count)
        _write(rows / f"{split}.bin", packed[order].tobytes())
    report(f"packing {split}", 1.0)
    return count


# --- writing safely ----------------------------------------------------------------------------


@contextlib.contextmanager
def _lock(cache: Path, manifest: str, report: Report) -> Iterator[None]:
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
def _replacing(directory: Path, manifest: str) -> Iterator[Path]:
    """A directory to build in, renamed to `directory` at the end, removed when that fails.

    Its name belongs to the lock's holder, so what a killed process left there is ours to remove.
    """
    import shutil

    new = directory.with_name(f".building-{manifest}-{directory.name}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        if directory.exists():  # damaged, or built by a twin: the same text under other paths
            shutil.rmtree(directory)
        os.rename(new, directory)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _cache_trouble(cache: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"no space left for the prepared corpus in {cache}; free some, or set COCKPIT_CACHE "
            "to a place with more"
        )
    reason = (error.strerror or str(error)).lower()
    return f"cannot write the cache {cache}: {reason}; set COCKPIT_CACHE to a place you can write"


# --- by hand -----------------------------------------------------------------------------------


class Progress:
    """Shows a `Report` on standard error: a bar on a terminal, else lines, or JSON lines."""

    def __init__(self, json_lines: bool = False) -> None:
        self._json = json_lines
        self._terminal = sys.stderr.isatty() and not json_lines
        self._stage = ""
        self._shown = 0.0

    def __call__(self, stage: str, fraction: float) -> None:
        """Show it, unless something was shown a moment ago."""
        now = time.monotonic()
        pause = 0.1 if self._terminal else 1.0
        new = stage != self._stage
        if not new and fraction < 1 and now - self._shown < pause:
            return
        self._stage, self._shown = stage, now
        if self._json:
            line = json.dumps({"progress": stage, "fraction": round(fraction, 4)}) + "\n"
        elif self._terminal:
            bar = "█" * int(fraction * 30)
            line = f"\r\x1b[K{stage:<20} {bar:<30} {fraction:4.0%}" + "\n" * (fraction == 1)
        else:
            line = f"{stage}: {fraction:.0%}\n"
        sys.stderr.write(line)
        sys.stderr.flush()


def main() -> int:
    """The command line. Exit status 0, or 1 after one line that says what to do."""
    parser = argparse.ArgumentParser(description="Prepare a corpus: tokenizer and token rows.")
    parser.add_argument("--source", default="stdlib", help="stdlib or local:PATH")
    parser.add_argument("--sequence-length", type=int, default=256, help="tokens a row predicts")
    parser.add_argument("--vocab-size", type=int, default=2048, help="with 4 special tokens")
    parser.add_argument("--evaluation-rows", type=int, default=512, help="rows a score will use")
    parser.add_argument("--cache", type=Path, help="default: $COCKPIT_CACHE or the user's cache")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    options = parser.parse_args()
    try:
        answer = prepare(
            options.source,
            options.sequence_length,
            options.vocab_size,
            options.evaluation_rows,
            options.cache.absolute() if options.cache else None,
            Progress(options.json),
        )
    except CorpusError as error:
        line = json.dumps({"error": str(error)}) if options.json else f"prepare: {error}"
        print(line, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps(answer))
        return 0
    for warning in answer["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    for name in ("directory", "train_rows", "validation_rows", "sealed_rows", "train_tokens"):
        print(f"{name}: {answer[name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
