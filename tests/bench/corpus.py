"""How fast a corpus becomes rows, how fast rows become batches, and in how much memory.

`python -m tests.bench.corpus [--megabytes 300] [--cores 1,2] [--json]` writes parquet shards of
made-up text (the same on every machine), prepares them from nothing with each number of cores,
and reports: seconds, and processor seconds, which hardly depend on who else uses the machine;
seconds of each stage; MB/s of text from first byte to last row; tokens/s of the
tokenizing stage; the peak memory of the process and its children (shared pages count once,
where the system tells); how long finding the rows again takes; and tokens/s of the loader on
one core. The goals: under 2 GB, found in 0.1 s, and 20M tokens/s from the loader.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow
from pyarrow import parquet

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
SEQUENCE_LENGTH = 2048
VOCAB_SIZE = 8192
GOALS = {"memory_gb": 2.0, "found_again_seconds": 0.1, "loader_tokens_per_second": 20e6}

LOADER = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from batches import Batches
torch.set_num_threads(1)
def rate(path, length, rows):
    batches = Batches(os.open(path, os.O_RDONLY), length, 1, torch.device("cpu"))
    count = max(1, 4_000_000 // (rows * length))
    best = 0.0
    for _ in range(5):  # the first one also reads the file
        began = time.perf_counter()
        for _ in range(count):
            batches.take(rows)
        best = max(best, count * rows * length / (time.perf_counter() - began))
    return best
found = {f"{length}x{rows}": rate(path, int(length), int(rows))
         for path, length, rows in (argument.split(",") for argument in sys.argv[2:])}
print(json.dumps(found))
"""
FOUND = """
import sys, time
began = time.perf_counter(), time.process_time()
sys.path.insert(0, sys.argv.pop(1))
import prepare
prepare.main()
print(time.perf_counter() - began[0], time.process_time() - began[1])
"""


def made_up_documents(megabytes: int) -> Iterator[list[str]]:
    """Text with the word frequencies and the lengths of a web page, 1024 documents at a time."""
    chance = np.random.default_rng(1)
    words, letters = 60_000, list("etaoinshrdlucmfwypvbgkjqxz")
    weights = 1 / np.arange(1, 27) ** 0.7
    lengths = np.clip(chance.poisson(4.2, words) + 1, 1, 14)
    spelt = "".join(chance.choice(letters, lengths.sum(), p=weights / weights.sum()))
    ends = np.cumsum(lengths)
    known = np.array([spelt[e - n : e] for e, n in zip(ends, lengths, strict=True)], dtype=object)
    frequency = 1 / (np.arange(words) + 2.7) ** 1.05
    reach = np.cumsum(frequency / frequency.sum())
    size = 0
    while size < megabytes * 1e6:
        documents = []
        for count in np.clip(chance.lognormal(5.6, 0.9, 1024), 20, 8000).astype(int):
            ranks = np.minimum(np.searchsorted(reach, chance.random(count)), words - 1)
            picked = known[ranks].tolist()
            picked[12::15] = [f"{word}." for word in picked[12::15]]
            picked[87::90] = [f"{word}.\n\n" for word in picked[87::90]]
            documents.append(" ".join(picked))
        size += sum(map(len, documents))
        yield documents


def write_shards(folder: Path, megabytes: int) -> None:
    """Shards of 100 MB of text, in row groups of 1024 documents, as climbmix has them."""
    schema = pyarrow.schema([("text", pyarrow.string())])
    written, writer = 0, None
    for documents in made_up_documents(megabytes):
        if writer is None:
            path = folder / f"shard_{written // 10**8:05d}.parquet"
            writer = parquet.ParquetWriter(path, schema, compression="zstd")
        writer.write_table(pyarrow.table({"text": documents}, schema=schema))
        before, written = written, written + sum(map(len, documents))
        if before // 10**8 != written // 10**8:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


