"""Results tables in and out of a real lab, and that nothing trips over experiments without a
commit.
"""

import json
import os
from pathlib import Path

import pytest

from cockpit import inbox, report, tables, words
from cockpit.cli import USAGE, main
from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.engine.opening import tag_of
from cockpit.lab import template
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab, LabError, NoLabError
from cockpit.lab.newlab import init_lab
from cockpit.lab.rebuild import rebuild
from cockpit.lab.repo import Repo
from cockpit.lab.settings import Settings
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from cockpit.ui.client import Client
from tests.bench.journal import fill, make_lab
from tests.bench.nights import cockpit

TABLE = (
    "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
    "baseline\t0.997900\t44.0\tkeep\tbaseline\n"
    "bea057b\t0.986041\t43.9\tkeep\thalve batch 524K to 262K (more steps in 5 min)\n"
    "187e419\t0.982603\t60.2\tdiscard\tadd 5% warmup\n"
    "4e6697f\t0.981201\t60.2\tkeep\twarmdown 0.5 to 0.7\n"
    "e05a87d\t0.000000\t0.0\tcrash\tbatch 131K (assert fail: not divisible)\n"
    "\t0.980000\t0.0\tborderline\t\n"
)
TORN = TABLE + "7d047e4\t0.97"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return make_lab(tmp_path / "lab")


def file(lab: Lab, text: str | bytes = TABLE, name: str = "mar8.results.tsv") -> Path:
    path = lab.root.parent / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_table_becomes_a_tag_whose_kept_rows_grow_from_each_other(lab: Lab) -> None:
    done = tables.import_table(lab, file(lab, TORN))
    assert (done.tag, done.experiments, done.kept, done.best) == ("mar8.results", 6, 3, 0.981201)
    assert [problem.line for problem in done.problems] == [8]
    journal = Journal(lab.journal, write=False)
    tree = Tree(journal)
    tree.refresh()
    own = list(tree.of("mar8.results").values())
    assert [e.parent for e in own] == [None, 0, 1, 1, 3, 3]
    assert [e.status.value for e in own][2:] == ["discarded", "kept", "crashed", "borderline"]
    assert [e.val_bpb for e in own][-2:] == [None, 0.98]
    assert own[1].runs[0].peak_memory_bytes == round(43.9 * 2**30)
    assert {(e.decided_by, e.commit) for e in own} == {("import", None)}
    assert sorted(e.created_at for e in own) == [e.created_at for e in own]
    assert own[1].reason == "as line 3 of mar8.results.tsv says, commit bea057b"
    best, setup = tree.best("mar8.results"), journal.setup(own[0].runs[0].setup) or {}
    assert best is not None
    assert (best.id, setup["imported"]) == (3, "mar8.results.tsv")


def test_two_imports_of_a_file_are_never_compared(lab: Lab) -> None:
    path = file(lab)
    for tag in ("a", "b"):
        tables.import_table(lab, path, tag)
    journal = Journal(lab.journal, write=False)
    setups = {tag.setup for tag in journal.tags()}
    assert len(setups) == 2
    assert [e.tag for e in journal.experiments().values()] == ["a"] * 6 + ["b"] * 6


def test_what_was_exported_is_imported_as_the_same_table(lab: Lab) -> None:
    fill(lab, 200)
    journal = EngineJournal(lab.journal)
    dirty = Proposal("two\nlines\tand \x1b[31mred", "llm", constants={"X": 1})
    number = journal.add_experiment("nov20", 0, dirty)
    journal.add_run(Run(number, 1, 1, "s", 0, "finished", 0.0, val_bpb=0.5, peak_memory_bytes=7))
    journal.decide(number, Status.STOPPED, Verdict(Event.STOP, "enough", "me"))
    journal.add_experiment("nov20", 0, Proposal("waits", "llm", constants={"X": 2}))
    journal.close()
    text, tag, count = tables.export_table(lab)
    assert (tag, count) == ("nov20", 201)
    assert text.endswith("\t0.500000\t0.0\tstopped\ttwo lines and red\n")
    tables.import_table(lab, file(lab, text, "again.tsv"))
    assert tables.export_table(lab, "again")[0] == text


def test_upstreams_commits_and_empty_cells_come_out_as_they_went_in(lab: Lab) -> None:
    tables.import_table(lab, file(lab))
    assert tables.export_table(lab) == (TABLE, "mar8.results", 6)
    with pytest.raises(NoLabError, match="no tag other"):
        tables.export_table(lab, "other")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\x7fELF\0\0", "it is not text"),
        (b"name\tage\n", "no column val_bpb"),
        (TABLE.replace("keep", "discard").encode(), "is a kept experiment"),
    ],
)
def test_a_file_that_is_no_table_leaves_the_lab_as_it_was(
    lab: Lab, content: bytes, why: str
) -> None:
    with pytest.raises(LabError, match=why):
        tables.import_table(lab, file(lab, content))
    assert not lab.journal.exists()


