"""The verbs by which a person talks with who has the ideas, at a real command line."""

import contextlib
import json
import os
import pty
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cockpit.core.experiment import Event, HintAnswer, Proposal, Run, Status, Verdict
from cockpit.lab.lab import Lab
from cockpit.lab.rows import Call, Command
from cockpit.lab.writing import EngineJournal
from tests.bench.nights import COCKPIT, cockpit, make_lab

SECRET = "sk-nobody-may-ever-read-this-0123456789"
FINDINGS = "# Findings of nov20\n\n- #1 −0.1000: halve the \x1b[31mbatch\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lab(tmp_path_factory.mktemp("talk") / "lab")


@pytest.fixture
def lab(template: Path, tmp_path: Path) -> Lab:
    """A lab in which a night has been."""
    place = tmp_path / "lab"
    shutil.copytree(template, place, symlinks=True)
    lab = Lab(place)
    lab.state.mkdir(exist_ok=True)
    journal = EngineJournal(lab.journal)
    journal.add_tag("nov20", {"corpus": "stdlib"}, "setup", "cpu", {})
    night = journal.begin_night("nov20", {"proposer": "llm"})
    baseline = journal.add_experiment("nov20", None, Proposal("baseline", "baseline", train_py="x"))
    proposal = Proposal(
        "halve the batch",
        "llm",
        constants={"BATCH": 8},
        predicted=-0.002,
        model="openai/gpt-4o-mini",
        program="abcdef123456",
        hints=(HintAnswer(1, False, "later"),),
    )
    kept = journal.add_experiment("nov20", baseline, proposal)
    for number, score in ((baseline, 2.0), (kept, 1.9)):
        run = Run(number, 1, 1, "setup", 0, "finished", time.time(), val_bpb=score)
        journal.add_run(run)
        journal.decide(number, Status.KEPT, Verdict(Event.KEEP, "it is better"))
    call = Call(0, 0.0, night, "llm", "gpt", "proposal", kept, 1000, 200, 0.42, 2.0, "ok")
    journal.add_call(call)
    journal.add_hint("no depth tonight", "me", once=True)
    journal.change_hint(1, state="declined", experiment=kept, why="later")
    journal.close()
    return lab


@dataclass
class Engine:
    """Holds a lab's lock and does with commands what a test says."""

    lab: Lab
    act: Callable[[EngineJournal, Command], None]
    done: threading.Event

    def serve(self) -> None:
        """Take commands until it is over."""
        journal = EngineJournal(self.lab.journal)
        while not self.done.wait(0.02):
            for command in journal.waiting_commands():
                self.act(journal, command)
        journal.close()


@contextlib.contextmanager
def engine(lab: Lab, act: Callable[[EngineJournal, Command], None]) -> Iterator[None]:
    served = Engine(lab, act, threading.Event())
    thread = threading.Thread(target=served.serve)
    with lab.locked():
        thread.start()
        try:
            yield
        finally:
            served.done.set()
            thread.join()


def accepting(seen: list[tuple[str, dict[str, Any]]]) -> Callable[[EngineJournal, Command], None]:
    def act(journal: EngineJournal, command: Command) -> None:
        seen.append((command.verb, command.arguments))
        journal.answer(command.id, "done", "so be it")

    return act


def test_hints_orders_and_their_end_become_commands(lab: Lab) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    with engine(lab, accepting(seen)):
        for words in (
            ["hint", "fewer", "heads"],
            ["hint", "fewer heads", "--once"],
            ["withdraw", "1"],
            ["try", "a", "cosine"],
        ):
            done = cockpit(lab.root, *words)
            assert (done.returncode, done.stdout) == (0, "so be it\n"), done.stderr
    assert seen == [
        ("hint", {"text": "fewer heads", "once": False}),
        ("hint", {"text": "fewer heads", "once": True}),
        ("withdraw", {"id": 1}),
        ("try", {"text": "a cosine"}),
    ]


