"""Pairs of fresh runs: who asks for them, with which seeds, and what is said when they are over."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.core.confirming import IDLE
from cockpit.core.experiment import Event, Experiment, Proposal, Run, Status, Verdict
from cockpit.engine.confirming import Confirming, ask, want_pairs
from cockpit.engine.outcomes import DecisionError, UnknownExperimentError
from cockpit.lab.honest import honest
from cockpit.lab.rows import AuditRow
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

SETUP, HORIZON_SETUP = "five minutes", "half an hour"


class Desk:
    """A tag whose experiments score what a test says."""

    def __init__(self, path: Path) -> None:
        self.journal = EngineJournal(path / "journal.db")
        self.tree = Tree(self.journal)
        self.journal.add_tag("t", {"budget_seconds": 300.0, "device": "cuda"}, SETUP, "gpu", {})
        self.experiment(None, 1.0, 1.001)

    def experiment(self, parent: int | None, *scores: float, status: Status = Status.KEPT) -> int:
        number = self.journal.add_experiment("t", parent, Proposal("idea", "search"))
        self.journal.change_experiment(number, commit_hash=f"{number:040x}")
        for score in scores:
            self.run(number, 1000 * number + len(self.own(number).runs) + 1, score, "verdict")
        if status is not Status.QUEUED:
            self.journal.decide(number, status, Verdict(Event.KEEP, "as a test says"))
        self.tree.refresh()
        return number

    def own(self, number: int) -> Experiment:
        self.tree.refresh()
        return self.tree.experiments[number]

    def run(self, number: int, seed: int, score: float, purpose: str, setup: str = SETUP) -> Run:
        run = Run(
            number, len(self.own(number).runs) + 1, seed, setup, 0, "finished", time.time(),
            val_bpb=score, purpose=purpose,
        )  # fmt: skip
        self.journal.add_run(run)
        self.tree.refresh()
        return run

    def grant_all(self, scores: dict[int, list[float]], setup: str = SETUP) -> list[Run]:
        """Make the runs that are wanted, in their order."""
        runs = []
        for wish in self.journal.wanted():
            score = scores[wish.experiment].pop(0)
            run = self.run(wish.experiment, wish.seed or 0, score, wish.purpose, setup)
            self.journal.grant(wish.id, run.number)
            runs.append(run)
        return runs

    def ask(self, **given: object) -> str:
        return ask(self.journal, self.tree, "ada", given)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


def test_pairs_have_one_seed_for_both_that_neither_has_had_and_take_turns(desk: Desk) -> None:
    best = desk.experiment(0, 0.988)
    told = desk.ask()
    assert told == ("3 pairs of #1 and the baseline #0: 6 runs of 5 min, before the next new idea")
    wanted = desk.journal.wanted()
    assert [w.experiment for w in wanted] == [0, best, best, 0, 0, best]
    seeds = [w.seed for w in wanted]
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 3
    had = {run.seed for number in (0, best) for run in desk.own(number).runs}
    assert not had & set(seeds)
    desk.ask(pairs=1)
    assert len({w.seed for w in desk.journal.wanted()}) == 4


def test_without_a_kept_change_there_is_nothing_to_confirm(desk: Desk) -> None:
    with pytest.raises(DecisionError, match="no gain to confirm until something is kept"):
        desk.ask()
    with pytest.raises(UnknownExperimentError, match="no experiment #7"):
        desk.ask(id=7)
    queued = desk.experiment(0, status=Status.QUEUED)
    with pytest.raises(DecisionError, match="queued and has no score"):
        desk.ask(id=queued)
    with pytest.raises(DecisionError, match="there is no tag x"):
        desk.ask(tag="x")
    desk.experiment(0, 0.98)
    with pytest.raises(DecisionError, match="no number of pairs"):
        desk.ask(pairs=0)
    assert desk.journal.wanted() == []


def test_a_discarded_experiment_can_be_asked_about_by_its_id(desk: Desk) -> None:
    number = desk.experiment(0, 0.9995, status=Status.DISCARDED)
    assert f"of #{number} and the baseline" in desk.ask(id=number, pairs=2)


def test_what_waits_can_be_taken_back_with_the_baselines_half(desk: Desk) -> None:
    best = desk.experiment(0, 0.988)
    other = desk.experiment(0, 0.999, status=Status.DISCARDED)
    with pytest.raises(DecisionError, match="no run waits to confirm #1"):
        desk.ask(drop=True)
    desk.ask(pairs=2)
    desk.ask(id=other, pairs=1)
    assert desk.ask(drop=True) == f"4 runs that were to confirm #{best} are taken back"
    assert [w.experiment for w in desk.journal.wanted()] == [0, other]


def test_the_setups_own_budget_is_no_horizon(desk: Desk) -> None:
    desk.experiment(0, 0.988)
    desk.ask(pairs=1, budget_seconds=300)
    assert {(w.purpose, w.budget_seconds) for w in desk.journal.wanted()} == {("confirm", None)}
    assert "2 runs of 30 min" in desk.ask(pairs=1, budget_seconds=1800.0)
    assert desk.journal.wanted()[-1].budget_seconds == 1800.0
    assert desk.journal.wanted()[-1].purpose == "horizon"


def test_each_pair_is_told_when_it_is_whole_and_the_last_with_the_outcome(desk: Desk) -> None:
    best = desk.experiment(0, 0.988, 0.9885)
    confirming = Confirming(desk.journal, desk.tree, "t", 300.0)
    desk.ask(pairs=2)
    told = []
    for wish in desk.journal.wanted():
        score = 1.0005 if wish.experiment == 0 else 0.990
        run = desk.run(wish.experiment, wish.seed or 0, score, wish.purpose)
        desk.journal.grant(wish.id, run.number)
        told.append(confirming.ended(run))
    assert told[0] is None
    assert told[2] is None
    assert told[1] is not None
    assert told[1][0].id == best
    assert told[1][2] == 2
    assert told[3] is not None
    assert told[3][1].startswith("confirmed: −0.0105 ± ")
    assert told[3][1].endswith("over 2 pairs (claimed −0.0122): 86 % of it")


def test_the_outcome_waits_for_no_idle_slot(desk: Desk) -> None:
    best = desk.experiment(0, 0.988)
    desk.ask(pairs=1, idle=True)
    desk.ask(pairs=1)
    asked = [w for w in desk.journal.wanted() if w.why != IDLE]
    for wish in asked:
        run = desk.run(wish.experiment, wish.seed or 0, 0.99, wish.purpose)
        desk.journal.grant(wish.id, run.number)
    told = Confirming(desk.journal, desk.tree, "t", 300.0).ended(run)
    assert told is not None
    assert told[2] == 0
    found = honest(desk.journal, desk.tree, desk.own(best))
    assert found is not None
    assert (found.wanted, found.idle) == (0, 2)
    assert dict(found.lines())["fresh"].endswith("; 2 runs to come while a slot is idle")


def test_a_longer_budget_is_told_apart_and_changes_no_score(desk: Desk) -> None:
    best = desk.experiment(0, 0.988)
    before = desk.own(best).val_bpb
    desk.journal.add_tag("other", {"budget_seconds": 1800.0}, HORIZON_SETUP, "gpu", {})
    desk.ask(pairs=2, budget_seconds=1800.0, tag="t")
    scores = {0: [0.95, 0.951], best: [0.947, 0.9481]}
    runs = desk.grant_all(scores, HORIZON_SETUP)
    told = Confirming(desk.journal, desk.tree, "t", 300.0).ended(runs[-1])
    assert told is not None
    assert told[1].startswith("at 30 min the gain survives: −0.00")
    assert "(at 5 min −0.0125)" in told[1]
    assert desk.own(best).val_bpb == before


def test_an_idle_slot_confirms_each_best_by_three_pairs_one_at_a_time(desk: Desk) -> None:
    confirming = Confirming(desk.journal, desk.tree, "t", 300.0)
    assert not confirming.for_idle()
    best = desk.experiment(0, 0.988)
    for _ in range(3):
        assert confirming.for_idle()
        assert confirming.for_idle()
        assert len(desk.journal.wanted()) == 2
        assert {w.why for w in desk.journal.wanted()} == {IDLE}
        desk.grant_all({0: [1.0], best: [0.99]})
    assert not confirming.for_idle()
    newer = desk.experiment(best, 0.97)
    assert confirming.for_idle()
    assert {w.experiment for w in desk.journal.wanted()} == {0, newer}


def test_a_slot_has_time_once_it_has_waited_for_a_quarter_of_a_budget(desk: Desk) -> None:
    confirming = Confirming(desk.journal, desk.tree, "t", 300.0)
    assert not confirming.has_time(0, True, 1000.0)
    assert not confirming.has_time(0, True, 1070.0)
    assert confirming.has_time(0, True, 1075.0)
    assert not confirming.has_time(1, True, 1075.0)
    assert not confirming.has_time(0, False, 1080.0)
    assert not confirming.has_time(0, True, 1090.0)


def test_what_the_night_wanted_of_a_best_that_is_none_any_more_is_dropped(desk: Desk) -> None:
    confirming = Confirming(desk.journal, desk.tree, "t", 300.0)
    best = desk.experiment(0, 0.988)
    assert confirming.for_idle()
    newer = desk.experiment(best, 0.97)
    assert confirming.for_idle()
    assert {w.experiment for w in desk.journal.wanted()} == {0, newer}
    assert len(desk.journal.wanted()) == 2


def test_a_person_can_leave_pairs_to_idle_slots_and_switch_the_rest_off(desk: Desk) -> None:
    confirming = Confirming(desk.journal, desk.tree, "t", 300.0, when_idle=False)
    best = desk.experiment(0, 0.988)
    assert not confirming.for_idle()
    assert desk.ask(pairs=1, idle=True).endswith("when a slot has nothing else to do")
    assert confirming.for_idle()
    desk.experiment(best, 0.97)
    assert confirming.for_idle(), "what a person has asked for stays"


def test_the_runs_still_to_come_are_counted_with_the_baselines(desk: Desk) -> None:
    best = desk.experiment(0, 0.988)
    want_pairs(desk.journal, desk.own(0), desk.own(best), "ada", 2)
    found = honest(desk.journal, desk.tree, desk.own(best))
    assert found is not None
    assert found.wanted == 4
    other = desk.experiment(0, 0.995, status=Status.DISCARDED)
    want_pairs(desk.journal, desk.own(0), desk.own(other), "ada", 1)
    found = honest(desk.journal, desk.tree, desk.own(best))
    assert found is not None
    assert found.wanted == 4


def test_the_baseline_is_not_compared_with_itself(desk: Desk) -> None:
    best = desk.experiment(0, 0.988)
    want_pairs(desk.journal, desk.own(0), desk.own(best), "ada", 1)
    desk.grant_all({0: [1.0], best: [0.99]})
    found = honest(desk.journal, desk.tree, desk.own(0))
    assert found is not None
    assert [word for word, _ in found.lines()] == ["score"]


def test_the_score_on_sealed_rows_is_that_of_an_audit_that_has_passed(desk: Desk) -> None:
    best = desk.experiment(0, 0.988)
    for number, outcome, score in ((0, "passed", 1.01), (best, "failed", 0.5), (best, "passed", 1)):
        run = 2 if score == 0.5 else 1
        facts = {"sealed_bpb": score}
        desk.journal.add_audit(AuditRow(number, run, 0.0, outcome, "audit", facts))
    found = honest(desk.journal, desk.tree, desk.own(best))
    assert found is not None
    lines = dict(found.lines())
    assert lines["sealed"].startswith("1.0000 (−0.0100 on the baseline)")
    assert lines["score"].startswith("0.9880 ± ")