def memory_of(process: psutil.Process) -> int:
    """Bytes that a process and its children hold."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        told = each.memory_full_info()
        total += getattr(told, "pss", None) or told.rss
    return total


def arguments(source: Path, cache: Path, sequence_length: int) -> list[str]:
    """What prepare.py is given."""
    return [
        *("--source", f"local:{source}", "--cache", str(cache), "--json"),
        *("--sequence-length", str(sequence_length), "--vocab-size", str(VOCAB_SIZE)),
    ]


def prepare(source: Path, cache: Path, sequence_length: int, cores: int) -> dict[str, Any]:
    """Prepare with so many cores and watch it."""
    allowed = sorted(os.sched_getaffinity(0))[:cores] if hasattr(os, "sched_getaffinity") else []
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, str(TRAINER / "prepare.py"), *arguments(source, cache, sequence_length)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed) if allowed else None,
        env=os.environ | {"RAYON_NUM_THREADS": str(cores)},
    )
    assert process.stdout
    assert process.stderr
    peak, over = [0], threading.Event()

    def watch() -> None:
        watched = psutil.Process(process.pid)
        while not over.wait(0.05):
            with contextlib.suppress(psutil.Error):  # it begins, or ends, just now
                peak[0] = max(peak[0], memory_of(watched))

    watcher = threading.Thread(target=watch)
    watcher.start()
    stages: dict[str, list[float]] = {}
    for line in process.stderr:
        told = json.loads(line)
        if "progress" in told:
            stages.setdefault(told["progress"], []).append(time.monotonic() - began)
    answer = json.loads(process.stdout.read())
    process.wait()
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    over.set()
    watcher.join()
    seconds = {stage: round(times[-1] - times[0], 2) for stage, times in stages.items()}
    return {
        "cores": cores,
        "seconds": round(took, 2),
        "processor_seconds": round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2
        ),
        "stages": seconds,
        "megabytes_per_second": round(answer["bytes"] / took / 1e6, 2),
        "tokenizing_tokens_per_second": round(
            answer["train_tokens"] / max(0.01, seconds.get("tokenizing", 0))
        ),
        "peak_memory_gb": round(peak[0] / 1e9, 3),
        "train_tokens": answer["train_tokens"],
        "directory": answer["directory"],
    }


def found_again(source: Path, cache: Path) -> tuple[float, float]:
    """Seconds and processor seconds from the first import to the answer, the best of five."""
    command = [sys.executable, "-c", FOUND, str(TRAINER)]
    command += arguments(source, cache, SEQUENCE_LENGTH)
    taken = []
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, processor = done.stdout.splitlines()[-1].split()
        taken.append((float(seconds), float(processor)))
    return min(taken)


def loader(*rows: tuple[Path, int, int]) -> dict[str, float]:
    """Tokens a second of batches of so many rows of so many tokens, on one core."""
    told = [f"{directory / 'train.bin'},{length},{count}" for directory, length, count in rows]
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(TRAINER), *told],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return {name: round(rate) for name, rate in found.items()}


def main() -> int:
    """Run the benchmark and print its figures; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--cores", help="numbers of cores, as 1,2,4; default: one, and all")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    numbers = [int(n) for n in given.cores.split(",")] if given.cores else sorted({1, mine})
    with tempfile.TemporaryDirectory() as place:
        source, cache = Path(place) / "corpus", Path(place) / "cache"
        source.mkdir()
        write_shards(source, given.megabytes)
        runs = [prepare(source, Path(place) / f"cache{n}", SEQUENCE_LENGTH, n) for n in numbers]
        cache = Path(place) / f"cache{numbers[-1]}"
        short = prepare(source, cache, 256, numbers[-1])
        again = found_again(source, cache)
        rates = loader(
            (Path(runs[-1]["directory"]), SEQUENCE_LENGTH, 64),
            (Path(short["directory"]), 256, 64),
            (Path(short["directory"]), 256, 8),
        )
    for run in runs:
        del run["directory"]
    told = {
        "runs": runs,
        "another_sequence_length_seconds": short["seconds"],
        "found_again_seconds": round(again[0], 4),
        "found_again_processor_seconds": round(again[1], 4),
        "loader_tokens_per_second": rates,
        "goals": GOALS,
    }
    if given.json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            for each in value if isinstance(value, list) else [value]:
                print(f"{name:<32} {each}")
    missed = (
        max(run["peak_memory_gb"] for run in runs) > GOALS["memory_gb"],
        again[0] > GOALS["found_again_seconds"],
        min(rates.values()) < GOALS["loader_tokens_per_second"],
    )
    return int(any(missed))


if __name__ == "__main__":
    raise SystemExit(main())
