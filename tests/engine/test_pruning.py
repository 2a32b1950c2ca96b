"""Stopping early: what is stopped, what never is, and what each run leaves for those after it."""

import contextlib
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cockpit.core.experiment import Event, Experiment, Proposal, Run, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.core.pruning import FRACTIONS, PLACES, drawn
from cockpit.engine.decisions import DecisionError, UnknownExperimentError
from cockpit.engine.pruning import Pruning
from cockpit.engine.running import Ended, Slot
from cockpit.executors.base import Executor
from cockpit.executors.locks import FileLock
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.pruning import pruning_state
from cockpit.lab.rundir import RunDirectory
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from tests.bench.nights import cockpit, status
from tests.executors.conftest import TEST_DEVICE, bench_at

Wait = Callable[..., Any]

SETUP = "setup"
BUDGET = 10.0
BASE_LOSS = 3.0
ENOUGH = 70
"""Runs far behind, so that the rule is on."""
FAR, NEAR = 0.5, 0.0
"""How far a loss lies above the base's."""


class Bench:
    """A lab with a past, and one slot whose run is written by the test."""

    def __init__(self, root: Path, hopeless: int = ENOUGH, *, base_curve: bool = True) -> None:
        self.lab = Lab(root / "lab")
        self.lab.root.mkdir()
        subprocess.run(["git", "init", "-q", self.lab.root], check=True)
        self.lab.state.mkdir()
        self.journal = EngineJournal(self.lab.journal)
        self.tree = Tree(self.journal)
        self.journal.add_tag("t", {"budget_seconds": BUDGET}, SETUP, "cpu", {})
        self.slot = self.new_slot()
        self.locks = contextlib.ExitStack()
        with self.journal.transaction():
            self._past(hopeless, base_curve=base_curve)
        self.pruning = self.new_pruning()

    def new_slot(self, executor: Executor | None = None) -> Slot:
        ledger = SlotLedger("other", time.monotonic())
        return Slot(0, TEST_DEVICE, executor, None, ledger)  # type: ignore[arg-type]

    def new_pruning(self, *, wanted: bool = True) -> Pruning:
        self.tree.refresh()
        return Pruning(self.lab, self.journal, self.tree, [self.slot], "t", wanted=wanted)

    def _past(self, hopeless: int, *, base_curve: bool) -> None:
        """A baseline, runs whose curves told their end, and `hopeless` ones after them."""
        draw = random.Random(5)
        base = self.journal.add_experiment("t", None, Proposal("baseline", "baseline"))
        for number, score in ((1, 2.000), (2, 2.002)):
            self.scored(base, number, score, [BASE_LOSS] * len(FRACTIONS) if base_curve else None)
        self.journal.decide(base, Status.KEPT, Verdict(Event.KEEP, "measured"))
        for number in range(30 + hopeless):
            change = draw.uniform(-0.01, 0.001) if number < 30 else draw.uniform(0.1, 0.2)
            loss = BASE_LOSS + 2.5 * change + draw.gauss(0, 0.003)
            curve = [BASE_LOSS] + [loss] * (len(FRACTIONS) - 1)
            own = self.journal.add_experiment("t", base, Proposal(f"idea {number}", "search"))
            self.scored(own, 1, 2.0 + change, curve)
            self.journal.decide(own, Status.DISCARDED, Verdict(Event.DISCARD, "worse"))

    def scored(self, own: int, number: int, score: float, curve: list[float] | None) -> None:
        at = 100.0 * own + 10 * number
        run = Run(own, number, own, SETUP, 0, "finished", at, at + 5, score, BUDGET, 12.0, 1.0, 1.5)
        self.journal.add_run(run)
        if curve is not None:
            self.journal.keep_curve(own, number, curve)

    def claimed(self, proposal: Proposal | None = None, parent: int = 0, **fields: Any) -> Run:
        """A new experiment whose run is under way."""
        proposal = proposal or Proposal("new idea", "search")
        own = self.journal.add_experiment("t", parent, proposal)
        self.journal.decide(own, Status.RUNNING, Verdict(Event.CLAIM, "its turn"))
        return self.run_of(own, **fields)

    def run_of(self, own: int, **fields: Any) -> Run:
        self.tree.refresh()
        experiment = self.journal.experiment(own)
        assert experiment is not None
        number, seed = len(experiment.runs) + 1, next(n for n in range(99) if not drawn(n))
        run = Run(own, number, seed, SETUP, 0, "running", time.time())
        run = replace(run, **fields)
        self.journal.add_run(run)
        self.tree.refresh()
        return run

    def follow(self, run: Run, above: float, until: float = 0.35) -> None:
        """Let the slot follow a run that lives and has come so far, and look at it."""
        self.watch(run, self.write(run, above, until))

    def watch(self, run: Run, directory: Path) -> None:
        lock = FileLock.take(RunDirectory(directory).supervisor_path)
        assert lock is not None
        self.locks.enter_context(lock)
        self.slot.adopt(run, directory, 60.0)
        self.go_on()

    def go_on(self) -> None:
        self.slot.poll()
        self.pruning.look()

    def write(self, run: Run, above: float, until: float, since: float = 0.0) -> Path:
        directory = self.lab.run_directory(run.experiment, run.number)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "spec.json").write_text(json.dumps({"budget_seconds": BUDGET}))
        with (directory / "metrics.jsonl").open("a") as file:
            file.writelines(metrics(above, until, since))
        return directory

    def own(self, number: int) -> Experiment:
        found = self.journal.experiment(number)
        assert found is not None
        return found

    def close(self) -> None:
        self.locks.close()
        self.journal.close()


