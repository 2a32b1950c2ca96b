"""kill -9 at any moment: of the supervisor, of the engine; and what a later engine finds."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import cockpit
from cockpit.executors.local import lab_processes, observe, reap_leftovers, stop
from cockpit.executors.processes import RUN_TOKEN, new_token, start_time
from cockpit.lab.rundir import RunDirectory

HANGS = "print('here', flush=True)\nharness.for_ever()"
WITH_CHILD = """
import os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, '-c', 'import time; time.sleep(60)', os.environ['COCKPIT_RUN_TOKEN']],
    start_new_session=True,
)
harness.for_ever()
"""

# An engine in a process of its own, to be killed: it does what it is told, then hangs.
ENGINE = """
import json, os, sys, time
from pathlib import Path
from cockpit.executors.base import Assignment, Device
from cockpit.executors.local import LocalExecutor

state, trainer, rows, what = sys.argv[1:]
state = Path(state)
executor = LocalExecutor(
    Device("cpu", "test", "cpu", 1 << 30, 1), sys.executable, Path(trainer),
    state / "spares", state / "engine.log",
)
if what == "run":
    text = (state / "train.py").read_text()
    executor.start(
        Assignment(
            state / "runs/1/1", text, {}, Path(rows), Path(rows), Path(rows).with_name(
                "token_bytes.npy"
            ), 30.0, None, 1 << 20, None, None, False,
        )
    )
if what == "rename":  # killed between the rename and the assignment
    executor.warm()
    (state / "runs/1").mkdir(parents=True)
    for spare in sorted((state / "spares").iterdir(), reverse=True):  # the lock first
        os.rename(spare, state / "runs/1" / "".join(["1", *spare.suffixes]))
if what == "spare":
    executor.warm()
    while executor.spare_state.state != "ready":
        time.sleep(0.01)
(state / "done").write_text("done")
time.sleep(60)
"""


@pytest.fixture
def engine(bench: Any) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts an engine for this state directory and returns once it has done its part."""
    started: list[subprocess.Popen[bytes]] = []

    def start(what: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", ENGINE, bench.state, bench.trainer, bench.rows, what],
            env=os.environ | {"PYTHONPATH": str(Path(cockpit.__file__).parents[1])},
        )
        started.append(process)
        bench.wait_for_file(bench.state / "done")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_a_run_outlives_its_engine_and_is_adopted(bench: Any, engine: Any) -> None:
    (bench.state / "train.py").write_text(
        "import os, time\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "answer, rows = harness.checkpoint()\nharness.result()"
    )
    killed = engine("run")
    run = bench.state / "runs" / "1" / "1"
    identity = bench.identity(run)
    kill(killed)
    assert observe(run).state == "alive"
    assert reap_leftovers(bench.state) == set()
    for ignored in (signal.SIGHUP, signal.SIGINT):
        os.kill(identity.pid, ignored)
    assert observe(run).state == "alive"
    (run / "go").write_text("")
    assert bench.exit(run).reason == "finished"


def test_a_run_that_outlived_its_engine_can_be_stopped(bench: Any, engine: Any) -> None:
    (bench.state / "train.py").write_text(HANGS)
    killed = engine("run")
    run = bench.state / "runs" / "1" / "1"
    bench.identity(run)
    kill(killed)
    assert stop(run)
    assert bench.exit(run).reason == "stopped"


def test_a_spare_ends_with_its_engine(bench: Any, engine: Any) -> None:
    killed = engine("spare")
    assert len(lab_processes(bench.state)) >= 2  # in bubblewrap two more
    kill(killed)
    bench.wait_until(lambda: not lab_processes(bench.state), 10, "the spare to end")
    assert list((bench.state / "spares").iterdir()) == []


def test_a_spare_renamed_by_a_dying_engine_ends_and_says_so(bench: Any, engine: Any) -> None:
    kill(engine("rename"))
    ended = bench.exit(bench.state / "runs" / "1" / "1")
    assert ended.reason == "stopped"
    assert ended.stage in ("warming", "ready")
    assert ended.message == "the engine ended before it gave this spare a run"


def test_a_training_dies_with_its_supervisor_and_the_run_is_lost(bench: Any) -> None:
    run = bench.start(HANGS)
    identity = bench.identity(run)
    os.kill(identity.pid, signal.SIGKILL)
    observed = bench.over(run)
    assert (observed.state, observed.exit, observed.stage) == ("lost", None, "assigned")
    if sys.platform == "linux":
        bench.wait_gone(identity.inner_pid)
    reap_leftovers(bench.state)
    bench.wait_gone(identity.inner_pid)
    assert list((bench.state / "spares").iterdir()) == []


