"""A real night in which a run is stopped early, from its curve to the status."""

import random
from pathlib import Path

import pytest

from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.lab.writing import EngineJournal
from tests.bench.nights import cockpit, log, status
from tests.engine.test_pruning import ENOUGH

NO_LEARNING = dict.fromkeys(
    ("MATRIX_LR", "EMBEDDING_LR", "UNEMBEDDING_LR", "CONVOLUTION_LR", "SCALAR_LR"), 1e-09
)


def prove_the_rule(lab: Path) -> int:
    """Give a tag a past that proves the rule, and queue a run that learns nothing."""
    journal = EngineJournal(lab / ".cockpit" / "journal.db")
    tag, base = journal.tags()[0], journal.experiments()[0]
    curve, first = journal.curves(tag.name)[0, 1], base.runs[0]
    assert first.val_bpb is not None
    draw = random.Random(2)
    with journal.transaction():
        for number in range(30 + ENOUGH):
            lead = draw.uniform(-0.1, 0.1) if number < 30 else draw.uniform(1.0, 2.0)
            above = [curve[0], *(loss + lead if loss else None for loss in curve[1:])]
            own = journal.add_experiment(tag.name, 0, Proposal(f"before {number}", "search"))
            at, score = first.started_at + number, first.val_bpb + 0.4 * lead
            run = Run(own, 1, own, tag.setup, 0, "finished", at, at + 0.5, score)
            journal.add_run(run)
            journal.keep_curve(own, 1, above)
            journal.decide(own, Status.DISCARDED, Verdict(Event.DISCARD, "worse"))
        hopeless = journal.add_experiment(
            tag.name, 0, Proposal("Learn nothing", "search", constants=NO_LEARNING)
        )
    journal.close()
    return hopeless


@pytest.mark.slow
def test_a_run_that_learns_nothing_is_stopped_and_its_slot_goes_on(lab: Path) -> None:
    budget = ("--budget", "6s", "--seed", "1")
    assert cockpit(lab, "run", *budget, "--max-experiments", "1").returncode == 0
    assert "pruning   off: none of 59" in cockpit(lab, "status").stdout
    number = prove_the_rule(lab)
    assert status(lab)["pruning"]["on"]

    done = cockpit(lab, "run", *budget, "--max-experiments", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    own = next(told for told in log(lab) if told["id"] == number)
    assert (own["status"], own["val_bpb"]) == ("discarded", None)
    assert "discarded: pruned: at " in done.stdout
    told = status(lab)["pruning"]
    assert told["pruned"] == 1
    assert told["saved_seconds"] > 1.0
    assert "1 run stopped early" in cockpit(lab, "status").stdout
    shown = cockpit(lab, "show", str(number)).stdout
    assert "pruned  no score" in shown
    assert f"above #{own['parent']}'s; P(it is not discarded) < 1%" in shown
    after = [e for e in log(lab) if e["id"] > number]
    assert any(e["status"] != "queued" for e in after)
