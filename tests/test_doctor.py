"""What the doctor says of the sandbox."""

from pathlib import Path

import pytest

from tests.bench.nights import cockpit, make_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lab(tmp_path_factory.mktemp("doctor") / "lab")


def sandbox_line(lab: Path, wanted: str) -> str:
    (lab / "cockpit.toml").write_text(f'device = "cpu"\nsandbox = "{wanted}"\n')
    told = cockpit(lab, "doctor").stdout
    (line,) = (line for line in told.splitlines() if line.split()[1] == "sandbox")
    return line


def test_the_doctor_says_which_sandbox_holds(lab: Path) -> None:
    line = sandbox_line(lab, "auto")
    assert line.split()[2].rstrip(":") in ("bubblewrap", "a", "Landlock", "UNSANDBOXED")
    assert line.startswith("ok") != ("UNSANDBOXED" in line)


def test_no_sandbox_is_said_loudly_also_where_it_is_wished(lab: Path) -> None:
    line = sandbox_line(lab, "none")
    assert line.startswith("ok  sandbox      UNSANDBOXED: ")
    assert line.endswith("(as you wished)")


def proposer_line(lab: Path) -> str:
    told = cockpit(lab, "doctor").stdout
    (line,) = (line for line in told.splitlines() if line.split()[1] == "proposer")
    return line


@pytest.mark.slow
def test_the_doctor_says_who_will_have_the_ideas(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert proposer_line(lab) == "ok  proposer     search"
    (lab / "cockpit.toml").write_text(
        'device = "cpu"\nproposer = "llm:3,search:1"\nmodel = "openai/gpt-4o-mini"\n'
    )
    without = proposer_line(lab)
    assert without.startswith("!!  proposer     llm: openai/gpt-4o-mini: ")
    assert "OPENAI_API_KEY" in without
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    line = proposer_line(lab)
    assert line.startswith("ok  proposer     llm: openai/gpt-4o-mini: ")
    assert "$0.15 and $0.60 a million tokens" in line