def metrics(above: float, until: float, since: float = 0.0) -> Iterator[str]:
    at = time.time()
    if not since:
        yield json.dumps({"kind": "phase", "phase": "training", "at": at, "monotonic": 1.0}) + "\n"
    for step in range(round(100 * since) + 1, round(100 * until) + 1):
        line = {
            "kind": "step", "step": step, "seconds": BUDGET * step / 100, "progress": step / 100,
            "tokens": 1000 * step, "loss": BASE_LOSS + above * (step > 1), "tokens_per_second": 1e4,
            "at": at, "monotonic": 1.0,
        }  # fmt: skip
        yield json.dumps(line) + "\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_hopeless_run_is_ended_and_told_with_how_far_it_came(
    bench: Bench, tmp_path: Path, wait_until: Wait
) -> None:
    (tmp_path / "runs").mkdir()
    with bench_at(tmp_path / "runs", wait_until) as place:
        bench.slot = bench.new_slot(place.executor)
        bench.pruning = bench.new_pruning()
        run = bench.claimed()
        lines = "".join(metrics(FAR, 0.35))
        text = f"open('metrics.jsonl', 'w').write({lines!r})\nharness.for_ever()"
        directory = bench.lab.run_directory(run.experiment, run.number)
        spec = {"budget_seconds": BUDGET}
        bench.slot.start(run, place.assignment(text, run_directory=directory, spec=spec))

        def over() -> Ended | None:
            ended = bench.slot.poll()
            bench.pruning.look()
            return ended

        ended = wait_until(over, 20, "the end of the run").run
    assert (ended.state, ended.val_bpb) == ("pruned", None)
    assert ended.reason == "at 30% its loss was 0.495 above #0's; P(it is not discarded) < 1%"
    assert (ended.training_seconds, ended.steps, ended.tokens) == (3.5, 35, 35_000)


def test_what_keeps_up_with_its_base_is_left_alone(bench: Bench) -> None:
    run = bench.claimed()
    bench.follow(run, NEAR)
    bench.write(run, NEAR, 0.99, since=0.35)
    bench.go_on()
    assert bench.slot.stopped_because is None
    assert bench.slot.course is not None
    assert len(bench.slot.course.losses) > PLACES[-1]


def test_a_loss_of_another_kind_is_not_held_against_the_base(bench: Bench) -> None:
    run = bench.claimed()
    directory = bench.write(run, FAR, 0.99)
    lines = (directory / "metrics.jsonl").read_text().splitlines(keepends=True)
    del lines[1]  # so that it begins half a nat above
    (directory / "metrics.jsonl").write_text("".join(lines))
    bench.watch(run, directory)
    assert bench.slot.stopped_because is None


