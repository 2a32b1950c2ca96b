"""What is carried away of an experiment: patches that git takes, and a train.py that runs."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cockpit import exporting
from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.lab import template
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.newlab import init_lab
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.writing import EngineJournal
from tests.bench.journal import SETUP, make_lab
from tests.bench.nights import cockpit

TITLES = (
    "baseline",
    "[llm] halve the batch → 2¹⁸ tokens, which is a title that goes on for longer than a mail's",
    "warmdown 0.7",
)
HYPOTHESIS = "Subject: no\n\n---\nFrom nobody Mon Sep 17 00:00:00 2001\ndiff --git a/x b/x\n+evil"
WEIGHTS = b"weights"


@dataclass(frozen=True)
class Night:
    """A lab with a baseline, two changes of it, and a third that waits."""

    lab: Lab
    cache: Path
    texts: tuple[str, ...]
    origin: str


@pytest.fixture
def night(tmp_path: Path) -> Night:
    lab = make_lab(tmp_path / "lab")
    init_lab(lab.root, template.directory())
    repo, journal = Repo(lab.root), EngineJournal(lab.journal)
    origin = repo.head()[0]
    first = repo.read_text(origin, TRAIN_PY).replace('PRESET = "auto"', 'PRESET = "cpu"')
    second = first.replace("TOTAL_BATCH_TOKENS = 2048", "TOTAL_BATCH_TOKENS = 1024")
    texts = (first, second, second.replace("WARMDOWN = 0.6", "WARMDOWN = 0.7 #\r"))
    tokenizer = hashlib.sha256(b"tokenizer.json").hexdigest()[:24]
    journal.add_tag("nov20", {**SETUP, "tokenizer_hash": tokenizer}, "s", "cpu", {})
    commit = origin
    for number, (title, text) in enumerate(zip(TITLES, texts, strict=True)):
        parent = number - 1 if number else None
        proposal = Proposal(title, "llm", HYPOTHESIS if number else "", train_py=text)
        journal.add_experiment("nov20", parent, proposal)
        commit = repo.commit_experiment(
            commit, text, title=title, body="", tag="nov20", number=number, proposer="llm"
        )
        journal.change_experiment(number, commit_hash=commit, gain=-0.003, gain_error=0.0005)
        journal.add_run(Run(number, 1, 7, "s", 0, "finished", 0.0, val_bpb=2.0 - 0.01 * number))
        journal.decide(number, Status.KEPT, Verdict(Event.KEEP, "it is better"))
    journal.add_experiment("nov20", 2, Proposal("waits", "llm", constants={"X": 2}))
    journal.close()
    cache = tmp_path / "cache"
    rows = cache / "corpora" / str(SETUP["corpus_hash"]) / "rows-2048-256"
    rows.mkdir(parents=True)
    for name in exporting.TOKENIZER_FILES:
        (rows / name).write_text(name)
    return Night(lab, cache, texts, origin)


def leave_checkpoint(lab: Lab, number: int, weights: bytes, scored: bytes) -> None:
    """Leave what a run leaves: its weights, and the hash of those that were scored."""
    directory = lab.run_directory(number, 1)
    directory.mkdir(parents=True)
    (directory / "checkpoint.pt").write_bytes(weights)
    exit_record = {
        "exit_code": 0, "signal": None, "reason": "finished", "stage": "assigned",
        "message": None, "checkpoint_sha256": hashlib.sha256(scored).hexdigest(),
        "ended_at": 1.0, "monotonic": 1.0,
    }  # fmt: skip
    (directory / "exit.json").write_text(json.dumps(exit_record))


def git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_trainer_the_tokenizer_and_the_checkpoint_are_there(
    night: Night, tmp_path: Path
) -> None:
    leave_checkpoint(night.lab, 2, WEIGHTS, WEIGHTS)
    away = tmp_path / "away"
    told = exporting.export(night.lab, 2, away, night.cache)
    assert "checkpoint.pt, of run 1 (seed 7, val_bpb 1.9800)" in told
    trainer = {p.name: p.read_bytes() for p in template.directory().glob("trainer/*.*")}
    trainer["train.py"] = night.texts[2].encode()
    assert {p.name: p.read_bytes() for p in away.iterdir() if p.name in trainer} == trainer
    assert (away / "checkpoint.pt").read_bytes() == WEIGHTS
    tokenizer = sorted(path.name for path in (away / "tokenizer").iterdir())
    assert tokenizer == sorted(exporting.TOKENIZER_FILES)
    readme = (away / "README.txt").read_text()
    command = "python train.py --corpus stdlib --preset cpu --budget 60s --seed 7"
    assert f"COCKPIT_CACHE={night.cache} {command}\n" in readme
    assert "Honest gain: −0.0030 ± 0.0005" in readme
    assert "\x1b" not in readme


def test_git_takes_the_patches_one_by_one_to_the_very_text(night: Night, tmp_path: Path) -> None:
    away, clone = tmp_path / "away", tmp_path / "clone"
    exporting.export(night.lab, 2, away)
    patches = sorted((away / "patches").iterdir())
    assert [path.name[:5] for path in patches] == ["0000-", "0001-", "0002-"]
    git(tmp_path, "clone", "-q", str(night.lab.root), str(clone))
    git(clone, "checkout", "-q", night.origin)
    for patch, text in zip(patches, night.texts, strict=True):
        git(clone, "am", "--keep-cr", "--keep-non-patch", str(patch))
        assert (clone / TRAIN_PY).read_bytes() == text.encode()
        assert git(clone, "diff", "--name-only", "HEAD~1").split() == [TRAIN_PY]
    subjects = git(clone, "log", "--reverse", "--format=%s", f"{night.origin}..").splitlines()
    assert subjects == list(TITLES)
    message = git(clone, "log", "-1", "--format=%B")
    assert " Subject: no\n" in message
    assert "\n+evil\n" in message
    assert "Honest gain: −0.0030 ± 0.0005 val_bpb\n" in message
    assert (
        git(clone, "log", "-1", "--format=%(trailers:key=Cockpit-Experiment,valueonly)") == "2\n\n"
    )


def test_what_is_not_there_any_more_is_said(night: Night, tmp_path: Path) -> None:
    told = exporting.export(night.lab, 1, tmp_path / "a", tmp_path / "none")
    assert "no tokenizer: the corpus stdlib is not prepared" in told
    assert "no checkpoint: it was removed" in told
    leave_checkpoint(night.lab, 1, b"others", WEIGHTS)
    rows = next(night.cache.glob("corpora/*/*"))
    (rows / "tokenizer.json").write_text("another")
    told = exporting.export(night.lab, 1, tmp_path / "b", night.cache)
    assert "no tokenizer: the one in" in told
    assert "no checkpoint: the one of run 1 is not what was scored" in told
    names = {path.name for path in (tmp_path / "b").iterdir()}
    assert not names & {"tokenizer", "checkpoint.pt"}
    assert "no tokenizer" in (tmp_path / "b" / "README.txt").read_text()


def test_an_empty_directory_is_filled_and_any_other_is_refused(
    night: Night, tmp_path: Path
) -> None:
    empty, full, file = tmp_path / "empty", tmp_path / "full", tmp_path / "file"
    empty.mkdir()
    (full / "mine").mkdir(parents=True)
    file.write_text("mine")
    before = empty.stat().st_ino
    exporting.export(night.lab, 0, empty)
    assert (empty.stat().st_ino, (empty / "train.py").exists()) == (before, True)
    for place in (full, file, empty):
        with pytest.raises(LabError, match="is there already"):
            exporting.export(night.lab, 0, place)
    with pytest.raises(LabError, match="there is no directory"):
        exporting.export(night.lab, 0, tmp_path / "no" / "where")


def test_what_fails_half_way_leaves_nothing_behind(night: Night, tmp_path: Path) -> None:
    rows = next(night.cache.glob("corpora/*/*"))
    (rows / "token_bytes.npy").unlink()
    place = tmp_path / "place"
    place.mkdir()
    for away in (place / "away", place):
        with pytest.raises(OSError, match=r"token_bytes\.npy"):
            exporting.export(night.lab, 2, away, night.cache)
    assert list(place.iterdir()) == []
    assert not list(tmp_path.glob(".place*"))


def test_what_has_no_commit_is_refused_in_one_line(night: Night, tmp_path: Path) -> None:
    for words, code, why in (
        (["3", "away"], 1, "#3 is queued: it has no commit yet"),
        (["9", "away"], 3, "there is no experiment #9"),
        (["results", "away"], 2, "results is neither the id of an experiment nor"),
    ):
        done = cockpit(night.lab.root, "export", *words)
        assert (done.returncode, why in done.stderr) == (code, True), done.stderr
    assert not (night.lab.root / "away").exists()


@pytest.mark.slow
def test_the_exported_train_py_trains_by_hand(night: Night, tmp_path: Path) -> None:
    away = tmp_path / "away"
    exporting.export(night.lab, 2, away)
    done = subprocess.run(
        [sys.executable, "train.py", "--device", "cpu", "--tokens", "4096"],
        cwd=away, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "val_bpb:" in done.stdout
