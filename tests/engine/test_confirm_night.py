"""Confirming and ablating for real: trainings of a second, in labs that have had a night."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.core.experiment import VERDICTS, Experiment, Run
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from tests.bench import kills
from tests.bench.nights import cockpit, log, status
from tests.engine import models
from tests.engine.models import Researcher
from tests.proposers.openai_server import Exchange, Request, Step, serving

Wait = Callable[..., Any]

pytestmark = pytest.mark.slow


def experiments(place: Path) -> dict[int, Experiment]:
    journal = Journal(Lab(place).journal, write=False)
    try:
        return journal.experiments()
    finally:
        journal.close()


def test_without_an_engine_the_pairs_are_made_and_nothing_else(measured: Path) -> None:
    before = {e["id"]: (e["status"], e["decided_at"]) for e in log(measured)}
    done = cockpit(measured, "confirm", "1", "--pairs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 pair of #1 and the baseline #0: 2 runs of 1 s" in done.stdout
    assert "the night is over: what was asked for is measured" in done.stdout
    assert {e["id"]: (e["status"], e["decided_at"]) for e in log(measured)} == before
    baseline, own = (experiments(measured)[number].runs[-1] for number in (0, 1))
    assert (baseline.purpose, own.purpose) == ("confirm", "confirm")
    assert baseline.seed == own.seed
    told = json.loads(cockpit(measured, "status", "--json").stdout)
    assert told["engine"]["reason"] == "what was asked for is measured"
    assert "over 1 pair" in cockpit(measured, "show", "1").stdout


def test_another_budget_is_measured_beside_the_scores(measured: Path) -> None:
    before = experiments(measured)[1]
    done = cockpit(measured, "confirm", "1", "--pairs", "1", "--budget", "2s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "at 2 s it can't be told yet" in done.stdout
    after = experiments(measured)[1]
    run = after.runs[-1]
    assert (run.purpose, after.val_bpb, after.status) == ("horizon", before.val_bpb, before.status)
    assert run.setup != before.runs[0].setup
    assert run.training_seconds == pytest.approx(2.0, abs=0.5)
    spec = json.loads((Lab(measured).run_directory(1, run.number) / "spec.json").read_text())
    assert (spec["budget_seconds"], spec["setup"]) == (2.0, run.setup)
    assert "\nhorizon   at 2 s" in cockpit(measured, "show", "1").stdout


def test_a_night_under_way_makes_the_pairs_before_its_next_idea(
    measured: Path, wait_until: Wait
) -> None:
    cockpit(measured, "start", "--max-experiments", "2")
    wait_until(lambda: 2 in experiments(measured) and experiments(measured)[2].runs, 90, "a run")
    done = cockpit(measured, "confirm", "1", "--pairs", "1")
    assert "before the next new idea" in done.stdout
    wait_until(lambda: status(measured)["engine"]["state"] == "stopped", 120, "the night's end")
    runs = [run for own in experiments(measured).values() for run in own.runs]
    runs.sort(key=lambda run: run.started_at)
    first_new = min(n for n, run in enumerate(runs) if run.experiment == 3)
    fresh = [n for n, run in enumerate(runs) if run.purpose == "confirm"]
    assert len(fresh) == 2
    assert max(fresh) < first_new
    assert kills.faults(measured) == []


def test_a_slot_that_waits_for_an_idea_confirms_the_best_meanwhile(
    measured: Path, wait_until: Wait
) -> None:
    assert cockpit(measured, "accept", "1").returncode == 0
    researcher, thought = Researcher(), threading.Event()

    def slow(request: Request) -> Step:
        step = researcher.next_idea(request)

        def later(exchange: Exchange) -> None:
            thought.wait(120)
            step(exchange)

        return later

    def fresh() -> list[Run]:
        runs = [run for own in experiments(measured).values() for run in own.runs]
        return [run for run in runs if run.purpose == "confirm"]

    researcher.plan = [slow]
    with serving(researcher) as server:
        models.write_settings(measured, server, silence="120s", confirm_when_idle=True)
        with models.night(measured, "--max-experiments", "1") as night:
            wait_until(fresh, 120, "a run of a pair")
            thought.set()
            assert night.end(300) == 0
    idea = experiments(measured)[2]
    assert idea.status in VERDICTS
    begun = min(run.started_at for run in idea.runs)
    assert not [run for run in fresh() if idea.created_at < run.started_at < begun]
    assert kills.faults(measured) == []


def test_a_kept_change_is_left_out_and_its_worth_is_told(measured: Path) -> None:
    assert cockpit(measured, "accept", "1").returncode == 0
    done = cockpit(measured, "ablate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of the 1 kept changes of #1 are left out" in done.stdout
    variant = experiments(measured)[2]
    assert variant.title.startswith("without #1 ")
    assert variant.status == "discarded"
    assert "#1 is worth " in (variant.reason or "")
    shown = cockpit(measured, "show", "1").stdout
    assert re.search(r"^ablation  .*#1 is worth ", shown, re.MULTILINE)
    told = status(measured)["ablation"]
    assert [row["experiment"] for row in told["rows"]] == [1]
    lean = [e for e in experiments(measured).values() if e.title.startswith("lean: without #1")]
    assert len(lean) == ("dead weight" in (variant.reason or ""))
    assert kills.faults(measured) == []