def test_what_falls_behind_later_is_stopped_at_a_later_look(bench: Bench) -> None:
    run = bench.claimed()
    bench.follow(run, NEAR, until=0.4)
    assert bench.slot.stopped_because is None
    bench.write(run, FAR, 0.8, since=0.4)
    bench.go_on()
    assert bench.slot.stopped_because is not None
    assert bench.slot.stopped_because.startswith("at 50%")


def test_before_enough_has_proved_right_nothing_is_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, hopeless=58)
    state = pruning_state(bench.journal, bench.tree, "t")
    assert (state.proof.stopped, state.proof.wrong, state.on) == (58, 0, False)
    bound = "at most 5.1 % with 95 % confidence"
    assert state.says == f"off: 0 of 58 would have been wrong, {bound}; it takes 59 for 5 %"
    bench.follow(bench.claimed(), FAR)
    assert bench.slot.stopped_because is None
    bench.close()


def test_an_error_that_came_later_turns_the_rule_off_again(bench: Bench) -> None:
    assert pruning_state(bench.journal, bench.tree, "t").on
    for own in (60, 61):
        bench.journal.decide(own, Status.KEPT, Verdict(Event.ACCEPT, "kept by hand", "anna"))
    bench.follow(bench.claimed(), FAR)
    assert bench.slot.stopped_because is None
    state = pruning_state(bench.journal, bench.tree, "t")
    assert (state.proof.wrong, state.on) == (2, False)


def test_one_in_ten_is_drawn_to_finish(bench: Bench) -> None:
    run = bench.claimed(seed=next(n for n in range(99) if drawn(n)))
    bench.follow(run, FAR)
    assert bench.slot.stopped_because is None
    assert bench.own(run.experiment).runs[0].spared == "drawn"


def test_a_person_lets_a_run_finish_also_across_engines(bench: Bench) -> None:
    run = bench.claimed()
    bench.follow(run, NEAR, until=0.2)
    assert bench.pruning.let_finish(run.experiment) == (
        f"#{run.experiment} finishes: it is not stopped early"
    )
    assert "already" in bench.pruning.let_finish(run.experiment)
    bench.write(run, FAR, 0.6, since=0.2)
    bench.go_on()
    assert bench.slot.stopped_because is None
    # The next engine finds it in the row of the run.
    (row,) = bench.journal.running()
    bench.slot = bench.new_slot()
    bench.pruning = bench.new_pruning()
    bench.slot.adopt(row, bench.lab.run_directory(row.experiment, row.number), 60.0)
    bench.go_on()
    assert bench.slot.stopped_because is None


def test_letting_finish_is_refused_where_nothing_runs_or_it_is_too_late(bench: Bench) -> None:
    with pytest.raises(UnknownExperimentError, match="no experiment #999"):
        bench.pruning.let_finish(999)
    with pytest.raises(DecisionError, match="#5 does not run"):
        bench.pruning.let_finish(5)
    run = bench.claimed()
    bench.follow(run, FAR)
    with pytest.raises(DecisionError, match="is being ended already: at 30%"):
        bench.pruning.let_finish(run.experiment)


def test_a_run_of_an_engine_that_was_killed_is_judged_by_its_whole_curve(bench: Bench) -> None:
    run = bench.claimed()
    bench.follow(run, FAR, until=0.8)
    assert bench.slot.stopped_because is not None
    assert bench.slot.stopped_because.startswith("at 30%")


def test_a_run_that_is_being_scored_is_not_stopped_any_more(bench: Bench) -> None:
    run = bench.claimed()
    directory = bench.write(run, FAR, 0.99)
    with (directory / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "phase", "phase": "evaluating", "at": 1.0, "monotonic": 1.0}\n')
    bench.watch(run, directory)
    assert (bench.slot.phase, bench.slot.stopped_because) == ("evaluating", None)


@pytest.mark.parametrize(
    "proposal",
    [
        Proposal("mine", "anna"),
        Proposal("ordered", "llm", order=3),
        Proposal("what is #4 worth", "search", ablates=(4,)),
    ],
    ids=lambda proposal: proposal.title,
)
def test_what_a_person_wants_to_know_always_finishes(bench: Bench, proposal: Proposal) -> None:
    bench.follow(bench.claimed(proposal), FAR)
    assert bench.slot.stopped_because is None


