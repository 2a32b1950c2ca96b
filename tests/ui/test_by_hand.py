"""What a person does on the screen becomes a row of the inbox, or a line that says why not."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.widgets import Input

from cockpit.core.experiment import Event, Proposal, Status, Verdict
from cockpit.ui.panes.history import HistoryPane
from cockpit.ui.screens.experiment import ExperimentScreen
from cockpit.ui.screens.palette import PaletteScreen
from cockpit.ui.screens.words import WordsScreen
from cockpit.ui.screens.yours import YoursScreen


def two_borderline(night: Any) -> None:
    """#3 is little, #5 more; both are a person's to decide."""
    night.a_few()
    night.judged(1, Status.BORDERLINE, 1.990, "unembedding lr", "It sees few gradients.")
    for number, chance, gain in ((3, 0.7, -0.0002), (5, 0.6, -0.004)):
        night.journal.change_experiment(number, probability=chance, gain=gain, gain_error=0.0006)
    for number, text in ((1, "LR = 0.02\n"), (5, "LR = 0.03\n")):
        night.write_metrics(number, 1, [])
        (night.lab.run_directory(number, 1) / "train.py").write_text(text)


@pytest.fixture
def dropped(night: Any, until: Any, picture: Any) -> Callable[..., Awaitable[dict[str, Any]]]:
    """`await dropped(pilot, verb)`: take a command from the inbox, and return what it carries."""

    async def take(pilot: Any, verb: str) -> dict[str, Any]:
        await until(pilot, night.journal.waiting_commands, verb)
        (command,) = night.journal.waiting_commands()
        assert command.verb == verb
        told = f"{verb} {command.id} is done"
        night.journal.answer(command.id, "done", told)
        await until(pilot, lambda: told in picture(pilot.app), "its outcome")
        return dict(command.arguments)

    return take


async def choose(pilot: Any, key: str, words: str) -> None:
    """Open the palette and take the first entry with these words."""
    await pilot.press(key)
    pilot.app.screen.query_one(Input).value = words
    await pilot.press("enter")


async def test_what_waits_is_shown_most_valuable_first_with_all_it_takes(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    two_borderline(night)
    with night.alive():
        async with screen(100, 40) as pilot:
            await until(pilot, lambda: "Q yours" in picture(pilot.app))
            await pilot.press("Q")
            await until(pilot, lambda: isinstance(pilot.app.screen, YoursScreen))
            await until(pilot, lambda: "+LR = 0.03" in picture(pilot.app), "the change")
            shown = picture(pilot.app)
    assert "Yours to decide  2 · noise ±0.0" in shown
    assert shown.index("#5 unembedding lr") < shown.index("#3 rope base 200k")
    assert "0.60   −0.0040 ±0.0006  −0.0100" in shown
    assert "It sees few gradients." in shown
    assert "honest −0.0040 ±0.0006   P(better) 0.60" in shown


async def test_each_that_waits_is_decided_by_one_key(
    night: Any, dropped: Any, screen: Any, until: Any, picture: Any
) -> None:
    two_borderline(night)
    with night.alive():
        async with screen(120, 40) as pilot:
            await pilot.press("Q")
            await until(pilot, lambda: "#5 unembedding" in picture(pilot.app))
            await until(pilot, lambda: "R replicate" in picture(pilot.app))
            await pilot.press("R")
            assert await dropped(pilot, "replicate") == {"id": 5}
            night.journal.want(5, "verdict", "replicate", "anna")
            await until(pilot, lambda: " 1 +1 " in picture(pilot.app), "the run that is due")
            await pilot.press("down", "r")
            seen = night.journal.verdicts(5)[-1].id
            assert await dropped(pilot, "reject") == {"id": 3, "seen": seen}
            night.journal.decide(3, Status.DISCARDED, Verdict(Event.REJECT, "no", "anna"))
            await until(pilot, lambda: "Yours to decide  1" in picture(pilot.app))
            await pilot.press("u")
            newest = night.journal.verdicts(3)[-1].id
            assert await dropped(pilot, "undo") == {"seen": newest}
            await pilot.press("a")
            assert (await dropped(pilot, "accept"))["id"] == 5
            night.journal.decide(5, Status.KEPT, Verdict(Event.ACCEPT, "yes", "anna"))
            await until(pilot, lambda: "Nothing waits for you." in picture(pilot.app))
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(pilot.app.screen, YoursScreen))


