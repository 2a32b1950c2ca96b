"""Corpora of the Hugging Face hub: which files they are, pinned to one commit.

`climbmix[:SHARDS]` is karpathy/climbmix-400b-shuffle, NVIDIA's ClimbMix as text, shuffled: 6543
parquet shards of about 92 MB with 250M characters in row groups of 1024 documents. Its last shard
is pinned for validation, as in karpathy/autoresearch; here one half of it is sealed. (Shards,
names and the pin: `prepare.py` of that repository; sizes and row groups: the dataset's card and
`dev/repackage_data_reference.py` of karpathy/nanochat.)

`tinystories` is karpathy/tinystories-gpt4-clean, one parquet file of 0.67 GB: the 2,732,634
stories of TinyStories (Eldan and Li, arXiv 2305.07759) that GPT-4 wrote, 2.19G characters, ASCII,
shuffled, without duplicates. (Figures: the dataset's card.)

A commit of the hub never changes, so what was prepared from it is found again by name alone,
without the files and without a network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sources import CorpusError, Report, SourceFile

CLIMBMIX_LAST = 6542
"""The last shard, the pinned one; all before it are for training."""

CLIMBMIX_SHARD_TOKENS = 60_000_000
"""What a shard gives at the least: 90 of them gave 5.8G tokens of a vocabulary of 8192."""

CLIMBMIX_SHARDS = 10
"""How many are taken when nothing says how many tokens are wanted, as in autoresearch."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Files of one commit of a dataset repository."""

    name: str
    """The source in full, as `climbmix:8`."""
    repository: str
    revision: str
    """A commit's hash."""
    training: tuple[str, ...]
    """Names of files that are split by document, or all for training where others are pinned."""
    held_out: tuple[str, ...] = ()
    """Names of files that are pinned for validation and sealed."""

    @property
    def entries(self) -> tuple[str, ...]:
        """What tells this text from any other, for the manifest."""
        return (self.repository, self.revision, *self.training, "", *self.held_out)

    def folder(self, cache: Path) -> Path:
        """Where its files are kept."""
        return cache / "downloads" / f"{self.repository.replace('/', '--')}-{self.revision[:12]}"


def find_dataset(source: str, wants_tokens: int | None = None) -> Dataset | None:
    """The dataset that a source names, or None when it is not one of the hub.

    `wants_tokens` says how many training tokens are wished for, where the source leaves it open.
    Raises CorpusError for a number of shards that cannot be.
    """
    kind, colon, number = source.partition(":")
    if kind == "tinystories":
        if colon:
            raise CorpusError(f"unknown corpus {source!r}; tinystories takes no number")
        return Dataset(
            name=source,
            repository="karpathy/tinystories-gpt4-clean",
            revision="0397e27157956705a0260709da3095bb9c43d6a7",
            training=("tinystories_gpt4_clean.parquet",),
        )
    if kind != "climbmix":
        return None
    if not colon:
        shards = -(-wants_tokens // CLIMBMIX_SHARD_TOKENS) if wants_tokens else CLIMBMIX_SHARDS
        shards = min(CLIMBMIX_LAST, max(1, shards))
    elif number.isascii() and number.isdigit() and 1 <= int(number) <= CLIMBMIX_LAST:
        shards = int(number)
    else:
        raise CorpusError(f"unknown corpus {source!r}; climbmix has 1 to {CLIMBMIX_LAST} shards")
    return Dataset(
        name=f"climbmix:{shards}",
        repository="karpathy/climbmix-400b-shuffle",
        revision="915333b4f8b8684f39aeaafea600fea6f43fb703",
        training=tuple(f"shard_{index:05d}.parquet" for index in range(shards)),
        held_out=(f"shard_{CLIMBMIX_LAST:05d}.parquet",),
    )


def fetch(dataset: Dataset, cache: Path, report: Report) -> list[SourceFile]:
    """The files of a dataset, downloaded where they are missing.

    Raises CorpusError with one line when the hub does not give them, and OSError when the disk
    does not take them.
    """
    folder = dataset.folder(cache)
    names = (*dataset.training, *dataset.held_out)
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
        import downloading  # brings huggingface_hub along

        folder.mkdir(parents=True, exist_ok=True)
        downloading.download(dataset.repository, dataset.revision, missing, folder, report)
    files = []
    for name in names:
        status = os.stat(folder / name)
        files.append(
            SourceFile(
                str(folder / name),
                status.st_size,
                status.st_mtime_ns,
                held_out=name in dataset.held_out,
                downloaded=True,
            )
        )
    return files
