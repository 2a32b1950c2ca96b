import hashlib
import os
import sys
import time
from pathlib import Path

import pytest

from cockpit.executors.memfile import MemoryFileError, blank, hashed_copy

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")


def soon() -> float:
    return time.monotonic() + 10


def test_a_copy_has_the_content_and_its_hash(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(content)
    copy, sha256 = hashed_copy(tmp_path / "file", 4 << 20, soon())
    assert sha256 == hashlib.sha256(content).hexdigest()
    with open(copy, "rb") as file:
        assert file.read() == content


@linux_only
def test_nobody_changes_a_copy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"weights")
    copy, _ = hashed_copy(tmp_path / "file", 100, soon())
    with open(f"/proc/self/fd/{copy}", "r+b", buffering=0) as again:
        with pytest.raises(PermissionError):
            again.write(b"others")
        with pytest.raises(PermissionError):
            again.truncate(0)
    os.close(copy)


@linux_only
def test_shared_memory_keeps_its_size() -> None:
    memory = blank(4096)
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 0)
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 8192)
    os.close(memory)


def test_a_file_that_is_too_large_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", 1 << 43)
    with pytest.raises(MemoryFileError, match="8192"):
        hashed_copy(tmp_path / "file", 1 << 30, soon())


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MemoryFileError, match="not a regular file"):
        hashed_copy(tmp_path / "pipe", 1 << 30, soon())
