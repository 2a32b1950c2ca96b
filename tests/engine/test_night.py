"""Nights on real labs: real git, real SQLite, real trainings."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cockpit.engine.briefer import Briefer
from cockpit.engine.devices import claim_devices
from cockpit.engine.opening import open_night
from cockpit.lab.lab import Lab
from cockpit.lab.repo import Repo
from cockpit.lab.settings import load
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from tests.bench import kills
from tests.bench.nights import COCKPIT, cockpit, environment, log, status

Wait = Callable[..., Any]
Git = Callable[..., str]


def test_a_night_measures_the_baseline_twice_and_judges_every_experiment(
    lab: Path, git: Git
) -> None:
    train_py = lab / "trainer" / "train.py"
    train_py.write_text(train_py.read_text() + "# half an idea\n")
    git("config", "commit.gpgsign", "true")
    before = (git("status", "--porcelain"), git("rev-parse", "HEAD"), git("write-tree"))

    done = cockpit(lab, "run", "--max-experiments", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "uncommitted edits of trainer/train.py" in done.stdout
    baseline, *others = log(lab)
    assert (baseline["id"], baseline["parent"], baseline["status"]) == (0, None, "kept")
    assert len(baseline["runs"]) == 2
    assert baseline["runs"][0]["seed"] != baseline["runs"][1]["seed"]
    assert len(others) == 2
    for told in others:
        assert told["status"] in kills.VERDICTS
        assert told["decided_by"] == "rule"
        diff = cockpit(lab, "show", str(told["id"]), "--diff").stdout
        assert diff.startswith("diff --git a/trainer/train.py")
    assert (git("status", "--porcelain"), git("rev-parse", "HEAD"), git("write-tree")) == before
    assert kills.faults(lab) == []


@pytest.mark.slow
def test_the_ledger_adds_up_to_slots_times_wall_clock(lab: Path) -> None:
    cockpit(lab, "run", "--max-experiments", "1")
    told = status(lab)
    assert told["engine"]["state"] == "stopped"
    assert told["ledger"]["training"] > 2.5  # three runs of a second, less the last step's end
    total = sum(told["ledger"].values())
    assert total == pytest.approx(told["slots"] * told["elapsed_seconds"], abs=0.2)


def test_an_engine_that_was_killed_leaves_a_training_that_the_next_one_adopts(
    lab: Path, wait_until: Wait
) -> None:
    cockpit(lab, "start", "--budget", "6s", "--max-experiments", "1")
    wait_until(lambda: (status(lab)["current"] or [{}])[0].get("step"), 60, "the first step")
    pid = status(lab)["engine"]["pid"]
    training = kills.processes(lab)["training"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: status(lab)["engine"]["state"] == "dead", 10, "a dead engine")

    again = cockpit(lab, "start", "--budget", "6s")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "#0 goes on" in again.stdout
    assert any(process.is_running() for process in training)
    wait_until(lambda: len(log(lab)[0]["runs"]) == 1, 60, "the adopted run's score")
    assert psutil.Process(status(lab)["engine"]["pid"]).is_running()


@pytest.mark.slow
def test_a_start_after_a_kill_keeps_the_limits_and_the_tag_of_the_night(
    lab: Path, wait_until: Wait
) -> None:
    cockpit(lab, "start", "--tag", "mine", "--max-experiments", "1", "--seed", "40")
    wait_until(lambda: status(lab)["current"], 60, "a run")
    os.kill(status(lab)["engine"]["pid"], signal.SIGKILL)
    wait_until(lambda: status(lab)["engine"]["state"] == "dead", 10, "a dead engine")
    assert cockpit(lab, "start").returncode == 0
    wait_until(lambda: status(lab)["engine"]["state"] == "stopped", 90, "the night's end")
    told = status(lab)
    assert told["tag"] == "mine"
    assert told["engine"]["reason"] == "all 1 experiments are done"
    assert [e["status"] in kills.VERDICTS for e in log(lab)] == [True, True]
    assert all(run["seed"] < 1100 and run["seed"] >= 40 for e in log(lab) for run in e["runs"])
    total = sum(told["ledger"].values())
    assert total == pytest.approx(told["slots"] * told["elapsed_seconds"], abs=0.2)


@pytest.mark.slow
def test_the_last_experiment_is_judged_although_its_run_was_lost(
    lab: Path, wait_until: Wait
) -> None:
    cockpit(lab, "start", "--max-experiments", "1", "--budget", "3s")
    wait_until(
        lambda: any(run["experiment"] == 1 and run["step"] for run in status(lab)["current"]),
        90, "the first experiment's run",
    )  # fmt: skip
    for process in kills.processes(lab)["training"]:
        process.kill()
    wait_until(lambda: status(lab)["engine"]["state"] == "stopped", 90, "the night's end")
    assert log(lab)[1]["status"] in kills.VERDICTS - {"crashed"}


@pytest.mark.slow
def test_stopping_again_and_again_is_no_crash_of_the_experiment(
    lab: Path, wait_until: Wait
) -> None:
    for _ in range(4):
        cockpit(lab, "start", "--budget", "60s")
        wait_until(lambda: status(lab)["current"], 60, "a run")
        cockpit(lab, "stop", "--now")
        wait_until(lambda: status(lab)["engine"]["state"] == "stopped", 20, "the night's end")
    assert [told["status"] for told in log(lab)] == ["queued"]


def test_start_takes_back_a_stop_that_has_not_come_to_its_end(lab: Path, wait_until: Wait) -> None:
    cockpit(lab, "start", "--budget", "60s")
    wait_until(lambda: status(lab)["current"], 60, "a run")
    assert cockpit(lab, "stop").returncode == 0
    again = cockpit(lab, "start")
    assert again.returncode == 0
    assert "the stop is taken back" in again.stdout
    assert "ending" not in str(status(lab)["engine"]["activity"])


def test_other_options_for_a_night_under_way_are_refused(lab: Path, wait_until: Wait) -> None:
    cockpit(lab, "start")
    refused = cockpit(lab, "start", "--budget", "10s")
    assert refused.returncode == 1
    assert "under way with other options" in refused.stderr


def test_starting_twice_is_harmless(lab: Path) -> None:
    first = cockpit(lab, "start")
    second = cockpit(lab, "start")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "runs already" in second.stdout
    assert len(kills.processes(lab)["engine"]) == 1


def test_a_paused_night_lets_the_run_end_and_starts_nothing(
    measured: Path, wait_until: Wait
) -> None:
    cockpit(measured, "start", "--max-experiments", "2")
    wait_until(lambda: status(measured)["current"], 60, "a run")
    assert cockpit(measured, "pause").returncode == 0
    wait_until(lambda: not status(measured)["current"], 60, "the run's end")
    told = status(measured)
    assert told["engine"]["state"] == "paused"
    wait_until(lambda: status(measured)["ledger"]["paused"] > 0.5, 20, "time in pause")
    assert cockpit(measured, "resume").returncode == 0
    wait_until(lambda: status(measured)["engine"]["state"] == "stopped", 90, "the night's end")
    assert sum(told["parent"] is not None for told in log(measured)) == 3


def test_stop_now_puts_the_run_under_way_back_into_the_queue(lab: Path, wait_until: Wait) -> None:
    cockpit(lab, "start", "--budget", "30s")
    wait_until(lambda: status(lab)["current"], 60, "a run")
    stopped = cockpit(lab, "stop", "--now")
    assert stopped.returncode == 0
    wait_until(lambda: status(lab)["engine"]["state"] == "stopped", 20, "the night's end")
    assert [told["status"] for told in log(lab)] == ["queued"]


def test_closing_the_terminal_of_run_does_not_end_the_night(
    measured: Path, wait_until: Wait
) -> None:
    process = subprocess.Popen(
        [*COCKPIT, "run", "--max-experiments", "1"], cwd=measured, env=environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: status(measured)["current"], 60, "a run")
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=90) == 0
    assert len(log(measured)) == 3


def test_decisions_by_hand_are_applied_without_an_engine(measured: Path) -> None:
    before = log(measured)[1]["status"]
    verb, after = ("reject", "discarded") if before == "kept" else ("accept", "kept")

    done = cockpit(measured, verb, "1")

    assert done.returncode == 0, done.stderr
    told = log(measured)[1]
    assert told["status"] == after
    assert told["decided_by"] not in (None, "rule")
    assert kills.faults(measured) == []
    again = cockpit(measured, verb, "1")
    assert again.returncode == 0
    assert f"#1 is {after} already: " in again.stdout
    assert cockpit(measured, verb, "77").returncode == 3


@pytest.mark.slow
def test_random_kills_lose_nothing(measured: Path) -> None:
    told = kills.kill_loop(measured, kills=6, budget="1s", seed=7, limit_seconds=150)
    assert told["faults"] == []
    assert sum(told["kills"].values()) == 6


def test_a_changed_budget_is_refused_with_the_line_that_starts_a_new_tag(measured: Path) -> None:
    refused = cockpit(measured, "run", "--budget", "2s", "--max-experiments", "1")
    assert refused.returncode == 1
    assert "cockpit start --tag NEW --from first@best" in refused.stderr
    done = cockpit(
        measured, "run", "--budget", "2s", "--max-experiments", "1", "--tag", "second",
        "--from", "first@best",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {told["tag"] for told in log(measured)} == {"first", "second"}
    assert json.dumps(log(measured)).count("NaN") == 0
    _takes_along_what_the_first_has_taught(measured)


def _takes_along_what_the_first_has_taught(measured: Path) -> None:
    lab, repo = Lab(measured), Repo(measured)
    journal = EngineJournal(lab.journal)
    tree = Tree(journal)
    tree.refresh()
    first, second, best = journal.tag("first"), journal.tag("second"), tree.best("first")
    baseline = tree.baseline("second")
    assert first is not None
    assert second is not None
    assert best is not None
    assert baseline is not None
    assert second.options["from"] == best.id
    assert second.options["effects"] == list(tree.reckoning("first").effects.learned)
    assert f"#{best.id} {best.title} of first, where it measured" in baseline.hypothesis
    settings = replace(load(measured / "cockpit.toml", {}), tag="second", budget_seconds=2.0)
    with claim_devices(lab, settings, lock=False) as claimed:
        opening = open_night(lab, journal, repo, tree, settings, claimed.devices, lambda _: None)
    briefing = Briefer(lab, journal, repo, tree, opening, list, None).briefing()
    journal.close()
    assert briefing is not None
    assert "the tag that this one was begun from" in briefing.findings
    assert "# Findings of first" in briefing.findings


def test_a_baseline_that_the_guard_refuses_begins_no_night(lab: Path, git: Git) -> None:
    train_py = lab / "trainer" / "train.py"
    train_py.write_text(train_py.read_text().replace("def main(", "def _main("))
    git("commit", "-qam", "Break it", "--no-gpg-sign")
    done = cockpit(lab, "run", "--max-experiments", "1")
    assert done.returncode == 1
    assert "can't be a baseline: line 1: main is missing" in done.stderr
    assert log(lab) == []


def test_a_baseline_that_does_not_train_ends_the_night_with_its_reason(lab: Path, git: Git) -> None:
    train_py = lab / "trainer" / "train.py"
    start = "    task = harness.start()\n"
    broken = train_py.read_text().replace(start, start + "    raise ValueError('no such luck')\n")
    train_py.write_text(broken)
    git("commit", "-qam", "Break it", "--no-gpg-sign")
    done = cockpit(lab, "run", "--max-experiments", "1")
    assert done.returncode == 1
    assert "the baseline does not train" in done.stdout
    assert status(lab)["counts"]["running"] == 0
