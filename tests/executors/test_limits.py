"""What a run may use up: its files, its processes, its log, its memory; each end names itself."""

import os
from pathlib import Path
from typing import Any

from cockpit.executors.limits import directory_bytes, held_bytes
from cockpit.executors.local import observe

HANGS = "harness.for_ever()"
MEGABYTE = 1 << 20


def test_a_training_that_fills_the_disk_is_ended(boxed: Any) -> None:
    run = boxed.start(
        "import os\nos.mkdir('deep')\n"
        "for n in range(100):\n"
        "    with open(f'deep/{n}', 'wb') as file: file.write(bytes(1 << 20))\n" + HANGS,
        disk_bytes=40 * MEGABYTE,
    )
    ended = boxed.exit(run)
    assert (ended.reason, ended.stage) == ("size", "assigned")
    assert ended.message.startswith("its files take more than the 41943040 bytes")


def test_one_file_ends_at_the_limit(boxed: Any) -> None:
    run = boxed.start(
        "with open('big', 'wb') as file:\n    while True: file.write(bytes(1 << 20))",
        disk_bytes=2 * MEGABYTE,
    )
    ended = boxed.exit(run)
    # By the kernel, where the supervisor may tell it to; else by the supervisor, a second later.
    if ended.reason != "size":
        assert ended.message == "OSError: [Errno 27] File too large"
        assert (run / "big").stat().st_size <= 2 * MEGABYTE


def test_files_without_a_name_and_shared_memory_count_as_files(boxed: Any) -> None:
    run = boxed.start(
        "import os\nhidden = []\n"
        "for n in range(20):\n"
        "    hidden.append(open('f', 'wb'))\n    hidden[-1].write(bytes(1 << 20))\n"
        "    hidden[-1].flush()\n    os.unlink('f')\n"
        "    shared = os.memfd_create('x')\n    os.write(shared, bytes(1 << 20))\n" + HANGS,
        disk_bytes=30 * MEGABYTE,
    )
    assert boxed.exit(run).reason == "size"


def test_a_training_that_forks_on_and_on_is_ended(boxed: Any) -> None:
    run = boxed.start(
        "import os, time\n"
        "for _ in range(200):\n"
        "    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\n" + HANGS,
        processes=40,
    )
    ended = boxed.exit(run)
    assert ended.reason == "processes"
    assert ended.message.endswith("processes, 40 are allowed")


def test_a_full_run_within_its_limits_finishes(boxed: Any) -> None:
    run = boxed.start(
        "import os, subprocess, sys\nopen('file', 'wb').write(bytes(1 << 20))\n"
        "subprocess.run([sys.executable, '-c', 'pass'], check=True)\n"
        "harness.start_clock()\nharness.checkpoint()\nharness.result()",
        disk_bytes=8 * MEGABYTE,
        processes=20,
    )
    ended = boxed.exit(run)
    assert (ended.reason, ended.message) == ("finished", None)
    assert observe(run).state == "ended"


def test_the_space_of_a_directory_is_that_of_its_blocks(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(100_000))
    with open(tmp_path / "sparse", "wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    (tmp_path / "link").symlink_to("/usr")
    assert 100_000 <= directory_bytes(str(tmp_path), 1 << 30) < 200_000
    assert directory_bytes(str(tmp_path), 10) > 10
    assert held_bytes([]) == 0


def test_what_a_run_leaves_belongs_to_the_engine_again(boxed: Any) -> None:
    run = boxed.start(
        "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').close()\n"
        "os.symlink('/etc/passwd', 'link')\nharness.result()"
    )
    assert boxed.exit(run).reason == "finished"
    for path in (run, *run.rglob("*")):
        assert path.lstat().st_uid == os.geteuid(), path
    assert Path("/etc/passwd").stat().st_uid == 0
