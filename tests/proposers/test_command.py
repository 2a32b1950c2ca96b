"""Agents on the command line: real scripts in real sandboxes, some of them up to no good."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from cockpit.core.applying import applied
from cockpit.core.briefing import Attempt, Briefing
from cockpit.core.experiment import Hint, HintAnswer
from cockpit.proposers.agents import PRESETS, agent_of
from cockpit.proposers.base import (
    Answer,
    Order,
    ProposerError,
    ProposerProcess,
    child_environment,
    proposer_process,
)
from cockpit.proposers.confining import Sight, working_way
from cockpit.proposers.locating import surroundings
from cockpit.proposers.rooms import PREFIX, sweep

BASE = "DEPTH = 4  # layers [2, 12]\nRATE = 0.02\n\n\ndef main():\n    return DEPTH\n"
DEEPER = BASE.replace("DEPTH = 4 ", "DEPTH = 6 ")
HARNESS = "def start():\n    return None\n"
OWN_KEY = f"own-{secrets.token_hex(8)}"
OTHER_KEY, FILED_KEY = "other-secret-55d0c2", "filed-secret-b8e144"
BEGINNING = """
import json, os, pathlib, shutil, subprocess, sys, time
task = sys.stdin.read()
train = pathlib.Path("trainer/train.py")
def edit():
    train.write_text(train.read_text().replace("DEPTH = 4 ", "DEPTH = 6 "))
def attempt(what):
    try:
        return what()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def say(found):
    pathlib.Path("PROPOSAL.md").write_text(
        "TITLE: two layers more\\nHYPOTHESIS: " + json.dumps(found) + "\\nPREDICTED: -0.01\\n")
"""


@dataclass
class Bench:
    """A lab, a home, scripts as agents, and the proposer's process."""

    root: Path
    process: ProposerProcess
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lab(self) -> Path:
        return self.root / "lab"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def script(self, body: str, name: str = "agent") -> str:
        """Write an agent and return its command line."""
        path = self.root / "agents" / name
        path.write_text(f"#!{sys.executable}\n{BEGINNING}{textwrap.dedent(body)}")
        path.chmod(0o755)
        return str(path)

    def options(self, agent: str, **changed: Any) -> dict[str, Any]:
        return {
            "agent": agent,
            "timeout_seconds": 60,
            "unsafe": False,
            "keys": ["OWN_API_KEY"],
            "config": ["~/.agent"],
            "hidden": [str(self.lab), str(self.lab / ".cockpit")],
            "trainer_files": {"harness.py": HARNESS},
            "keys_file": str(self.home / ".config/cockpit/keys.env"),
        } | changed

    def propose(self, body: str, **changed: Any) -> Answer:
        return self.ask("propose", Briefing("t", 0, BASE, BASE, ()), self.script(body), **changed)

    def ask(self, kind: str, briefing: Briefing | None, agent: str, **changed: Any) -> Answer:
        self.events.clear()
        return self.process.ask(
            Order(kind, briefing, self.options(agent, **changed)), 120, self.events.append
        )

    def texts(self) -> list[str]:
        return [event["text"] for event in self.events if event["event"] == "text"]


def found(answer: Answer) -> dict[str, Any]:
    """Return what an agent says in its hypothesis that it has found."""
    assert answer.proposal is not None, answer
    return dict(json.loads(answer.proposal.hypothesis))


def agents_alive() -> list[psutil.Process]:
    """Return the processes of agents of these tests, known by the key that they got."""
    alive = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            given = process.environ()
            if given.get("OWN_API_KEY") == OWN_KEY and "OTHER_API_KEY" not in given:
                alive.append(process)
    return alive


