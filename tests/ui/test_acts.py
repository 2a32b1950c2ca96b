"""What may be done to an experiment and to the night, and why not."""

from dataclasses import replace

import pytest

from cockpit.core.experiment import Experiment, Run, Status
from cockpit.lab.rows import DecisionEvent, Message, Tag
from cockpit.ui import acts, wishes
from cockpit.ui.snapshot import CurrentRun, EngineState, Snapshot

TAG = Tag("t", "setup", "cpu", {}, 0.0)


def experiment(
    number: int, status: Status, score: float | None = 2.0, tag: str = "t"
) -> Experiment:
    state = "running" if status is Status.RUNNING else "finished"
    run = Run(number, 1, 1, "setup", 0, state, 0.0, val_bpb=score)
    runs = () if status is Status.QUEUED else (run,)
    return Experiment(number, tag, 0, "idea", "search", status, 0.0, runs=runs)


LAB = Snapshot("lab", 0.0, EngineState("running"), tag=TAG, queue=(5, 6, 7))


@pytest.mark.parametrize("verb", ["replicate", "rerun", "branch", "note"])
def test_what_was_measured_may_be_run_again_branched_from_and_noted_on(verb: str) -> None:
    for status in (Status.KEPT, Status.DISCARDED, Status.BORDERLINE):
        assert acts.why_not(LAB, experiment(1, status), verb) is None


@pytest.mark.parametrize(
    ("verb", "status", "told"),
    [
        ("replicate", Status.CRASHED, "#1 has no val_bpb: another seed is no help, run it again"),
        ("replicate", Status.RUNNING, "#1 is under way: it has no verdict yet"),
        ("branch", Status.CRASHED, "#1 has no val_bpb: nothing can grow from it"),
        ("branch", Status.QUEUED, "#1 waits in the queue: it has no result yet"),
        ("branch", Status.INVALID, "#1 is invalid: nothing can grow from it"),
        ("rerun", Status.QUEUED, "#1 waits in the queue: it runs all the same"),
        ("drop", Status.KEPT, "#1 does not wait in the queue: it is kept"),
        ("finish", Status.KEPT, "no run of #1 is under way"),
    ],
)
def test_what_is_not_possible_says_why(verb: str, status: Status, told: str) -> None:
    score = None if status in (Status.CRASHED, Status.RUNNING) else 2.0
    assert acts.why_not(LAB, experiment(1, status, score), verb) == told


def test_a_crashed_one_may_be_run_again() -> None:
    assert acts.why_not(LAB, experiment(1, Status.CRASHED, None), "rerun") is None


def test_the_queue_is_moved_but_where_it_is_so_already() -> None:
    told = {
        (number, verb): acts.why_not(LAB, experiment(number, Status.QUEUED), verb)
        for number in LAB.queue
        for verb in ("first", "later", "drop")
    }
    assert {key for key, why in told.items() if why} == {(5, "first"), (7, "later")}
    assert told[5, "first"] == "#5 is the first of the queue already"


def test_a_run_is_let_finish_once() -> None:
    own = experiment(1, Status.RUNNING, None)
    assert acts.why_not(LAB, own, "finish") is None
    spared = replace(own, runs=(replace(own.runs[0], spared="hand"),))
    assert acts.why_not(LAB, spared, "finish") == "#1 is let finish already"


def test_nothing_grows_across_tags_and_what_is_pinned_is_the_base_already() -> None:
    other = acts.why_not(LAB, experiment(1, Status.KEPT, tag="older"), "branch")
    assert other is not None
    assert "start --from 1" in other
    pinned = replace(LAB, tag=replace(TAG, pinned=1))
    assert acts.why_not(pinned, experiment(1, Status.KEPT), "branch") == "#1 is pinned already"


def test_every_key_is_bound_once_to_act_and_once_to_say_why() -> None:
    bound = [(binding.key, binding.action) for binding in acts.bindings(())]
    assert len(bound) == len(set(bound)) == 2 * len(acts.ACTS)
    night_keys = {wish.key for wish in wishes.WISHES if wish.key}
    assert not night_keys & {act.key for act in acts.ACTS}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pause", "no engine runs: N begins a night"),
        ("try", "no engine runs: N begins a night"),
        ("undo", "nobody has decided anything by hand yet"),
        ("best", "no base is pinned: it is the best already"),
        ("take", "nothing is offered"),
        ("edit", "there is no base yet"),
        ("confirm", "the baseline is the best: nothing is won yet"),
        ("begin", None),
        ("yours", None),
    ],
)
def test_where_nothing_runs_the_night_says_why(name: str, told: str | None) -> None:
    assert wishes.why_not(Snapshot("lab", 0.0, EngineState("stopped")), name) == told


def test_what_there_is_may_be_taken_back_taken_up_and_ended() -> None:
    run = CurrentRun(7, 1, 0, "t", "cpu", "training", None, None, 60.0, None, (), 0, ())
    decision = DecisionEvent(1, 0.0, "accept", "kept", "anna", "kept by hand", 3)
    offer = Message(1, 0.0, "offer", "engine", "train.py has changed", None)
    lab = replace(
        LAB, current=(run,), by_hand=decision, offer=offer, tag=replace(TAG, pinned=1),
        base=experiment(1, Status.KEPT),
    )  # fmt: skip
    for name in ("undo", "best", "take", "edit", "skip", "requeue", "pause"):
        assert wishes.why_not(lab, name) is None
    assert wishes.why_not(lab, "begin") == "a night goes on already"


def test_a_dead_engine_is_repaired_and_not_begun_anew() -> None:
    dead = Snapshot("lab", 0.0, EngineState("dead"))
    assert wishes.why_not(dead, "repair") is None
    assert wishes.why_not(dead, "begin") == "the engine is dead"
    assert wishes.why_not(dead, "pause") == "no engine runs: N repairs it"
