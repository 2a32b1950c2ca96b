"""Tiny corpora, a hub that gives some, and the trainer's own modules on the path."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from .hub_server import SHARDS, Hub, serving

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
sys.path.insert(0, str(TRAINER))  # as PYTHONPATH does for a training process

Run = Callable[..., subprocess.CompletedProcess[str]]
WORDS = ["the", "of", "and", "to", "in", "is", "that", "for", "it", "was", "with", "be", "by"]


def write_corpus(folder: Path, documents: int = 400, seed: int = 0) -> Path:
    """A folder of one .jsonl file with short documents, some of them not ASCII."""
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


def place(tmp_path: Path) -> Path:
    """Where the files of climbmix are, with the cache of a test."""
    import hub

    dataset = hub.find_dataset("climbmix:1")
    assert dataset
    return dataset.folder(tmp_path / "cache")


def shard(folder: Path, seed: int, shared: str = "") -> bytes:
    """A parquet file of documents, the last of them `shared` where it is given."""
    lines = (write_corpus(folder / str(seed), 500, seed) / "corpus.jsonl").read_text().splitlines()
    texts = [f"{seed}: {json.loads(line)['text']}" for line in lines]
    path = folder / f"{seed}.parquet"
    table = pyarrow.table({"text": [*texts, *([shared] * bool(shared))]})
    parquet.write_table(table, path, row_group_size=64, compression="none")
    return path.read_bytes()


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three small shards; one document is in a training shard and in the pinned one."""
    folder = tmp_path_factory.mktemp("shards")
    both = "a document that is in two shards"
    return {
        SHARDS[0]: shard(folder, 0),
        SHARDS[1]: shard(folder, 1, both),
        SHARDS[2]: shard(folder, 6542, both),
        "tinystories_gpt4_clean.parquet": shard(folder, 7),
    }


@pytest.fixture
def server(shards: dict[str, bytes]) -> Iterator[Hub]:
    """The hub with these shards."""
    with serving(Hub(dict(shards))) as running:
        yield running


Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(server: Hub, tmp_path: Path) -> dict[str, str]:
    """That of a person who has the hub of the test, and nothing of their own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return own | {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(tmp_path / "huggingface"),
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
        "HF_HUB_ETAG_TIMEOUT": "2",
        "NO_PROXY": "*",
    }


@pytest.fixture
def prepare(environment: dict[str, str], tmp_path: Path) -> Run:
    """Prepare a source by the command line, with tiny rows."""

    def run(source: str, *more: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, str(TRAINER / "prepare.py"), "--source", source, "--json"),
                *("--sequence-length", "32", "--vocab-size", "320", "--evaluation-rows", "16"),
                *("--cache", str(tmp_path / "cache"), *more),
            ],
            env=environment | changed,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