def rooms_left() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(PREFIX + "*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("command")
    for place in (
        "lab/.cockpit",
        "lab/.git",
        "home/.agent",
        "home/.config/cockpit",
        "agents",
        "tmp",
    ):
        (root / place).mkdir(parents=True)
    (root / "lab/.cockpit/journal.db").write_text("the journal")
    (root / "lab/program.md").write_text("the brief")
    (root / "home/secret.txt").write_text("private")
    keys = root / "home/.config/cockpit/keys.env"
    keys.write_text(f"FILED_API_KEY={FILED_KEY}\n")
    keys.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(root / "home"))
        patch.setenv("TMPDIR", str(root / "tmp"))
        patch.setattr(tempfile, "tempdir", str(root / "tmp"))
        for name in ("CODEX_API_KEY", "OPENAI_API_KEY"):
            patch.delenv(name, raising=False)
        patch.setenv("OWN_API_KEY", OWN_KEY)
        patch.setenv("OTHER_API_KEY", OTHER_KEY)
        process = proposer_process("command", root / "engine.log")
        yield Bench(root, process)
        process.close()


@pytest.fixture
def bench(made: Bench) -> Bench:
    """The bench, where bubblewrap works."""
    try:
        working_way(made.home, ())
    except ProposerError as error:
        pytest.skip(str(error))
    return made


# ---- what it proposes -------------------------------------------------------------------------


def test_an_agents_edit_is_the_proposal(bench: Bench) -> None:
    answer = bench.propose(
        """
        assert task == pathlib.Path("PROMPT.md").read_text() and "trainer/train.py" in task
        log = subprocess.run(["git", "log", "--format=%an"], capture_output=True, text=True)
        status = subprocess.run(["git", "status", "--short"], capture_output=True, text=True)
        print("thinking", flush=True)
        edit()
        say({"log": log.stdout + log.stderr, "status": status.stdout,
             "files": sorted(os.listdir("trainer")), "mode": oct(os.stat(".").st_mode)})
        """
    )
    assert answer.problem is None
    assert answer.told == ()
    proposal = answer.proposal
    assert proposal is not None
    assert applied(proposal, BASE) == DEEPER
    assert (proposal.title, proposal.proposer, proposal.predicted) == (
        "two layers more", "command", -0.01
    )  # fmt: skip
    assert found(answer) == {
        "log": "cockpit\n",
        "status": "",
        "files": ["harness.py", "train.py"],
        "mode": "0o40700",
    }
    assert bench.texts() == ["thinking"]
    assert bench.events[0]["about"] == "proposing"
    assert "+DEPTH = 6  # layers [2, 12]" in answer.text


def test_a_script_that_says_nothing_gets_a_title_from_its_edit(bench: Bench) -> None:
    answer = bench.propose("edit(); train.write_text(train.read_text() + 'def more(): pass\\n')")
    assert answer.proposal is not None
    assert answer.proposal.title == "DEPTH 4 → 6, new more()"


def test_hints_are_answered_in_the_proposal(bench: Bench) -> None:
    hints = (Hint(3, "deeper", "me", 0.0), Hint(4, "wider", "me", 0.0))
    script = bench.script(
        "edit(); open('PROPOSAL.md', 'w').write('TITLE: a\\nHINT 3: applied: as asked\\n')"
    )
    answer = bench.ask("propose", Briefing("t", 0, BASE, BASE, (), hints), script)
    assert answer.proposal is not None
    assert answer.proposal.hints == (HintAnswer(3, True, "as asked"),)
    assert answer.told == ("PROPOSAL.md: hint 4 is not answered",)


def test_an_attempt_that_failed_is_in_the_next_task(bench: Bench) -> None:
    attempts = (Attempt("+DEPTH = 40", "the guard refuses depth forty"),)
    script = bench.script("edit(); say('forty' in task)")
    answer = bench.ask("propose", Briefing("t", 0, BASE, BASE, (), attempts=attempts), script)
    assert answer.proposal is not None
    assert answer.proposal.hypothesis == "true"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("print('I would rather not')", "unchanged"),
        ("train.unlink()", "gone"),
        ("shutil.rmtree('trainer')", "gone"),
        ("train.unlink(); train.symlink_to('/etc/passwd')", "is a link"),
        ("shutil.rmtree('trainer'); os.symlink('/etc', 'trainer')", "can't be read"),
        ("train.unlink(); os.mkfifo(train)", "no regular file"),
        ("train.write_bytes(b'\\xff')", "not UTF-8"),
        ("train.write_text('#' * 300_000)", "larger than"),
        ("edit(); train.write_text(train.read_text() + os.environ['OWN_API_KEY'])", "holds a key"),
    ],
)
def test_what_is_no_edit_goes_back_with_the_reason(bench: Bench, body: str, problem: str) -> None:
    answer = bench.propose(body)
    assert answer.proposal is None
    assert problem in (answer.problem or "")
    assert "root:" not in answer.text