@pytest.mark.parametrize("purpose", ["confirm", "horizon"])
def test_only_runs_for_a_verdict_are_stopped(bench: Bench, purpose: str) -> None:
    bench.follow(bench.claimed(purpose=purpose), FAR)
    assert bench.slot.stopped_because is None


def test_neither_a_replicate_nor_a_second_try_is_stopped(bench: Bench) -> None:
    bench.follow(bench.run_of(0), FAR)  # of the baseline
    assert bench.slot.stopped_because is None
    pruned = bench.claimed(state="pruned")
    bench.follow(bench.run_of(pruned.experiment), FAR)
    assert bench.slot.stopped_because is None


def test_nothing_is_stopped_without_its_bases_curve(tmp_path: Path) -> None:
    bench = Bench(tmp_path, base_curve=False)
    bench.follow(bench.claimed(), FAR)
    assert bench.slot.stopped_because is None
    bench.close()


def test_nothing_is_stopped_where_it_is_not_wanted(bench: Bench) -> None:
    bench.pruning = bench.new_pruning(wanted=False)
    bench.follow(bench.claimed(), FAR)
    assert bench.slot.stopped_because is None
    says = pruning_state(bench.journal, bench.tree, "t", wanted=False).says
    assert says == "off: prune = false in cockpit.toml"


# ---- curves and savings ------------------------------------------------------------------------


def test_the_curve_of_a_scored_run_is_kept_and_that_of_a_horizon_is_not(bench: Bench) -> None:
    for purpose, kept in (("verdict", True), ("horizon", False)):
        run = bench.claimed(purpose=purpose)
        bench.follow(run, NEAR, until=1.0)
        key = (run.experiment, run.number)
        bench.pruning.ended(bench.slot, replace(run, val_bpb=2.0))
        bench.slot.release()
        bench.pruning.keep()
        curve = bench.journal.curves("t").get(key)
        assert (curve is not None) == kept
        if curve:
            assert list(curve) == pytest.approx([BASE_LOSS] * len(FRACTIONS))


def test_a_curve_that_an_engine_did_not_come_to_write_is_read_while_a_run_goes_on(
    bench: Bench,
) -> None:
    base, child = (bench.claimed(state="finished", val_bpb=2.0) for _ in range(2))
    bench.journal.change_experiment(child.experiment, parent=base.experiment)
    lost = {(run.experiment, 1) for run in (base, child) if bench.write(run, NEAR, 1.0)}
    bench.pruning = bench.new_pruning()
    bench.pruning.keep()  # an idle slot waits for its next run
    assert not lost & bench.journal.curves("t").keys()
    bench.follow(bench.claimed(), NEAR, until=0.1)
    bench.pruning.keep()
    assert lost & bench.journal.curves("t").keys() == {(base.experiment, 1)}
    bench.pruning.keep()
    assert lost <= bench.journal.curves("t").keys()


def test_what_was_saved_is_what_was_left_and_an_evaluation(bench: Bench) -> None:
    bench.claimed(state="pruned", training_seconds=3.5)
    bench.tree.refresh()
    state = pruning_state(bench.journal, bench.tree, "t")
    assert (state.pruned, state.saved_seconds) == (1, pytest.approx(6.5 + 1.5))
    assert pruning_state(bench.journal, bench.tree, "t", since=time.time() + 9).pruned == 0


def test_a_real_night_keeps_the_curve_of_each_scored_run(measured: Path) -> None:
    journal = Journal(measured / ".cockpit" / "journal.db", write=False)
    curves, experiments = journal.curves("first"), journal.experiments()
    journal.close()
    scored = {(e.id, run.number) for e in experiments.values() for run in e.scored}
    assert scored <= curves.keys()
    assert all(curves[key][PLACES[-1]] is not None for key in scored)
    told = status(measured)["pruning"]
    assert (told["on"], told["needed"], told["pruned"]) == (False, 59, 0)
    assert f"pruning   {told['says']}" in cockpit(measured, "status").stdout
