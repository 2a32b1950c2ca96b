"""The training dynamics in words."""

from cockpit.core.dynamics import told

HONEST = {
    "spikes": {"count": 2, "first": [{"progress": 0.3, "rise": 1.25}, {"progress": 0.5}]},
    "grad_norm": {"median": 0.5, "p90": 1.0, "maximum": 12.0},
    "tokens_per_second": {"median": 17000.4, "slowest_tenth": 12000.0},
    "not_finite": 3,
}


def test_every_figure_becomes_a_line() -> None:
    assert told(HONEST, [5.0, None, 3.25]) == [
        "loss by tenths of the budget: 5.000 — 3.250",
        "spikes of the loss: 2 (+1.25 at 30%)",
        "steps without a finite loss: 3",
        "gradient norm: median 0.5, p90 1, largest 12",
        "tokens/s: median 17,000, a tenth below 12,000",
    ]


def test_what_a_training_made_up_is_passed_over() -> None:
    nonsense = {
        "spikes": {"count": "many", "first": "everywhere"},
        "grad_norm": {"median": float("nan"), "p90": 1, "maximum": [2]},
        "tokens_per_second": "\x1b[31mfast",
        "not_finite": True,
    }
    assert told(nonsense, []) == ["spikes of the loss: none"]
    assert told({}, [None]) == []
