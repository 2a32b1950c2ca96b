import os
from pathlib import Path

import numpy as np
import pytest

from cockpit.lab.losses import read_losses
from cockpit.lab.record import RunDirectoryError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "row_losses.npy"


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
def test_losses_come_back_as_numpy_wrote_them(path: Path, kind: str) -> None:
    losses = np.random.default_rng(0).uniform(1, 900, 117).astype(kind)
    np.save(path, losses)
    assert list(read_losses(path)) == losses.tolist()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_a_loss_that_can_be_none_is_refused(path: Path, wrong: float) -> None:
    np.save(path, np.array([1.0, wrong], dtype="<f4"))
    with pytest.raises(RunDirectoryError, match="a loss of"):
        read_losses(path)


def test_arrays_of_another_kind_are_refused(path: Path) -> None:
    for array in (np.zeros((2, 2)), np.zeros(3, dtype=np.int64), np.array([{}], dtype=object)):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(RunDirectoryError, match="no array of losses"):
            read_losses(path)


def test_a_header_that_promises_more_than_there_is_is_refused(path: Path) -> None:
    np.save(path, np.zeros(4, dtype="<f4"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(4,)", b"(9**9**9,)"))
    with pytest.raises(RunDirectoryError):
        read_losses(path)
    path.write_bytes(content.replace(b"(4,)", b"(8,)"))
    with pytest.raises(RunDirectoryError, match="does not hold the 8 rows"):
        read_losses(path)


def test_a_link_a_pipe_and_a_petabyte_are_refused(path: Path) -> None:
    np.save(path, np.zeros(4, dtype="<f4"))
    link, pipe, huge = path.with_name("link"), path.with_name("pipe"), path.with_name("huge")
    link.symlink_to(path)
    os.mkfifo(pipe)
    huge.write_bytes(path.read_bytes())
    os.truncate(huge, 1 << 43)
    for hostile in (link, pipe, huge):
        with pytest.raises(RunDirectoryError):
            read_losses(hostile)


def test_a_file_that_is_none_is_told(path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="can't be read"):
        read_losses(path)
