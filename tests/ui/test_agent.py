"""The agent pane: what is written now, hints and what became of them, and money."""

from typing import Any

import pytest

from cockpit.ui.client import Client
from cockpit.ui.panes.agent import AgentPane, Transcript
from cockpit.ui.panes.status import StatusLine
from cockpit.ui.talk_lines import STREAM_LINES

HOSTILE = "[bold]\x1b[31m\x1b]0;owned\x07🙂日本語\u202e\r\n" + "x" * 10_000


def last_words(transcript: Transcript) -> str:
    return transcript.line_at(transcript.line_count() - 1)[-1][0]


async def test_what_is_being_written_is_shown_and_goes_when_it_is_said(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    night.begin(proposer="llm")
    with night.alive():
        async with screen() as pilot:
            night.writing("I lower")
            await until(pilot, lambda: "llm is proposing …" in picture(pilot.app))
            night.writing("I lower x0, because")
            await until(pilot, lambda: "I lower x0, because" in picture(pilot.app))
            night.journal.end_stream("llm")
            night.journal.add_message("proposer", "llm", "I lower x0.", 1)
            await until(pilot, lambda: "llm is proposing" not in picture(pilot.app))
            assert "#1 I lower x0." in picture(pilot.app)


async def test_only_the_end_of_a_long_answer_is_shown_and_harmlessly(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.begin(proposer="llm")
    with night.alive():
        async with screen() as pilot:
            transcript = pilot.app.query_one(Transcript)
            text = "\n".join(f"line {number}" for number in range(500))
            night.writing(text + "\n" + HOSTILE[:40] + "\nthe end")
            await until(pilot, lambda: "the end" in picture(pilot.app))
            assert len(transcript._writing) == 1 + STREAM_LINES
            shown = picture(pilot.app)
            assert "line 400" not in shown
            assert "\x1b" not in shown
            assert "owned" not in shown


async def test_an_answer_and_a_proposal_are_written_at_once(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.begin(proposer="llm")
    with night.alive():
        async with screen() as pilot:
            night.writing("Next is depth.")
            night.writing("Because of the", "answer", "answering")
            await until(pilot, lambda: "answering …" in picture(pilot.app))
            assert "llm is proposing …" in picture(pilot.app)


def test_what_a_dead_engine_was_showing_is_written_by_nobody(night: Any) -> None:
    night.a_few()
    night.writing("half a word")
    night.beat("running")
    assert Client(night.lab).snapshot().streams == ()


async def test_streaming_lays_out_nothing_of_what_has_been_said(
    night: Any, screen: Any, until: Any
) -> None:
    night.a_few()
    for number in range(50):
        night.journal.add_message("engine", "engine", f"line {number}")
    with night.alive():
        async with screen() as pilot:
            transcript = pilot.app.query_one(Transcript)
            await until(pilot, lambda: transcript.line_count() == 50)
            said = transcript._said
            for word in ("one", "one two", "one two three"):
                night.writing(word)
                await until(pilot, lambda word=word: last_words(transcript) == word)
            assert transcript._said is said


async def test_a_transcript_that_was_scrolled_up_stays_there_while_something_is_written(
    night: Any, screen: Any, until: Any
) -> None:
    night.a_few()
    for number in range(100):
        night.journal.add_message("engine", "engine", f"line {number}")
    with night.alive():
        async with screen() as pilot:
            transcript = pilot.app.query_one(Transcript)
            await until(pilot, lambda: transcript.line_count() == 100 and transcript.at_end)
            await until(pilot, lambda: transcript.show_vertical_scrollbar)
            night.writing("I lower x0")
            await until(pilot, lambda: transcript.line_count() == 102)
            await until(pilot, lambda: transcript.at_end)
            transcript.scroll_to(y=3, animate=False)
            await pilot.pause()
            night.writing("I lower x0\nbecause")
            await until(pilot, lambda: transcript.line_count() == 103)
            assert transcript.scroll_offset.y == 3


async def test_what_came_while_the_pane_was_hidden_is_in_view_when_it_is_shown(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    for number in range(60):
        night.journal.add_message("engine", "engine", f"line {number}")
    async with screen(80, 24) as pilot:
        transcript = pilot.app.query_one(Transcript)
        await pilot.press("2")
        await until(pilot, lambda: transcript.line_count() == 60 and transcript.at_end)
        await pilot.press("1")
        await until(pilot, lambda: transcript.page_height == 0)
        for number in range(60, 90):
            night.journal.add_message("engine", "engine", f"line {number}")
        night.journal.add_hint("less depth", "me")
        await until(pilot, lambda: len(pilot.app.snapshot.hints) == 1)
        await pilot.press("2")
        await until(pilot, lambda: transcript.line_count() == 90 and transcript.page_height > 0)
        await until(pilot, lambda: transcript.at_end)
        await until(pilot, lambda: "hint 1  less depth" in picture(pilot.app))
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: transcript.at_end)


async def test_each_hint_says_its_number_and_what_became_of_it(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    night.begin(proposer="llm")
    async with screen(120, 40) as pilot:
        night.journal.add_hint("no depth tonight", "me")
        await until(pilot, lambda: "hint 1  no depth tonight" in picture(pilot.app))
        assert "queued" in picture(pilot.app)
        night.journal.change_hint(1, state="seen")
        await until(pilot, lambda: "seen" in picture(pilot.app))
        night.journal.change_hint(1, state="declined", experiment=2, why="depth is next")
        await until(pilot, lambda: "not now: depth is next" in picture(pilot.app))
        night.journal.change_hint(1, state="applied", experiment=3, why="")
        await until(pilot, lambda: "applied in #3" in picture(pilot.app))
        night.journal.change_hint(1, state="withdrawn")
        await until(pilot, lambda: "no depth tonight" not in picture(pilot.app))
        night.journal.add_hint("a wider model", "me", once=True)
        night.journal.add_hint("a cosine warmdown", "me", order=True)
        await until(pilot, lambda: "once 2  a wider model" in picture(pilot.app))
        await until(pilot, lambda: "try 3  a cosine warmdown" in picture(pilot.app))
        assert "search reads no hints" not in picture(pilot.app)


async def test_a_hint_of_an_older_night_is_shown_only_while_it_is_read(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    night.journal.add_hint("still read", "me")
    night.journal.add_hint("for once", "me", once=True)
    night.journal.change_hint(2, state="applied", experiment=1)
    night.begin(proposer="llm")
    async with screen() as pilot:
        await until(pilot, lambda: "hint 1  still read" in picture(pilot.app))
        (hints,) = pilot.app.query("#hints")
        assert "for once" not in hints.lines_text


@pytest.mark.parametrize(
    ("proposer", "unread"), [("search", True), ("llm:3,search:1", False), ("command", False)]
)
async def test_a_schedule_without_a_reader_says_that_nobody_reads(
    night: Any, screen: Any, until: Any, picture: Any, proposer: str, unread: bool
) -> None:
    night.a_few()
    night.begin(proposer=proposer)
    async with screen() as pilot:
        await until(pilot, lambda: f"2 Agent  {proposer}" in picture(pilot.app))
        assert ("search reads no hints" in picture(pilot.app)) is unread


async def test_the_title_names_model_and_dollars(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    models = ["openai/gpt-4o-mini", "anthropic/claude"]
    night.begin(proposer="llm", model=models, max_cost=10.0)
    async with screen() as pilot:
        pane = pilot.app.query_one(AgentPane)
        await until(pilot, lambda: "gpt-4o-mini · $0.00 of $10.00" in str(pane.border_title))
        night.call(0.40)
        night.call(0.02, model="anthropic/claude")
        night.call(None, model="openai/gpt-4o-mini", outcome="rate limit")
        expected = "2 Agent  llm claude · $0.42 of $10.00"
        await until(pilot, lambda: str(pane.border_title) == expected)
        await until(pilot, lambda: "$0.42" in pilot.app.query_one(StatusLine).lines_text)


def test_only_the_calls_of_this_night_are_paid_for_tonight(night: Any) -> None:
    night.a_few()
    night.call(3.0)
    night.begin(proposer="llm")
    client = Client(night.lab)
    assert client.snapshot().spent.calls == 0
    night.call(0.25)
    night.call(None)
    spent = client.snapshot().spent
    assert (spent.calls, spent.dollars, spent.unpriced, spent.tokens) == (2, 0.25, 1, 2400)


async def test_an_older_night_stands_as_one_block_above_the_present_one(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    night.journal.add_message("proposer", "llm", "I halve the batch.", 1)
    night.begin(proposer="llm")
    night.journal.add_message("proposer", "llm", "Tonight I lower x0.", 1)
    async with screen(200, 50) as pilot:
        await until(pilot, lambda: "Tonight I lower x0." in picture(pilot.app))
        shown = picture(pilot.app)
        assert "4 ideas, 1 kept" in shown
        assert "ended    enough was tried" in shown
        assert "I halve the batch." not in shown


async def test_beyond_the_window_a_line_says_how_many_came_before(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    with night.journal.transaction():
        for number in range(700):
            night.journal.add_message("engine", "engine", f"line {number}")
    async with screen() as pilot:
        transcript = pilot.app.query_one(Transcript)
        await until(pilot, lambda: transcript.line_count() == 601)
        await until(pilot, lambda: transcript.at_end and transcript.show_vertical_scrollbar)
        transcript.scroll_to(y=0, animate=False)
        told = "100 earlier messages are in the journal"
        await until(pilot, lambda: told in picture(pilot.app))