def test_a_failure_without_an_edit_is_a_fault_with_its_last_line(bench: Bench) -> None:
    with pytest.raises(ProposerError, match="exit code 3: no credit left") as caught:
        bench.propose(
            "print('first', flush=True); print('no credit left', file=sys.stderr); sys.exit(3)"
        )
    assert caught.value.kind == "fault"
    answer = bench.propose("edit(); sys.exit(3)")
    assert answer.proposal is not None
    assert answer.told == ("the agent ended with exit code 3; its edit was taken",)


def test_a_question_is_answered_and_edits_nothing(bench: Bench) -> None:
    briefing = Briefing("t", 0, BASE, BASE, (), question="why is #3 worse?")
    script = bench.script("edit(); print('#3' in task); print('noise', file=sys.stderr)")
    answer = bench.ask("ask", briefing, script)
    assert (answer.text, answer.proposal) == ("True", None)
    assert bench.events[0]["about"] == "answering"


# ---- what it may not do -----------------------------------------------------------------------


def test_other_changes_are_discarded_and_told(bench: Bench) -> None:
    answer = bench.propose(
        """
        edit()
        pathlib.Path("trainer/harness.py").write_text("def start(): return 1")
        pathlib.Path("program.md").unlink(missing_ok=True)
        pathlib.Path("notes\\x1b[31m.txt").write_text("x")
        shutil.rmtree(".git")
        """
    )
    assert answer.proposal is not None
    assert answer.told == (
        "the agent also deleted .git, changed trainer/harness.py, added notes.txt: discarded",
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("shutil.rmtree('.git'); subprocess.run(['git', 'init', '-q'])", "replaced .git"),
        ("open('.git/config', 'a').write('[core]\\n')", "changed .git/config"),
        ("os.mkdir('.git/hooks')", "added .git/hooks"),
        ("[open(f'f{n}', 'w') for n in range(9)]", "added f0, f1, f2, f3, f4, f5, and 3 more"),
    ],
)
def test_what_becomes_of_the_repository_is_told(bench: Bench, body: str, told: str) -> None:
    answer = bench.propose(f"edit(); {body}")
    assert answer.told == (f"the agent also {told}: discarded",)


def test_lab_home_keys_and_gpu_are_out_of_sight(bench: Bench) -> None:
    answer = bench.propose(
        f"""
        lab, home = {str(bench.lab)!r}, {str(bench.home)!r}
        def read(path): return attempt(lambda: open(path).read())
        edit()
        say(dict(
            rm=subprocess.run(["rm", "-rf", lab], capture_output=True).returncode,
            journal=read(lab + "/.cockpit/journal.db"),
            private=read(home + "/secret.txt"),
            keys=read(home + "/.config/cockpit/keys.env"),
            shadow=read("/etc/shadow"),
            processes=sum(name.isdigit() for name in os.listdir("/proc")),
            environment=sorted(name for name in os.environ if "KEY" in name),
            devices=sorted(name for name in os.listdir("/dev") if "nvidia" in name or "sd" in name),
            tmp=os.listdir("/tmp"),
            write=attempt(lambda: open("/usr/x", "w")),
            kernel=attempt(lambda: open("/proc/sys/kernel/core_pattern", "a").close()),
            config=attempt(lambda: open(home + "/.agent/session", "w").write("kept")),
            home=attempt(lambda: open(home + "/new", "w").write("lost")),
            same_home=os.environ["HOME"] == home,
            network="lo" in [name for _, name in __import__("socket").if_nameindex()],
        ))
        """
    )
    got = found(answer)
    assert (bench.lab / ".cockpit/journal.db").read_text() == "the journal"
    assert (bench.home / ".agent/session").read_text() == "kept"
    assert not (bench.home / "new").exists()
    assert all("No such file" in got[name] for name in ("journal", "private", "keys", "shadow"))
    assert got["processes"] < 6
    assert got["environment"] == ["OWN_API_KEY"]
    assert got["devices"] == []
    # Where this test lies, and the Python that runs it, if that is there.
    assert {*got["tmp"]} <= {bench.root.parts[2], Path(sys.prefix).parts[2]}
    assert "Read-only" in got["write"]
    assert "Read-only" in got["kernel"] or "Permission" in got["kernel"]
    assert (got["config"], got["home"]) == (4, 4)
    assert got["same_home"]
    assert got["network"]


