"""`cockpit report` at a terminal."""

import json
from pathlib import Path

import pytest

from cockpit.cli import main
from tests.reports import labs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A lab as the verbs find one."""
    root = tmp_path / "lab"
    (root / ".git").mkdir(parents=True)
    (root / "trainer").mkdir()
    (root / "trainer" / "train.py").write_text("LR = 0.1\n")
    (root / "program.md").write_text("# Program\n")
    return root


def run(root: Path, *words: str) -> int:
    return main(["report", "--lab", str(root), *words])


def test_it_prints_where_the_report_is(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labs.make(root)
    assert run(root) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in paths] == ["report.md", "report.html", "report.png"]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_a_dash_prints_the_markdown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labs.make(root)
    assert run(root, "--out", "-") == 0
    assert capsys.readouterr().out.startswith(f"# lab · {labs.TAG}\n")


def test_json_has_the_figures(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labs.make(root)
    assert run(root, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["headline"]["gain"]["how"] == "honest"
    assert [own["id"] for own in told["waiting"]] == [5]


@pytest.mark.parametrize(("words", "code"), [(["--tag", "x"], 3), (["--out", "a.pdf"], 2)])
def test_what_can_t_be_is_refused_in_a_line(
    root: Path, words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    labs.make(root)
    assert run(root, *words) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_an_empty_lab_has_a_report(root: Path) -> None:
    assert run(root, "--out", str(root / "out")) == 0
    assert (root / "out" / "report.html").exists()