def test_names_that_are_taken_or_no_names_are_refused(lab: Lab) -> None:
    path = file(lab)
    tables.import_table(lab, path)
    with pytest.raises(LabError, match=r"there is a tag mar8\.results already"):
        tables.import_table(lab, path)
    with pytest.raises(LabError, match="can't be a tag"):
        tables.import_table(lab, path, "a b")
    for missing, why in ((lab.root, "is no file"), (lab.root / "x.tsv", "is not there")):
        with pytest.raises(LabError, match=why):
            tables.import_table(lab, missing)
    os.mkfifo(lab.root / "pipe.tsv")
    with pytest.raises(LabError, match="is no file"):
        tables.import_table(lab, lab.root / "pipe.tsv")


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("results.tsv", "results"),
        ("my night (2) of May.tsv", "my-night-2-of-May"),
        ("-..x~.lock.tsv", "x"),
        ("§.tsv", "imported"),
        ("é" * 90 + ".tsv", "é" * 50),
    ],
)
def test_the_tag_is_called_as_its_file_as_far_as_a_tag_may_be(name: str, tag: str) -> None:
    assert tables.tag_for(Path(name)) == tag


def test_while_an_engine_runs_nothing_is_imported(lab: Lab) -> None:
    with lab.locked(), pytest.raises(LabError, match="import when the night is over"):
        tables.import_table(lab, file(lab))


def test_git_is_asked_for_a_lost_journal_first_and_knows_nothing_of_what_is_imported(
    lab: Lab,
) -> None:
    repo = Repo(lab.root)
    init_lab(lab.root, template.directory())
    commit = repo.head()[0]
    tables.import_table(lab, file(lab))
    assert repo.experiment_refs() == {}
    fresh = EngineJournal(lab.state / "fresh.db")
    assert rebuild(repo, fresh).experiments == 0
    fresh.close()
    repo.commit_experiment(
        commit, "X = 1\n", title="t", body="", tag="t", number=9, proposer="baseline"
    )
    tables.import_table(lab, file(lab), "beside")
    lab.journal.unlink()
    with pytest.raises(LabError, match="`cockpit start` rebuilds it"):
        tables.import_table(lab, file(lab))


def test_log_status_and_story_tell_of_imported_experiments(lab: Lab) -> None:
    tables.import_table(lab, file(lab, TABLE.replace("5% warmup", "\x1b[31m5% warmup")))
    assert [told["delta"] is None for told in report.log(lab)] == [True, *[False] * 3, True, False]
    assert report.status(lab)["best"] == {"id": 3, "val_bpb": 0.981201}
    words.status(report.status(lab))
    for number in range(6):
        story = words.experiment(lab, number) or ""
        assert "as line" in story
        assert "\x1b" not in story
    assert report.score(lab)["proposers"][0]["kept"] == 2


def test_the_screen_shows_imported_experiments(lab: Lab) -> None:
    tables.import_table(lab, file(lab))
    client = Client(lab)
    snapshot = client.snapshot()
    assert snapshot.tag is not None
    assert (snapshot.tag.imported, snapshot.kept) == ("mar8.results.tsv", 2)
    for number in range(6):
        details = client.details(number)
        assert details is not None
        assert (details.diff, details.curve, details.log) == ((), (), ())
    client.close()


def test_a_night_without_a_tag_goes_on_with_one_that_is_measured_here(lab: Lab) -> None:
    fill(lab, 2)
    tables.import_table(lab, file(lab))
    journal = EngineJournal(lab.journal)
    assert [tag.name for tag in journal.tags()] == ["nov20", "mar8.results"]
    assert tag_of(Settings(), journal) == "nov20"
    journal.close()


@pytest.mark.parametrize("verb", ["replicate", "rerun", "branch"])
def test_nothing_of_a_table_can_be_run_or_grown_from(lab: Lab, verb: str) -> None:
    tables.import_table(lab, file(lab))
    for number in range(6):
        with (
            inbox.opened(lab) as journal,
            pytest.raises(LabError, match=f"#{number} was imported from a table"),
        ):
            inbox.send(lab, journal, verb, {"id": number})


def test_at_the_command_line_a_table_goes_in_and_out(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init_lab(lab.root, template.directory())
    done = cockpit(lab.root, "import", str(file(lab, TORN)), "--tag", "mar8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "6 experiments of mar8.results.tsv are the tag mar8 now, 3 of them kept, best 0.981201: "
        "cockpit log --tag mar8",
        "not imported: 1 line",
        "line 8: it is torn off: 2 of 5 cells",
    ]
    assert cockpit(lab.root, "export", "-").stdout == TABLE
    monkeypatch.chdir(lab.root)
    for words_, code, why in (
        (["export", "out.tsv"], 0, ""),
        (["export", "out.tsv"], 1, "out.tsv is there already"),
        (["export", "out.tsv", "--force"], 0, ""),
        (["export", "no/out.tsv"], 1, "there is no directory no"),
        (["export", "3"], USAGE, "export takes an experiment's ID and a DIR"),
        (["export", "3", "away"], 1, "#3 was imported from a table"),
        (["export", "-", "--tag", "none"], 3, "there is no tag none"),
        (["apply", "3"], 1, "#3 was imported from a table"),
        (["start", "--tag", "mar8"], 1, "mar8 was imported from mar8.results.tsv"),
        (["start", "--tag", "new", "--from", "mar8@best"], 1, "no train.py to start from"),
        (["accept", "2"], 0, ""),
        (["reject", "1"], 0, ""),
        (["import", "none.tsv"], 1, "none.tsv is not there"),
    ):
        assert main(words_) == code
        assert why in capsys.readouterr().err
    assert (lab.root / "out.tsv").read_text() == TABLE
    logged = [json.loads(line) for line in cockpit(lab.root, "log", "--json").stdout.splitlines()]
    assert [told["sound"] for told in logged] == [True, True, False, False, False, False]
