"""The keep rule, against figures from a table of Student's t."""

import pytest

from cockpit.core.experiment import Event, Experiment, Run, Status
from cockpit.core.judge import ASK_ABOVE, KEEP_ABOVE, judge, probability_better
from cockpit.core.noise import Noise


def experiment(number: int, *scores: float | None) -> Experiment:
    runs = tuple(
        Run(number, n, n, "setup", 0, "finished", 0.0, val_bpb=score)
        for n, score in enumerate(scores, 1)
    )
    return Experiment(number, "t", None, "title", "search", Status.RUNNING, 0.0, runs=runs)


def event_of(own: Experiment, base: Experiment, noise: Noise) -> Event | None:
    """Return the event of the verdict, None where another run is due."""
    verdict = judge(own, base, noise).verdict
    return verdict.event if verdict else None


def test_a_clear_gain_is_kept_and_a_loss_is_discarded() -> None:
    base, noise = experiment(0, 2.0, 2.0), Noise(0.001, 10, 8)
    assert event_of(experiment(1, 1.98, 1.981), base, noise) is Event.KEEP
    assert event_of(experiment(1, 2.02), base, noise) is Event.DISCARD


def test_nothing_is_kept_on_one_run() -> None:
    base, noise = experiment(0, 2.0, 2.0), Noise(0.001, 10, 8)
    judged = judge(experiment(1, 1.98), base, noise)
    assert judged.verdict is None
    assert judged.probability is not None
    assert judged.probability >= KEEP_ABOVE


def test_a_second_run_that_does_not_hold_takes_the_keep_back() -> None:
    base, noise = experiment(0, 2.0, 2.0), Noise(0.01, 12, 9)
    assert event_of(experiment(1, 1.95, 2.02), base, noise) is not Event.KEEP


def test_between_the_thresholds_a_person_is_asked() -> None:
    base, noise = experiment(0, 2.0, 2.0), Noise(0.001, 2, 1)
    # One degree of freedom, the Cauchy distribution: P = 0.95 at t = 6.314, 0.8 at 1.376.
    for t, event in ((6.4, Event.KEEP), (6.2, Event.ASK), (1.4, Event.ASK), (1.3, Event.DISCARD)):
        score = 2.0 - t * 0.001  # two runs each: the standard error is sigma
        assert event_of(experiment(1, score, score), base, noise) is event


def test_two_runs_are_harder_to_convince_than_many() -> None:
    base, own = experiment(0, 2.0, 2.0), experiment(1, 1.997)
    few = probability_better(own, base, Noise(0.001, 2, 1))
    many = probability_better(own, base, Noise(0.001, 20, 10))
    assert few is not None
    assert many is not None
    assert few < KEEP_ABOVE < many


def test_no_score_is_a_crash() -> None:
    own, base = experiment(1, None), experiment(0, 2.0)
    assert event_of(own, base, Noise(0.001, 2, 1)) is Event.CRASH


def test_without_known_noise_a_person_is_asked() -> None:
    judged = judge(experiment(1, 1.9), experiment(0, 2.0), Noise(None, 0, 0))
    assert judged.verdict is not None
    assert judged.verdict.event is Event.ASK
    assert judged.delta == pytest.approx(-0.1)
    assert judged.probability is None


def test_a_base_without_a_score_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="#1"):
        judge(experiment(1, 1.9), experiment(0), Noise(0.001, 2, 1))


def test_equal_scores_are_a_coin_toss() -> None:
    chance = probability_better(experiment(1, 2.0), experiment(0, 2.0), Noise(0.001, 4, 3))
    assert chance == pytest.approx(0.5)
    assert chance is not None
    assert chance < ASK_ABOVE
