"""Runs from start to end, with real supervisors and a training played by scripts."""

import json
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from cockpit.executors.base import Device, ExecutorError
from cockpit.executors.local import observe, stop
from cockpit.lab.rundir import RunDirectory

FINISHES = """
answer, rows = harness.checkpoint()
harness.result(answer=answer, rows=rows.decode())
"""
HANGS = "print('here', flush=True)\nharness.for_ever()"


def test_a_run_without_a_spare_finishes(bench: Any) -> None:
    run = bench.start(FINISHES)
    ended = bench.exit(run)
    assert (ended.reason, ended.exit_code, ended.signal) == ("finished", 0, None)
    assert (ended.stage, ended.message) == ("assigned", None)
    assert bench.log.read_text() == ""


def test_a_warm_spare_becomes_the_run(bench: Any) -> None:
    bench.warm()
    spare = bench.spare()
    training = RunDirectory(spare).read_supervisor().inner_pid
    run = bench.start(HANGS)
    assert bench.executor.spare_state.state == "none"
    assert bench.identity(run).inner_pid == training
    assert stop(run)
    bench.exit(run)
    assert list((bench.state / "spares").iterdir()) == []
    assert not (run / "tmp").exists()


def test_a_spare_may_be_renamed_while_it_warms(bench: Any) -> None:
    go = bench.trainer / "go"
    (bench.trainer / "warm_up.py").write_text(
        "from pathlib import Path\nimport os, tempfile, time\ntempfile.gettempdir()\n"
        "Path('warming').write_text(os.getcwd())\n"
        f"while not Path({str(go)!r}).exists(): time.sleep(0.01)\n"
    )
    bench.executor.warm()
    spare = bench.spare()
    bench.wait_for_file(spare / "warming")
    assert bench.executor.spare_state.state == "warming"
    run = bench.start(
        "import os, tempfile\ntempfile.NamedTemporaryFile().close()\n"
        "assert os.path.samefile(os.environ['HOME'], '.')\n"
        "open('written-later', 'w').close()\n" + FINISHES
    )
    assert observe(run).stage == "warming"
    go.write_text("")
    ended = bench.exit(run)
    assert (ended.reason, ended.stage) == ("finished", "assigned"), ended
    assert (run / "written-later").exists()


def test_the_rows_are_handed_in_only_after_the_checkpoint(bench: Any) -> None:
    run = bench.start(
        "import array, json, os, socket\n"
        "from pathlib import Path\n"
        "before = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
        " if os.path.islink(f'/proc/self/fd/{n}')] if os.path.isdir('/proc/self/fd') else []\n"
        "Path('before').write_text(json.dumps(before))\n" + FINISHES
    )
    ended = bench.exit(run)
    written = json.loads((run / "result.json").read_text())
    assert written["rows"] == "rows"
    assert written["answer"] == {
        "event": "validation",
        "checkpoint_sha256": ended.checkpoint_sha256,
        "rows_offset": 0,
    }
    assert str(bench.rows) not in (run / "before").read_text()


def test_the_clock_runs_from_the_training_rows_to_the_checkpoint(bench: Any) -> None:
    run = bench.start(
        "import time\nopen('early', 'wb').write(b'')\ntime.sleep(0.5)\n"
        "began = time.monotonic()\nrows = harness.start_clock()\n"
        "while time.monotonic() < began + 0.3: pass\n"
        "took = time.monotonic() - began\n"
        "answer, _ = harness.checkpoint()\nharness.say(event='checkpoint')\n"
        "harness.say(event='clock')\n"
        "harness.result(rows=rows.decode(), took=took)"
    )
    ended = bench.exit(run)
    written = json.loads((run / "result.json").read_text())
    assert written["rows"] == "train"
    assert written["took"] - 0.2 < ended.clock_seconds < written["took"] + 0.2


@pytest.mark.parametrize("events", ["", "harness.start_clock()\n"])
def test_without_both_ends_there_is_no_time(bench: Any, events: str) -> None:
    text = events or "harness.checkpoint()\nharness.say(event='clock')\n"
    ended = bench.exit(bench.start(text + "harness.result()"))
    assert (ended.reason, ended.clock_seconds) == ("finished", None)


def test_rows_that_are_missing_are_a_crash_that_names_them(bench: Any) -> None:
    bench.train_rows.unlink()
    ended = bench.exit(bench.start("harness.start_clock()"))
    assert ended.reason == "crashed"
    assert str(bench.train_rows) in ended.message


def test_a_training_that_says_checkpoint_without_one_gets_no_rows(bench: Any) -> None:
    run = bench.start("harness.say(event='checkpoint')\nharness.receive_rows()")
    ended = bench.exit(run)
    assert ended.reason == "crashed"
    assert ended.message == "checkpoint.pt cannot be read: No such file or directory"
    assert ended.checkpoint_sha256 is None


