"""A night with a coding agent: a script that edits train.py, and tries to do harm beside it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.lab.journal import Journal
from tests.engine import models

AGENT = """#!/usr/bin/env python3
# An agent that has ideas, and tries what it should not.
import os, pathlib, re, shutil, sys
prompt = sys.stdin.read()
print("thinking about", len(prompt), "characters \\x1b[31mred\\x1b[0m", flush=True)
train = pathlib.Path("trainer/train.py")
text = train.read_text()
value = re.search(r"^WARMDOWN = ([0-9.]+)", text, re.M)[1]
tried = {float(v) for v in re.findall(r"^[+]WARMDOWN = ([0-9.]+)", prompt, re.M)}
new = next(v / 100 for v in range(30, 90) if v / 100 not in tried | {float(value)})
train.write_text(re.sub(r"^WARMDOWN = [0-9.]+", f"WARMDOWN = {new}", text, flags=re.M))
hints = re.findall(r"^Hint (\\d+) ", prompt, re.M)
pathlib.Path("PROPOSAL.md").write_text(
    f"TITLE: Warmdown {new}\\nHYPOTHESIS: by hand\\nPREDICTED: -0.01\\n"
    + "".join(f"HINT {n}: applied: yes\\n" for n in hints)
)
pathlib.Path("trainer/harness.py").write_text("print('mine now')")
shutil.rmtree(".git", ignore_errors=True)
for victim in ("LAB/.git", "LAB/.cockpit", "LAB"):
    print(victim, os.path.exists(victim), flush=True)
    shutil.rmtree(victim, ignore_errors=True)
print("key", os.environ.get("OPENAI_API_KEY"), os.environ.get("AGENT_KEY"), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="the agent's sandbox is bubblewrap")
def test_an_agents_edit_is_taken_and_nothing_else_of_what_it_does(
    lab: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., Journal],
) -> None:
    place = tmp_path / "agents"
    place.mkdir()
    script = place / "agent"
    script.write_text(AGENT.replace("LAB", str(lab)))
    script.chmod(0o755)
    monkeypatch.setenv("AGENT_KEY", "agent-key-0123456789")
    (lab / "cockpit.toml").write_text(
        f'device = "cpu"\nbudget = "1s"\nproposer = "command"\nagent = "{script}"\n'
        'agent_keys = ["AGENT_KEY"]\n'
    )
    harness = (lab / "trainer" / "harness.py").read_bytes()
    with models.night(lab, "--max-experiments", "3") as night:
        journal = wait_until(lambda: models.begun(lab), 60, "a night")
        models.tell(lab, "hint", text="Try the warmdown.")
        assert night.end(300) == 0
    own = journal.experiments()
    by_agent = [e for e in own.values() if e.proposer == "command"]
    assert len(by_agent) >= 3
    assert all(e.title.startswith("Warmdown 0.") for e in by_agent)
    assert journal.hints()[0].state == "applied"
    said = " ".join(m.text for m in journal.messages())
    assert "trainer/harness.py" in said, "what was thrown away is said"
    assert "\x1b" not in said
    assert (lab / "trainer" / "harness.py").read_bytes() == harness
    fsck = subprocess.run(["git", "fsck"], cwd=lab, capture_output=True, check=False)
    assert fsck.returncode == 0
    for path in (lab / ".cockpit").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"agent-key-0123456789" not in content, path
            assert models.KEY.encode() not in content, path
    journal.close()
