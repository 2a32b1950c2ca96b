"""Hints and their states, what calls cost, and what a restart finds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.core.briefing import Briefing
from cockpit.core.experiment import Hint, HintAnswer, Proposal
from cockpit.engine.commands import Commands, NoNight
from cockpit.engine.conversation import Conversation
from cockpit.engine.hand import Hand
from cockpit.engine.judging import Judging
from cockpit.engine.spending import Spending
from cockpit.lab.repo import Repo
from cockpit.lab.writing import EngineJournal
from tests.engine.test_judging import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "lab")
    bench.baseline()
    yield bench
    bench.journal.close()


@pytest.fixture
def conversation(bench: Bench) -> Conversation:
    return Conversation(bench.journal, Spending(bench.journal, 1, None), None)


def briefing(journal: EngineJournal) -> Briefing:
    open_hints = [hint for hint in journal.hints() if hint.open]
    return Briefing(
        "t", 0, "", "", (),
        hints=tuple(hint for hint in open_hints if not hint.order),
        order=next((hint for hint in open_hints if hint.order), None),
    )  # fmt: skip


def hint(journal: EngineJournal, number: int) -> Hint:
    return next(hint for hint in journal.hints() if hint.id == number)


def answer(conversation: Conversation, told: Briefing, *answers: HintAnswer) -> None:
    proposal = Proposal("idea", "llm", edits=(), hints=answers)
    conversation.answered(7, proposal, told)


def command(bench: Bench, judging: Judging, verb: str, **arguments: object) -> str:
    bench.journal.drop(verb, arguments, "ada")
    hand = Hand.of(bench.journal, Repo(bench.lab.root), bench.tree, judging)
    return Commands(bench.journal, hand, NoNight(lambda: False)).take()[-1]


def test_a_hint_is_applied_or_declined_as_a_valid_answer_says(
    bench: Bench, conversation: Conversation
) -> None:
    first, second = bench.journal.add_hint("deeper", "ada"), bench.journal.add_hint("wider", "ada")
    told = briefing(bench.journal)
    answer(
        conversation, told, HintAnswer(first, True, "10 layers"), HintAnswer(second, False, "later")
    )
    applied, declined = hint(bench.journal, first), hint(bench.journal, second)
    assert (applied.state, applied.experiment, applied.why) == ("applied", 7, "10 layers")
    assert (declined.state, declined.why) == ("declined", "later")
    assert applied.open
    assert declined.open
    said = [m.text for m in bench.journal.messages() if m.role == "proposer"]
    assert said == ["hint 1: applied: 10 layers", "hint 2: not now: later"]


def test_a_hint_once_applied_stays_so_when_a_later_proposal_leaves_it_out(
    bench: Bench, conversation: Conversation
) -> None:
    number = bench.journal.add_hint("deeper", "ada")
    answer(conversation, briefing(bench.journal), HintAnswer(number, True))
    answer(conversation, briefing(bench.journal), HintAnswer(number, False, "done already"))
    assert hint(bench.journal, number).state == "applied"


def test_what_was_edited_or_withdrawn_while_the_answer_came_is_not_seen(
    bench: Bench, conversation: Conversation
) -> None:
    edited, withdrawn = bench.journal.add_hint("a", "ada"), bench.journal.add_hint("b", "ada")
    told = briefing(bench.journal)
    assert "changed" in command(bench, bench.judging, "edit_hint", id=edited, text="c")
    assert "withdrawn" in command(bench, bench.judging, "withdraw", id=withdrawn)
    answer(conversation, told, HintAnswer(edited, True), HintAnswer(withdrawn, True))
    assert hint(bench.journal, edited).state == "queued"
    assert hint(bench.journal, edited).text == "c"
    assert hint(bench.journal, withdrawn).state == "withdrawn"


def test_a_hint_for_once_is_in_no_prompt_after_it_was_seen(
    bench: Bench, conversation: Conversation
) -> None:
    command(bench, bench.judging, "hint", text="just this time", once=True)
    told = briefing(bench.journal)
    assert [h.text for h in told.hints] == ["just this time"]
    answer(conversation, told, HintAnswer(1, False, "no"))
    assert briefing(bench.journal).hints == ()


def test_a_hint_that_was_seen_can_be_withdrawn_but_not_edited(
    bench: Bench, conversation: Conversation
) -> None:
    number = bench.journal.add_hint("deeper", "ada")
    answer(conversation, briefing(bench.journal), HintAnswer(number, True))
    refused = command(bench, bench.judging, "edit_hint", id=number, text="x")
    assert "applied already: withdraw it" in refused
    assert command(bench, bench.judging, "withdraw", id=number) == "hint 1 is withdrawn"
    assert briefing(bench.journal).hints == ()
    assert "there is no hint 9 (there are: 1)" in command(bench, bench.judging, "withdraw", id=9)


def test_without_a_night_questions_and_orders_are_refused_with_what_to_do(bench: Bench) -> None:
    for verb in ("ask", "try"):
        assert "cockpit start" in command(bench, bench.judging, verb, text="why?")
        assert "needs some words" in command(bench, bench.judging, verb, text=" ")


def test_what_is_written_is_seen_to_grow_and_then_gone(
    bench: Bench, conversation: Conversation
) -> None:
    for text in ("Half", "Halve the batch"):
        conversation.write("llm", {"event": "text", "about": "proposing", "text": text})
        conversation.show()
    (stream,) = bench.journal.streams()
    assert (stream.speaker, stream.text) == ("llm", "Halve the batch")
    conversation.written("llm")
    assert bench.journal.streams() == []


def test_a_stream_that_a_killed_engine_left_is_gone_at_the_next_start(
    bench: Bench, conversation: Conversation
) -> None:
    conversation.write("llm", {"event": "text", "text": "Half"})
    conversation.show()
    assert bench.journal.streams()
    Conversation(bench.journal, Spending(bench.journal, 1, None), None)
    assert bench.journal.streams() == []


def test_a_hint_that_nobody_answered_stays_new(bench: Bench, conversation: Conversation) -> None:
    number = bench.journal.add_hint("deeper", "ada")
    answer(conversation, briefing(bench.journal))
    assert hint(bench.journal, number).state == "queued"


def test_hints_of_an_experiment_that_never_ran_are_open_again(
    bench: Bench, conversation: Conversation
) -> None:
    number = bench.journal.add_hint("this", "ada", order=True)
    answer(conversation, briefing(bench.journal), HintAnswer(number, True))
    assert briefing(bench.journal).order is None
    assert [h.id for h in conversation.reopen(7)] == [number]
    assert briefing(bench.journal).order == hint(bench.journal, number)


def test_an_order_that_cannot_be_carried_out_is_declined_with_the_reason(
    bench: Bench, conversation: Conversation
) -> None:
    number = bench.journal.add_hint("download weights", "ada", order=True)
    conversation.decline(hint(bench.journal, number), "guard: no network", 9)
    declined = hint(bench.journal, number)
    assert (declined.state, declined.why, declined.experiment) == (
        "declined",
        "guard: no network",
        9,
    )
    assert briefing(bench.journal).order is None


def test_the_same_trouble_is_said_once(bench: Bench, conversation: Conversation) -> None:
    before = len(bench.journal.messages())
    for says in ("429", "429", "500"):
        conversation.trouble("llm", says)
    assert [m.text for m in bench.journal.messages()[before:]] == ["llm: 429", "llm: 500"]


def test_the_costs_of_a_night_add_up_and_are_inherited(bench: Bench) -> None:
    spending = Spending(bench.journal, 3, 1.0)
    for dollars in (0.25, 0.5, None):
        spending.record("llm", {"model": "m", "dollars": dollars, "outcome": "ok"})
    assert spending.left == 0.25
    again = Spending(bench.journal, 3, 0.75)
    assert again.over
    assert Spending(bench.journal, 4, 0.75).left == 0.75
    assert Spending(bench.journal, 3, None).left is None