def test_nothing_of_an_agent_outlives_it(bench: Bench) -> None:
    forker = """
        edit()
        subprocess.Popen(["sh", "-c", "trap '' HUP TERM; while :; do sleep 1; done"],
                         start_new_session=True, stdout=subprocess.DEVNULL)
        """
    assert bench.propose(forker).proposal is not None
    assert agents_alive() == []
    hangs = forker + "\n        time.sleep(1000)"
    with pytest.raises(ProposerError, match="was not done after 2 s") as caught:
        bench.propose(hangs, timeout_seconds=2)
    assert caught.value.kind == "fault"
    assert agents_alive() == []
    assert rooms_left() == []


def test_what_an_agent_prints_is_harmless_and_bounded(bench: Bench) -> None:
    answer = bench.propose(
        """
        edit()
        for _ in range(1600):
            os.write(1, b"x" * 63 + b"\\n" + b"y" * 65472)
        key = os.environ["OWN_API_KEY"]
        print("\\n\\x1b[2J\\x1b]0;title\\x07red \\x1b[31m" + key[:6] + "\\x1b[0m" + key[6:])
        print("50 %\\r100 %")
        """
    )
    assert answer.proposal is not None
    texts = bench.texts()
    assert texts[-1].endswith("red [key]\n100 %")
    assert all(len(text) <= 8000 for text in texts)
    assert OWN_KEY not in json.dumps(bench.events)


def test_a_key_that_is_half_written_waits_for_its_rest(bench: Bench) -> None:
    bench.propose(
        f"""
        edit()
        for piece in ("the key is ", {FILED_KEY[:9]!r}, {FILED_KEY[9:]!r}, " as you see"):
            print(piece, end="", flush=True)
            time.sleep(0.4)
        """
    )
    assert bench.texts()[-1] == "the key is [key] as you see"
    assert FILED_KEY[:9] not in json.dumps(bench.events)


# ---- its life ---------------------------------------------------------------------------------

LASTS = "print(os.getpid(), flush=True); time.sleep(1000)"


@pytest.mark.parametrize("how", ["kill", "close"])
def test_an_agent_ends_with_the_proposer_and_with_the_engine(
    bench: Bench, how: str, wait_until: Callable[..., object]
) -> None:
    """Either the proposer is killed, or the other end of its pipes is gone."""
    argv = [sys.executable, "-P", "-m", "cockpit.proposers.command"]
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=child_environment(everything=True)
    )
    assert child.stdin is not None
    assert child.stdout is not None
    options = bench.options(bench.script(LASTS))
    briefing = {"tag": "t", "base": 0, "base_train_py": BASE, "baseline_train_py": BASE}
    order = {"kind": "propose", "options": options, "briefing": {**briefing, "history": []}}
    child.stdin.write(json.dumps({"number": 1, "order": order}).encode() + b"\n")
    child.stdin.flush()
    assert b'"text"' in child.stdout.readline()
    assert agents_alive()
    if how == "kill":
        child.send_signal(signal.SIGKILL)
    child.stdin.close()
    child.wait(20)
    child.stdout.close()
    wait_until(lambda: not agents_alive(), 10, "the end of the agent")
    assert bool(rooms_left()) == (how == "kill")  # which leaves nobody who could clean up
    for room in rooms_left():
        os.utime(room / "lock", (0, 0))
    sweep()
    assert rooms_left() == []


