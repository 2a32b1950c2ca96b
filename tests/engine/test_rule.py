"""What is unclear runs again: the challenger, or its base; and what comes of it."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.core.experiment import Event, Experiment, Status, Verdict
from cockpit.core.judge import REPLICATES, Policy
from cockpit.engine.rule import Rule, wish_for
from cockpit.lab.repo import Repo
from tests.engine.test_judging import Bench

SIGMA = 0.0321
"""The noise of the bench after its baseline: the prior, and two runs that agree."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "lab")
    yield made
    made.journal.close()


def measured(bench: Bench, gain: float, parent: int = 0) -> Experiment:
    """Return an experiment whose first run lies so many sigmas below the baseline's mean."""
    return bench.ends(bench.claimed(parent), 2.0005 - gain * SIGMA)


def give_base(bench: Bench, number: int, score: float) -> None:
    """Make the run of the base that was asked for."""
    [wish] = bench.journal.wanted()
    bench.journal.grant(wish.id, len(bench.own(wish.experiment).runs) + 1)
    bench.ends(wish.experiment, score)
    bench.judging.conclude(number)


def test_what_is_unclear_runs_again_with_another_seed(bench: Bench) -> None:
    bench.baseline()
    own = measured(bench, 1.8)
    assert own.status is Status.RUNNING
    assert bench.judging.due(own) == "run"
    assert bench.ends(own.id, 2.1).status is Status.DISCARDED


def test_what_stays_unclear_to_the_end_is_a_persons(bench: Bench) -> None:
    bench.baseline()
    own = measured(bench, 1.8)
    for round_of in range(2 * REPLICATES):
        if own.status is not Status.RUNNING:
            break
        if bench.judging.due(own) == "base":
            bench.judging.conclude(own.id)
            give_base(bench, own.id, 1.985)
            own = bench.own(own.id)
        else:
            own = bench.ends(own.id, 2.0005 - (2.0, 1.2)[round_of % 2] * SIGMA)
    wishes = bench.journal.wishes(wish_for(own.id))
    assert own.status is Status.BORDERLINE
    assert 1 < len(own.runs) - 1 + len(wishes) <= REPLICATES
    assert own.probability is not None
    assert own.gain is not None
    assert own.gain < 0


def test_a_run_of_the_base_is_asked_for_once_and_waited_for(bench: Bench) -> None:
    bench.baseline()
    own = measured(bench, 2.0)
    while bench.judging.due(own) == "run":
        own = bench.ends(own.id, 2.0005 - 1.6 * SIGMA)
    assert bench.judging.due(own) == "base"
    bench.judging.conclude(own.id)
    bench.judging.conclude(own.id)
    [wish] = bench.journal.wanted()
    assert (wish.experiment, wish.author, wish.why) == (0, "rule", f"for #{own.id}")
    assert bench.judging.due(bench.own(own.id)) is None
    give_base(bench, own.id, 2.2)
    again = bench.own(own.id)
    assert len(bench.own(0).scores) == 3
    assert bench.own(0).status is Status.KEPT
    assert bench.judging.due(again) == "run", "now the challenger is the less certain one"


def test_a_run_of_the_base_that_comes_to_nothing_is_wanted_again(bench: Bench) -> None:
    bench.baseline()
    bench.journal.want(0, "verdict", "for #9", "rule")
    [wish] = bench.journal.wanted()
    bench.journal.grant(wish.id, 3)
    assert bench.journal.wanted() == []
    bench.ends(0, None, state="lost", reason="its supervisor was killed")
    assert [again.id for again in bench.journal.wanted()] == [wish.id]


def test_under_ask_a_person_is_asked_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "lab")
    bench.judging.rule = Rule(bench.journal, Repo(bench.lab.root), bench.tree, policy=Policy.ASK)
    bench.baseline()
    assert measured(bench, 1.8).status is Status.BORDERLINE
    bench.journal.close()


def test_under_strict_whatever_is_lower_would_be_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "lab")
    bench.judging.rule = Rule(bench.journal, Repo(bench.lab.root), bench.tree, policy=Policy.STRICT)
    bench.baseline()
    assert bench.judging.due(measured(bench, 0.01)) == "audit"
    assert measured(bench, -0.01).status is Status.DISCARDED
    bench.journal.close()


def test_a_verdict_stands_with_the_figures_it_rests_on(bench: Bench) -> None:
    bench.baseline()
    own = measured(bench, -3.0)
    [*_, last] = bench.journal.verdicts(own.id)
    assert last.facts["base"] == 0
    assert last.facts["runs"] == 1
    assert own.probability == last.facts["probability"]
    assert own.gain == last.facts["gain"]


def test_a_replicate_by_hand_reopens_what_is_borderline(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "lab")
    bench.judging.rule = Rule(bench.journal, Repo(bench.lab.root), bench.tree, policy=Policy.ASK)
    bench.baseline()
    own = measured(bench, 1.8)
    assert own.status is Status.BORDERLINE
    bench.ends(own.id, 2.2, ended_at=time.time() + 1)
    assert bench.judging.due(bench.own(own.id)) == "verdict"
    assert bench.judging.conclude(own.id).status is Status.DISCARDED
    bench.journal.close()


