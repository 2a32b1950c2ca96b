"""What is promised of corpora of the Hugging Face hub, with a hub on loopback."""

import json
import subprocess
import sys
from pathlib import Path

import documents
import hub
import numpy as np
import pytest
import tokenizing
from sources import CorpusError, SourceFile

from .conftest import TRAINER, Run, place
from .hub_server import SHARDS, Hub


def documents_of(rows: Path, split: str) -> set[str]:
    """What begins the documents of a split: the shard they are of, and their number."""
    tokens = np.fromfile(rows / f"{split}.bin", dtype="<u2").reshape(-1, 33)
    text = "".join(tokenizing.load_tokenizer(rows).decode_batch(tokens.tolist()))
    starts = (part.split(" ")[:2] for part in text.split("<|bos|>"))
    return {" ".join(start) for start in starts if len(start) == 2 and start[0].endswith(":")}


# --- which files -------------------------------------------------------------------------------


def test_climbmix_pins_its_last_shard_and_a_commit() -> None:
    dataset = hub.find_dataset("climbmix:2")
    assert dataset
    assert dataset.training == SHARDS[:2]
    assert dataset.held_out == SHARDS[2:]
    assert len(dataset.revision) == 40


@pytest.mark.parametrize(
    ("wanted", "shards"),
    [(None, 10), (1_000_000, 1), (60_000_001, 2), (400_000_000, 7), (10**15, 6542)],
)
def test_as_many_shards_are_taken_as_the_wanted_tokens_need(wanted: int, shards: int) -> None:
    dataset = hub.find_dataset("climbmix", wanted)
    assert dataset
    assert dataset.name == f"climbmix:{shards}"
    assert hub.find_dataset("climbmix:3", wanted).name == "climbmix:3"


@pytest.mark.parametrize("source", ["climbmix:", "climbmix:0", "climbmix:x", "climbmix:6543"])
def test_a_number_of_shards_that_cannot_be_is_refused(source: str) -> None:
    with pytest.raises(CorpusError, match="climbmix has 1 to 6542 shards"):
        hub.find_dataset(source)


def test_other_sources_are_not_the_hubs() -> None:
    assert hub.find_dataset("stdlib") is None
    assert hub.find_dataset("local:/climbmix") is None
    with pytest.raises(CorpusError, match="takes no number"):
        hub.find_dataset("tinystories:2")


# --- preparing ---------------------------------------------------------------------------------


def test_the_pinned_shard_is_validation_and_sealed_and_nothing_else(
    prepare: Run, server: Hub
) -> None:
    result = prepare("climbmix", "--wants-tokens", "100000000")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["corpus"] == "climbmix:2"
    rows = Path(answer["directory"])
    train, val, sealed = (documents_of(rows, split) for split in ("train", "val", "sealed"))
    assert {start.split(":")[0] for start in train} == {"0", "1"}
    assert {start.split(":")[0] for start in val | sealed} == {"6542"}
    assert not val & sealed
    assert abs(len(val) - len(sealed)) < 150
    assert {json.loads(line).get("progress", "")[:11] for line in result.stderr.splitlines()} >= {
        "asking the ",
        "downloading",
        "tokenizing",
    }


def test_a_held_out_document_is_not_trained_on(prepare: Run) -> None:
    answer = json.loads(prepare("climbmix:2").stdout)
    rows = Path(answer["directory"])
    tokenizer = tokenizing.load_tokenizer(rows)
    needle = bytes(str(tokenizer.encode_ordinary("is in two shards")), "ascii")[1:-1]
    found = [
        needle in str(np.fromfile(rows / f"{split}.bin", dtype="<u2").tolist()).encode()
        for split in ("train", "val", "sealed")
    ]
    assert found[0] is False
    assert answer["documents"] == 1502  # it is counted, but left out


def test_tinystories_is_split_by_document(prepare: Run) -> None:
    answer = json.loads(prepare("tinystories").stdout)
    assert answer["corpus"] == "tinystories"
    assert answer["documents"] == 500
    rows = Path(answer["directory"])
    splits = [documents_of(rows, split) for split in ("train", "val", "sealed")]
    assert all(splits)
    assert not splits[0] & splits[1]
    assert not splits[1] & splits[2]


def test_what_was_prepared_is_found_without_network_files_or_library(
    prepare: Run, server: Hub, tmp_path: Path, environment: dict[str, str]
) -> None:
    first = json.loads(prepare("climbmix:1").stdout)
    for name in (SHARDS[0], SHARDS[2]):
        (place(tmp_path) / name).unlink()
    asked = len(server.asked)
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import prepare; prepare.main();"
        "print({'huggingface_hub', 'numpy', 'httpx'} & set(sys.modules), file=sys.stderr)"
    )
    again = subprocess.run(
        [
            *(sys.executable, "-c", program, str(TRAINER), "--source", "climbmix:1", "--json"),
            *("--sequence-length", "32", "--vocab-size", "320", "--evaluation-rows", "16"),
            *("--cache", str(tmp_path / "cache")),
        ],
        env=environment | {"HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
    )
    assert json.loads(again.stdout) == first
    assert again.stderr == "set()\n"
    assert len(server.asked) == asked


def test_downloaded_files_need_no_network_for_another_vocabulary(prepare: Run, server: Hub) -> None:
    assert prepare("climbmix:1").returncode == 0
    asked = len(server.asked)
    result = prepare("climbmix:1", "--vocab-size", "330", HF_HUB_OFFLINE="1")
    assert result.returncode == 0, result.stderr
    assert len(server.asked) == asked


def test_a_damaged_download_says_that_deleting_it_helps(tmp_path: Path) -> None:
    path = tmp_path / SHARDS[0]
    path.write_bytes(b"nothing")
    file = SourceFile(str(path), 7, 0, downloaded=True)
    with pytest.raises(CorpusError, match=r"not a readable parquet .* delete it"):
        list(documents.read_pieces("climbmix:1", file))
