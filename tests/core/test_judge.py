"""The keep rule: clear wins and losses, what is between them, simplicity."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cockpit.core.beliefs import Belief
from cockpit.core.effects import Effects
from cockpit.core.experiment import Event
from cockpit.core.judge import (
    CHALLENGERS,
    LINES_PER_SIGMA,
    MANY_LINES,
    REPLICATES,
    SIMPLER_LINES,
    Base,
    Judgement,
    Policy,
    judge,
    signed,
)
from cockpit.core.noise import Noise
from tests.bench.judge import SCENARIOS, Lab

SIGMA = 0.001
NOISE = Noise(SIGMA, 20, 18)
BASE = Base(0, (2.0, 2.0), Belief(2.0, 0.5), 1)


def judged(gain: float | Sequence[float], **given: object) -> Judgement:
    """Judge runs that lie so many sigmas below the base."""
    gains = gain if isinstance(gain, Sequence) else [gain]
    scores = [2.0 - SIGMA * one for one in gains]
    return judge(scores, BASE, NOISE, Effects(), **given)  # type: ignore[arg-type]


def event(judgement: Judgement) -> Event | None:
    return judgement.verdict.event if judgement.verdict else None


def test_a_clear_gain_is_kept_and_a_loss_is_discarded() -> None:
    assert event(judged(5.0)) is Event.KEEP
    assert event(judged(-1.0)) is Event.DISCARD
    assert event(judged(0.0)) is Event.DISCARD


def test_between_them_the_challenger_runs_again() -> None:
    found = judged(1.6)
    assert found.verdict is None
    assert found.again == "own"


def test_the_less_certain_of_the_two_runs_again() -> None:
    """The challenger has three runs, the base one that is believed in like one and a half."""
    worn = Base(0, (2.0,), Belief(2.0, 0.7), 1)
    scores = [2.0 - 1.9 * SIGMA] * 3
    found = judge(scores, worn, NOISE, Effects(), spent=2)
    assert found.verdict is None
    assert found.again == "base"


def test_what_stays_between_after_all_replicates_is_a_persons() -> None:
    found = judged([1.8] * 3, spent=REPLICATES)
    assert 0.55 < (found.assessment.probability if found.assessment else 0) < 0.8
    assert event(found) is Event.ASK


def test_the_more_was_spent_the_less_patience_there_is() -> None:
    events = [event(judged(1.35, spent=spent)) for spent in (0, 1)]
    assert events == [None, Event.DISCARD]


def test_the_policy_ask_asks_at_once() -> None:
    assert event(judged(1.6, policy=Policy.ASK)) is Event.ASK
    assert event(judged(5.0, policy=Policy.ASK)) is Event.KEEP


def test_the_strict_policy_keeps_what_is_lower() -> None:
    assert event(judged(0.01, policy=Policy.STRICT)) is Event.KEEP
    assert event(judged(-0.01, policy=Policy.STRICT)) is Event.DISCARD


def test_a_base_that_carries_many_is_measured_again() -> None:
    worn = Base(0, (2.0, 2.0), Belief(2.0, 0.5), 4 * CHALLENGERS + 1)
    found = judge([2.005], worn, NOISE, Effects())
    assert found.again == "base"
    rested = judge([2.005], worn, NOISE, Effects(), spent=1)
    assert event(rested) is Event.DISCARD


def test_fewer_lines_at_an_equal_score_are_kept_after_a_replicate() -> None:
    first = judged(0.3, lines=-SIMPLER_LINES)
    assert (event(first), first.again) == (None, "own")
    found = judged([0.3, 0.5], spent=1, lines=-SIMPLER_LINES)
    assert event(found) is Event.KEEP
    assert found.verdict is not None
    assert "simpler" in found.verdict.reason
    assert event(judged([0.3, 0.5], spent=1, lines=-SIMPLER_LINES + 1)) is Event.DISCARD
    assert event(judged([-3.0, -3.1], spent=1, lines=-40)) is Event.DISCARD


def test_what_was_given_up_for_simplicity_already_is_not_given_up_again() -> None:
    worn = replace(BASE, slack=0.5 * SIGMA)
    scores = [2.0 - 0.3 * SIGMA, 2.0 - 0.5 * SIGMA]
    found = judge(scores, worn, NOISE, Effects(), spent=1, lines=-SIMPLER_LINES)
    assert event(found) is Event.DISCARD


def test_a_tiny_gain_for_much_more_code_is_not_worth_it() -> None:
    lines = 4 * LINES_PER_SIGMA
    assert lines >= MANY_LINES
    found = judged([2.5] * 5, lines=lines)
    assert event(found) is Event.DISCARD
    assert found.verdict is not None
    assert f"{lines} lines more" in found.verdict.reason
    assert event(judged([2.5] * 5, lines=MANY_LINES)) is Event.KEEP
    assert event(judged([8.0] * 5, lines=lines)) is Event.KEEP


def test_a_verdict_has_its_figures() -> None:
    found = judged(5.0)
    assert found.verdict is not None
    assert found.verdict.facts["sigma"] == SIGMA
    assert found.verdict.facts["base"] == 0
    assert found.delta == pytest.approx(-5 * SIGMA)
    assert "P(better)" in found.verdict.reason
    assert signed(-0.0005) in found.verdict.reason or signed(-5 * SIGMA) in found.verdict.reason


def test_without_known_noise_a_person_is_asked() -> None:
    found = judge([1.9], BASE, Noise(None, 0, 0), Effects())
    assert event(found) is Event.ASK
    assert found.delta == pytest.approx(-0.1)


def test_a_base_without_a_score_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="1"):
        judge([1.9], Base(1, (), Belief(0.0, 1.0)), NOISE, Effects())


def test_a_thousand_experiments_of_known_truth() -> None:
    """A short form of the benchmark, with room for luck: its targets are 5 %, 80 % and 30 %."""
    auto = Lab(SCENARIOS[0], Policy.AUTO, 1).play(1200)
    strict = Lab(SCENARIOS[0], Policy.STRICT, 1).play(1200)
    assert auto.false < 0.08
    assert auto.found > 0.72
    assert auto.more_runs < 0.36
    assert strict.false > 0.2


def test_a_lucky_base_does_not_lock_the_night_up() -> None:
    """The baseline's two runs were lucky by two sigma: true gains are found all the same."""
    lab = Lab(SCENARIOS[0], Policy.AUTO, 3)
    lab.be_lucky(2.0)
    assert lab.play(600).found > 0.7
