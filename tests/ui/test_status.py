"""The line on top: fields that depend on the width, never on the moment."""

from dataclasses import replace

import pytest

from cockpit.core.experiment import Experiment, Run, Status
from cockpit.lab.metrics import Step
from cockpit.lab.rows import Night, Tag
from cockpit.ui.panes.status import status_line
from cockpit.ui.snapshot import CurrentRun, EngineState, Snapshot
from cockpit.ui.spent import Spent
from cockpit.ui.text import width_of

TAG = Tag("nov20", "setup", "cpu", {}, 0.0)


def scored(number: int, parent: int | None, score: float) -> Experiment:
    run = Run(number, 1, 1, "setup", 0, "finished", 0.0, val_bpb=score)
    return Experiment(number, "nov20", parent, "t", "search", Status.KEPT, 0.0, runs=(run,))


def at_work(phase: str, seconds: float) -> Snapshot:
    step = Step(1, seconds, 0.1, 10, 5.0, 1.0, None, None, None, None, 0.0, 0.0)
    run = CurrentRun(7, 1, 0, "t", "cpu", phase, step, None, 60.0, None, (), 0, ())
    base = scored(0, None, 2.5846)
    return Snapshot(
        "lab",
        0.0,
        EngineState("running", 0.0, "running #7"),
        tag=TAG,
        setup={"budget_seconds": 60.0, "corpus": "stdlib"},
        night=Night(1, "nov20", {"max_experiments": 30}, 0.0, None, None, 0.0, 16),
        baseline=base,
        best=base,
        ideas=15,
        done_tonight=15,
        current=(run,),
    )


def told(snapshot: Snapshot, width: int) -> str:
    return "".join(text for text, _ in status_line(snapshot, width))


@pytest.mark.parametrize("width", [45, 60, 80, 100, 120, 200])
def test_nothing_moves_from_one_moment_to_the_next(width: int) -> None:
    moments = [
        at_work("starting", 0.0),
        at_work("training", 59.0),
        replace(at_work("done", 60.0), current=()),
        replace(at_work("training", 3.0), best=scored(1, 0, 2.4), awaiting=(3, 4)),
    ]
    lines = [told(moment, width) for moment in moments]
    for word in ("nov20", "best", "15 of 30 ideas", "busy"):
        assert len({line.find(word) for line in lines}) == 1
    assert {width_of(status_line(moment, width)) for moment in moments} == {width}


def test_a_baseline_that_is_the_best_has_no_distance_from_itself() -> None:
    assert "best 2.5846 " in told(at_work("training", 3.0), 200)
    assert "0.0000" not in told(at_work("training", 3.0), 200)
    assert "−0.1846" in told(replace(at_work("training", 3.0), best=scored(1, 0, 2.4)), 200)


@pytest.mark.parametrize("width", [45, 80, 120, 200])
def test_a_dead_engine_and_an_ended_night_are_told_at_every_width(width: int) -> None:
    dead = replace(at_work("training", 3.0), engine=EngineState("dead"), current=())
    assert "! engine died: N repairs" in told(dead, width)
    night = Night(1, "nov20", {}, 0.0, 1.7e9, "done", 0.0, 16)
    ended = replace(dead, engine=EngineState("stopped"), night=night)
    assert "N begins" in told(ended, width)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_night_without_a_sandbox_says_so_at_every_width(width: int) -> None:
    night = at_work("training", 3.0)
    bare = replace(night, engine=EngineState("running", 0.0, "running #7", None, "none"))
    assert "unsandboxed" in told(bare, width)
    confined = replace(night, engine=EngineState("running", 0.0, "running #7", None, "landlock"))
    assert "unsandboxed" not in told(confined, width)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_money_has_its_place_before_any_is_spent(width: int) -> None:
    night = Night(1, "nov20", {"proposer": "llm:3,search:1"}, 0.0, None, None, 0.0, 16)
    before = replace(at_work("training", 3.0), night=night)
    after = replace(before, spent=Spent(calls=1, dollars=0.42))
    assert "   $0.42" in told(after, width)
    assert told(after, width).replace("   $0.42", " " * 8) == told(before, width)
    search = replace(before, night=replace(night, options={"proposer": "search"}))
    assert "$" not in told(search, width)