def test_a_second_checkpoint_changes_nothing(bench: Any) -> None:
    run = bench.start(
        "import os\nanswer, rows = harness.checkpoint(b'first')\n"
        "harness.say(event='checkpoint')\nopen('checkpoint.pt', 'wb').write(b'second')\n"
        "harness.result(sha=answer['checkpoint_sha256'])"
    )
    ended = bench.exit(run)
    assert json.loads((run / "result.json").read_text())["sha"] == ended.checkpoint_sha256


@pytest.mark.parametrize("keep", [True, False])
def test_the_checkpoint_stays_if_asked(bench: Any, keep: bool) -> None:
    run = bench.start(FINISHES, keep_checkpoint=keep)
    bench.exit(run)
    assert (run / "checkpoint.pt").exists() == keep


def test_a_crash_gives_the_last_line_of_the_traceback(bench: Any) -> None:
    ended = bench.exit(bench.start("raise ValueError('n_head \\x1b[31m must divide n_embd')"))
    assert (ended.reason, ended.exit_code) == ("crashed", 1)
    assert ended.message == "ValueError: n_head  must divide n_embd"


def test_a_good_exit_without_a_result_is_a_crash(bench: Any) -> None:
    ended = bench.exit(bench.start("import os\nos._exit(0)"))
    assert (ended.reason, ended.exit_code) == ("crashed", 0)
    assert ended.message == "ended with exit code 0 and without a result"


def test_a_training_that_is_killed_names_the_signal(bench: Any) -> None:
    run = bench.start(HANGS)
    os.kill(bench.identity(run).inner_pid, 9)
    ended = bench.exit(run)
    assert (ended.reason, ended.signal, ended.exit_code) == ("crashed", 9, None)
    assert ended.message == "killed by signal 9 (out of memory?)"


def test_a_hang_ends_at_the_wall(bench: Any) -> None:
    started = time.monotonic()
    ended = bench.exit(bench.start(HANGS, wall_seconds=0.5))
    assert (ended.reason, ended.signal) == ("wall", 9)
    assert 0.5 <= ended.monotonic - started < 5


def test_a_flood_of_the_log_is_ended_and_cut(bench: Any) -> None:
    run = bench.start("while True: print('x' * 1000)", log_bytes=100_000)
    assert bench.exit(run).reason == "log"
    assert (run / "train.log").stat().st_size == 100_000


def test_memory_is_counted_over_all_processes(bench: Any) -> None:
    run = bench.start(
        "import subprocess, sys\n"
        "eat = 'import time; b = bytearray(60 << 20); time.sleep(60)'\n"
        "for _ in range(3): subprocess.Popen([sys.executable, '-c', eat])\n" + HANGS,
        memory_bytes=150 << 20,
    )
    assert bench.exit(run).reason == "memory"


def test_a_child_that_left_the_session_is_ended_with_the_run(bench: Any) -> None:
    run = bench.start(
        "import os, subprocess, sys\n"
        "token = os.environ['COCKPIT_RUN_TOKEN']\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import os, time; os.fork(); "
        "os.environ.clear(); time.sleep(60)', token], start_new_session=True, env={})\n"
        "while not os.path.exists('go'): pass\n" + FINISHES
    )
    token = bench.identity(run).token
    bench.wait_until(lambda: len(bench.with_argument(token)) == 2, 20, "child and grandchild")
    (run / "go").write_text("")
    assert bench.exit(run).reason == "finished"
    bench.wait_until(lambda: not bench.with_argument(token), 10, "the end of both")


def test_stop_ends_the_run_and_its_children(bench: Any) -> None:
    run = bench.start(
        "import os, subprocess, sys\n"
        "token = os.environ['COCKPIT_RUN_TOKEN']\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', token],"
        " start_new_session=True)\n" + HANGS
    )
    child = bench.child_of(run)
    assert stop(run)
    ended = bench.exit(run)
    assert (ended.reason, ended.message) == ("stopped", "stopped by the engine")
    bench.wait_gone(child)
    assert not stop(run)


