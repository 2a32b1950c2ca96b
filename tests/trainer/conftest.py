"""Tiny corpora, and the trainer's own modules on the path."""

import random
import sys
from pathlib import Path

import pytest

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
sys.path.insert(0, str(TRAINER))  # as PYTHONPATH does for a training process

WORDS = ["the", "of", "and", "to", "in", "is", "that", "for", "it", "was", "with", "be", "by"]


def write_corpus(folder: Path, documents: int = 400, seed: int = 0) -> Path:
    """A folder of one .jsonl file with short documents, some of them not ASCII."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    with open(folder / "corpus.jsonl", "w", encoding="utf-8") as file:
        for number in range(documents):
            words = chance.choices([*WORDS, "naïve", "日本語", "🙂🙃"], k=chance.randint(20, 200))
            file.write(json.dumps({"text": f"{number} " + " ".join(words) + "."}) + "\n")
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, written once a session."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def rows(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, prepared with 32 tokens a row and a vocabulary of 320."""
    import prepare

    cache = tmp_path_factory.mktemp("rows-cache")
    return Path(prepare.prepare(f"local:{corpus}", 32, 320, 16, cache)["directory"])
