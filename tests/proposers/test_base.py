"""A proposer's process: real children, killed, silent, talkative."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cockpit.proposers.base import (
    HistoryEntry,
    ProposerError,
    ProposerProcess,
    Request,
    child_environment,
    proposer_process,
)

TEXT = "DEPTH = 4  # layers [2, 12]\nRATE = 0.02  # step [0.005, 0.08, log]\n"
REQUEST = Request(
    "t", 0, TEXT, TEXT, (HistoryEntry(0, None, "kept", 2.0, None, "baseline", None),), ("grün",), 1
)
CHILD = """
import json, os, signal, sys
from cockpit.core.experiment import Proposal
from cockpit.proposers.base import ProposerError, serve
def propose(request):
    print("words of a library")
    what = request.hints[-1]
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "refuse":
        raise ProposerError("not today")
    if what == "hang":
        signal.pause()
    return Proposal(what, "child", constants={"PID": os.getpid(), "SECRET": os.environ.get("KEY")})
serve(propose)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "engine.log"


@pytest.fixture
def child(log: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProposerProcess]:
    monkeypatch.setenv("KEY", "sk-secret")
    process = ProposerProcess([sys.executable, "-P", "-c", CHILD], child_environment(), log)
    yield process
    process.close()


def ask(what: str) -> Request:
    return Request("t", 0, TEXT, TEXT, (), (what,), 1)


def test_a_child_answers_with_nothing_of_our_environment(child: ProposerProcess, log: Path) -> None:
    assert child.pid is None  # started when first asked
    proposal = child.propose(ask("größer"), 30)
    assert proposal.title == "größer"
    assert proposal.constants == {"PID": child.pid, "SECRET": None}
    assert child.propose(ask("again"), 30).constants == {"PID": child.pid, "SECRET": None}
    assert "words of a library" in log.read_text()


def test_a_refusal_is_an_error_and_the_child_lives_on(child: ProposerProcess) -> None:
    with pytest.raises(ProposerError, match="not today"):
        child.propose(ask("refuse"), 30)
    pid = child.pid
    assert child.propose(ask("x"), 30).constants == {"PID": pid, "SECRET": None}


def test_a_child_that_died_is_replaced(child: ProposerProcess) -> None:
    with pytest.raises(ProposerError, match="died"):
        child.propose(ask("die"), 30)
    assert child.propose(ask("x"), 30).title == "x"


def test_a_child_that_was_killed_between_requests_is_replaced(child: ProposerProcess) -> None:
    child.propose(ask("x"), 30)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    for _ in range(3):  # at most one request sees the death
        try:
            assert child.propose(ask("y"), 30).title == "y"
            break
        except ProposerError:
            continue
    else:
        pytest.fail("the child was not replaced")


def test_a_silent_child_is_ended_in_time_and_replaced(
    child: ProposerProcess, wait_until: Callable[..., object]
) -> None:
    child.propose(ask("x"), 30)
    pid = child.pid
    with pytest.raises(ProposerError, match="silent"):
        child.propose(ask("hang"), 0.3)
    wait_until(lambda: not psutil.pid_exists(pid or 0), 5, "the end of the silent child")
    assert child.propose(ask("y"), 30).title == "y"


def test_closing_ends_a_proposal_under_way(
    child: ProposerProcess, wait_until: Callable[..., object]
) -> None:
    errors = []

    def work() -> None:
        try:
            child.propose(ask("hang"), 60)
        except ProposerError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: child.pid, 10, "a child")
    child.close()
    thread.join(10)
    assert len(errors) == 1
    with pytest.raises(ProposerError, match="closed"):
        child.propose(ask("x"), 5)


def test_a_child_that_does_not_start_or_speak_is_an_error(log: Path) -> None:
    with pytest.raises(ProposerError, match="can't start"):
        ProposerProcess(["/nonexistent"], {}, log).propose(REQUEST, 5)
    talker = ProposerProcess([sys.executable, "-c", "input(); print('hello')"], {}, log)
    with pytest.raises(ProposerError, match="does not speak JSON"):
        talker.propose(REQUEST, 30)
    talker.close()


def test_a_request_larger_than_a_pipe_to_a_child_that_does_not_read(log: Path) -> None:
    deaf = ProposerProcess([sys.executable, "-c", "import signal; signal.pause()"], {}, log)
    big = Request("t", 0, "x" * 1_000_000, TEXT, (), (), 1)
    with pytest.raises(ProposerError, match="silent"):
        deaf.propose(big, 0.5)
    deaf.close()


def test_a_child_ends_with_its_engine(
    tmp_path: Path, log: Path, wait_until: Callable[..., object]
) -> None:
    engine = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from cockpit.proposers.base import ProposerProcess, Request, child_environment\n"
        f"p = ProposerProcess([sys.executable, '-P', '-c', {CHILD!r}], child_environment(), "
        f"Path({str(log)!r}))\n"
        "p.propose(Request('t', 0, '', '', (), ('x',), 1), 30)\n"
        "print(p.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", engine], capture_output=True, text=True, cwd=root)
    pid = int(done.stdout)
    wait_until(lambda: not psutil.pid_exists(pid), 10, "the end of the orphan")


def test_the_search_answers_from_its_own_process_and_keeps_to_its_core(log: Path) -> None:
    core = psutil.Process().cpu_affinity()[-1] if hasattr(psutil.Process, "cpu_affinity") else None
    process = proposer_process(None, log, () if core is None else (core,))
    try:
        first = process.propose(REQUEST, 60)
        assert first.proposer == "search"
        assert first.constants
        child = psutil.Process(process.pid)
        assert child.nice() >= 10
        if core is not None:
            assert child.cpu_affinity() == [core]
        assert process.propose(REQUEST, 60) == first
    finally:
        process.close()
    assert log.read_text() == ""


def test_an_unknown_proposer_is_one_line(log: Path) -> None:
    with pytest.raises(ProposerError, match="unknown proposer oracle: there is search"):
        proposer_process("oracle", log)
