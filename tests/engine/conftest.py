"""Real labs for the engine's tests: a git repository each, and one prepared corpus for all."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import kills
from tests.bench.nights import cockpit, make_lab
from tests.conftest import wait_until


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab that is copied for each test."""
    lab = make_lab(tmp_path_factory.mktemp("template") / "lab")
    settings = 'device = "cpu"\nbudget = "1s"\nconfirm_when_idle = false\n'
    (lab / "cockpit.toml").write_text(settings)
    return lab


@pytest.fixture(scope="session")
def measured_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab that has had a night: tag `first`, its baseline and one experiment."""
    place = tmp_path_factory.mktemp("measured") / "lab"
    shutil.copytree(template, place, symlinks=True)
    done = cockpit(place, "run", "--tag", "first", "--max-experiments", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture
def lab(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A fresh lab; what still runs in it after the test is ended, and the test fails."""
    yield from _copied(template, tmp_path / "lab")


@pytest.fixture
def measured(measured_template: Path, tmp_path: Path) -> Iterator[Path]:
    """A lab whose baseline is measured already."""
    yield from _copied(measured_template, tmp_path / "lab")


def _copied(template: Path, place: Path) -> Iterator[Path]:
    shutil.copytree(template, place, symlinks=True)
    yield place
    cockpit(place, "stop", "--now")
    wait_until(lambda: not any(kills.processes(place).values()), 30, "all processes to be gone")


@pytest.fixture
def git(lab: Path) -> Callable[..., str]:
    """Run git in the lab and return its output."""

    def run(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=lab, capture_output=True, text=True, check=True, env=os.environ
        )
        return done.stdout

    return run
