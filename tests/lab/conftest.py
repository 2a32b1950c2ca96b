"""A person's home with a git identity of their own, and a repository with a trainer."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cockpit.lab.repo import Repo


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


gitting = _beside("gitting")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    return home


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    made: Path = gitting.make_repository(tmp_path / "lab")
    return made


@pytest.fixture
def repo(root: Path) -> Repo:
    return Repo(root)
