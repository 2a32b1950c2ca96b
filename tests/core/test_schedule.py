"""Whose turn it is."""

from collections import Counter

import pytest

from cockpit.core.schedule import ScheduleError, next_of, parse

KNOWN = ("search", "llm", "command")


def turns(text: str, count: int, made: Counter[str] | None = None) -> list[str]:
    schedule, made = parse(text, KNOWN), made or Counter()
    found = []
    for _ in range(count):
        found.append(next_of(schedule, made))
        made[found[-1]] += 1
    return found


def test_a_schedule_is_read_and_written() -> None:
    assert parse("llm:3,search:1", KNOWN).weights == (("llm", 3), ("search", 1))
    assert str(parse(" llm : 3 , search ", KNOWN)) == "llm:3,search:1"
    assert str(parse("llm", KNOWN)) == "llm"
    assert parse("llm,search").names == ("llm", "search")
    assert parse(str(parse("command:2,llm", KNOWN)), KNOWN) == parse("command:2,llm", KNOWN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no part"),
        ("llm,", "'' is no part"),
        ("llm:", "'llm:' is no part"),
        ("llm:1.5", "is no part"),
        ("llm:three", "is no part"),
        ("gpt:1", "unknown proposer 'gpt': there are search, llm, command"),
        ("llm:0,search:1", "the weight of llm is 0"),
        ("llm:-2", "the weight of llm is -2"),
        ("llm:101", "from 1 to 100"),
        ("llm:1,search,llm:2", "llm stands twice"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        parse(text, KNOWN)


def test_turns_are_interleaved_by_their_weights() -> None:
    assert turns("llm:3,search:1", 8) == ["llm", "llm", "search", "llm"] * 2
    assert turns("llm,search", 4) == ["llm", "search"] * 2
    assert turns("search", 3) == ["search"] * 3


@pytest.mark.parametrize("text", ["llm:3,search:1", "llm:5,search:2,command:3", "search:7,llm:2"])
def test_nobody_is_ever_a_whole_turn_off_their_share(text: str) -> None:
    weights = dict(parse(text, KNOWN).weights)
    whole, made = sum(weights.values()), Counter[str]()
    for number, name in enumerate(turns(text, 4 * whole), 1):
        made[name] += 1
        for other, weight in weights.items():
            assert abs(made[other] - number * weight / whole) < 1.01
    assert made == {name: 4 * weight for name, weight in weights.items()}


def test_after_a_restart_the_counts_alone_say_who_is_next() -> None:
    everything = turns("llm:5,search:2,command:3", 20)
    for place in range(20):
        made = Counter(everything[:place])
        assert turns("llm:5,search:2,command:3", 20 - place, made) == everything[place:]


def test_proposers_outside_of_the_schedule_do_not_count() -> None:
    assert turns("llm:1,search:1", 2, Counter(anna=9, baseline=1)) == ["llm", "search"]
