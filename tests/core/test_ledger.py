"""Every second of a slot is in one category."""

import random

import pytest

from cockpit.core.ledger import CATEGORIES, SlotLedger, total


def test_the_seconds_add_up_to_slots_times_wall_clock() -> None:
    generator = random.Random(0)
    slots = []
    for _ in range(3):
        slot, now = SlotLedger("other", 100.0), 100.0
        for _ in range(200):
            now += generator.random()
            slot = slot.mark(generator.choice(CATEGORIES), now)
        slots.append(slot)
    end = 400.0
    assert sum(total(slots, end).values()) == pytest.approx(3 * (end - 100.0))


def test_late_news_is_counted_from_the_last_mark() -> None:
    slot = SlotLedger("other", 10.0).mark("training", 20.0).mark("evaluation", 15.0)
    assert slot.totals(30.0) == {"other": 10.0, "training": 0.0, "evaluation": 10.0}


def test_the_same_category_goes_on() -> None:
    slot = SlotLedger("training", 0.0)
    assert slot.mark("training", 5.0) is slot


def test_every_category_is_told() -> None:
    assert list(total([], 0.0)) == list(CATEGORIES)


def test_a_clock_before_the_mark_takes_nothing_away() -> None:
    assert SlotLedger("paused", 10.0).totals(5.0) == {"paused": 0.0}


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(ValueError, match="lunch"):
        SlotLedger("other", 0.0).mark("lunch", 1.0)
