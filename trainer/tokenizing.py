"""Text to tokens: train a byte-pair tokenizer, keep it, and write the tokens of each split."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from array import array
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from documents import Piece
from sources import CorpusError, Report, SourceFile
from splitting import FORMAT, SPLITS, point, split_pieces

if TYPE_CHECKING:
    import numpy as np
    import tiktoken

SPECIAL_TOKENS = ("<|bos|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>")
"""The last ids of every vocabulary. BOS is the first of them: `vocab_size` - 4."""

SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
"""GPT-4's pre-tokenization with numbers of at most two digits, as karpathy/nanochat has it."""

LEARNING_BYTES = 128 << 20
"""Text a tokenizer learns from, at most; of a bigger corpus a sample, by document hash."""

LEARNING_WORDS_CHARACTERS = 20_000_000
"""Characters of different words it learns from, at most: each costs rustbpe 30 to 50 bytes, which
natural text never notices and text made of random letters does."""

WORD = re.compile(r"[^\W\d_]+|\d\d?|[^\w\s]+")
WORD_SAMPLE = 256
"""Characters of a piece by which its words not met before are estimated."""

BATCH_CHARACTERS = 1 << 19
MAXIMUM_THREADS = 32
"""One thread reads for all others, and keeps no more than about this many of them busy."""


def train_tokenizer(
    source: str, files: list[SourceFile], surveyed: dict[str, Any], vocab_size: int, report: Report
) -> list[bytes]:
    """Byte-pair merges learnt from the training documents: the bytes of each token, by id.

    Raises CorpusError when the text does not give that many.
    """
    import rustbpe

    share = min(1.0, LEARNING_BYTES / surveyed["bytes"])
    trained = 0

    def texts() -> Iterator[str]:
        nonlocal trained
        met: set[str] = set()
        characters = 0.0
        for split, piece in split_pieces(source, files, surveyed, "training tokenizer", report):
            if split == 0 and (share == 1.0 or point(piece.text, b"tokenizer") < share):
                sample = piece.text[:WORD_SAMPLE]
                new = set(WORD.findall(sample)) - met
                met |= new
                characters += sum(map(len, new)) * len(piece.text) / len(sample)
                if characters > LEARNING_WORDS_CHARACTERS:
                    report("training tokenizer", 1.0)
                    return
                trained += 1
                yield piece.text

    learner = rustbpe.Tokenizer()
    wanted = vocab_size - len(SPECIAL_TOKENS)
    learner.train_from_iterator(texts(), wanted, buffer_size=256, pattern=SPLIT_PATTERN)
    if not trained:
        raise too_small(source, surveyed, "no training document")
    ranks = sorted(learner.get_mergeable_ranks(), key=lambda pair: pair[1])
    if len(ranks) < wanted:
        raise CorpusError(
            f"a vocabulary of {vocab_size} is too big for corpus {source}: its text gives "
            f"{len(ranks) + len(SPECIAL_TOKENS)} tokens; give it more text (or, by hand, a "
            "smaller --vocab-size)"
        )
    return [bytes(token) for token, _ in ranks]


def too_small(source: str, surveyed: dict[str, Any], finding: str) -> CorpusError:
    """What to say of a corpus whose splits hold too little."""
    return CorpusError(
        f"corpus {source} is too small for the split: {surveyed['bytes']:,} bytes in "
        f"{surveyed['documents']} documents give {finding}; use more text, more documents or a "
        "smaller --sequence-length"
    )


def save_tokenizer(directory: Path, tokens: list[bytes]) -> None:
    """tokenizer.json, and token_bytes.npy: how many bytes of text each token stands for."""
    import numpy as np

    saved = {
        "format": FORMAT,
        "pattern": SPLIT_PATTERN,
        "special_tokens": {name: len(tokens) + i for i, name in enumerate(SPECIAL_TOKENS)},
        "tokens": [token.hex() for token in tokens],
    }
    lengths = [len(token) for token in tokens] + [0] * len(SPECIAL_TOKENS)
    buffer = io.BytesIO()
    np.save(buffer, np.array(lengths, dtype=np.int32))
    (directory / "token_bytes.npy").write_bytes(buffer.getvalue())
    (directory / "tokenizer.json").write_text(json.dumps(saved), encoding="utf-8")


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


def tokenize(
    source: str,
    files: list[SourceFile],
    surveyed: dict[str, Any],
    directory: Path,
    report: Report,
) -> None:
    """Write the tokens of each split, and how many tokens each of its documents has.

    On all cores: tiktoken lets go of the interpreter lock while it works on a batch.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    tokenizer = load_tokenizer(directory)
    pieces = split_pieces(source, files, surveyed, "tokenizing", report)
    threads = min(_cores(), MAXIMUM_THREADS)
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(_Output(directory, name)) for name in SPLITS]
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        waiting: deque[tuple[list[tuple[int, Piece]], Future[Any]]] = deque()

        def write() -> None:
            batch, encoded = waiting.popleft()
            tokens, lengths = encoded.result()
            position = 0
            for (split, piece), length in zip(batch, lengths, strict=True):
                outputs[split].add(tokens[position : position + length], piece.starts_document)
                position += length

        for batch in _batches(pieces):
            texts = [piece.text for _, piece in batch]
            waiting.append((batch, pool.submit(_encode, tokenizer, texts)))
            if len(waiting) > threads + 2:
                write()
        while waiting:
            write()


def _encode(tokenizer: tiktoken.Encoding, texts: list[str]) -> tuple[np.ndarray, list[int]]:
    """The tokens of all texts in a row, and how many each of them has.

    In one call with BOS between the texts: a call for each would wait for the interpreter's lock
    thousands of times a second. Text that spells BOS would read as one, so it goes by itself.
    """
    import numpy as np

    bos = SPECIAL_TOKENS[0]
    joined = bos.join(texts)
    if joined.count(bos) >= len(texts):
        each = [tokenizer.encode_to_numpy(text, disallowed_special=()) for text in texts]
        return np.concatenate(each).astype("<u2"), [len(tokens) for tokens in each]
    tokens = tokenizer.encode_to_numpy(joined, allowed_special={bos}, disallowed_special=())
    between = tokens == tokenizer.encode_single_token(bos)
    ends = np.concatenate(([-1], np.flatnonzero(between), [len(tokens)]))
    return tokens[~between].astype("<u2"), (np.diff(ends) - 1).tolist()


class _Output(contextlib.ExitStack):
    """The files that get the tokens of one split, and the lengths of its documents."""

    def __init__(self, directory: Path, split: str) -> None:
        super().__init__()
        self._lengths = array("I")
        self._lengths_file, self._tokens_file = (
            self.enter_context(open(directory / f"{split}.{kind}", "wb"))  # noqa: SIM115 - there
            for kind in ("lengths", "tokens")
        )
        self.callback(lambda: self._lengths.tofile(self._lengths_file))

    def add(self, tokens: np.ndarray, starts_document: bool) -> None:
        """Write the tokens of a piece."""
        self._tokens_file.write(tokens)
        if not starts_document:
            self._lengths[-1] += len(tokens)
            return
        if len(self._lengths) > 1 << 20:
            self._lengths.tofile(self._lengths_file)
            self._lengths = array("I")
        self._lengths.append(len(tokens))


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
