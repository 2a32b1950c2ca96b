"""What a training can reach, tried by trainings that try: in every sandbox that works here."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cockpit.executors import bubblewrap, confinement, places, probing
from cockpit.executors.base import Device, ExecutorError
from cockpit.executors.local import LocalExecutor, observe, stop
from cockpit.executors.probing import probe
from cockpit.executors.processes import RUN_TOKEN
from cockpit.executors.sandbox import LEVELS, Sandbox, confine
from cockpit.lab.rundir import RunDirectory

HANGS = "harness.for_ever()"
TRY = """
import os, socket, subprocess, sys, tempfile
from pathlib import Path
def attempt(what):
    try:
        found = what()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return found if isinstance(found, (str, int, list)) else "done"
"""
CPU = Device("cpu", "test", "cpu", 1 << 30, 1)


def attempts(bench: Any, **lines: str) -> dict[str, Any]:
    """What a training gets from each attempt, an expression each."""
    made = ", ".join(f"{name}=attempt(lambda: {line})" for name, line in lines.items())
    run = bench.start(TRY + f"harness.result({made})")
    assert bench.exit(run).reason == "finished", (run / "train.log").read_text()
    return dict(bench.result(run))


def level_of(bench: Any) -> str:
    return str(bench.executor.sandbox.level)


@pytest.fixture
def confined(boxed: Any) -> Any:
    """A bench in each sandbox but none."""
    if level_of(boxed) == "none":
        pytest.skip("without a sandbox nothing of this holds")
    return boxed


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_the_network_is_refused(confined: Any, server: socket.socket) -> None:
    port = server.getsockname()[1]
    got = attempts(
        confined,
        tcp=f"socket.create_connection(('127.0.0.1', {port}), 5)",
        udp=f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
        netlink="socket.if_nameindex()",
        pair="socket.socketpair() and 'works'",
    )
    assert got.pop("pair") == "works"
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.accept()
    assert "Error" in got["tcp"]
    if level_of(confined) != "bubblewrap":  # which has a network of its own, with nobody in it
        assert "Error" in got["udp"]


def test_an_abstract_socket_of_the_outside_cannot_be_reached(confined: Any) -> None:
    if level_of(confined) != "bubblewrap" and confinement.landlock_abi() < 6:
        pytest.skip("this kernel's Landlock does not know of abstract sockets")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0cockpit-test")
        listening.listen()
        got = attempts(
            confined, abstract="socket.socket(socket.AF_UNIX).connect('\\0cockpit-test')"
        )
    assert "Error" in got["abstract"]


def test_homes_lab_corpora_and_other_runs_are_out_of_sight(confined: Any) -> None:
    if level_of(confined) == "user" and not confined.executor.sandbox.landlock:
        pytest.skip("a user alone sees what is open to everybody")
    other = confined.start("open('weights', 'w').write('secret')\nharness.result()")
    confined.exit(other)
    lab = confined.state.parent
    (lab / "program.md").write_text("secret")
    got = attempts(
        confined,
        home=f"os.listdir({str(Path.home())!r})",
        profile=f"open({str(Path.home() / '.profile')!r}).read()",
        lab=f"os.listdir({str(lab)!r})",
        brief=f"open({str(lab / 'program.md')!r}).read()",
        rows=f"open({str(confined.train_rows)!r}).read()",
        other=f"open({str(other / 'weights')!r}).read()",
        supervisor=f"open({str(RunDirectory(other).supervisor_path)!r}).read()",
        shadow="open('/etc/shadow').read()",
        hosts="open('/etc/hosts').read()",
        tests=f"open({__file__!r}).read()",
    )
    # Where Python or the trainer is in a home, its parents are there, and nothing in them but it.
    listed = got.pop("home")
    if isinstance(listed, list):
        shown = [*map(Path, confined.executor.sandbox.shown), confined.trainer]
        inside = [path.relative_to(Path.home()) for path in shown if Path.home() in path.parents]
        assert set(listed) <= {path.parts[0] for path in inside}
    listed = got.pop("lab")
    assert isinstance(listed, str) or set(listed) <= {"trainer"}, listed
    assert all("Error" in found for found in got.values()), got


def test_nothing_outside_its_directory_can_be_written(confined: Any, tmp_path: Path) -> None:
    open_place = confined.state.parent / "open"
    open_place.mkdir()
    open_place.chmod(0o777)
    got = attempts(
        confined,
        outside=f"open({str(open_place / 'x')!r}, 'w')",
        trainer=f"open({str(confined.trainer / 'harness.py')!r}, 'a')",
        python="open(os.path.join(sys.prefix, 'x'), 'w')",
        root="open('/x', 'w')",
        device="open('/dev/x', 'w')",
        system="open('/usr/x', 'w')",
        kernel="open('/proc/sys/kernel/core_pattern', 'w')",
        own="open('x', 'w')",
        temporary="tempfile.NamedTemporaryFile()",
        null="open('/dev/null', 'w')",
        moved="os.makedirs('a/b') or os.rename('x', 'a/b/x') or os.rename('a/b/x', 'x')",
    )
    for allowed in ("own", "temporary", "null", "moved"):
        assert got.pop(allowed) == "done", allowed
    assert all("Error" in found for found in got.values()), got
    assert list(open_place.iterdir()) == []
    assert sorted(path.name for path in confined.trainer.iterdir()) == ["harness.py"]


def test_a_file_that_was_handed_in_cannot_be_opened_for_writing(confined: Any) -> None:
    run = confined.start(
        TRY + "import harness as h\n"
        "def rows():\n"
        "    h.say(event='clock')\n"
        "    return socket.recv_fds(h.control, 65536, 1)[1][0]\n"
        "n = rows()\n"
        "harness.result(read=attempt(lambda: os.pread(n, 5, 0).decode()),"
        " again=attempt(lambda: os.open(f'/proc/self/fd/{n}', os.O_RDWR)),"
        " cut=attempt(lambda: os.truncate(f'/proc/self/fd/{n}', 0)),"
        " mode=attempt(lambda: os.fchmod(n, 0o777)),"
        " note=attempt(lambda: os.setxattr(n, 'user.note', b'from the last run')))"
    )
    assert confined.exit(run).reason == "finished", (run / "train.log").read_text()
    got = confined.result(run)
    assert got.pop("read") == "train"
    assert all("Error" in found for found in got.values()), got
    assert confined.train_rows.read_bytes() == b"train"


def test_a_key_in_the_engines_environment_cannot_be_read(
    confined: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={"OPENAI_API_KEY": "sk-not-a-real-key"},
    )
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")
    try:
        got = attempts(
            confined,
            own="repr(dict(os.environ))",
            engine=f"open('/proc/{os.getpid()}/environ').read()",
            proposer=f"open('/proc/{holder.pid}/environ').read()",
            parent="open(f'/proc/{os.getppid()}/environ').read()",
            memory=f"open('/proc/{holder.pid}/mem', 'rb').fileno()",
            everybody="''.join(open(f'/proc/{p}/environ', errors='replace').read()"
            " for p in os.listdir('/proc') if p.isdigit() and os.access(f'/proc/{p}/environ', 4))",
        )
    finally:
        holder.kill()
        holder.wait()
    assert not [name for name, found in got.items() if "sk-not" in str(found)], got


def test_other_processes_cannot_be_signalled(confined: Any) -> None:
    if level_of(confined) == "landlock" and confinement.landlock_abi() < 6:
        pytest.skip("this kernel's Landlock does not know of signals")
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        got = attempts(
            confined,
            stranger=f"os.kill({stranger.pid}, 15)",
            supervisor="os.kill(int(open('/proc/self/stat').read().split(')')[1].split()[1]), 15)",
            tracing="__import__('ctypes').CDLL(None, use_errno=True).ptrace(16, "
            f"{stranger.pid}, 0, 0)",
        )
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert "Error" in got["stranger"]
    assert got["tracing"] == -1


def test_bubblewrap_shows_a_training_its_own_processes_only(boxed: Any) -> None:
    if level_of(boxed) != "bubblewrap":
        pytest.skip("the others see the machine's")
    got = attempts(boxed, pids="sorted(int(p) for p in os.listdir('/proc') if p.isdigit())")
    assert len(got["pids"]) == 2
    assert got["pids"][0] == 1


def test_a_run_goes_on_when_its_directory_is_renamed(boxed: Any) -> None:
    boxed.warm()
    spare = boxed.spare()
    run = boxed.start(
        "import os, tempfile\nopen('new', 'w').write('x')\n"
        "open(os.path.join(os.environ['HOME'], 'home'), 'w').write('x')\n"
        "tempfile.NamedTemporaryFile().close()\nharness.start_clock()\n"
        "harness.checkpoint()\nharness.result()"
    )
    ended = boxed.exit(run)
    assert (ended.reason, ended.clock_seconds is None) == ("finished", False)
    assert (run / "new").exists()
    assert (run / "home").exists()
    assert not spare.exists()


def test_a_training_that_runs_wild_is_ended_with_all_it_started(boxed: Any) -> None:
    run = boxed.start(
        "import os, subprocess, sys\ntoken = os.environ['COCKPIT_RUN_TOKEN']\n"
        "for _ in range(3):\n"
        "    subprocess.Popen([sys.executable, '-c', 'import os, time, signal\\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nos.setsid()\\n"
        "if os.fork(): os._exit(0)\\nwhile True: time.sleep(60)', token], env={})\n" + HANGS
    )
    token = boxed.identity(run).token
    boxed.wait_until(lambda: len(boxed.with_argument(token)) == 3, 20, "three orphans")
    assert stop(run)
    assert boxed.exit(run).reason == "stopped"
    boxed.wait_until(lambda: not boxed.with_argument(token), 10, "the end of them")


def test_everything_ends_with_a_supervisor_that_is_killed(confined: Any) -> None:
    run = confined.start(HANGS)
    identity = confined.identity(run)
    os.kill(identity.pid, 9)
    assert confined.over(run).state == "lost"
    confined.wait_gone(identity.inner_pid)


def test_a_training_cannot_free_the_lock_that_says_it_lives(confined: Any) -> None:
    run = confined.start(
        TRY + "from glob import glob\n"
        "attempt(lambda: [os.unlink(path) for path in glob('../*.supervisor.json')])\n"
        "for name in ('lock', 'supervisor.json', '1.supervisor.json'): open(name, 'w').close()\n"
        "Path('exit.json').write_text('{}')\nprint('done', flush=True)\n" + HANGS
    )
    confined.wait_for_file(run / "train.log")
    assert observe(run).state == "alive"
    assert stop(run)
    assert confined.exit(run).reason == "stopped"


def test_nothing_of_a_run_is_left_in_shared_memory(confined: Any) -> None:
    name = f"cockpit-test-{os.getpid()}"
    got = attempts(
        confined,
        posix=f"open('/dev/shm/{name}', 'w').write('from the last run')",
        system_v="__import__('ctypes').CDLL(None, use_errno=True).shmget(0x1234, 4096, 0o1600)",
    )
    assert not (Path("/dev/shm") / name).exists(), got
    if level_of(confined) != "bubblewrap":  # which has a kernel's memory of its own
        assert got["system_v"] == -1


def test_without_landlock_root_in_bubblewrap_sets_nothing_of_the_kernel(boxed: Any) -> None:
    if level_of(boxed) != "bubblewrap":
        pytest.skip("the others have Landlock, or are not root")
    alone = replace(boxed.executor.sandbox, landlock=False)
    boxed.executor = LocalExecutor(
        CPU, alone.python, boxed.trainer, boxed.state / "spares", boxed.log, alone
    )
    got = attempts(boxed, pattern="open('/proc/sys/kernel/core_pattern', 'a').close()")
    assert "Error" in got["pattern"]


def test_without_landlock_a_user_is_shut_out_of_what_is_open(boxed: Any) -> None:
    if level_of(boxed) != "user":
        pytest.skip("the others do not need it")
    cache = boxed.state.parent / "cache"
    (cache / "corpora").mkdir(parents=True)
    (boxed.state / "journal.db").write_text("scores")
    alone = replace(boxed.executor.sandbox, landlock=False)
    boxed.executor = LocalExecutor(
        CPU, alone.python, boxed.trainer, boxed.state / "spares", boxed.log, alone
    )
    other = boxed.start("open('checkpoint.pt', 'w').write('weights')\nharness.result()")
    boxed.exit(other)
    probing.close_off(boxed.state, [cache])
    got = attempts(
        boxed,
        journal=f"open({str(boxed.state / 'journal.db')!r}).read()",
        corpora=f"os.listdir({str(cache / 'corpora')!r})",
        weights=f"open({str(other / 'checkpoint.pt')!r}).read()",
        listed=f"os.listdir({str(other)!r})",
        home="os.listdir('/root')",
        own="open('own', 'w').close()",
    )
    assert got.pop("own") == "done"
    assert all("Error" in found for found in got.values()), got


def test_cores_can_be_chosen_inside(boxed: Any) -> None:
    got = attempts(boxed, cores="os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})")
    assert got["cores"] == "done"


def test_the_kernel_ends_the_training_first_when_memory_is_short(boxed: Any) -> None:
    got = attempts(boxed, score="int(open('/proc/self/oom_score_adj').read())")
    assert got["score"] >= 500


# ---- finding out ---------------------------------------------------------------------------


def test_the_best_that_works_is_taken_and_says_what_it_is(bench: Any) -> None:
    found = probe(bench.state, CPU)
    assert found.level == next(
        level for level in LEVELS if level == "none" or works(bench.state, level)
    )
    assert probe(bench.state, CPU) is found
    assert found.says
    assert Sandbox.decode(json.loads(json.dumps(found.encode()))) == found


def works(state: Path, level: str) -> bool:
    try:
        return probe(state, CPU, wanted=level).level == level
    except ExecutorError:
        return False


def test_no_sandbox_is_one_that_was_wished_or_that_could_not_be_had(bench: Any) -> None:
    found = probe(bench.state, CPU, wanted="none")
    assert found.says.startswith("UNSANDBOXED: ")
    with pytest.raises(ExecutorError, match="no sandbox 'jail': there are auto, bubblewrap"):
        probe(bench.state, CPU, wanted="jail")


def test_a_bubblewrap_that_is_refused_is_not_taken(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = tmp_path / "bin" / bubblewrap.PROGRAM
    refused.parent.mkdir()
    refused.write_text("#!/bin/sh\necho 'bwrap: No permissions to create namespace' >&2\nexit 1\n")
    refused.chmod(0o755)
    monkeypatch.setenv("PATH", f"{refused.parent}:{os.environ['PATH']}")
    bubblewrap.ways.cache_clear()
    try:
        found = probe(bench.state, CPU)
        assert found.level != "bubblewrap"
        assert "bubblewrap: bwrap: No permissions to create namespace" in found.says
        with pytest.raises(ExecutorError, match="does not work here: bubblewrap: bwrap: No perm"):
            probe(bench.state, CPU, wanted="bubblewrap")
    finally:
        bubblewrap.ways.cache_clear()


def test_a_sandbox_in_which_a_module_is_not_found_is_not_taken(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = next((level for level in LEVELS if works(bench.state, level)), "none")
    if wanted == "none":
        pytest.skip("no sandbox works here")
    # Found by its place only, which nobody knows to show.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "hidden_module.py").touch()
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{elsewhere}" exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    found = probe(bench.state, CPU, python=str(python), modules=("hidden_module",))
    assert found.level == "none"
    assert "it could not import hidden_module" in found.says
    # What can't be had outside either is no fault of a sandbox.
    assert probe(bench.state, CPU, wanted=wanted, modules=("no_such_module",)).level == wanted


def test_a_sandbox_starts_in_a_few_hundredths_of_a_second(boxed: Any, tmp_path: Path) -> None:
    def seconds(sandbox: Sandbox) -> float:
        place = boxed.state / sandbox.level
        place.mkdir(exist_ok=True)
        child = confine(
            "pass", sandbox=sandbox, run_directory=place, trainer_directory=boxed.trainer,
            device=CPU, token="test", environ=os.environ,
        )  # fmt: skip
        began = time.perf_counter()
        subprocess.run(child.command, cwd=place, env=child.environment, check=True)
        return time.perf_counter() - began

    inside = min(seconds(boxed.executor.sandbox) for _ in range(5))
    plain = min(seconds(Sandbox("none", boxed.executor.sandbox.python)) for _ in range(5))
    assert inside - plain < 0.5  # 0.02 to 0.03 on an idle machine


# ---- what is shown -------------------------------------------------------------------------


def test_a_gpu_is_found_by_its_uuid(tmp_path: Path) -> None:
    for number, uuid in enumerate(("GPU-aa", "GPU-bb")):
        place = tmp_path / f"0000:0{number}:00.0"
        place.mkdir()
        (place / "information").write_text(
            f"Model: \t\t NVIDIA H100\nGPU UUID: \t {uuid}\nDevice Minor: \t {3 + number}\n"
        )
    assert places.gpu_minor("GPU-bb", tmp_path) == 4
    assert places.gpu_minor("GPU-cc", tmp_path) is None


def test_a_directory_that_holds_a_hidden_one_is_shown_without_it(tmp_path: Path) -> None:
    for name in ("usr/lib", "usr/local/lab/.git", "usr/local/bin", "home/lib", "home/notes"):
        (tmp_path / name).mkdir(parents=True)
    hidden = [tmp_path / "usr/local/lab", tmp_path / "home"]
    shown = places.split([tmp_path / "usr", tmp_path / "home", tmp_path / "usr/lib"], hidden)
    assert [str(path.relative_to(tmp_path)) for path in shown] == [
        "home/lib", "usr/lib", "usr/local/bin",
    ]  # fmt: skip


def test_links_on_the_way_are_shown_where_they_lie(tmp_path: Path) -> None:
    real = tmp_path / "real" / "bin"
    real.mkdir(parents=True)
    (real / "python3").touch()
    (real / "python").symlink_to("python3")
    (tmp_path / "venv").symlink_to("real")
    assert places.links([tmp_path / "venv" / "bin" / "python"]) == {
        tmp_path / "venv": "real",
        real / "python": "python3",
    }


def test_the_run_token_marks_what_is_confined(boxed: Any) -> None:
    got = attempts(boxed, token=f"os.environ[{RUN_TOKEN!r}]")
    assert got["token"]
