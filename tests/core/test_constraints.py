"""Constraints on figures and named metrics."""

import pytest

from cockpit.core.constraints import Constraint, ConstraintError, in_program
from cockpit.core.experiment import Run


def run(**fields: object) -> Run:
    return Run(1, 1, 1, "s", 0, "finished", 0.0, **fields)  # type: ignore[arg-type]


def test_a_figure_within_its_limit_breaks_nothing() -> None:
    limit = Constraint.parse("peak_memory_gb <= 20")
    assert limit.broken_by([run(peak_memory_bytes=int(20e9))]) is None
    assert limit.broken_by([run(peak_memory_bytes=int(21e9))]) == "peak_memory_gb <= 20: it is 21"


def test_a_named_metric_can_be_limited_and_must_be_reported() -> None:
    limit = Constraint.parse(" sparsity>0.5 ")
    assert limit.broken_by([run(named='{"sparsity": 0.75}')]) is None
    assert limit.broken_by([run(named='{"sparsity": 0.25}')]) == "sparsity > 0.5: it is 0.25"
    assert limit.broken_by([run()]) == "sparsity > 0.5: run 1 does not say its sparsity"


@pytest.mark.parametrize("text", ["", "peak_memory_gb", "a = 3", "a <= x", "a <= nan", "a <= 1 2"])
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConstraintError, match="peak_memory_gb <= 20"):
        Constraint.parse(text)


def test_constraints_may_stand_in_the_brief() -> None:
    brief = "# Program\n- Constraint: `parameters_millions <= 60`\nconstraint: steps > many\n"
    found, wrong = in_program(brief + "A constraint: none of ours, in mid-sentence.\n")
    assert [str(one) for one in found] == ["parameters_millions <= 60"]
    assert len(wrong) == 1
    assert wrong[0].startswith("program.md:3: ")


def test_throughput_is_a_figure() -> None:
    limit = Constraint.parse("tokens_per_second >= 1000")
    assert limit.broken_by([run(tokens=20_000, training_seconds=10.0)]) is None
    assert limit.broken_by([run(tokens=5_000, training_seconds=10.0)]) is not None
