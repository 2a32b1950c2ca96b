"""From a run that is over to a verdict: what counts, what is audited, what a constraint does."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.core.constraints import Constraint
from cockpit.core.experiment import Event, Experiment, Proposal, Run, Status, Verdict
from cockpit.engine.checkpoints import Checkpoints
from cockpit.engine.hand import Hand
from cockpit.engine.judging import Judging
from cockpit.engine.rule import Rule
from cockpit.engine.running import Ended
from cockpit.executors.compiled import snapshot_path
from cockpit.lab.lab import Lab
from cockpit.lab.repo import Repo
from cockpit.lab.rows import AuditRow
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

SETUP = "setup"
BUDGET = 10.0


class Bench:
    """A lab in which runs end as a test says."""

    def __init__(self, root: Path, limit_bytes: float = 1e12, *constraints: str) -> None:
        subprocess.run(["git", "init", "-q", root], check=True)
        self.lab = Lab(root)
        self.lab.state.mkdir()
        self.journal = EngineJournal(self.lab.journal)
        self.tree = Tree(self.journal)
        repo, limits = Repo(root), [Constraint.parse(text) for text in constraints]
        self.judging = Judging(
            self.journal,
            repo,
            self.tree,
            Checkpoints(self.lab, self.tree, limit_bytes),
            Rule(self.journal, repo, self.tree, lambda: limits),
        )
        self.journal.add_tag("t", {"budget_seconds": BUDGET}, SETUP, "cpu", {})

    def claimed(self, parent: int | None) -> int:
        number = self.journal.add_experiment("t", parent, Proposal("idea", "search"))
        self.journal.decide(number, Status.RUNNING, Verdict(Event.CLAIM, "its turn"))
        return number

    def ends(self, number: int, score: float | None, **fields: object) -> Experiment:
        """Let one more run of an experiment end, by default as an honest one does."""
        self.tree.refresh()
        run = Run(
            number, len(self.tree.experiments[number].runs) + 1, 1, SETUP, 0, "running", time.time()
        )
        self.journal.add_run(run)
        clock = fields.pop("clock_seconds", BUDGET + 0.4)
        ended = replace(run, **{"state": "finished", "val_bpb": score} | fields)  # type: ignore[arg-type]
        directory = self.lab.run_directory(number, run.number)
        directory.mkdir(parents=True)
        (directory / "checkpoint.pt").write_bytes(b"x" * 4096)
        return self.judging.take(Ended(ended, clock, 4096))  # type: ignore[arg-type]

    def baseline(self) -> int:
        number = self.claimed(None)
        for score in (2.000, 2.001):
            self.ends(number, score)
        return self.audited(number, "passed").id

    def gains(self, parent: int) -> int:
        """An experiment that has run twice and would be kept."""
        number, base = self.claimed(parent), self.own(parent).val_bpb
        assert base is not None
        for score in (base - 0.2, base - 0.199):
            self.ends(number, score)
        return number

    def audited(self, number: int, outcome: str) -> Experiment:
        row = AuditRow(number, 1, time.time(), outcome, f"audit: {outcome}", {})
        return self.judging.audited(row)

    def own(self, number: int) -> Experiment:
        self.tree.refresh()
        return self.tree.experiments[number]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "lab")
    yield made
    made.journal.close()


def test_a_baseline_is_audited_before_it_counts(bench: Bench) -> None:
    number = bench.claimed(None)
    assert bench.judging.due(bench.ends(number, 2.000)) == "run"
    own = bench.ends(number, 2.001)
    assert own.status is Status.RUNNING
    assert bench.judging.due(own) == "audit"
    assert bench.audited(number, "passed").status is Status.KEPT


def test_a_baseline_that_fails_its_audit_is_invalid(bench: Bench) -> None:
    number = bench.claimed(None)
    bench.ends(number, 2.000)
    bench.ends(number, 2.001)
    own = bench.audited(number, "failed")
    assert (own.status, own.reason) == (Status.INVALID, "audit: failed")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("passed", Status.KEPT),
        ("failed", Status.INVALID),
        ("undecided", Status.BORDERLINE),
    ],
)
def test_what_would_be_kept_waits_for_its_audit(bench: Bench, outcome: str, status: Status) -> None:
    number = bench.gains(bench.baseline())
    assert bench.own(number).status is Status.RUNNING
    assert bench.judging.due(bench.own(number)) == "audit"
    assert bench.audited(number, outcome).status is status


def test_what_is_discarded_needs_no_audit(bench: Bench) -> None:
    number = bench.claimed(bench.baseline())
    assert bench.ends(number, 2.3).status is Status.DISCARDED


def test_an_audit_that_was_due_when_the_night_ended_is_due_again_without_another_run(
    bench: Bench,
) -> None:
    number = bench.gains(bench.baseline())
    bench.journal.decide(number, Status.QUEUED, Verdict(Event.RETURN, "the night ended"))
    assert bench.judging.due(bench.own(number)) == "audit"
    assert bench.audited(number, "passed").status is Status.KEPT
    assert [event.status for event in bench.journal.verdicts(number)][-2:] == ["running", "kept"]


def test_a_run_that_trained_for_longer_than_its_budget_is_invalid(bench: Bench) -> None:
    own = bench.ends(bench.claimed(bench.baseline()), 1.5, clock_seconds=2 * BUDGET)
    assert own.status is Status.INVALID
    assert own.reason is not None
    assert own.reason.startswith("the clock: trained 20.0 s of a budget of 10.0 s")
    assert own.val_bpb is None


def test_a_result_that_was_not_measured_makes_its_experiment_invalid(bench: Bench) -> None:
    number = bench.claimed(bench.baseline())
    reason = "order of scoring: there is a result, and no checkpoint was handed in"
    own = bench.ends(number, None, state="invalid", reason=reason)
    assert (own.status, own.reason) == (Status.INVALID, reason)


def test_what_breaks_a_constraint_is_not_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "lab", 1e12, "peak_memory_gb <= 20")
    number = bench.claimed(bench.baseline())
    own = bench.ends(number, 1.8, peak_memory_bytes=int(21e9))
    if own.status is Status.RUNNING:  # would be kept, and had to run once more
        own = bench.ends(number, 1.8, peak_memory_bytes=int(21e9))
    assert own.status is Status.DISCARDED
    assert own.reason == "it breaks a constraint: peak_memory_gb <= 20: it is 21"
    bench.journal.close()


def test_checkpoints_that_somebody_may_ask_about_stay_and_the_rest_goes_under_the_limit(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "lab", 10_000.0)
    baseline = bench.baseline()
    best = bench.gains(baseline)
    bench.audited(best, "passed")
    losers = [bench.claimed(baseline) for _ in range(5)]
    for number in losers:
        bench.ends(number, 2.5)
    undecided = bench.gains(best)
    Checkpoints(bench.lab, bench.tree, 10_000.0).tidy()

    def kept(number: int) -> bool:
        return (bench.lab.run_directory(number, 1) / "checkpoint.pt").exists()

    assert all(map(kept, (baseline, best, undecided)))
    assert [kept(number) for number in losers] == [False, False, False, True, True]
    bench.journal.close()


def compiles(bench: Bench, number: int) -> list[Path]:
    """Leave what runs have compiled beside their directories."""
    snapshots = []
    for run in bench.own(number).runs:
        snapshot = snapshot_path(bench.lab.run_directory(number, run.number))
        snapshot.mkdir()
        (snapshot / f"kernel-{number}-{run.number}").write_text("kernel")
        snapshots.append(snapshot)
    return snapshots


def test_what_is_compiled_is_passed_on_after_a_good_audit_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "lab")
    baseline = bench.baseline()
    best, unsure = bench.gains(baseline), bench.gains(baseline)
    left = [*compiles(bench, baseline), *compiles(bench, best), *compiles(bench, unsure)]
    bench.audited(best, "passed")
    bench.audited(unsure, "undecided")
    assert bench.own(unsure).status is Status.BORDERLINE
    bench.judging.settle("t")
    waiting = [path for path in left if path.exists()]
    hand = Hand.of(bench.journal, Repo(bench.lab.root), bench.tree, bench.judging)
    hand.decisions.decide(unsure, Event.ACCEPT, "human")
    assert bench.own(unsure).status is Status.KEPT
    kept = {path.name for path in (bench.lab.state / "compiled").iterdir()}
    assert {f"kernel-{best}-1", f"kernel-{best}-2"} <= kept
    assert not any(name.startswith(f"kernel-{unsure}-") for name in kept)
    assert len(waiting) == 2
    assert not any(path.exists() for path in left)
    bench.journal.close()


def test_an_audit_that_could_not_be_carried_out_is_tried_once_more(bench: Bench) -> None:
    number = bench.gains(bench.baseline())
    for attempt, status in ((1, Status.RUNNING), (2, Status.BORDERLINE)):
        assert bench.judging.due(bench.own(number)) == "audit"
        row = AuditRow(number, 1, time.time(), "undecided", "audit: no", {"attempt": attempt})
        assert bench.judging.audited(row).status is status


def test_what_a_person_keeps_is_audited_too_and_loses_its_place_where_that_fails(
    bench: Bench,
) -> None:
    number = bench.claimed(bench.baseline())
    assert bench.ends(number, 2.3).status is Status.DISCARDED
    bench.journal.decide(number, Status.KEPT, Verdict(Event.ACCEPT, "kept by hand", "ada"))
    assert bench.judging.due(bench.own(number)) == "audit"
    own = bench.audited(number, "failed")
    assert (own.status, own.reason) == (Status.DISCARDED, "audit: failed")
    assert bench.judging.due(own) is None
