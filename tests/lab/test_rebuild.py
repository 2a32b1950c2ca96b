"""A lost journal, had back from git."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from gitting import git

from cockpit.core.edits import Edit
from cockpit.core.experiment import Event, Experiment, Proposal, Run, Status, Verdict, after
from cockpit.core.tree import delta
from cockpit.lab.rebuild import NoteError, from_note, note_of, rebuild
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.writing import EngineJournal

SETUP = {"corpus": "stdlib", "budget_seconds": 10.0, "device": "cpu"}


def finished(experiment: int, number: int, score: float | None) -> Run:
    return Run(
        experiment, number, 100 + number, "hash", 0, "finished" if score else "failed", 11.5, 21.25,
        score, 10.0, 12.0, 1.0, 1.0, 1 << 30, 1000, 10, 5, None if score else "exit code 1",
    )  # fmt: skip


class Night:
    """A lab in which experiments are claimed and judged as the engine does it."""

    def __init__(self, repo: Repo, path: Path) -> None:
        self.repo = repo
        self.journal = EngineJournal(path)
        self.journal.add_tag("t", SETUP, "hash", "cpu", {
            "parent_commit": repo.head()[0], "corpus": "stdlib",
        })  # fmt: skip

    def claim(self, parent: int | None, depth: int, idea: Proposal | None = None) -> int:
        whole = parent is None
        text = f"DEPTH = {depth}\n"
        idea = idea or Proposal(
            f"DEPTH {depth}", "baseline" if whole else "search", f"Deeper.\n\nTo {depth}.",
            None if whole else {"DEPTH": depth}, text if whole else None,
        )  # fmt: skip
        number = self.journal.add_experiment("t", parent, idea)
        base = None if parent is None else self.journal.experiment(parent)
        commit = self.repo.commit_experiment(
            (base and base.commit) or self.repo.head()[0], text, title=idea.title,
            body=idea.hypothesis, tag="t", number=number, proposer=idea.proposer,
        )  # fmt: skip
        self.journal.change_experiment(number, commit_hash=commit)
        self.journal.decide(number, Status.RUNNING, Verdict(Event.CLAIM, "its turn"))
        return number

    def judge(self, number: int, event: Event, score: float | None, runs: int = 1) -> None:
        for n in range(1, runs + 1):
            self.journal.add_run(finished(number, n, score))
        self.decide(number, event, "rule")

    def decide(self, number: int, event: Event, who: str) -> None:
        own = self.journal.experiment(number)
        assert own is not None
        self.journal.decide(number, after(own.status, event), Verdict(event, f"by {who}", who))
        self.note(number)

    def note(self, number: int) -> None:
        everything = self.journal.experiments()
        own = everything[number]
        assert own.commit is not None
        note = note_of(
            own, delta(everything, own), setup_fields=SETUP if own.parent is None else None,
            preset="cpu", proposal=self.journal.proposal(number),
        )  # fmt: skip
        self.repo.write_note(own.commit, note)


@pytest.fixture
def night(repo: Repo, tmp_path: Path) -> Night:
    night = Night(repo, tmp_path / "journal.db")
    night.judge(night.claim(None, 4), Event.KEEP, 2.0, runs=2)
    night.judge(night.claim(0, 5), Event.KEEP, 1.9)
    night.judge(night.claim(1, 6), Event.DISCARD, 1.95)
    night.judge(night.claim(1, 7), Event.CRASH, None)
    night.judge(night.claim(1, 8), Event.ASK, 1.89)
    night.decide(4, Event.ACCEPT, "ada")
    return night


def test_experiments_runs_verdicts_tags_and_setups_are_had_back(
    night: Night, tmp_path: Path
) -> None:
    fresh = EngineJournal(tmp_path / "fresh.db")
    result = rebuild(night.repo, fresh)
    assert (result.experiments, result.warnings) == (5, ())
    assert fresh.experiments() == night.journal.experiments()
    assert fresh.proposals("t") == night.journal.proposals("t")
    assert fresh.setup("hash") == SETUP
    old, new = night.journal.tag("t"), fresh.tag("t")
    assert old is not None
    assert new == replace(old, created_at=new.created_at if new else 0)
    assert [v.decided_by for v in fresh.verdicts(4)] == ["ada"]
    assert fresh.add_experiment("t", 1, Proposal("x", "search")) == 5


def test_a_claim_without_a_verdict_is_queued_again(night: Night, tmp_path: Path) -> None:
    number = night.claim(1, 9)
    fresh = EngineJournal(tmp_path / "fresh.db")
    rebuild(night.repo, fresh)
    own, before = fresh.experiment(number), night.journal.experiment(number)
    assert own is not None
    assert before is not None
    assert (own.status, own.parent, own.commit) == (Status.QUEUED, 1, before.commit)
    assert (own.title, own.hypothesis, own.proposer) == ("DEPTH 9", "Deeper.\n\nTo 9.", "search")
    assert fresh.proposal(number).edits == (Edit("DEPTH = 5\n", "DEPTH = 9\n"),)


def test_what_a_model_changed_and_foretold_is_had_back(night: Night, tmp_path: Path) -> None:
    idea = Proposal(
        "Deep", "llm", "Because.", edits=(Edit("DEPTH = 5\n", "DEPTH = 12\n"),), predicted=-0.2,
        program="0123456789ab", model="openai/gpt-4o-mini", repair_of=3,
    )  # fmt: skip
    number = night.claim(1, 12, idea)
    night.judge(number, Event.DISCARD, 1.99)
    fresh = EngineJournal(tmp_path / "fresh.db")
    rebuild(night.repo, fresh)
    assert fresh.proposal(number) == idea


def test_a_damaged_note_is_said_and_the_rest_is_had_back(night: Night, tmp_path: Path) -> None:
    own = night.journal.experiment(2)
    assert own is not None
    assert own.commit is not None
    night.repo.write_note(own.commit, {"format": 1, "id": 2})
    fresh = EngineJournal(tmp_path / "fresh.db")
    result = rebuild(night.repo, fresh)
    assert "refs/cockpit/t/2 is queued again: the note lacks" in result.warnings[0]
    assert fresh.experiments().keys() == {0, 1, 2, 3, 4}


def test_what_lost_its_parent_is_left_out_and_said(
    night: Night, tmp_path: Path, root: Path
) -> None:
    git(root, "update-ref", "-d", "refs/cockpit/t/1")
    fresh = EngineJournal(tmp_path / "fresh.db")
    result = rebuild(night.repo, fresh)
    assert list(fresh.experiments()) == [0]
    assert len(result.warnings) == 3
    assert "its parent #1 is gone" in result.warnings[0]


def test_a_tag_whose_baseline_was_never_measured_is_left_out(repo: Repo, tmp_path: Path) -> None:
    Night(repo, tmp_path / "journal.db").claim(None, 4)
    fresh = EngineJournal(tmp_path / "fresh.db")
    result = rebuild(repo, fresh)
    assert result.warnings == ("t is left out: its baseline has no result",)
    assert (fresh.experiments(), fresh.tags()) == ({}, [])


def test_nothing_is_rebuilt_over_a_journal_with_experiments(night: Night) -> None:
    with pytest.raises(ValueError, match="experiments already"):
        rebuild(night.repo, night.journal)


def test_a_note_is_plain_json_and_holds_no_sealed_score(night: Night) -> None:
    own = night.journal.experiment(0)
    assert own is not None
    assert own.commit is not None
    note = night.repo.read_notes()[own.commit]
    assert json.loads(json.dumps(note, allow_nan=False)) == note
    assert "sealed" not in json.dumps(note)
    assert note["setup_fields"] == SETUP
    assert note["val_bpb"] == 2.0
    text = night.repo.read_text(own.commit, TRAIN_PY)
    assert from_note(note, own.commit, text).experiment == own


def test_a_note_names_the_setup_that_a_score_is_compared_in_and_what_was_left_out() -> None:
    runs = (finished(1, 1, 1.9), replace(finished(1, 2, 1.8), setup="longer", purpose="horizon"))
    own = Experiment(
        1, "t", 0, "x", "ablate", Status.DISCARDED, 0.0, decided_by="rule", decided_at=1.0,
        runs=runs,
    )  # fmt: skip
    note = note_of(own, 0.1, proposal=Proposal("x", "ablate", edits=(), ablates=(4,)))
    assert (note["setup"], note["val_bpb"]) == ("hash", 1.9)
    noted = from_note(json.loads(json.dumps(note)), "c", "")
    assert noted.proposal.ablates == (4,)
    assert noted.experiment.runs == runs


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"status": "odd"}, {"runs": [{}]}, {"id": "x"}, {"proposal": None}]
)
def test_a_note_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    own = Experiment(1, "t", 0, "x", "search", Status.KEPT, 0.0, decided_by="rule", decided_at=1.0)
    note = note_of(own, -0.1, proposal=Proposal("x", "search", constants={}))
    assert from_note(note, "c", "").experiment == replace(own, commit="c")
    with pytest.raises(NoteError):
        from_note(note | change, "c", "")
