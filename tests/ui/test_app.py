"""The screen, driven by keys, on real journals."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.widgets import Input

from cockpit.core.experiment import Event, Proposal, Status, Verdict
from cockpit.ui.card import CardLine, StartCard
from cockpit.ui.panes.agent import Transcript
from cockpit.ui.panes.gpu import GpuPane
from cockpit.ui.panes.history import HistoryPane
from cockpit.ui.panes.keys import KeyLine
from cockpit.ui.panes.status import StatusLine
from cockpit.ui.screens.experiment import ExperimentScreen
from cockpit.ui.screens.help import HelpScreen
from cockpit.ui.screens.start import StartScreen

SETUP = {"corpus": "stdlib", "device": "cpu", "budget_seconds": 60.0}
HEAVY = ("torch", "litellm", "optuna", "git", "numpy")
HOSTILE = "[bold]\x1b[31m\x1b]0;owned\x07🙂日本語\u202e " + "x" * 10_000
PANE_KEYS = ("1", "enter", "escape", "2", "3", "question_mark", "escape")
HOSTILE_KEYS = (
    "1", "y", "enter", "end", "escape", "Q", "enter", "escape", "n", "escape", "escape",
    "colon", "end", "escape", "2", "3", "question_mark", "escape",
)  # fmt: skip
SIZES = [(200, 50), (120, 40), (100, 30), (80, 24), (45, 35), (40, 10), (20, 5)]


def test_importing_the_screen_pulls_in_nothing_heavy() -> None:
    program = (
        "import sys, cockpit.ui.app, cockpit.ui.launch, cockpit.ui.driver\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"


async def test_the_three_panes_show_the_night(
    night: Any, screen: Any, until: Any, picture: Any, step: Any, phase: Any
) -> None:
    night.a_few()
    night.write_metrics(1, 1, [step(n, n / 10, 6.0) for n in range(600)])
    number = night.running(1, "x0 lambda")
    night.journal.add_message("proposer", "llm", "I lower x0 next.", number)
    lines = [step(n, n / 10, 5.9) for n in range(1, 301)]
    night.write_metrics(number, 1, [phase("training"), *lines])
    with night.alive():
        async with screen() as pilot:
            await until(pilot, lambda: "step    300" in picture(pilot.app))
            shown = picture(pilot.app)
    assert "● live" in shown
    assert "★ #1 halve the batch" in shown
    assert "! #4 depth 99" in shown
    assert "? #3 rope base 200k" in shown
    assert "1 is yours" in shown
    assert "best 2.0000 −0.1005 ±0.0" in shown
    assert "0.100 below base #1" in shown
    assert "0:30/1:00" in shown
    assert "I lower x0 next." in shown
    assert "1 minute a run" in shown
    assert "search reads no hints" in shown


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_at_every_size_is_drawn_harmlessly(
    night: Any, screen: Any, until: Any, picture: Any, size: tuple[int, int]
) -> None:
    night.a_few()
    night.judged(1, Status.DISCARDED, 2.5, HOSTILE, HOSTILE)
    asked = night.judged(1, Status.BORDERLINE, 1.9, HOSTILE, HOSTILE)
    night.journal.remark(asked, HOSTILE, HOSTILE)
    night.journal.want(asked, "verdict", HOSTILE, HOSTILE)
    night.journal.decide(
        asked, Status.BORDERLINE, Verdict(Event.ASK, HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
    )
    night.journal.change_run(asked, 1, purpose=HOSTILE, reason=HOSTILE)
    night.journal.add_message("offer", HOSTILE, HOSTILE)
    night.journal.add_message("proposer", HOSTILE, HOSTILE)
    night.journal.add_hint(HOSTILE, "me")
    night.journal.change_hint(1, state="declined", experiment=1, why=HOSTILE)
    night.begin(proposer="llm", model=[HOSTILE], agent=HOSTILE)
    night.journal.add_message("answer", HOSTILE, HOSTILE)
    night.call(0.1, model=HOSTILE)
    night.writing(HOSTILE, HOSTILE, HOSTILE)
    number = night.running(1, HOSTILE)
    with night.alive():
        async with screen(*size) as pilot:
            for key in HOSTILE_KEYS if size in ((120, 40), (45, 35), (20, 5)) else PANE_KEYS:
                await pilot.press(key)
                shown = picture(pilot.app)
                assert "\x1b" not in shown
                assert "owned" not in shown
                assert {cell_len(line) <= size[0] for line in shown.splitlines()} == {True}
    assert number == 7


async def test_a_resize_storm_is_survived(night: Any, screen: Any, picture: Any) -> None:
    night.a_few()
    async with screen() as pilot:
        for width in range(30, 200, 7):
            await pilot.resize_terminal(width, 5 + width // 4)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "[1 History]" in picture(pilot.app)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "[1 History]" not in picture(pilot.app)


async def test_a_narrow_screen_shows_one_pane_at_a_time(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    async with screen(80, 24) as pilot:
        assert "halve the batch" in picture(pilot.app)
        await pilot.press("3")
        await until(pilot, lambda: "[3 GPU]" in picture(pilot.app))
        assert "halve the batch" not in picture(pilot.app)
        await pilot.press("2")
        await until(pilot, lambda: "type a hint, or /help" in picture(pilot.app))


async def test_new_experiments_appear_and_the_cursor_follows(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    async with screen() as pilot:
        history = pilot.app.query_one(HistoryPane)
        number = night.judged(1, Status.DISCARDED, 2.3, "the newest")
        await until(pilot, lambda: "the newest" in picture(pilot.app))
        assert history.selected is not None
        assert history.selected.id == number


async def test_a_moved_cursor_stays_on_its_experiment(night: Any, screen: Any, until: Any) -> None:
    night.a_few()
    async with screen() as pilot:
        history = pilot.app.query_one(HistoryPane)
        await pilot.press("home", "down")
        assert history.selected is not None
        assert history.selected.id == 1
        night.judged(0, Status.DISCARDED, 2.3, "the newest")
        await until(pilot, lambda: history.line_count() == 6)
        assert history.selected.id == 1


async def test_thousands_of_experiments_scroll_to_the_end(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    with night.journal.transaction():
        night.judged(None, Status.KEPT, 2.1)
        for number in range(1, 3_000):
            night.journal.add_experiment(night.tag, number - 1, Proposal(f"n{number}", "search"))
    async with screen() as pilot:
        await pilot.press("home")
        await until(pilot, lambda: "#0 " in picture(pilot.app))
        await pilot.press("end")
        await until(pilot, lambda: "n2999" in picture(pilot.app))


async def test_accept_is_sent_and_its_answer_is_told(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    with night.alive():
        async with screen() as pilot:
            await pilot.press("y", "a")
            await until(pilot, night.journal.waiting_commands, "the command")
            (command,) = night.journal.waiting_commands()
            seen = night.journal.verdicts(4)[-1].id
            assert (command.verb, command.arguments) == ("accept", {"id": 3, "seen": seen})
            night.journal.decide(3, Status.KEPT, Verdict(Event.ACCEPT, "fine", "me"))
            night.journal.answer(command.id, "done", "#3 is kept now")
            await until(pilot, lambda: "#3 is kept now" in picture(pilot.app))
            await until(pilot, lambda: "★ #3" in picture(pilot.app))


async def test_a_refusal_is_told(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    with night.alive():
        async with screen() as pilot:
            await pilot.press("y", "a")
            await until(pilot, night.journal.waiting_commands, "the command")
            (command,) = night.journal.waiting_commands()
            night.journal.answer(command.id, "refused", "accept is not possible: it is kept")
            await until(pilot, lambda: " ! accept is not possible" in picture(pilot.app))


async def test_a_verdict_of_the_rule_is_turned_around_only_after_a_question(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    with night.alive():
        async with screen() as pilot:
            history = pilot.app.query_one(HistoryPane)
            await pilot.press("home", "down", "down")
            assert history.selected.id == 2
            await until(pilot, lambda: "a accept" in picture(pilot.app))
            assert "r reject" not in picture(pilot.app)
            await pilot.press("a")
            asked = "#2 is worse than its base by 0.2000. Keep it all the"
            await until(pilot, lambda: asked in picture(pilot.app))
            await pilot.press("escape")
            assert night.journal.waiting_commands() == []
            await pilot.press("a", "enter")
            await until(pilot, night.journal.waiting_commands, "the command")
            assert night.journal.waiting_commands()[0].arguments["id"] == 2


async def test_a_baseline_is_not_judged_and_says_why(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    async with screen() as pilot:
        await pilot.press("home")
        await until(pilot, lambda: "a accept" not in picture(pilot.app))
        await pilot.press("a")
        await until(pilot, lambda: "#0 is a baseline: it is measured" in picture(pilot.app))
        assert night.journal.waiting_commands() == []


def rows(history: HistoryPane) -> str:
    lines = [history.line_at(number) for number in range(history.line_count())]
    return "\n".join("".join(text for text, _ in line) for line in lines)


async def test_other_tags_are_folded_below_the_present_one(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    night.tag = "nov21"
    night.journal.add_tag("nov21", SETUP, "setup", "cpu", {})
    night.journal.begin_night("nov21", {"proposer": "search"})
    night.judged(None, Status.KEPT, 2.1, "baseline")
    night.judged(5, Status.DISCARDED, 2.3, "a later idea")
    async with screen() as pilot:
        history = pilot.app.query_one(HistoryPane)
        await until(pilot, lambda: "▸ nov20 · 4 ideas, 1 kept · best 2.0000" in picture(pilot.app))
        shown = picture(pilot.app)
        assert "halve the batch" not in rows(history)
        assert "1 idea · 0 kept" in shown
        assert "best 2.1" in shown
        assert history.selected.id == 6
        await pilot.press("end", "enter")
        await until(pilot, lambda: "halve the batch" in rows(history))
        assert "▾ nov20" in picture(pilot.app)
        await pilot.press("enter")
        await until(pilot, lambda: "halve the batch" not in rows(history))


async def test_space_pauses_and_resumes(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    with night.alive():
        async with screen() as pilot:
            await until(pilot, lambda: "space pause" in picture(pilot.app))
            await pilot.press("space")
            await until(pilot, night.journal.waiting_commands, "the command")
            (command,) = night.journal.waiting_commands()
            assert command.verb == "pause"
            night.journal.answer(command.id, "done", "paused")
            night.beat("paused", reason="by me")
            await until(pilot, lambda: "‖ paused" in picture(pilot.app))
            await until(pilot, lambda: pilot.app.snapshot.engine.state == "paused")
            await pilot.press("space")
            await until(pilot, night.journal.waiting_commands, "the command")
            assert night.journal.waiting_commands()[0].verb == "resume"


async def test_skip_asks_first(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    night.running(1, "a slow idea")
    with night.alive():
        async with screen() as pilot:
            await pilot.press("s")
            await until(pilot, lambda: "Skip #5 a slow idea?" in picture(pilot.app))
            assert "enter skips it" in picture(pilot.app)
            assert "halve the batch" in picture(pilot.app), "the night is seen behind the question"
            await pilot.press("escape", "s")
            await until(pilot, lambda: "Skip #5 a slow idea?" in picture(pilot.app))
            assert night.journal.waiting_commands() == []
            await pilot.press("enter")
            await until(pilot, night.journal.waiting_commands, "the command")
            assert night.journal.waiting_commands()[0].verb == "skip"


async def test_what_is_typed_is_a_hint_and_keys_are_letters_meanwhile(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    with night.alive():
        async with screen() as pilot:
            await pilot.press("i")
            await pilot.press(*"quit 1s", "enter")
            await until(pilot, night.journal.waiting_commands, "the command")
            (command,) = night.journal.waiting_commands()
            expected = ("hint", {"text": "quit 1s", "once": False})
            assert (command.verb, command.arguments) == expected
            night.journal.add_hint("quit 1s", "me")
            await until(pilot, lambda: "hint 1  quit 1s" in picture(pilot.app))


async def test_a_wrong_command_is_told_and_stays_to_be_mended(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    async with screen() as pilot:
        await pilot.press("i", *"/accept x", "enter")
        await until(pilot, lambda: "wants the number" in picture(pilot.app))
        assert pilot.app.query_one(Input).value == "/accept x"


async def test_a_paste_of_100_kilobytes_is_bounded(night: Any, screen: Any, until: Any) -> None:
    night.a_few()
    async with screen() as pilot:
        await pilot.press("i")
        pilot.app.query_one(Input).post_message(events.Paste("one\ntwo " + "x" * 100_000))
        await until(pilot, lambda: pilot.app.query_one(Input).value)
        value = pilot.app.query_one(Input).value
        assert value.startswith("one two xxx")
        assert len(value) < 3_000


async def test_enter_opens_the_details(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    async with screen() as pilot:
        await pilot.press("home", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentScreen))
        await until(pilot, lambda: "kept for a reason" in picture(pilot.app))
        shown = picture(pilot.app)
        assert "It should take more steps." in shown
        assert "gain −0.1005   noise ±0.0" in shown
        assert "LR = 0.03" in shown
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ExperimentScreen))


async def test_help_shows_the_live_keys(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    async with screen(100, 100) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await until(pilot, lambda: "val_bpb" in picture(pilot.app))
        shown = picture(pilot.app)
        assert "begin" in shown
        assert "pause" not in shown.split("In the agent pane")[0]
        await pilot.press("question_mark")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))


async def test_a_night_that_ended_is_shown_with_its_reason(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    night.journal.change_night(night.night, ended_at=1.7e9, reason="5 experiments were wanted")
    night.beat("stopped")
    async with screen() as pilot:
        await until(pilot, lambda: "5 experiments were wanted" in picture(pilot.app))
        assert "N begins" in picture(pilot.app)
        await pilot.press("N")
        await until(pilot, lambda: "Begin a night" in picture(pilot.app))
        shown = picture(pilot.app)
        for fact in ("tag     nov20", "budget  1m a run", "corpus  stdlib", "limits  none"):
            assert fact in shown
        await pilot.press("escape")
        await pilot.pause()
        assert "Begin a night" not in picture(pilot.app)


async def test_a_dead_engine_says_how_to_repair(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    number = night.running(1)
    night.write_metrics(number, 1, [{"kind": "phase", "phase": "training", "at": 0.0}])
    night.beat("running")
    async with screen() as pilot:
        await until(pilot, lambda: "N repairs" in pilot.app.query_one(StatusLine).lines_text)
        shown = picture(pilot.app)
        assert "The engine died" in shown
        assert f"#{number} waits for repair" in shown
        assert "training" not in shown
        assert "N repair " in pilot.app.query_one(KeyLine).lines_text
        assert "begin" not in pilot.app.query_one(KeyLine).lines_text


async def test_the_card_of_a_fresh_lab_tells_why_it_could_not_begin(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    card = StartCard("A first night", (CardLine("device", "cpu", "slow"), CardLine("limits", "-")))
    async with screen(card=card) as pilot:
        assert isinstance(pilot.app.screen, StartScreen)
        assert "! slow" in picture(pilot.app)
        await pilot.press("enter")
        await until(pilot, lambda: "Enter tries again" in picture(pilot.app), "the error")
        assert isinstance(pilot.app.screen, StartScreen)


@pytest.mark.parametrize("size", [(45, 35), (80, 24), (120, 40), (40, 12)])
async def test_the_card_shows_warnings_limits_and_what_to_do_at_every_size(
    night: Any, screen: Any, until: Any, picture: Any, size: tuple[int, int]
) -> None:
    facts = [
        ("device", "CPU, an invented processor of 3.00 GHz, trains on 1 thread(s), 33 GB", ""),
        ("preset", "cpu: a small model for a processor, a minute a run", ""),
        ("corpus", "stdlib", ""),
        ("budget", "60 s a run", "one minute, because there is no GPU"),
        ("proposer", "search", ""),
        ("sandbox", "none: trainings run as you, without your environment", "unsandboxed"),
        ("limits", "none: until you stop it", ""),
    ]
    card = StartCard("A first night", tuple(CardLine(*fact) for fact in facts))
    async with screen(*size, card=card) as pilot:
        await until(pilot, lambda: "Enter begins the night" in picture(pilot.app))
        shown = picture(pilot.app)
        if size[1] < 20:
            assert "there is more" in shown
            await pilot.press("end")
            await until(pilot, lambda: "until you stop" in picture(pilot.app))
            assert "Enter begins the night" in picture(pilot.app)
        else:
            assert "there is more" not in shown
            assert "! unsandboxed" in shown
            assert "you," in shown
            assert "limits" in shown


@pytest.mark.parametrize("pane", ["2", "3"])
async def test_a_pane_that_was_resized_while_hidden_is_drawn_for_its_width(
    night: Any, screen: Any, until: Any, picture: Any, pane: str
) -> None:
    night.a_few()
    async with screen(120, 40) as pilot:
        await until(pilot, lambda: "+0.2000" in picture(pilot.app))
        for width in (45, 120, 30, 60, 120, 45, 120):
            pilot.app.post_message(events.Resize(Size(width, 40), Size(width, 40)))
            await pilot.press(pane)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "+0.2000  2.2000" in picture(pilot.app))


async def test_no_card_is_shown_where_a_night_has_been(night: Any, screen: Any) -> None:
    night.a_few()
    night.beat("stopped")
    async with screen(card=StartCard("A first night", ())) as pilot:
        assert not isinstance(pilot.app.screen, StartScreen)


async def test_a_transcript_that_was_scrolled_up_stays_there(
    night: Any, screen: Any, until: Any
) -> None:
    night.a_few()
    for number in range(100):
        night.journal.add_message("engine", "engine", f"line {number}")
    async with screen() as pilot:
        transcript = pilot.app.query_one(Transcript)
        await until(pilot, lambda: transcript.line_count() == 100 and transcript.at_end)
        await until(pilot, lambda: transcript.show_vertical_scrollbar)
        transcript.scroll_to(y=3, animate=False)
        await pilot.pause()
        night.journal.add_message("engine", "engine", "one more")
        await until(pilot, lambda: transcript.line_count() == 101)
        assert transcript.scroll_offset.y == 3


async def test_the_next_slot_is_a_key_away(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    from cockpit.core.ledger import SlotLedger

    night.a_few()
    with night.alive():
        night.journal.set_slot(1, "another processor", SlotLedger("proposing", 0.0))
        async with screen() as pilot:
            await pilot.press("3")
            await until(pilot, lambda: "slot 1 of 2" in picture(pilot.app))
            await pilot.press("n")
            await until(pilot, lambda: "another processor · slot 2 of 2" in picture(pilot.app))
            assert pilot.app.query_one(GpuPane).slot == 1


async def test_a_journal_that_vanishes_leaves_an_empty_screen(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    async with screen() as pilot:
        night.forget()
        shutil.rmtree(night.lab.state)
        await until(pilot, lambda: "nothing started yet" in picture(pilot.app))


async def test_every_theme_is_a_key_away(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    async with screen() as pilot:
        for _ in pilot.app.themes.names():
            before = pilot.app.palette.name
            await pilot.press("T")
            await until(pilot, lambda before=before: pilot.app.palette.name != before)
            assert pilot.app.theme == pilot.app.palette.name
            assert "halve the batch" in picture(pilot.app)


async def test_no_color_sends_no_colour(
    night: Any, screen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    night.a_few()
    async with screen() as pilot:
        for strip in pilot.app.screen._compositor.render_strips():
            for segment in strip:
                style = segment.style
                assert style is None or style.color is None or style.color.is_default


async def test_an_idle_screen_draws_nothing(
    night: Any, screen: Any, until: Callable[..., Any]
) -> None:
    night.a_few()
    night.beat("stopped")
    async with screen() as pilot:
        await pilot.pause(0.5)
        app = pilot.app
        drawn: list[object] = []
        for view in (HistoryPane, GpuPane, StatusLine, KeyLine, Transcript):
            widget = app.query_one(view)
            paint = widget.refresh
            widget.refresh = lambda *a, paint=paint, **k: (drawn.append(a), paint(*a, **k))[1]
        seen = app.snapshot
        await until(pilot, lambda: app.snapshot is not seen)
        seen = app.snapshot
        await until(pilot, lambda: app.snapshot is not seen)
        assert drawn == []
