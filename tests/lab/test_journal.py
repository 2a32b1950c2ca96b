"""The journal: one writer, many readers, nothing lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.lab.connection import JournalError
from cockpit.lab.journal import Journal
from cockpit.lab.rows import SCHEMA, AuditRow, EngineRow
from cockpit.lab.writing import EngineJournal

ROOT = Path(__file__).resolve().parents[2]
IDEA = Proposal("Deeper", "search", "Depth pays.", {"DEPTH": 5})
RUN = Run(0, 1, 1234, "setup", 0, "running", 10.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[EngineJournal]:
    opened = EngineJournal(path)
    yield opened
    opened.close()


def test_an_experiment_comes_back_as_it_was_written(journal: EngineJournal) -> None:
    assert journal.add_experiment("t", None, IDEA, created_at=5.0) == 0
    assert journal.add_experiment("t", 0, IDEA) == 1
    journal.change_experiment(1, commit_hash="abc")
    journal.add_run(replace(RUN, experiment=1))
    journal.change_run(1, 1, state="finished", val_bpb=1.5, tokens=7)
    own = journal.experiment(1)
    assert own is not None
    assert (own.parent, own.commit, own.title, own.status) == (0, "abc", "Deeper", Status.QUEUED)
    assert own.runs == (replace(RUN, experiment=1, state="finished", val_bpb=1.5, tokens=7),)
    assert journal.experiments()[1] == own
    assert journal.proposal(1) == IDEA
    assert journal.proposals("t") == {0: IDEA, 1: IDEA}
    assert journal.experiment(9) is None


def test_a_journal_of_an_older_cockpit_is_brought_up_to_date_by_a_reader(path: Path) -> None:
    old = sqlite3.connect(path)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript(SCHEMA[0] + "; PRAGMA user_version = 1;")
    old.execute(
        "INSERT INTO engine VALUES (1, 7, 'running', 'at it', NULL, 1.0, 2.0, 3.0, 'boot', 4)"
    )
    old.commit()
    old.close()
    reader = Journal(path, write=False)
    assert reader.engine() == EngineRow(7, "running", "at it", None, 1.0, 2.0, 3.0, "boot", 4)
    assert reader.audits() == []
    reader.close()


def test_the_latest_audit_of_a_run_counts(journal: EngineJournal) -> None:
    journal.add_experiment("t", None, IDEA)
    journal.add_audit(AuditRow(0, 1, 5.0, "undecided", "no checkpoint", {}))
    revision = journal.revision()
    journal.add_audit(AuditRow(0, 1, 6.0, "passed", "audit ok", {"sealed_bpb": 1.5}))
    assert journal.audits(0) == [AuditRow(0, 1, 6.0, "passed", "audit ok", {"sealed_bpb": 1.5})]
    assert journal.audits(3) == []
    assert journal.revision() > revision


def test_verdicts_are_a_story_that_nothing_erases(journal: EngineJournal) -> None:
    number = journal.add_experiment("t", None, IDEA)
    for status, event, who in (
        (Status.RUNNING, Event.CLAIM, "rule"),
        (Status.KEPT, Event.KEEP, "rule"),
        (Status.DISCARDED, Event.REJECT, "ada"),
    ):
        journal.decide(number, status, Verdict(event, f"by {who}", who), at=float(len(event)))
    assert [(v.event, v.decided_by) for v in journal.verdicts(number)] == [
        ("claim", "rule"), ("keep", "rule"), ("reject", "ada"),
    ]  # fmt: skip
    own = journal.experiment(number)
    assert own is not None
    assert (own.status, own.decided_by, own.claimed_at) == (Status.DISCARDED, "ada", 5.0)


def test_only_what_changed_is_read_again(journal: EngineJournal) -> None:
    for _ in range(3):
        journal.add_experiment("t", None, IDEA)
    seen = journal.revision()
    assert journal.experiments(seen) == {}
    journal.add_run(replace(RUN, experiment=1))
    changed = journal.experiments(seen)
    assert list(changed) == [1]
    assert changed[1].runs == (replace(RUN, experiment=1),)
    assert journal.running() == [replace(RUN, experiment=1)]


def test_an_experiment_that_changes_while_it_is_read_keeps_its_runs(
    journal: EngineJournal, path: Path
) -> None:
    number = journal.add_experiment("t", None, IDEA)
    journal.add_run(replace(RUN, experiment=number, val_bpb=1.5))
    seen = journal.revision()
    reader, changes = Journal(path, write=False), iter([{"commit_hash": "abc"}])

    def write_between(statement: str) -> None:
        if statement.startswith("SELECT id, tag"):
            for change in changes:
                journal.change_experiment(number, **change)

    reader._db.set_trace_callback(write_between)
    assert reader.experiments(seen) == {}  # the picture is from before the change
    assert reader.experiments(seen)[number].val_bpb == 1.5


def test_a_transaction_is_all_or_nothing(journal: EngineJournal) -> None:
    def half_way() -> None:
        with journal.transaction():
            journal.add_experiment("t", None, IDEA)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_way()
    assert journal.experiments() == {}
    assert journal.revision() == 0
    assert journal.add_experiment("t", None, IDEA) == 0


def test_tags_setups_nights_slots_and_words_come_back(journal: EngineJournal) -> None:
    journal.add_tag("t", {"corpus": "stdlib"}, "hash", "cpu", {"corpus": "stdlib"})
    tag = journal.tag("t")
    assert tag is not None
    assert (tag.setup, tag.preset, tag.options) == ("hash", "cpu", {"corpus": "stdlib"})
    assert journal.setup("hash") == {"corpus": "stdlib"}
    assert journal.setup("other") is None
    assert journal.last_night() is None
    journal.begin_night("t", {})
    journal.set_slot(0, "CPU", SlotLedger("training", 2.0, {"other": 1.0}))
    assert journal.slots() == {0: ("CPU", SlotLedger("training", 2.0, {"other": 1.0}))}
    night = journal.begin_night("t", {"duration": 60})
    assert journal.slots() == {}
    journal.change_night(night, ended_at=9.0, reason="done", options={"duration": 90})
    last = journal.last_night()
    assert last is not None
    assert (last.id, last.options, last.reason) == (night, {"duration": 90}, "done")
    row = EngineRow(1, "running", "training #1", None, 1.0, 2.0, 3.0, "boot", night)
    journal.say(row)
    journal.say(replace(row, state="paused"))
    assert journal.engine() == replace(row, state="paused")
    assert [h.text for h in journal.hints()] == []
    journal.add_hint("try depth", "ada")
    assert [(h.text, h.state) for h in journal.hints()] == [("try depth", "queued")]
    for n in range(5):
        journal.add_message("engine", "engine", f"{n}")
    assert [m.text for m in journal.messages(limit=2)] == ["3", "4"]
    assert [m.text for m in journal.messages(after_id=4)] == ["4"]


def test_a_command_waits_until_it_is_answered(journal: EngineJournal, path: Path) -> None:
    number = Journal(path).drop("hint", {"text": "größer"}, "ada")
    (waiting,) = journal.waiting_commands()
    assert (waiting.id, waiting.verb, waiting.arguments) == (number, "hint", {"text": "größer"})
    journal.answer(number, "done", "hint #1")
    assert journal.waiting_commands() == []
    answered = Journal(path, write=False).command(number)
    assert answered is not None
    assert (answered.state, answered.outcome) == ("done", "hint #1")


def test_a_reader_can_not_write_and_sees_what_was_written(
    journal: EngineJournal, path: Path
) -> None:
    reader = Journal(path, write=False)
    before = reader.data_version()
    journal.add_experiment("t", None, IDEA)
    assert reader.data_version() != before
    assert len(reader.experiments()) == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.drop("pause", {}, "ada")


def test_a_missing_a_foreign_and_a_newer_file_are_one_line_each(path: Path) -> None:
    with pytest.raises(JournalError, match="nothing has been started here yet"):
        Journal(path, write=False)
    path.write_bytes(b"this is no database, but a text long enough to be read as one" * 20)
    with pytest.raises(JournalError, match="can't use the journal"):
        Journal(path)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="newer cockpit"):
        Journal(path)


def test_an_empty_file_is_no_journal_for_a_reader(path: Path) -> None:
    path.touch()
    with pytest.raises(JournalError, match="not a journal"):
        Journal(path, write=False)


def test_two_processes_drop_at_once_and_nothing_is_lost(journal: EngineJournal, path: Path) -> None:
    def drop() -> None:
        own = Journal(path)
        for _ in range(20):
            own.drop("pause", {}, "ada")
        own.close()

    threads = [threading.Thread(target=drop) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        journal.add_experiment("t", None, IDEA)
    for thread in threads:
        thread.join()
    assert len(journal.waiting_commands()) == 60
    assert len(journal.experiments()) == 20
    assert journal.integrity() == "ok"


WRITER = """
import sys
from pathlib import Path
from cockpit.core.experiment import Proposal
from cockpit.lab.writing import EngineJournal
journal = EngineJournal(Path(sys.argv[1]))
while True:
    print(journal.add_experiment("t", None, Proposal("x", "search", constants={})), flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_had_acknowledged(
    path: Path, tmp_path: Path, wait_until: Callable[..., object]
) -> None:
    told = tmp_path / "told"
    for _ in range(3):
        with told.open("w") as out:
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path)], stdout=out, cwd=ROOT
            )
        wait_until(lambda: told.read_text().count("\n") > 20, 20, "twenty rows")
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        acknowledged = [int(line) for line in told.read_text().split("\n")[:-1]]
        journal = EngineJournal(path)
        assert set(acknowledged) <= set(journal.experiments())
        assert journal.integrity() == "ok"
        journal.probe_write()
        journal.close()