def test_a_question_waits_for_its_own_answer(lab: Lab) -> None:
    def act(journal: EngineJournal, command: Command) -> None:
        journal.add_message("question", command.author, command.arguments["text"])
        journal.answer(command.id, "done", "asked")
        journal.add_message("proposer", "llm", "Next I lower x0.", 1)
        journal.add_message("answer", "llm", "Because of\n\x1b[31mthe noise.")

    journal = EngineJournal(lab.journal)
    journal.add_message("question", "me", "an older one")
    journal.add_message("answer", "llm", "an older answer")
    journal.close()
    with engine(lab, act):
        done = cockpit(lab.root, "ask", "why", "not?")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Because of\nthe noise.\n"


def test_a_question_stands_when_nobody_waits_any_more(
    lab: Lab, wait_until: Callable[..., Any]
) -> None:
    asked = threading.Event()

    def act(journal: EngineJournal, command: Command) -> None:
        journal.add_message("question", command.author, command.arguments["text"])
        journal.answer(command.id, "done", "asked")
        asked.set()

    with engine(lab, act):
        process = subprocess.Popen(
            [*COCKPIT, "ask", "why?"], cwd=lab.root, stderr=subprocess.PIPE, text=True
        )
        assert asked.wait(20)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert "the question stands" in told
    assert "Traceback" not in told


def test_an_engine_that_ends_before_the_answer_is_said(lab: Lab) -> None:
    def act(journal: EngineJournal, command: Command) -> None:
        journal.add_message("question", command.author, command.arguments["text"])
        journal.answer(command.id, "done", "asked")

    ended = threading.Event()
    with engine(lab, lambda journal, command: (act(journal, command), ended.set())[0]):
        process = subprocess.Popen(
            [*COCKPIT, "ask", "why?"], cwd=lab.root, stderr=subprocess.PIPE, text=True
        )
        assert ended.wait(20)
    told = process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert "the question stands" in told


def test_a_question_without_a_night_is_refused(lab: Lab) -> None:
    done = cockpit(lab.root, "ask", "why?")
    assert done.returncode == 1
    assert "no engine runs" in done.stderr


def test_the_findings_are_printed_harmlessly(lab: Lab) -> None:
    done = cockpit(lab.root, "findings")
    assert done.returncode == 1
    assert "no findings yet" in done.stderr
    lab.findings.write_text(FINDINGS)
    assert "halve the batch" in cockpit(lab.root, "findings").stdout
    told = json.loads(cockpit(lab.root, "findings", "--json").stdout)
    assert told["findings"] == FINDINGS
    assert told["path"] == str(lab.findings)


def test_the_findings_are_merged_into_the_brief_and_nothing_else_of_it_changes(lab: Lab) -> None:
    before = lab.program.read_text()
    lab.program.chmod(0o640)
    lab.findings.write_text("# Findings of nov20\n\n- #1 holds\n")
    done = cockpit(lab.root, "findings", "--write")
    assert done.returncode == 0, done.stderr
    after = lab.program.read_text()
    assert after.startswith(before.rstrip("\n"))
    assert "- #1 holds" in after
    assert stat.S_IMODE(lab.program.stat().st_mode) == 0o640
    assert "already" in cockpit(lab.root, "findings", "--write").stdout
    assert lab.program.read_text() == after
    lab.findings.write_text("# Findings of nov20\n\n- #2 holds too\n")
    cockpit(lab.root, "findings", "--write")
    assert "- #1 holds" not in lab.program.read_text()
    assert list(lab.root.glob(".program.md.*")) == []


def test_damaged_markers_leave_the_brief_as_it_is(lab: Lab) -> None:
    lab.findings.write_text("# Findings\n\n- #1 holds\n")
    cockpit(lab.root, "findings", "--write")
    damaged = "\n".join(
        line for line in lab.program.read_text().splitlines() if "findings: end" not in line
    )
    lab.program.write_text(damaged)
    done = cockpit(lab.root, "findings", "--write")
    assert done.returncode == 1
    assert "markers" in done.stderr
    assert lab.program.read_text() == damaged