def test_the_environment_holds_no_secret_and_hides_gpus(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_LC_KEY"):
        monkeypatch.setenv(name, "secret-value")
    monkeypatch.setenv("LC_TIME", "C")
    run = bench.start("import json, os\nharness.result(**os.environ)")
    bench.exit(run)
    text = (run / "result.json").read_text()
    environment = json.loads(text)
    assert "secret-value" not in text
    assert environment["LC_TIME"] == "C"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["PYTHONPATH"] == str(bench.trainer)
    assert environment["COCKPIT_DEVICE"] == "cpu"
    assert environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_a_spare_stays_on_the_reserved_core(bench: Any) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one core: nothing to reserve")
    device = Device("cpu", "test", "cpu", 1 << 30, len(cores) - 1, tuple(cores[:-1]))
    bench.executor = bench.new_executor(device)
    bench.warm()
    spare = bench.spare()
    identity = RunDirectory(spare).read_supervisor()
    assert os.sched_getaffinity(identity.inner_pid) == {cores[-1]}
    assert os.sched_getaffinity(identity.pid) == {cores[-1]}


def test_a_spare_that_fails_says_why_and_is_not_tried_again_at_once(bench: Any) -> None:
    (bench.trainer / "warm_up.py").write_text("raise RuntimeError('no torch here')")
    bench.executor.warm()
    bench.wait_until(lambda: bench.executor.spare_state.state == "failed", 20, "the failure")
    assert bench.executor.spare_state.message == "RuntimeError: no torch here"
    bench.executor.warm()
    assert bench.executor.spare_state.state == "failed"
    assert list((bench.state / "spares").iterdir()) == []


def test_a_run_whose_training_cannot_warm_is_a_crash_before_its_assignment(bench: Any) -> None:
    (bench.trainer / "warm_up.py").write_text("raise RuntimeError('no torch here')")
    ended = bench.exit(bench.start(FINISHES))
    assert (ended.reason, ended.stage) == ("crashed", "warming")
    assert ended.message == "RuntimeError: no torch here"


def test_a_python_that_is_missing_is_named(bench: Any) -> None:
    bench.executor = bench.new_executor(python="/nowhere/python")
    with pytest.raises(ExecutorError, match="/nowhere/python could not be asked"):
        bench.start(FINISHES)
    assert not (bench.state / "spares").exists()


def test_a_spare_that_died_is_replaced_at_the_start_of_a_run(bench: Any) -> None:
    bench.warm()
    spare = bench.spare()
    identity = RunDirectory(spare).read_supervisor()
    os.kill(identity.inner_pid, 9)
    os.kill(identity.pid, 9)
    bench.wait_gone(identity.pid)
    assert bench.exit(bench.start(FINISHES)).reason == "finished"


def test_a_place_in_use_is_refused_and_the_spare_removes_itself(bench: Any) -> None:
    run = bench.start(HANGS)
    bench.identity(run)
    with pytest.raises(ExecutorError, match="a run is under way there"):
        bench.start(FINISHES, run_directory=run)
    stranger = bench.state / "files"
    stranger.mkdir()
    (stranger / "precious").write_text("")
    with pytest.raises(ExecutorError, match="no run directory"):
        bench.start(FINISHES, run_directory=stranger)
    assert (stranger / "precious").exists()
    stop(run)
    bench.exit(run)
    spares = bench.state / "spares"
    bench.wait_until(lambda: list(spares.iterdir()) == [], 10, "the spares to go")
    # The remains of a run that is over make room.
    bench.start(FINISHES, run_directory=run)
    assert bench.exit(run).reason == "finished"


def test_garbage_on_the_control_channel_is_passed_over(bench: Any) -> None:
    run = bench.start(
        "garbage = b'\\x00garbage\\n[1]\\n{\"event\": 7}\\n' + b'x' * 300000 + b'\\n'\n"
        "harness.control.sendall(garbage)\n"
        "harness.say(event='ready')\n" + FINISHES
    )
    assert bench.exit(run).reason == "finished"


def test_a_supervisor_with_all_channels_closed_does_not_spin(bench: Any) -> None:
    run = bench.start(
        "import time\nharness.control.close()\ntime.sleep(0.5)\nprint('later')\n" + HANGS
    )
    bench.wait_for_file(run / "train.log")
    used = psutil.Process(bench.identity(run).pid).cpu_times()
    assert used.user + used.system < 0.35  # nearly all of it to start
    assert stop(run)
    assert bench.exit(run).reason == "stopped"


def test_things_in_the_way_of_exit_json_do_not_hide_the_end(bench: Any) -> None:
    run = bench.start(
        "import os\nos.makedirs('exit.json/x')\nos.mkdir('checkpoint.pt')\n"
        "os.mkfifo('exit.json.tmp')\nos.unlink('train.log')\nos.mkfifo('train.log')\nos._exit(3)"
    )
    ended = bench.exit(run)
    assert (ended.reason, ended.exit_code) == ("crashed", 3)


def test_the_end_is_noticed_at_once(bench: Any) -> None:
    run = bench.start(
        "import time\nanswer, rows = harness.checkpoint()\n"
        "harness.result(monotonic=time.monotonic())"
    )
    ended = bench.exit(run)
    assert ended.monotonic - json.loads((run / "result.json").read_text())["monotonic"] < 0.2


def test_the_text_and_the_spec_arrive_as_given(bench: Any) -> None:
    text = "# é\n" + FINISHES
    run: Path = bench.start(text, spec={"experiment": 7})
    bench.exit(run)
    assert (run / "train.py").read_text(encoding="utf-8") == text
    assert RunDirectory(run).read_spec() == {"experiment": 7}