def test_without_bubblewrap_only_where_it_is_wished(
    made: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("git", "sh"):
        program = next(
            path for folder in os.get_exec_path() if (path := Path(folder) / name).exists()
        )
        (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    process = proposer_process("command", made.root / "engine.log")
    bench = Bench(made.root, process)
    try:
        with pytest.raises(ProposerError, match="install it, or pass --unsafe-agent") as caught:
            bench.propose("edit()")
        assert caught.value.kind == "refused"
        forker = "subprocess.Popen(['sh', '-c', 'while :; do :; done'], start_new_session=True)"
        answer = bench.propose(f"edit(); {forker}; say(sorted(os.environ))", unsafe=True)
        assert answer.proposal is not None
        assert "OWN_API_KEY" in answer.proposal.hypothesis
        assert "OTHER_API_KEY" not in answer.proposal.hypothesis
        assert agents_alive() == []
        with pytest.raises(ProposerError, match="not done after 1 s"):
            bench.propose("time.sleep(1000)", unsafe=True, timeout_seconds=1)
        assert agents_alive() == []
    finally:
        process.close()


# ---- what it needs ----------------------------------------------------------------------------


def test_about_says_what_is_there_and_what_is_missing(bench: Bench) -> None:
    script = bench.script("")
    about = bench.ask("about", None, script).text
    assert about == f"agent ({script}) in bubblewrap, key OWN_API_KEY"
    assert bench.ask("probe", None, script).text == about
    assert bench.ask("about", None, script, unsafe=True).text == about
    with pytest.raises(ProposerError, match="no-such-agent is not installed"):
        bench.ask("about", None, "no-such-agent --now")
    with pytest.raises(ProposerError, match="no agent is set"):
        bench.ask("about", None, "")
    with pytest.raises(ProposerError, match="is no configuration of an agent"):
        bench.ask("about", None, script, config=["~"])


def test_a_preset_without_a_key_or_a_log_in_says_so(bench: Bench) -> None:
    with pytest.raises(ProposerError, match="codex has neither a key nor a log-in") as caught:
        bench.ask("about", None, bench.script("", "codex"), keys=[])
    assert caught.value.kind == "key"


def test_claude_code_as_it_speaks(bench: Bench) -> None:
    config = bench.home / ".claude"
    config.mkdir()
    (config / "settings.json").write_text("{}")
    (config / ".credentials.json").write_text("{}")
    (bench.home / ".claude.json").write_text("state")
    claude = bench.script(
        f"""
        home = pathlib.Path({str(bench.home)!r})
        edit()
        print(json.dumps({{"type": "assistant", "message": {{"model": "claude-x", "content": [
            {{"type": "text", "text": "I deepen it."}},
            {{"type": "tool_use", "name": "Edit", "input": {{"file": "train.py"}}}}]}}}}))
        say([
            sys.argv[1:3], os.environ.get("IS_SANDBOX"),
            attempt(lambda: (home / ".claude/settings.json").write_text("evil")),
            attempt(lambda: (home / ".claude/.credentials.json").write_text("new")),
            attempt(lambda: (home / ".claude/CLAUDE.md").write_text("evil")),
            (home / ".claude.json").read_text(),
            attempt(lambda: (home / ".claude.json").write_text("changed")),
        ])
        print(json.dumps({{"type": "result", "is_error": False, "result": "Done.",
            "total_cost_usd": 0.25, "usage": {{"input_tokens": 7, "output_tokens": 3,
            "cache_read_input_tokens": 5}}}}))
        """,
        "claude",
    )
    answer = bench.ask("propose", Briefing("t", 0, BASE, BASE, ()), claude)
    assert answer.proposal is not None
    assert answer.proposal.model == "claude-x"
    argv, sandbox, settings, credentials, memory, state, changed = json.loads(
        answer.proposal.hypothesis
    )
    assert argv == ["-p", "--dangerously-skip-permissions"]
    assert sandbox == ("1" if os.geteuid() == 0 else None)
    assert "Read-only" in settings
    assert (credentials, memory, state, changed) == (3, 4, "state", 7)
    assert (config / ".credentials.json").read_text() == "new"
    assert (bench.home / ".claude.json").read_text() == "state"
    assert answer.told == (
        f"the agent made {config}/CLAUDE.md, which tells its next start what to run: look at it",
    )
    assert bench.texts()[-1] == 'I deepen it.\n→ Edit {"file": "train.py"}'
    call = next(event for event in bench.events if event["event"] == "call")
    assert call["dollars"] == 0.25
    assert (call["prompt_tokens"], call["completion_tokens"]) == (12, 3)
    assert (call["purpose"], call["outcome"]) == ("proposal", "ok")


def test_presets_and_command_lines() -> None:
    assert {agent.name for agent in PRESETS} == {
        "claude", "codex", "pi", "aider", "gemini", "opencode"
    }  # fmt: skip
    codex = agent_of("codex", ["MORE"], ["~/.more"])
    assert codex.argv[-1] == "-"
    assert codex.keys[-1] == "MORE"
    assert codex.config == ("~/.codex", "~/.more")
    assert agent_of("/opt/x/codex").argv[:2] == ("/opt/x/codex", "exec")
    own = agent_of("claude -p --model 'a b'")
    assert own.argv == ("claude", "-p", "--model", "a b")
    assert (own.speech, own.config) == ("text", ("~/.claude",))
    assert agent_of("./mine --fast").argv == ("./mine", "--fast")
    with pytest.raises(ProposerError, match="no command line"):
        agent_of("mine 'half")


def test_a_program_is_found_with_what_it_needs(tmp_path: Path) -> None:
    home, lab = tmp_path / "home", tmp_path / "home/lab"
    modules, tools = home / ".npm/lib/node_modules", home / ".local/share/tools/a"
    for place in (modules / "agent", home / ".npm/bin", home / ".local/bin", lab, tools / "bin"):
        place.mkdir(parents=True)

    def program(path: Path, interpreter: str = "/bin/sh") -> Path:
        path.write_text(f"#!{interpreter}\n")
        path.chmod(0o755)
        return path

    by_npm = home / ".npm/bin/agent"
    by_npm.symlink_to(program(modules / "agent/cli.js"))
    (tools / "pyvenv.cfg").touch()
    (tools / "bin/python").symlink_to(sys.executable)
    by_pipx = home / ".local/bin/agent"
    by_pipx.symlink_to(program(tools / "bin/agent", str(tools / "bin/python")))
    bare, ours = program(home / "agent.sh"), program(lab / "agent.sh")

    def seen(path: Path) -> set[Path]:
        return {p for p in surroundings(path, [home], [lab]) if p.is_relative_to(tmp_path)}

    assert {by_npm, modules} <= seen(by_npm)
    assert {by_pipx, tools / "bin", tools / "pyvenv.cfg"} <= seen(by_pipx)
    real_python = Path(sys.executable).resolve().parent
    assert real_python in surroundings(by_pipx, [home], [lab])
    assert seen(bare) == {bare}
    assert seen(ours) == {ours}


def test_a_home_that_is_no_directory_of_its_own_gets_another(tmp_path: Path) -> None:
    assert Sight(Path("/")).home_inside == Path("/cockpit/home")
    assert Sight(Path("/")).inside(Path("/.claude")) == Path("/cockpit/home/.claude")
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert Sight(link).inside(link / ".claude") == tmp_path / ".claude"
