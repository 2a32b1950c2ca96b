"""Prepared corpora, made by the trainer's own `prepare.py` in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.lab.lab import LabError

Progress = Callable[[str], None]

LOWEST_PRIORITY = 19
"""Weight 15 beside 1024 in Linux's scheduler: 1.5 % of a core that a training wants."""

ENDLESS = "climbmix"
"""The source that leaves open how much of it is wanted; `climbmix:8` says it."""


class CorpusError(LabError):
    """The corpus can't be prepared; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Packed rows on disk and what they were made from."""

    directory: Path
    """Holds `train.bin`, `val.bin`, `sealed.bin`, the tokenizer and its byte counts."""
    corpus: str
    """The source in full: `stdlib`, `tinystories`, `climbmix:8` or `local:PATH`."""
    corpus_hash: str
    tokenizer_hash: str
    sequence_length: int
    vocab_size: int
    evaluation_rows: int
    train_tokens: int
    warnings: tuple[str, ...]

    @property
    def validation_rows(self) -> Path:
        """Return the file of validation rows."""
        return self.directory / "val.bin"


def cache_directory() -> Path:
    """Return where a user's prepared corpora are, as `trainer/cache.py` has it."""
    if given := os.environ.get("COCKPIT_CACHE"):
        return Path(given).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cockpit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cockpit"


def find(cache: Path, setup: Mapping[str, Any]) -> Path | None:
    """Return the directory of the rows that a measuring setup names, None where it is gone."""
    rows = f"rows-{setup.get('vocab_size')}-{setup.get('sequence_length')}"
    directory = cache / "corpora" / str(setup.get("corpus_hash")) / rows
    return directory if (directory / "meta.json").is_file() else None


def prepare(
    trainer: Path,
    source: str,
    *,
    sequence_length: int,
    vocab_size: int,
    evaluation_rows: int,
    wants_tokens: int | None = None,
    cache: Path | None = None,
    gently: bool = False,
    progress: Progress = lambda _: None,
) -> Corpus:
    """Prepare a corpus, or find it prepared; raises `CorpusError` with one line.

    `trainer` is the directory of `prepare.py`; `wants_tokens` says how much is to be taken of
    a source that has no end; `gently` leaves the cores to a night that is running;
    `progress` is told in words how far it is.
    """
    command = [
        sys.executable, str(trainer / "prepare.py"), "--json", "--source", source,
        "--sequence-length", str(sequence_length), "--vocab-size", str(vocab_size),
        "--evaluation-rows", str(evaluation_rows),
    ]  # fmt: skip
    if source == ENDLESS and wants_tokens:
        # Only there: the prepare.py of an older baseline does not know the option.
        command += ["--wants-tokens", str(wants_tokens)]
    if cache is not None:
        command += ["--cache", str(cache)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    if gently:
        os.setpriority(os.PRIO_PROCESS, process.pid, LOWEST_PRIORITY)
    assert process.stdout is not None
    assert process.stderr is not None
    error = ""
    with process:
        for line in process.stderr:
            told = _object(line)
            if "progress" in told:
                share = told.get("fraction")
                done = f" {share:.0%}" if isinstance(share, int | float) else ""
                progress(f"preparing corpus {source}: {told['progress']}{done}")
            error = str(told.get("error") or line.strip() or error)
        answer = _object(process.stdout.read().strip().rpartition("\n")[2])
    if process.returncode:
        raise CorpusError(error or f"preparing {source} failed with exit code {process.returncode}")
    try:
        return Corpus(
            directory=Path(answer["directory"]),
            corpus=str(answer["corpus"]),
            corpus_hash=str(answer["corpus_hash"]),
            tokenizer_hash=str(answer["tokenizer_hash"]),
            sequence_length=int(answer["sequence_length"]),
            vocab_size=int(answer["vocab_size"]),
            evaluation_rows=int(answer.get("evaluation_rows", evaluation_rows)),
            train_tokens=int(answer["train_tokens"]),
            warnings=tuple(str(warning) for warning in answer.get("warnings", ())),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise CorpusError(f"prepare.py answered without {fault}: {answer}") from fault


def _object(line: str) -> dict[str, Any]:
    """Return a JSON object of a line, or an empty one where the line is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