def test_another_run_of_a_kept_one_brings_its_figures_up_to_date(bench: Bench) -> None:
    number = bench.gains(bench.baseline())
    own = bench.audited(number, "passed")
    after = bench.ends(number, 1.99)
    assert after.status is Status.KEPT
    assert after.gain is not None
    assert own.gain is not None
    assert after.gain > own.gain


def test_a_disturbed_run_counts_for_nothing_and_is_made_again(bench: Bench) -> None:
    bench.baseline()
    number = bench.claimed(0)
    fast = {"tokens": 100_000, "training_seconds": 10.0}
    bench.ends(number, 2.0005 - 1.8 * SIGMA, **fast)
    own = bench.ends(number, 2.4, tokens=50_000, training_seconds=10.0)
    assert [run.state for run in own.runs] == ["finished", "disturbed"]
    assert len(own.scores) == 1
    assert own.status is Status.QUEUED
    assert bench.judging.due(own) == "run"


def test_code_that_goes_counts_for_a_change(bench: Bench) -> None:
    """Two texts in git, the second with six lines less, and the same score."""
    bench.baseline()
    repo = Repo(bench.lab.root)
    git = ("git", "-C", str(bench.lab.root), "-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    head = repo.head()[0]
    longer = "".join(f"A{n} = 1 + 2 + 3 + 4 + {n}\n" for n in range(9))
    start = repo.commit_experiment(
        head, longer, title="b", body="", tag="t", number=0, proposer="baseline"
    )
    bench.journal.change_experiment(0, commit_hash=start)
    number = bench.claimed(0)
    shorter = "".join(f"A{n} = 1 + 2 + 3 + 4 + {n}\n" for n in range(4))
    commit = repo.commit_experiment(
        start, shorter, title="s", body="", tag="t", number=number, proposer="ada"
    )
    bench.journal.change_experiment(number, commit_hash=commit)
    own = bench.ends(number, 1.99)
    while bench.judging.due(own) == "run":
        own = bench.ends(number, 1.99)
    ruling = bench.judging.rule.of(own)
    assert ruling.verdict is not None
    assert "simpler: 6 lines less" in ruling.verdict.reason


def test_a_baseline_that_has_its_verdict_can_be_run_more_often(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "lab")
    bench.baseline()
    rule = Rule(bench.journal, Repo(bench.lab.root), bench.tree, baseline_runs=5)
    rule.calibrate("t")
    rule.calibrate("t")
    assert [wish.experiment for wish in bench.journal.wanted()] == [0, 0, 0]
    bench.journal.close()


def test_what_waits_for_a_run_is_decided_when_the_night_ends(bench: Bench) -> None:
    bench.baseline()
    own = measured(bench, 1.8)
    assert bench.judging.due(own) == "run"
    bench.judging.close("t")
    assert bench.own(own.id).status is Status.BORDERLINE
    assert bench.own(own.id).probability is not None


def test_a_run_of_the_base_that_another_waits_for_serves_both(bench: Bench) -> None:
    bench.baseline()
    own = measured(bench, 2.0)
    while bench.judging.due(own) == "run":
        own = bench.ends(own.id, 2.0005 - 1.6 * SIGMA)
    assert bench.judging.due(own) == "base"
    bench.journal.want(0, "verdict", wish_for(99), "rule")
    assert bench.judging.due(bench.own(own.id)) is None
    bench.judging.conclude(own.id)
    assert len(bench.journal.wanted()) == 1


def test_a_verdict_takes_back_the_run_that_it_needs_no_more(bench: Bench) -> None:
    bench.baseline()
    own = measured(bench, 2.0)
    while bench.judging.due(own) == "run":
        own = bench.ends(own.id, 2.0005 - 1.6 * SIGMA)
    bench.judging.conclude(own.id)
    bench.journal.decide(own.id, Status.STOPPED, Verdict(Event.STOP, "skipped", "ada"))
    bench.tree.refresh()
    bench.judging.decided(own.id)
    assert bench.journal.wanted() == []


def test_a_slow_first_run_has_a_twin_before_it_is_discarded(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "lab")
    fast = {"tokens": 100_000, "steps": 100, "parameters": 5, "training_seconds": 10.0}
    slow = fast | {"tokens": 50_000, "steps": 50}
    number = bench.claimed(None)
    for score in (2.000, 2.001):
        bench.ends(number, score, **fast)
    bench.audited(number, "passed")
    own = bench.ends(bench.claimed(0), 2.4, **slow)
    assert bench.judging.due(own) == "run"
    assert bench.ends(own.id, 2.4, **slow).status is Status.DISCARDED, "it is its own doing"
    other = bench.ends(bench.claimed(0), 2.4, **slow)
    again = bench.ends(other.id, 1.7, **fast)
    assert [run.state for run in again.runs] == ["disturbed", "finished"]
    larger = bench.ends(bench.claimed(0), 2.4, **slow | {"parameters": 9})
    assert larger.status is Status.DISCARDED
    bench.journal.close()


def test_what_was_kept_on_a_base_is_reckoned_anew_when_the_base_runs_again(bench: Bench) -> None:
    number = bench.gains(bench.baseline())
    before = bench.audited(number, "passed").gain
    bench.ends(0, 1.9)
    after = bench.own(number).gain
    assert before is not None
    assert after is not None
    assert after > before, "the base is better than it had measured"
