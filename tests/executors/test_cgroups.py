"""Control groups: the kernel's own, where this machine has them, and their files."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.executors.cgroups import Group, is_limited, make_group, remove_groups


@pytest.fixture
def group() -> Iterator[Group]:
    made = make_group(f"test-{os.getpid()}")
    if made is None:
        pytest.skip("no control group can be made here")
    yield made
    made.kill()
    made.remove()


def test_all_in_a_group_are_killed_at_once(group: Group, wait_until: Callable[..., object]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import os, time\nfor _ in range(3): os.fork()\n"
         "time.sleep(60)"],
        preexec_fn=group.enter,
    )  # fmt: skip
    procs = group.path / "cgroup.procs"
    wait_until(lambda: len(procs.read_text().split()) == 8, 10, "eight processes")
    group.kill()
    assert process.wait() == -signal.SIGKILL
    wait_until(lambda: not procs.read_text(), 10, "the end of all")
    group.remove()
    assert not group.path.exists()


def test_groups_that_were_left_are_removed(group: Group) -> None:
    remove_groups(f"test-{os.getpid()}")
    assert not group.path.exists()


def test_a_run_has_a_group_while_it_lives_and_none_after(boxed: Any, group: Group) -> None:
    run = boxed.start("harness.for_ever()")
    identity = boxed.identity(run)
    place = group.path.with_name(f"cockpit-{identity.token}")
    members = [int(pid) for pid in (place / "cgroup.procs").read_text().split()]
    assert identity.inner_pid in members
    assert identity.pid not in members
    os.kill(identity.pid, signal.SIGTERM)
    assert boxed.exit(run).reason == "stopped"
    assert not place.exists()


def test_limits_are_written_where_the_kernel_keeps_them(tmp_path: Path) -> None:
    group = Group(tmp_path)
    group.limit(1000, 10)  # controllers that are not there
    assert list(tmp_path.iterdir()) == []
    assert not group.limits_memory
    for name in ("memory.max", "memory.oom.group", "pids.max"):
        (tmp_path / name).write_text("max\n")
    assert not group.limits_memory
    group.limit(1000, 10)
    assert (tmp_path / "memory.max").read_text() == "1000"
    assert (tmp_path / "memory.oom.group").read_text() == "1"
    assert (tmp_path / "pids.max").read_text() == "160"
    assert not (tmp_path / "memory.swap.max").exists()
    assert group.limits_memory


def test_nobody_leaves_a_group_that_was_given_limits(tmp_path: Path) -> None:
    for text, limited in (("max\n", False), ("", False), ("8000000\n", True)):
        (tmp_path / "memory.max").write_text(text)
        assert is_limited(tmp_path) == limited
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert not is_limited(tmp_path)
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert is_limited(tmp_path)


def test_a_kill_for_memory_is_told_from_none(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    assert not Group(tmp_path).ran_out_of_memory
    events.write_text("low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\n")
    assert not Group(tmp_path).ran_out_of_memory
    events.write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\n")
    assert Group(tmp_path).ran_out_of_memory


def test_where_no_group_can_be_made_there_is_none(tmp_path: Path) -> None:
    assert make_group("x", tmp_path / "missing") is None
    assert make_group("x", tmp_path) is None  # a plain directory is no group
    assert list(tmp_path.iterdir()) == []
