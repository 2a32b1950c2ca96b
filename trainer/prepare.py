"""Turn a corpus into token rows on disk, once: documents -> tokenizer -> tokens -> packed rows.

    python trainer/prepare.py --source stdlib --sequence-length 256 --vocab-size 2048

Three passes over a stream of documents (`sources.py` and `hub.py` say from which files,
`documents.py` reads them), with bounded memory:
1. *read*: hash everything; the hash names the corpus in the cache (`cache.py`);
2. *train* a byte-pair tokenizer on the training documents alone (`splitting.py`);
3. *tokenize*, then *pack* the tokens of each split into rows of `sequence_length` + 1
   (`tokenizing.py`, `packing.py`).

Finding a corpus again reads directory entries and two small files, so numpy, the tokenizers and
the hub's library are imported only where they are used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import cache
import hub
from sources import KNOWN, CorpusError, Report, SourceFile, list_files
from splitting import FORMAT, SPLITS, survey

SPECIAL_TOKENS = 4
"""How many ids of a vocabulary stand for no text; see `tokenizing.py`."""

MINIMUM_ROWS = 16
"""Fewer rows than this in any split tell nothing: the corpus is refused."""


def prepare(
    source: str,
    sequence_length: int,
    vocab_size: int,
    evaluation_rows: int,
    cache_directory: Path | None = None,
    report: Report = lambda stage, fraction: None,
    wants_tokens: int | None = None,
) -> dict[str, Any]:
    """Find or build the rows of `source`; the answer is what `--json` prints (see README).

    `wants_tokens` decides how much is taken of a source that can be of any size. Raises
    CorpusError, with one line that says what to do, for a request, corpus, cache or hub that
    cannot be used. A build that fails leaves nothing behind but what was downloaded.
    """
    if not SPECIAL_TOKENS + 256 <= vocab_size <= 65536:
        raise CorpusError(f"vocabulary of {vocab_size}: choose from 260 to 65536 tokens")
    if sequence_length < 8:
        raise CorpusError(f"sequence length of {sequence_length}: choose at least 8 tokens")
    if evaluation_rows < 1:
        raise CorpusError(f"{evaluation_rows} evaluation rows: choose at least 1")
    place = cache_directory or cache.cache_directory()
    request = _Request(source, sequence_length, vocab_size, place, wants_tokens)
    meta = request.find()
    if meta is None:
        try:
            with cache.locked(place, request.manifest, report):
                meta = request.find() or request.build(report)
        except OSError as error:
            raise CorpusError(cache.trouble(place, error)) from error
    rows = min(evaluation_rows, meta["validation_rows"])
    warnings = []
    if rows < evaluation_rows:
        warnings.append(
            f"validation has {rows} rows of the {evaluation_rows} asked for: "
            "scores will be noisier; a larger corpus gives more"
        )
    return {**meta, "corpus": request.source, "evaluation_rows": rows, "warnings": warnings}


class _Request:
    """Rows of one length and vocabulary, of one source."""

    def __init__(
        self,
        source: str,
        sequence_length: int,
        vocab_size: int,
        place: Path,
        wants_tokens: int | None,
    ) -> None:
        self._sequence_length = sequence_length
        self._vocab_size = vocab_size
        self._place = place
        self._dataset = hub.find_dataset(source, wants_tokens)
        if self._dataset:
            self._files: list[SourceFile] = []
            self.source = self._dataset.name
            entries = self._dataset.entries
        else:
            self._files = list_files(source)
            self.source = source
            entries = tuple(f"{file.path}\t{file.size}\t{file.modified}" for file in self._files)
        self.manifest = cache.manifest_of(self.source, entries)

    def find(self) -> dict[str, Any] | None:
        """What an earlier call has built, or None."""
        return cache.find_rows(self._place, self.manifest, self._sequence_length, self._vocab_size)

    def build(self, report: Report) -> dict[str, Any]:
        """Build what is missing, files, tokens and rows, with the manifest's lock held."""
        note = cache.manifest_path(self._place, self.manifest)
        surveyed = cache.read_json(note)
        if surveyed is None:
            surveyed = survey(self.source, self._fetched(report), report)
        content = surveyed["corpus_hash"]
        tokens = cache.tokens_directory(self._place, content, self._vocab_size)
        if not (tokens / "tokenizer.json").exists():
            self._build_tokens(surveyed, tokens, report)
        rows = cache.rows_directory(self._place, content, self._sequence_length, self._vocab_size)
        meta = self._build_rows(surveyed, tokens, rows, report)
        cache.write_json(note, surveyed)
        return {"directory": str(rows), **meta}

    def _fetched(self, report: Report) -> list[SourceFile]:
        if self._dataset and not self._files:
            self._files = hub.fetch(self._dataset, self._place, report)
        return self._files

    def _build_tokens(self, surveyed: dict[str, Any], tokens: Path, report: Report) -> None:
        import tokenizing

        files = self._fetched(report)
        with cache.replacing(tokens, self.manifest) as new:
            ranks = tokenizing.train_tokenizer(
                self.source, files, surveyed, self._vocab_size, report
            )
            tokenizing.save_tokenizer(new, ranks)
            tokenizing.tokenize(self.source, files, surveyed, new, report)

    def _build_rows(
        self, surveyed: dict[str, Any], tokens: Path, rows: Path, report: Report
    ) -> dict[str, Any]:
        from packing import pack_split
        from tokenizing import too_small

        T, bos = self._sequence_length, self._vocab_size - SPECIAL_TOKENS
        with cache.replacing(rows, self.manifest) as new:
            counts = [pack_split(tokens, new, split, T, bos, report) for split in SPLITS]
            for split, count in zip(("training", "validation", "sealed"), counts, strict=True):
                if count < MINIMUM_ROWS:
                    found = f"{count} {split} rows of {T} tokens"
                    raise too_small(self.source, surveyed, f"{found}, {MINIMUM_ROWS} are needed")
            for name in ("tokenizer.json", "token_bytes.npy"):
                (new / name).write_bytes((tokens / name).read_bytes())
            tokenizer = (new / "tokenizer.json").read_bytes()
            meta = {
                "format": FORMAT,
                "corpus": self.source,
                "corpus_hash": surveyed["corpus_hash"],
                "tokenizer_hash": hashlib.sha256(tokenizer).hexdigest()[:24],
                "sequence_length": T,
                "vocab_size": self._vocab_size,
                "train_rows": counts[0],
                "validation_rows": counts[1],
                "sealed_rows": counts[2],
                "train_tokens": counts[0] * T,
                "bytes": surveyed["bytes"],
                "documents": surveyed["documents"],
            }
            cache.write_json(new / "meta.json", meta)
        return meta


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
    parser.add_argument("--source", default="stdlib", help=KNOWN)
    parser.add_argument("--sequence-length", type=int, default=256, help="tokens a row predicts")
    parser.add_argument("--vocab-size", type=int, default=2048, help="with 4 special tokens")
    parser.add_argument("--evaluation-rows", type=int, default=512, help="rows a score will use")
    parser.add_argument("--wants-tokens", type=int, help="of a source without end, about as many")
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
            options.wants_tokens,
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
