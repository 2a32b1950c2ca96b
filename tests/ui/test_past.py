"""Nights that are over, condensed into what the journal knows of them."""

from typing import Any

import pytest

from cockpit.core.experiment import Event, Status, Verdict
from cockpit.ui.client import Client
from cockpit.ui.past_lines import past_lines
from cockpit.ui.text import Line, width_of


def text(lines: list[Line]) -> str:
    return "\n".join("".join(piece for piece, _ in line) for line in lines)


def two_nights(night: Any) -> None:
    """A night with all that may happen in one, and another that has begun."""
    night.a_few()
    night.journal.add_hint("no depth tonight", "me")
    night.journal.add_message("human", "me", "no depth tonight")
    night.journal.change_hint(1, state="applied", experiment=1)
    night.journal.add_hint("what about heads?", "me", once=True)
    night.journal.change_hint(2, state="declined", experiment=2, why="heads are next")
    night.journal.add_message("question", "me", "why does warmup not help?")
    night.journal.add_message("answer", "llm", "It eats steps.")
    night.journal.add_message("proposer", "llm", "I halve the batch.", 1)
    night.call(0.25)
    night.begin(proposer="llm")
    night.journal.add_message("engine", "engine", "a new night")


def test_messages_of_an_older_night_become_facts(night: Any) -> None:
    two_nights(night)
    snapshot = Client(night.lab).snapshot()
    assert [message.text for message in snapshot.messages] == ["a new night"]
    (past,) = snapshot.past
    assert (past.ideas, past.crashed, past.dollars) == (4, (4,), 0.25)
    (kept,) = past.kept
    assert (kept.id, kept.gain) == (1, pytest.approx(-0.1005))
    assert past.exchanges == (("why does warmup not help?", "It eats steps."),)
    told = text(past_lines(past, 120))
    assert "4 ideas, 1 kept, 1 discarded, 1 yours, 1 crashed · best 2.0000 · $0.25" in told
    assert "kept     #1 halve the batch −0.1005" in told
    assert "crashed  #4" in told
    assert "hint 1  no depth tonight: applied in #1" in told
    assert "once 2  what about heads?: not now: heads are next" in told
    assert "asked    why does warmup not help? — It eats steps." in told
    assert "ended    enough was tried" in told
    assert "I halve the batch" not in told


def test_the_last_night_stands_in_full_until_another_begins(night: Any) -> None:
    night.a_few()
    night.journal.add_message("proposer", "llm", "I halve the batch.", 1)
    night.journal.change_night(night.night, ended_at=1.0, reason="enough")
    night.beat("stopped")
    client = Client(night.lab)
    assert client.snapshot().past == ()
    assert len(client.snapshot().messages) == 1
    night.begin(proposer="search")
    assert len(client.snapshot().past) == 1
    assert client.snapshot().messages == ()


def test_nothing_is_taken_from_the_journal(night: Any) -> None:
    two_nights(night)
    Client(night.lab).snapshot()
    assert len(night.journal.messages()) == 5


def test_a_later_verdict_changes_an_older_night(night: Any) -> None:
    two_nights(night)
    client = Client(night.lab)
    (before,) = client.snapshot().past
    night.journal.decide(3, Status.KEPT, Verdict(Event.ACCEPT, "I say so", "me"))
    (after,) = client.snapshot().past
    assert [kept.id for kept in before.kept] == [1]
    assert [kept.id for kept in after.kept] == [1, 3]


def test_a_night_that_did_not_change_is_the_same_object(night: Any) -> None:
    two_nights(night)
    client = Client(night.lab)
    first = client.snapshot()
    night.journal.add_hint("another one", "me")
    second = client.snapshot()
    assert second.past[0] is first.past[0]


@pytest.mark.parametrize("width", [8, 20, 45, 80, 200])
def test_a_block_fits_its_width_whatever_was_written(night: Any, width: int) -> None:
    night.a_few()
    hostile = "\x1b[31m日本語🙂\u202e" + "x" * 3_000
    night.judged(1, Status.KEPT, 1.5, hostile)
    night.journal.add_hint(hostile, hostile)
    night.journal.add_message("question", "me", hostile)
    night.begin(proposer="llm")
    (past,) = Client(night.lab).snapshot().past
    lines = past_lines(past, width)
    assert "\x1b" not in text(lines)
    assert max(width_of(line) for line in lines) <= max(width, 20)
