import random

import pytest

from cockpit.core.audit import (
    GAIN_NATS,
    Gain,
    chance_to_find,
    chance_to_find_peek,
    gain,
    holds_on_validation_alone,
    not_recorded,
    not_repeated,
    peeked,
    plan,
    visible_future,
    wrong_score,
)

BF16_NOISE = 5e-3
"""Root mean square change of a token's loss between two kinds of bfloat16 arithmetic."""


def noise(count: int, size: float, seed: int = 0) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(0.0, size) for _ in range(count)]


def test_an_audit_of_long_rows_looks_at_fewer_of_them() -> None:
    large = plan("cuda", 2048, 8192, 10240, 10240)
    assert (large.validation, large.sealed, large.cut + large.repeated) == (32, 32, 32)
    assert large.batch * 2048 * 8192 * 4 == 512 << 20
    small = plan("cpu", 256, 2048, 512, 512)
    assert small.validation == small.sealed == 85


def test_an_audit_never_wants_more_rows_than_there_are() -> None:
    tiny = plan("cpu", 64, 300, 16, 5)
    assert (tiny.validation, tiny.sealed) == (16, 5)
    assert tiny.cut + tiny.repeated <= 21
    assert tiny.cut > 0
    assert tiny.repeated > 0


def test_rows_always_have_neighbours() -> None:
    assert plan("cpu", 8192, 65536, 512, 512).batch == 2


def test_a_large_falsification_is_almost_surely_found() -> None:
    assert chance_to_find(0.2, 32) > 0.999
    assert chance_to_find(1 / 64, 85) == pytest.approx(0.74, abs=0.005)


def test_a_score_follows_from_its_rows_up_to_rounding() -> None:
    assert wrong_score(1.5 * (1 + 5e-7), 1.5 * 0.6931471805599453 * 1000, 1000) is None
    told = wrong_score(1.4, 1.5 * 0.6931471805599453 * 1000, 1000)
    assert told is not None
    assert "1.400000 was reported" in told
    assert wrong_score(None, 1.0, 1000) is not None


def test_the_noise_of_compiled_bfloat16_is_no_falsification() -> None:
    tokens = 256
    recorded = [2.0 * tokens + own for own in noise(85, 30.0)]
    for seed in range(50):
        apart = noise(85, BF16_NOISE * tokens**0.5, seed)
        audited = [own + other for own, other in zip(recorded, apart, strict=True)]
        assert not_recorded(recorded, audited, tokens) is None


def test_losses_recorded_a_little_too_low_everywhere_are_found() -> None:
    audited = [500.0 + own for own in noise(32, 30.0)]
    recorded = [own - 0.002 * 256 for own in audited]
    assert "+0.002 nats" in (not_recorded(recorded, audited, 256) or "")


def test_one_row_recorded_much_too_low_is_found() -> None:
    audited = [500.0] * 64
    assert "1 rows by more" in (not_recorded([*audited[1:], 490.0], audited, 256) or "")


def test_a_model_that_answers_otherwise_the_second_time_is_found() -> None:
    first = noise(1000, 1.0)
    assert not_repeated(first, [own + 0.01 for own in first]) is None
    assert not_repeated(first, [own + 0.03 for own in first]) is not None


@pytest.mark.parametrize("size", [0.0, 5e-7, BF16_NOISE])
def test_noise_is_not_taken_for_the_future(size: float) -> None:
    for seed in range(200):
        repeated = noise(2000, size, seed)
        seams, before = noise(28, size, seed + 1), noise(28, size / 10, seed + 2)
        changes = [0.8 * size] * 28
        assert visible_future(seams, before, changes, repeated) is None


def test_a_tie_that_falls_to_another_expert_is_not_taken_for_the_future() -> None:
    def flips(count: int, seed: int) -> list[float]:
        chance = random.Random(seed)
        return [chance.gauss(0, 0.3) if chance.random() < 0.01 else 0.0 for _ in range(count)]

    alarms = 0
    for seed in range(500):
        seams = flips(28, seed)
        change = sum(map(abs, flips(2000, seed + 1000))) / 2000
        repeated = flips(2000, seed + 2000)
        alarms += visible_future(seams, [0.0] * 28, [change] * 28, repeated) is not None
    assert alarms <= 5


def test_a_future_worth_a_thousandth_of_a_nat_is_found_where_arithmetic_is_exact() -> None:
    told = visible_future([1e-3] * 28, [0.0] * 28, [0.0] * 28, [0.0] * 500)
    assert "0.001 nats better" in (told or "")
    assert visible_future([GAIN_NATS / 2] * 28, [0.0] * 28, [0.0] * 28, [0.0] * 500) is None


def test_a_future_worth_a_hundredth_of_a_nat_is_found_in_bfloat16() -> None:
    repeated = noise(2000, BF16_NOISE)
    for seed in range(50):
        seams = [0.01 + own for own in noise(28, BF16_NOISE, seed)]
        assert visible_future(seams, [0.0] * 28, [0.004] * 28, repeated) is not None


def test_predictions_that_change_without_gain_are_found_too() -> None:
    seams = [0.2, -0.2] * 14
    assert "changed by 0.2" in (visible_future(seams, [0.0] * 28, [0.1] * 28, [0.0] * 500) or "")


def test_a_seldom_peek_is_found_by_the_suspect_cuts() -> None:
    assert chance_to_find_peek(0.02, 28) == pytest.approx(0.97, abs=0.005)
    assert chance_to_find_peek(0.01, 28) == pytest.approx(0.80, abs=0.005)
    assert chance_to_find_peek(0.01, 75) == pytest.approx(0.99, abs=0.005)
    assert chance_to_find_peek(0.5, 28) == 1.0


def test_one_suspect_token_that_was_peeked_at_is_enough() -> None:
    told = peeked([0.0] * 13 + [3.0], noise(2000, BF16_NOISE))
    assert "3 nats better" in (told or "")
    assert "1 of 14 suspect cuts" in (told or "")
    assert peeked([-3.0] * 14, [0.0] * 500) is None


def test_noise_at_suspect_tokens_is_no_peek() -> None:
    for seed in range(200):
        assert peeked(noise(37, BF16_NOISE, seed), noise(500, BF16_NOISE, seed + 1)) is None


def test_noise_on_purpose_hides_no_peek() -> None:
    assert peeked([2.0], [10.0] + [0.0] * 500) is not None


def test_a_gain_is_paired_row_by_row() -> None:
    base = [100.0 + own for own in noise(64, 20.0)]
    own = [loss - 1.0 for loss in base]
    found = gain(own, base, 64_000)
    assert found is not None
    assert found.bpb == pytest.approx(64 / 0.6931471805599453 / 64_000)
    assert found.error == pytest.approx(0.0, abs=1e-12)


def test_other_rows_have_no_gain() -> None:
    assert gain([1.0, 2.0], [1.0, 2.0, 3.0], 10) is None


def test_a_gain_that_sealed_rows_do_not_show_is_suspect() -> None:
    real = Gain(0.020, 0.001)
    assert not holds_on_validation_alone(real, Gain(0.016, 0.001))
    assert not holds_on_validation_alone(real, None)
    assert holds_on_validation_alone(Gain(0.300, 0.004), Gain(-0.01, 0.004))
