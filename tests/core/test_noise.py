"""The pooled spread, and Student's distribution against published figures."""

import math
import random
import statistics

import pytest

from cockpit.core.noise import FLOOR_BPB, Noise, NoisePrior, normal_cdf, pooled, student_cdf


@pytest.mark.parametrize(
    ("degrees", "t", "probability"),
    [
        (1, 6.313752, 0.95), (1, 1.376382, 0.80), (2, 2.919986, 0.95), (3, 2.353363, 0.95),
        (4, 2.131847, 0.95), (5, 2.015048, 0.95), (10, 1.812461, 0.95), (30, 1.697261, 0.95),
        (7, 2.998, 0.99), (9, 0.0, 0.5),
    ],
)  # fmt: skip
def test_student_agrees_with_the_tables(degrees: int, t: float, probability: float) -> None:
    assert student_cdf(t, degrees) == pytest.approx(probability, abs=2e-5)
    assert student_cdf(-t, degrees) == pytest.approx(1 - probability, abs=2e-5)


@pytest.mark.parametrize("degrees", [1, 2, 5, 300])
def test_student_is_a_distribution(degrees: int) -> None:
    values = [round(student_cdf(t / 4, degrees), 12) for t in range(-400, 401)]
    assert values == sorted(values)
    assert 0 <= values[0] < 0.01
    assert 0.99 < values[-1] <= 1


def test_student_needs_a_degree_of_freedom() -> None:
    with pytest.raises(ValueError, match="degree"):
        student_cdf(1.0, 0)


def test_one_run_says_nothing() -> None:
    assert pooled([[2.0], [1.9], []]).sigma is None


def test_two_runs_give_their_standard_deviation() -> None:
    noise = pooled([[2.0, 2.02], [1.9]])
    assert noise.sigma == pytest.approx(0.02 / math.sqrt(2))
    assert (noise.runs, noise.degrees) == (2, 1)


def test_runs_that_agree_do_not_make_noise_vanish() -> None:
    assert pooled([[2.0, 2.0]]).sigma == FLOOR_BPB


def test_pooling_finds_the_spread_whatever_the_means() -> None:
    generator = random.Random(1)
    groups = [[generator.gauss(m / 10, 0.01) for _ in range(3)] for m in range(400)]
    noise = pooled(groups)
    assert noise.degrees == 800
    assert noise.sigma == pytest.approx(0.01, rel=0.08)
    assert pooled([groups[0]]).sigma == pytest.approx(statistics.stdev(groups[0]))


def test_a_prior_carries_the_start_and_is_outweighed() -> None:
    prior = NoisePrior(0.01, 3.0)
    assert pooled([[2.0]], prior).sigma == pytest.approx(0.01)
    two = pooled([[2.0, 2.0]], prior)
    assert two.sigma == pytest.approx(0.01 * math.sqrt(3 / 4))
    generator = random.Random(2)
    many = pooled([[generator.gauss(2.0, 0.002) for _ in range(40)] for _ in range(5)], prior)
    assert many.sigma == pytest.approx(0.002, rel=0.2)


def test_the_spread_is_less_certain_the_fewer_runs_it_rests_on() -> None:
    """Against the chi-squared table: with 4 degrees 0.711 and 9.488 hold 90 %."""
    assert Noise(None, 0, 0).between is None
    few, many = Noise(0.01, 2, 4).between, Noise(0.01, 100, 90).between
    assert few == pytest.approx((0.01 * (4 / 9.488) ** 0.5, 0.01 * (4 / 0.711) ** 0.5), rel=0.02)
    assert many is not None
    assert few is not None
    assert many[1] - many[0] < (few[1] - few[0]) / 4


def test_the_nodes_stand_for_the_whole_distribution() -> None:
    """A sigma that is drawn from its distribution lies as often below each node as it should."""
    nodes = Noise(1.0, 4, 6).nodes()
    assert sorted(nodes) == list(nodes)
    generator = random.Random(3)
    drawn = [(6 / generator.gammavariate(3, 2)) ** 0.5 for _ in range(20_000)]
    shares = [sum(sigma <= node for sigma in drawn) / len(drawn) for node in nodes]
    assert shares == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9], abs=0.015)
    assert Noise(None, 0, 0).nodes() == ()


def test_the_normal_distribution_agrees_with_the_table() -> None:
    assert normal_cdf(1.6449) == pytest.approx(0.95, abs=1e-5)
    assert normal_cdf(-40.0) >= 0.0
