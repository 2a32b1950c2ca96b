"""What the judge knows of a tag follows from its experiments."""

from dataclasses import replace

import pytest

from cockpit.core.effects import Effects
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.noise import NoisePrior
from cockpit.core.reckoning import Reckoning, noise_prior

KEPT, DISCARDED = Status.KEPT, Status.DISCARDED
PRIOR = NoisePrior(0.01)


def make(number: int, parent: int | None, status: Status, *scores: float) -> Experiment:
    runs = tuple(
        Run(number, n, n, "s", 0, "finished", 0.0, val_bpb=score)
        for n, score in enumerate(scores, 1)
    )
    return Experiment(number, "t", parent, f"#{number}", "search", status, 0.0, decided_at=number,
                      runs=runs)  # fmt: skip


def reckoning(*rows: Experiment, **given: object) -> Reckoning:
    return Reckoning({own.id: own for own in rows}, PRIOR, **given)  # type: ignore[arg-type]


BASELINE = make(0, None, KEPT, 2.0, 2.01)


def test_the_best_is_a_sound_kept_one() -> None:
    known = reckoning(
        BASELINE, make(1, 0, KEPT, 1.9), make(2, 1, DISCARDED, 1.95), make(3, 2, KEPT, 1.5)
    )
    assert known.best is not None
    assert known.best.id == 1
    assert reckoning().best is None


def test_a_kept_child_stands_in_its_parents_place() -> None:
    """Even where its number is no lower: it was kept because it is simpler, or by hand."""
    known = reckoning(BASELINE, make(1, 0, KEPT, 1.9), make(2, 1, KEPT, 1.905))
    assert known.best is not None
    assert known.best.id == 2


def test_the_second_of_two_wins_is_no_base_before_it_has_run_on_the_first() -> None:
    rows = (BASELINE, make(1, 0, KEPT, 1.9), make(2, 0, KEPT, 1.8), make(3, 2, KEPT, 1.7))
    for reapplied, best in (({}, 1), ({2: False}, 1), ({2: True}, 3)):
        known = reckoning(*rows, reapplied=reapplied)
        assert known.best is not None
        assert known.best.id == best


def test_of_two_lines_the_lower_one_is_best() -> None:
    known = reckoning(BASELINE, make(1, 0, KEPT, 1.9), make(2, 0, KEPT, 1.8), reapplied={2: True})
    assert known.best is not None
    assert known.best.id == 2


def test_luck_is_drawn_back_where_a_base_was_kept_for_it() -> None:
    known = reckoning(BASELINE, make(1, 0, KEPT, 1.985))
    belief, first = known.belief(1), known.belief(0)
    assert belief is not None
    assert first is not None
    assert 1.985 < belief.mean < first.mean


def test_the_pinned_one_and_what_was_kept_on_it_may_be_unsound() -> None:
    known = reckoning(
        BASELINE, make(1, 0, DISCARDED, 2.1), make(2, 1, KEPT, 1.95), make(3, 0, KEPT, 1.8)
    )
    assert known.grown_from(1).id == 2
    assert known.grown_from(0).id == 3
    assert known.best is not None
    assert known.best.id == 3


def test_effects_are_learned_from_verdicts_and_carried_over() -> None:
    helpful = [make(n, 0, DISCARDED, 1.9) for n in range(1, 40)]
    known = reckoning(BASELINE, *helpful)
    assert known.effects.shares[1] > Effects().shares[1]
    waiting = reckoning(BASELINE, *(replace(own, status=Status.RUNNING) for own in helpful))
    assert waiting.effects == Effects()
    assert reckoning(BASELINE, carried=known.effects).effects == known.effects


def test_a_challenger_is_held_against_its_base_and_counted() -> None:
    known = reckoning(BASELINE, make(1, 0, DISCARDED, 2.0), make(2, 0, Status.RUNNING, 1.9))
    base = known.base_of(known.experiments[2])
    assert base is not None
    assert (base.id, base.challengers) == (0, 2)
    found = known.assessment(known.experiments[2])
    assert found is not None
    assert found.probability > 0.9
    assert known.assessment(BASELINE) is None


def test_the_prior_of_the_noise_depends_on_device_and_budget() -> None:
    gpu = noise_prior({"device": "cuda", "budget_seconds": 300.0})
    cpu = noise_prior({"device": "cpu", "budget_seconds": 15.0})
    assert gpu is not None
    assert gpu.sigma == pytest.approx(0.0007)
    assert cpu is not None
    assert cpu.sigma == pytest.approx(0.03)
    assert noise_prior(None) is None


def test_what_leaves_changes_out_teaches_nothing_about_ideas() -> None:
    rows = [BASELINE, make(1, 0, KEPT, 1.9)]
    variants = [replace(make(n, 1, DISCARDED, 2.0), proposer="ablate") for n in (2, 3, 4)]
    assert reckoning(*rows, *variants).effects.counts == pytest.approx(
        reckoning(*rows).effects.counts, rel=0.01
    )


def test_what_was_stopped_early_counts_as_harm() -> None:
    pruned = Run(1, 1, 1, "s", 0, "pruned", 0.0)
    rows = [replace(make(n, 0, DISCARDED), runs=(pruned,)) for n in range(1, 30)]
    assert reckoning(BASELINE, *rows).effects.shares[2] > Effects().shares[2]
