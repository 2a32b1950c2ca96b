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

from cockpit.core.briefing import Briefing, HistoryEntry
from cockpit.core.experiment import Proposal
from cockpit.proposers.base import (
    Order,
    ProposerError,
    ProposerProcess,
    child_environment,
    proposer_process,
)

TEXT = "DEPTH = 4  # layers [2, 12]\nRATE = 0.02  # step [0.005, 0.08, log]\n"
ORDER = Order(
    "propose",
    Briefing("t", 0, TEXT, TEXT, (HistoryEntry(0, None, "kept", 2.0, None, "baseline", None),)),
)
CHILD = """
import os, signal
from cockpit.core.experiment import Proposal
from cockpit.proposers.base import Answer, ProposerError, serve
def handle(order, hear):
    print("words of a library")
    what = order.briefing.question
    hear({"event": "text", "text": what})
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "refuse":
        raise ProposerError("not today", "money")
    if what == "hang":
        signal.pause()
    secret = os.environ.get("KEY")
    return Answer(Proposal(what, "child", constants={"PID": os.getpid(), "SECRET": secret}))
serve(handle)
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


def order(what: str) -> Order:
    return Order("ask", Briefing("t", 0, TEXT, TEXT, (), question=what))


def proposed(child: ProposerProcess, what: str, seconds: float = 30) -> Proposal:
    proposal = child.ask(order(what), seconds).proposal
    assert proposal is not None
    return proposal


def test_a_child_answers_with_nothing_of_our_environment(child: ProposerProcess, log: Path) -> None:
    assert child.pid is None  # started when first asked
    proposal = proposed(child, "größer", 30)
    assert proposal.title == "größer"
    assert proposal.constants == {"PID": child.pid, "SECRET": None}
    assert proposed(child, "again", 30).constants == {"PID": child.pid, "SECRET": None}
    assert "words of a library" in log.read_text()


def test_what_it_says_while_it_works_is_heard_before_the_answer(child: ProposerProcess) -> None:
    heard: list[dict[str, object]] = []
    child.ask(order("x"), 30, heard.append)
    assert [(said["event"], said["text"]) for said in heard] == [("text", "x")]


def test_a_refusal_is_an_error_and_the_child_lives_on(child: ProposerProcess) -> None:
    with pytest.raises(ProposerError, match="not today") as refused:
        proposed(child, "refuse", 30)
    assert refused.value.kind == "money"
    pid = child.pid
    assert proposed(child, "x", 30).constants == {"PID": pid, "SECRET": None}


def test_a_child_that_died_is_replaced(child: ProposerProcess) -> None:
    with pytest.raises(ProposerError, match="died"):
        proposed(child, "die", 30)
    assert proposed(child, "x", 30).title == "x"


def test_a_child_that_was_killed_between_requests_is_replaced(child: ProposerProcess) -> None:
    proposed(child, "x", 30)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    for _ in range(3):  # at most one request sees the death
        try:
            assert proposed(child, "y", 30).title == "y"
            break
        except ProposerError:
            continue
    else:
        pytest.fail("the child was not replaced")


def test_a_silent_child_is_ended_in_time_and_replaced(
    child: ProposerProcess, wait_until: Callable[..., object]
) -> None:
    proposed(child, "x", 30)
    pid = child.pid
    with pytest.raises(ProposerError, match="silent"):
        proposed(child, "hang", 0.3)
    wait_until(lambda: not psutil.pid_exists(pid or 0), 5, "the end of the silent child")
    assert proposed(child, "y", 30).title == "y"


def test_closing_ends_a_proposal_under_way(
    child: ProposerProcess, wait_until: Callable[..., object]
) -> None:
    errors = []

    def work() -> None:
        try:
            proposed(child, "hang", 60)
        except ProposerError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: child.pid, 10, "a child")
    child.close()
    thread.join(10)
    assert len(errors) == 1
    with pytest.raises(ProposerError, match="closed"):
        proposed(child, "x", 5)


def test_a_child_that_does_not_start_or_speak_is_an_error(log: Path) -> None:
    with pytest.raises(ProposerError, match="can't start"):
        ProposerProcess(["/nonexistent"], {}, log).ask(ORDER, 5)
    talker = ProposerProcess([sys.executable, "-c", "input(); print('hello')"], {}, log)
    with pytest.raises(ProposerError, match="does not speak JSON"):
        talker.ask(ORDER, 30)
    talker.close()


def test_a_request_larger_than_a_pipe_to_a_child_that_does_not_read(log: Path) -> None:
    deaf = ProposerProcess([sys.executable, "-c", "import signal; signal.pause()"], {}, log)
    big = Order("propose", Briefing("t", 0, "x" * 1_000_000, TEXT, ()))
    with pytest.raises(ProposerError, match="silent"):
        deaf.ask(big, 0.5)
    deaf.close()


def test_a_child_ends_with_its_engine(
    tmp_path: Path, log: Path, wait_until: Callable[..., object]
) -> None:
    engine = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from cockpit.proposers.base import Order, ProposerProcess, child_environment\n"
        "from cockpit.core.briefing import Briefing\n"
        f"p = ProposerProcess([sys.executable, '-P', '-c', {CHILD!r}], child_environment(), "
        f"Path({str(log)!r}))\n"
        "p.ask(Order('ask', Briefing('t', 0, '', '', (), question='x')), 30)\n"
        "print(p.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", engine], capture_output=True, text=True, cwd=root)
    pid = int(done.stdout)
    wait_until(lambda: not psutil.pid_exists(pid), 10, "the end of the orphan")


def test_the_search_answers_from_its_own_process_and_keeps_to_its_core(log: Path) -> None:
    core = psutil.Process().cpu_affinity()[-1] if hasattr(psutil.Process, "cpu_affinity") else None
    process = proposer_process("search", log, () if core is None else (core,))
    try:
        first = process.ask(ORDER, 60).proposal
        assert first is not None
        assert first.proposer == "search"
        assert first.constants
        child = psutil.Process(process.pid)
        assert child.nice() >= 10
        if core is not None:
            assert child.cpu_affinity() == [core]
        assert process.ask(ORDER, 60).proposal == first
    finally:
        process.close()
    assert log.read_text() == ""


def test_an_unknown_proposer_is_one_line(log: Path) -> None:
    with pytest.raises(ProposerError, match="unknown proposer oracle: there are search"):
        proposer_process("oracle", log)