async def test_nothing_to_undo_is_said(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    async with screen() as pilot:
        await pilot.press("u")
        await until(pilot, lambda: "nobody has decided anything by hand yet" in picture(pilot.app))
        await pilot.press("B")
        await until(pilot, lambda: "no base is pinned" in picture(pilot.app))
        assert night.journal.waiting_commands() == []


async def test_the_tree_is_worked_on_by_keys(
    night: Any, dropped: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    queued = [
        night.journal.add_experiment(night.tag, 1, Proposal(f"idea {n}", "search"))
        for n in range(3)
    ]
    with night.alive():
        async with screen(120, 40) as pilot:
            history = pilot.app.query_one(HistoryPane)
            await until(pilot, lambda: "queue 3" in picture(pilot.app))
            await pilot.press("home", "down", "b")
            assert await dropped(pilot, "branch") == {"id": 1}
            await pilot.press("R")
            assert await dropped(pilot, "replicate") == {"id": 1}
            await pilot.press("end")
            assert history.selected.id == queued[-1]
            await pilot.press("less_than_sign")
            assert await dropped(pilot, "first") == {"id": queued[-1]}
            await pilot.press("greater_than_sign")
            await until(pilot, lambda: "is the last of the queue already" in picture(pilot.app))
            await pilot.press("b")
            await until(pilot, lambda: "it has no result yet" in picture(pilot.app))
            await pilot.press("x")
            await until(pilot, lambda: "Drop #7 idea 2? It will not run." in picture(pilot.app))
            await pilot.press("enter")
            assert await dropped(pilot, "drop") == {"id": queued[-1]}


async def test_a_note_asks_for_its_words(
    night: Any, dropped: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    with night.alive():
        async with screen() as pilot:
            await pilot.press("home", "down", "n")
            await until(pilot, lambda: isinstance(pilot.app.screen, WordsScreen))
            await until(pilot, lambda: "A note on #1 halve the batch" in picture(pilot.app))
            await pilot.press("escape", "n")
            await until(pilot, lambda: isinstance(pilot.app.screen, WordsScreen))
            await pilot.press(*"odd", "enter")
            told = await dropped(pilot, "note")
            assert told == {"id": 1, "text": "odd"}


async def test_try_begins_a_line_of_input(
    night: Any, dropped: Any, screen: Any, until: Any
) -> None:
    night.a_few()
    with night.alive():
        async with screen() as pilot:
            await until(pilot, lambda: pilot.app.snapshot.engine.alive)
            await pilot.press("t", *"less depth")
            assert pilot.app.query_one(Input).value == "/try less depth"
            await pilot.press("enter")
            assert await dropped(pilot, "try") == {"text": "less depth"}


async def test_a_pinned_base_is_named_in_words(
    night: Any, dropped: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    night.judged(3, Status.KEPT, 1.98, "grown from what is not kept")
    with night.alive():
        async with screen() as pilot:
            await until(pilot, lambda: "unsound" in picture(pilot.app))
            night.journal.pin(night.tag, 0)
            await until(pilot, lambda: "base pinned: #0" in picture(pilot.app))
            assert "pinned " in picture(pilot.app)
            await pilot.press("B")
            assert await dropped(pilot, "branch") == {"id": None}
            night.journal.pin(night.tag, None)
            await until(pilot, lambda: "base pinned" not in picture(pilot.app))


async def test_the_palette_finds_everything_by_its_words(
    night: Any, dropped: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    number = night.running(1, "a slow idea")
    with night.alive():
        async with screen() as pilot:
            await pilot.press("home", "colon")
            await until(pilot, lambda: isinstance(pilot.app.screen, PaletteScreen))
            await until(pilot, lambda: "#0 is a baseline" in picture(pilot.app))
            pilot.app.screen.query_one(Input).value = "requeue"
            await pilot.press("enter")
            assert await dropped(pilot, "skip") == {"requeue": True}
            await choose(pilot, "ctrl+p", "let it fin")
            assert await dropped(pilot, "finish") == {"id": number}
            await choose(pilot, "colon", "rerun 4")
            assert await dropped(pilot, "rerun") == {"id": 4}
            await choose(pilot, "colon", "baseline discard")
            await until(pilot, lambda: "it is measured, not judged" in picture(pilot.app))
            assert night.journal.waiting_commands() == []


async def test_an_offer_stands_until_a_person_takes_it_up(
    night: Any, dropped: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    (night.lab.root / "trainer").mkdir()
    (night.lab.root / "trainer" / "train.py").write_text("LR = 0.07\n")
    with night.alive():
        async with screen() as pilot:
            told = "trainer/train.py has changed in the working tree"
            night.journal.add_message("offer", "engine", told)
            await until(pilot, lambda: picture(pilot.app).count("! trainer/train.py has") == 2)
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, WordsScreen))
            await pilot.press(*"up", "enter")
            told = await dropped(pilot, "experiment")
            assert told == {"title": "up", "train_py": "LR = 0.07\n"}
            night.journal.add_message("engine", "anna", "#5 is queued, first, on the base #1")
            await until(pilot, lambda: pilot.app.snapshot.offer is None)
        async with screen(80, 24) as pilot:
            assert "2 Agent !" not in picture(pilot.app)
            night.journal.add_message("offer", "engine", "train.py has changed once more")
            await until(pilot, lambda: "2 Agent !" in picture(pilot.app))


async def test_the_whole_story_is_told(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    facts = {"probability": 0.71, "gain": -0.0004, "gain_error": 0.0003, "sigma": 0.0006,
             "sigma_runs": 7, "runs": 2, "base": 1, "base_runs": 3, "lines": -4}  # fmt: skip
    night.journal.decide(3, Status.BORDERLINE, Verdict(Event.ASK, "unclear", facts=facts))
    night.journal.remark(3, "anna", "its curve \x1b[31mcrosses late")
    night.journal.want(3, "verdict", "replicate", "anna")
    night.journal.change_run(3, 1, purpose="confirm", state="disturbed", spared="hand")
    night.journal.decide(3, Status.KEPT, Verdict(Event.ACCEPT, "kept by hand", "bob"))
    with night.alive():
        async with screen(160, 50) as pilot:
            await pilot.press("home", "down", "down", "down", "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentScreen))
            await until(pilot, lambda: "Story" in picture(pilot.app))
            shown = picture(pilot.app)
    for told in (
        "left to you: unclear",
        "P(better) 0.71 · honest −0.0004 ±0.0003 · noise ±0.0006 (7 runs) · 2 runs · "
        "base #1, 3 runs · −4 lines of code",
        "anna notes: its curve crosses late",
        "replicate asked for by anna: waits for a slot",
        "accepted by bob: kept by hand",
        "to confirm, disturbed: run again, let finish by hand",
        "decided by bob",
    ):
        assert told in shown
