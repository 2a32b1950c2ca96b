"""An experiment of the past in a line."""

from dataclasses import replace

from cockpit.core.briefing import HistoryEntry
from cockpit.core.findings import findings
from cockpit.core.history import history
from cockpit.core.noise import Noise
from cockpit.core.past import Past
from cockpit.core.telling import line

NOISE = Noise(0.001, 4, 2)
BASELINE = HistoryEntry(0, None, "kept", 1.0, None, "baseline", None, runs=2)
PRUNED = HistoryEntry(
    1, 0, "discarded", None, {"MATRIX_LR": 0.3}, "Ten times the step size",
    "pruned: at 50% its loss was 0.031 above #0's; P(it is not discarded) < 1%",
)  # fmt: skip


def test_what_was_stopped_early_says_so_instead_of_a_score() -> None:
    past = Past.of([BASELINE, PRUNED], NOISE)
    assert line(past, PRUNED) == (
        "#1 pruned · search · Ten times the step size · "
        "at 50% its loss was 0.031 above #0's; P(it is not discarded) < 1%"
    )
    told = "\n".join(history(past, 0, 20_000))
    assert "1 pruned (MATRIX_LR 1)" in told
    assert "#1 pruned" in findings("t", "300 s", [BASELINE, PRUNED], NOISE)


def test_what_was_measured_and_discarded_keeps_its_status() -> None:
    measured = replace(PRUNED, val_bpb=1.01, delta=0.01, runs=1, reason="worse")
    past = Past.of([BASELINE, measured], NOISE)
    assert line(past, measured).startswith("#1 discarded +0.0100")