def test_a_brief_that_is_a_link_stays_one(lab: Lab, tmp_path: Path) -> None:
    elsewhere = tmp_path / "brief.md"
    elsewhere.write_text(lab.program.read_text())
    lab.program.unlink()
    lab.program.symlink_to(elsewhere)
    lab.findings.write_text("# Findings\n\n- #1 holds\n")
    assert cockpit(lab.root, "findings", "--write").returncode == 0
    assert lab.program.is_symlink()
    assert "- #1 holds" in elsewhere.read_text()


def keep(place: Path, name: str, value: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COCKPIT, "key", name],
        cwd=place,
        env={**os.environ, "XDG_CONFIG_HOME": str(place / "config")},
        input=value,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_key_is_kept_for_its_owner_alone_and_never_printed(tmp_path: Path) -> None:
    done = keep(tmp_path, "OPENAI_API_KEY", f"{SECRET}\n")
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    (kept,) = (tmp_path / "config").rglob("*.env")
    assert SECRET in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert keep(tmp_path, "OPENAI_API_KEY", "\n").returncode == 0
    assert SECRET not in kept.read_text()


def test_a_key_given_in_the_place_of_its_name_is_not_repeated(tmp_path: Path) -> None:
    done = keep(tmp_path, SECRET, "")
    assert done.returncode == 2
    assert SECRET not in done.stdout + done.stderr


def test_a_key_that_is_typed_has_no_echo(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ["XDG_CONFIG_HOME"] = str(tmp_path / "config")
        try:
            os.execv(COCKPIT[0], [*COCKPIT, "key", "OPENAI_API_KEY"])
        finally:
            os._exit(1)  # never a second run of the tests
    seen = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(terminal, 1024):
                seen.extend(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    wait_until(lambda: b"OPENAI_API_KEY" in seen, 20, "the question")
    os.write(terminal, f"{SECRET}\n".encode())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    reader.join(5)
    os.close(terminal)
    assert b"is kept in" in seen
    assert SECRET.encode() not in seen


def test_the_status_tells_shares_money_and_what_became_of_hints(lab: Lab) -> None:
    told = cockpit(lab.root, "status").stdout
    assert "cost      $0.42 this night: 1 call, 1,200 tokens" in told
    assert "ideas     llm 1 (1 kept −0.1000, $0.42)" in told
    assert "once   1  no depth tonight (not now: later)" in told
    data = json.loads(cockpit(lab.root, "status", "--json").stdout)
    assert data["cost_usd"] == 0.42
    assert data["tokens"] == {"prompt": 1000, "completion": 200}
    (share,) = data["proposers"]
    assert (share["name"], share["kept"], share["gain"]) == ("llm", 1, 0.1)
    (hint,) = data["hints"]
    assert (hint["once"], hint["why"]) == (True, "later")


def test_the_scoreboard_counts_what_each_brought(lab: Lab) -> None:
    told = cockpit(lab.root, "score").stdout
    assert "$0.42 this night" in told
    assert "−0.1000" in told
    assert "±0.0980" in told
    data = json.loads(cockpit(lab.root, "score", "--json").stdout)
    assert data["tag"] == "nov20"
    assert data["proposers"][0]["prediction_error"] == pytest.approx(0.098)
    assert [row["name"] for row in data["programs"]] == ["abcdef123456"]


def test_the_log_tells_who_predicted_what_under_which_brief(lab: Lab) -> None:
    told = [json.loads(line) for line in cockpit(lab.root, "log", "--json").stdout.splitlines()]
    assert told[0]["model"] is None
    assert told[1]["model"] == "openai/gpt-4o-mini"
    assert (told[1]["predicted"], told[1]["program"]) == (-0.002, "abcdef123456")
    shown = cockpit(lab.root, "show", "1").stdout
    assert "proposed by llm (openai/gpt-4o-mini) under program.md abcdef123456" in shown
    assert "predicted −0.0020" in shown
    assert "hint 1: not now: later" in shown


@pytest.mark.parametrize(
    "words",
    [
        ["start", "--max-cost", "-1"],
        ["start", "--max-cost", "much"],
        ["withdraw", "x"],
        ["key", "not a name"],
        ["start", "--proposer", "nobody"],
    ],
)
def test_what_makes_no_sense_is_wrong_usage(lab: Lab, words: list[str]) -> None:
    done = cockpit(lab.root, *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
