"""A person's hand in a running night: real trainings, real processes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.core.constants import read, rewrite
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.repo import TRAIN_PY, Repo
from tests.bench import kills
from tests.bench.nights import cockpit, log, status

Wait = Callable[..., Any]


def running(lab: Path) -> int | None:
    """Return which experiment a slot runs, None while none does."""
    found = [run["experiment"] for run in status(lab)["current"]]
    return found[0] if found else None


@pytest.mark.slow
def test_one_s_own_experiment_runs_next_goes_back_when_asked_to_and_finishes(
    measured: Path, wait_until: Wait
) -> None:
    base = json.loads(cockpit(measured, "queue", "--json").stdout)["base"]
    text = Repo(measured).read_text(log(measured)[base]["commit"], TRAIN_PY)
    momentum = read(text)["MOMENTUM"].value
    own = measured.parent / "own.py"
    own.write_text(rewrite(text, {"MOMENTUM": float(momentum) - 0.07}), encoding="utf-8")
    said = cockpit(measured, "try", "--file", str(own), "less", "momentum").stdout
    number = int(said.partition("#")[2].partition(" ")[0])
    assert said == f"#{number} is queued, first, on the base #{base}\n"

    assert cockpit(measured, "start", "--max-experiments", "2").returncode == 0
    wait_until(lambda: running(measured) == number, 120, "its run")
    back = cockpit(measured, "skip", "--requeue")
    if back.returncode == 0:  # it may have ended by itself meanwhile
        assert back.stdout == f"#{number} goes to the end of the queue\n"
    wait_until(lambda: running(measured) is not None, 120, "another run")
    cockpit(measured, "finish", str(running(measured) or number))
    wait_until(lambda: status(measured)["engine"]["state"] == "stopped", 240, "the night's end")

    told = log(measured)[number]
    assert told["status"] in kills.VERDICTS - {"stopped", "crashed", "invalid"}
    journal = Journal(Lab(measured).journal, write=False)
    events = [event.event for event in journal.verdicts(number)]
    journal.close()
    assert events[:2] == ["claim", "return"] or back.returncode
    assert kills.faults(measured) == []
