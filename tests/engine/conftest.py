"""Real labs for the engine's tests: a git repository each, and one prepared corpus for all."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import kills
from tests.bench.nights import cockpit, make_lab

TEXT = """\
The loop proposes a change, trains it for a fixed time, scores it, and keeps or discards it.
Another seed alone moves the score, so nothing means anything until it is held against that.
"""


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of text that is prepared in a second."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(400):
        words = " ".join(f"{word}{number % 17}" for word in TEXT.split())
        (folder / f"{number:03}.txt").write_text(f"Document {number}. {TEXT}{words}\n" * 8)
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, small_corpus: Path) -> Path:
    """A lab that is copied for each test."""
    lab = make_lab(tmp_path_factory.mktemp("template") / "lab")
    (lab / "cockpit.toml").write_text(
        f'corpus = "local:{small_corpus}"\ndevice = "cpu"\nbudget = "1s"\n'
    )
    return lab


@pytest.fixture()
def lab(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A fresh lab; what still runs in it after the test is ended, and the test fails."""
    place = tmp_path / "lab"
    shutil.copytree(template, place, symlinks=True)
    yield place
    cockpit(place, "stop", "--now")
    left = [p for some in kills.processes(place).values() for p in some]
    for process in left:
        process.kill()
    assert not left, f"left over: {left}"


@pytest.fixture()
def git(lab: Path) -> Callable[..., str]:
    """Run git in the lab and return its output."""

    def run(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=lab, capture_output=True, text=True, check=True, env=os.environ
        )
        return done.stdout

    return run
