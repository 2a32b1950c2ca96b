"""When a proposer rests, and when it is looked after."""

from cockpit.engine.health import (
    FIRST_REST_SECONDS,
    KEY_REST_SECONDS,
    LONGEST_REST_SECONDS,
    Health,
)


def test_each_failure_in_a_row_makes_the_rest_longer_up_to_a_limit() -> None:
    health, rests = Health(), []
    for _ in range(10):
        health.fail("500", "fault", 100.0)
        rests.append(health.until - 100.0)
    assert rests == sorted(rests)
    assert rests[0] < rests[1]
    assert rests[-1] == LONGEST_REST_SECONDS


def test_the_first_failure_is_news_and_so_is_the_recovery() -> None:
    health = Health()
    assert health.fail("500", "fault", 0.0)
    assert not health.fail("500", "fault", 20.0)
    assert health.recover()
    assert not health.recover()


def test_only_an_idea_that_can_be_used_makes_the_next_rest_short_again() -> None:
    health = Health()
    for _ in range(4):
        health.fail("unusable", "unusable", 0.0)
        health.recover()  # a probe is answered every time
    long = health.until
    assert long > FIRST_REST_SECONDS
    health.succeed()
    health.fail("500", "fault", 0.0)
    assert health.until == FIRST_REST_SECONDS


def test_a_probe_is_due_when_the_rest_is_over() -> None:
    health = Health()
    assert not health.probe_due(0.0)
    health.fail("revoked", "key", 0.0)
    assert not health.probe_due(KEY_REST_SECONDS - 1)
    assert health.probe_due(KEY_REST_SECONDS)


def test_without_money_nothing_is_probed() -> None:
    health = Health()
    health.fail("spent", "money", 0.0)
    assert not health.probe_due(1e9)


def test_who_waits_for_its_provider_is_held_up_until_then() -> None:
    health = Health(held_until=10.0)
    assert health.held_up(9.0)
    assert not health.held_up(10.0)
