"""Files that appear whole, whatever the disk and the training do."""

import json
import os
from pathlib import Path

import pytest

from cockpit.executors.atomic import ReservedFile, write_atomically


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_reserved_file_leaves_only_itself(here: Path) -> None:
    reserved = ReservedFile("exit.json")
    assert not (here / "exit.json").exists()
    reserved.write({"message": "é" * 300})
    assert os.listdir(here) == ["exit.json"]
    assert json.loads((here / "exit.json").read_text()) == {"message": "é" * 300}


def test_a_reserve_that_was_removed_or_replaced_is_done_without(here: Path) -> None:
    reserved = ReservedFile("exit.json")
    (made,) = here.iterdir()
    made.unlink()
    os.mkfifo(made)
    reserved.write({"a": 1})
    assert json.loads((here / "exit.json").read_text()) == {"a": 1}


def test_a_failed_write_leaves_the_old_file(here: Path) -> None:
    write_atomically("file.json", {"a": 1})
    with pytest.raises(TypeError):
        write_atomically("file.json", {"a": object()})
    assert json.loads((here / "file.json").read_text()) == {"a": 1}
