"""The measuring setup: everything that must be the same for two scores to be compared."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

from cockpit.lab.corpus import Corpus

PRESETS = "presets.toml"
"""Laid out beside the fixed files, without a say in the setup: its values are in the fields."""


def is_fixed(name: str) -> bool:
    """Tell whether a file of `trainer/` is laid out for the runs: all of them but train.py."""
    return name == PRESETS or (name.endswith(".py") and name != "train.py")


@dataclass(frozen=True, slots=True)
class Setup:
    """The fields of a measuring setup, each as a person would name it."""

    corpus: str
    corpus_hash: str
    tokenizer_hash: str
    sequence_length: int
    vocab_size: int
    evaluation_rows: int
    budget_seconds: float
    device: str
    device_name: str
    threads: int
    torch: str
    trainer: str
    """Digest of the fixed trainer files."""

    @property
    def hash(self) -> str:
        """Return a short digest of all fields but `corpus`, which is only a name."""
        fields = {name: value for name, value in asdict(self).items() if name != "corpus"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]


def make(
    corpus: Corpus, budget_seconds: float, device: str, device_name: str, threads: int, trainer: str
) -> Setup:
    """Return the setup of this machine for a prepared corpus."""
    return Setup(
        corpus=corpus.corpus,
        corpus_hash=corpus.corpus_hash,
        tokenizer_hash=corpus.tokenizer_hash,
        sequence_length=corpus.sequence_length,
        vocab_size=corpus.vocab_size,
        evaluation_rows=corpus.evaluation_rows,
        budget_seconds=budget_seconds,
        device=device,
        device_name=device_name,
        threads=threads,
        torch=metadata.version("torch"),
        trainer=trainer,
    )


def at_budget(setup: Setup, budget_seconds: float) -> Setup:
    """Return a setup at another budget, all else the same: a longer horizon on the same rows."""
    return replace(setup, budget_seconds=budget_seconds)


def fields(setup: Setup) -> dict[str, object]:
    """Return a setup as the journal and the baseline's note store it."""
    return asdict(setup)


def differences(old: Mapping[str, object], new: Setup) -> list[str]:
    """Return what differs between a stored setup and this one, one phrase a field."""
    hidden = {"corpus_hash": "another text", "tokenizer_hash": "another tokenizer",
              "trainer": "other fixed trainer files"}  # fmt: skip
    return [
        hidden.get(name) or f"{name.replace('_', ' ')} {old.get(name)} → {value}"
        for name, value in asdict(new).items()
        if name != "corpus" and old.get(name) != value
    ]


def digest(files: Mapping[str, bytes]) -> str:
    """Return the digest of the fixed trainer files given by name, but for the presets."""
    total = hashlib.sha256()
    for name in sorted(files):
        if name != PRESETS:
            total.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return total.hexdigest()[:12]


def lay_out(files: Mapping[str, bytes], directory: Path) -> None:
    """Write trainer files into `directory`, once; what lies there already is the same text."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = directory / name
        if not path.exists() or path.read_bytes() != content:
            temporary = path.with_name(f".{name}.new")
            temporary.write_bytes(content)
            temporary.replace(path)