def test_reaping_ends_children_without_a_supervisor_and_nobody_else(
    bench: Any, tmp_path: Path
) -> None:
    bench.executor = bench.new_executor(level="none")  # elsewhere the kernel ends them
    lost, living = bench.start(WITH_CHILD), bench.start(HANGS)
    child = bench.child_of(lost)
    survivor = bench.identity(living).inner_pid
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={RUN_TOKEN: new_token(tmp_path / "another lab")},
    )
    try:
        os.kill(bench.identity(lost).pid, signal.SIGKILL)
        bench.over(lost)
        assert psutil.pid_exists(child)
        assert child in reap_leftovers(bench.state)
        bench.wait_gone(child)
        assert stranger.poll() is None
        assert psutil.pid_exists(survivor)
        assert observe(living).state == "alive"
    finally:
        kill(stranger)
    stop(living)
    bench.over(living)


def test_stop_ends_what_a_dead_supervisor_left(bench: Any) -> None:
    bench.executor = bench.new_executor(level="none")
    run = bench.start(WITH_CHILD)
    child = bench.child_of(run)
    os.kill(bench.identity(run).pid, signal.SIGKILL)
    bench.over(run)
    assert stop(run)
    bench.wait_gone(child)


def test_a_copy_of_a_lab_leaves_the_trainings_of_the_original_alone(
    bench: Any, tmp_path: Path
) -> None:
    run = bench.start(HANGS)
    identity = bench.identity(run)
    copy = tmp_path / "copy"
    shutil.copytree(bench.state, copy, symlinks=True)
    copied = copy / run.relative_to(bench.state)
    assert observe(copied).state == "lost"
    assert not stop(copied)
    assert reap_leftovers(copy) == set()
    assert psutil.pid_exists(identity.inner_pid)
    stop(run)
    bench.over(run)


def test_a_moved_lab_still_ends_what_is_its_own(bench: Any) -> None:
    bench.executor = bench.new_executor(level="none")
    run = bench.start(WITH_CHILD)
    child = bench.child_of(run)
    moved = bench.state.with_name("moved")
    bench.state.rename(moved)
    at = moved / run.relative_to(bench.state)
    assert observe(at).state == "alive"
    os.kill(bench.identity(at).pid, signal.SIGKILL)
    bench.over(at)
    reap_leftovers(moved)
    bench.wait_gone(child)


def test_a_supervisor_json_that_names_a_stranger_ends_nobody(bench: Any) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run = bench.start(HANGS)
    bench.identity(run)
    try:
        file = RunDirectory(run).supervisor_path
        written = file.read_text()
        forged = json.loads(written) | {
            "pid": stranger.pid,
            "create_time": start_time(stranger.pid),
        }
        file.write_text(json.dumps(forged))
        assert not stop(run)
        assert stranger.poll() is None
        file.write_text(written)
    finally:
        kill(stranger)
    assert stop(run)
    bench.over(run)


def test_a_broken_supervisor_json_does_not_hide_that_the_run_lives(bench: Any) -> None:
    run = bench.start(HANGS)
    identity = bench.identity(run)
    RunDirectory(run).supervisor_path.write_text("{")
    assert (observe(run).state, observe(run).stage) == ("alive", None)
    assert not stop(run)
    os.kill(identity.pid, signal.SIGTERM)
    assert bench.exit(run).reason == "stopped"


def test_a_forged_exit_counts_only_once_the_lock_is_free(bench: Any) -> None:
    run = bench.start(
        "import json, time\n"
        "harness.result()\n"
        "json.dump(dict(exit_code=0, signal=None, reason='finished', stage='assigned',"
        " ended_at=1, monotonic=1), open('exit.json', 'w'))\n" + HANGS
    )
    bench.wait_for_file(run / "train.log")
    assert observe(run).state == "alive"
    stop(run)
    assert bench.exit(run).reason == "stopped"


def test_nothing_is_known_of_a_directory_that_is_not_there(tmp_path: Path) -> None:
    observed = observe(tmp_path / "missing" / "runs" / "1" / "1")
    assert (observed.state, observed.exit, observed.stage) == ("lost", None, None)
    assert not stop(tmp_path / "missing" / "runs" / "1" / "1")
    assert reap_leftovers(tmp_path / "missing") == set()
    assert RunDirectory(tmp_path).read_supervisor() is None


def test_a_supervisor_that_was_stopped_by_its_training_is_ended_by_force(bench: Any) -> None:
    bench.executor = bench.new_executor(level="none")  # elsewhere it can't
    run = bench.start("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n" + WITH_CHILD)
    child = bench.child_of(run)
    identity = RunDirectory(run).read_supervisor()
    assert observe(run).state == "alive"
    assert stop(run, force=True)
    assert bench.over(run).state == "lost"
    for pid in (identity.pid, identity.inner_pid, child):
        bench.wait_gone(pid)
