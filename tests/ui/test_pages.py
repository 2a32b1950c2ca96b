"""Pages to read: findings, hints, scoreboard."""

from typing import Any

import pytest

from cockpit.core.experiment import Proposal, Run, Status
from cockpit.ui.findings_lines import findings_lines
from cockpit.ui.score_lines import score_lines
from cockpit.ui.screens.page import PageScreen
from cockpit.ui.spent import NOTHING_SPENT
from cockpit.ui.text import width_of

HOSTILE = "[bold]\x1b[31m\x1b]0;owned\x07🙂日本語\u202e " + "x" * 10_000
FINDINGS = """# Findings of nov20

## Kept

- #1 −0.1005: halve the batch, which takes more steps in the same time and so gets further down
"""


async def opened(pilot: Any, until: Any, command: str) -> None:
    await pilot.press("i", *command, "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, PageScreen), "the page")


@pytest.mark.parametrize("size", [(200, 50), (80, 24), (20, 5)])
@pytest.mark.parametrize("command", ["/findings", "/hints", "/score"])
async def test_hostile_text_is_harmless_on_every_page(
    night: Any, screen: Any, until: Any, picture: Any, command: str, size: tuple[int, int]
) -> None:
    night.a_few()
    night.journal.add_hint(HOSTILE, HOSTILE)
    night.journal.change_hint(1, state="declined", experiment=1, why=HOSTILE)
    night.journal.add_experiment(night.tag, 1, Proposal("an idea", HOSTILE, program=HOSTILE))
    night.call(0.1, proposer=HOSTILE, model=HOSTILE)
    night.lab.findings.write_text(f"# {HOSTILE}\n- {HOSTILE}\n{HOSTILE}\n")
    async with screen(*size) as pilot:
        await opened(pilot, until, command)
        await pilot.pause()
        shown = picture(pilot.app)
    assert "\x1b" not in shown
    assert "owned" not in shown


async def test_the_findings_are_shown_and_followed(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    async with screen(80, 24) as pilot:
        await opened(pilot, until, "/findings")
        await until(pilot, lambda: "There are no findings yet" in picture(pilot.app))
        night.lab.findings.write_text(FINDINGS)
        await until(pilot, lambda: "halve the batch, which" in picture(pilot.app))
        assert "# Findings" not in picture(pilot.app)
        night.lab.findings.write_text(FINDINGS + "- #9 \x1b[31mdepth\x1b[0m\x07 9\n")
        await until(pilot, lambda: "#9 depth 9" in picture(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, PageScreen))


async def test_long_findings_scroll(night: Any, screen: Any, until: Any, picture: Any) -> None:
    night.a_few()
    night.lab.findings.write_text("".join(f"- finding {number}\n" for number in range(300)))
    async with screen(80, 24) as pilot:
        await opened(pilot, until, "/findings")
        await until(pilot, lambda: "finding 3" in picture(pilot.app))
        await pilot.press("end")
        await until(pilot, lambda: "finding 299" in picture(pilot.app))


@pytest.mark.parametrize("width", [8, 20, 80])
def test_an_item_hangs_below_its_bullet_and_fits(width: int) -> None:
    lines = findings_lines(FINDINGS + "    " + "word " * 90, width)
    assert max(width_of(line) for line in lines) <= max(width, 14)
    shown = ["".join(text for text, _ in line) for line in lines]
    place = next(n for n, line in enumerate(shown) if line.startswith("- #1"))
    assert shown[place + 1].startswith("  ")
    assert shown[-1].startswith("  ")


async def test_all_hints_stand_on_a_page_with_what_was_said_to_them(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    for number in range(1, 7):
        night.journal.add_hint(f"hint number {number}", "me", once=number == 6)
    night.journal.change_hint(1, state="applied", experiment=1, why="halved as asked")
    night.journal.change_hint(2, state="declined", experiment=1, why="depth is next")
    night.journal.change_hint(3, state="withdrawn")
    async with screen(100, 40) as pilot:
        await opened(pilot, until, "/hints")
        await until(pilot, lambda: "applied in #1: halved as asked · me" in picture(pilot.app))
        shown = picture(pilot.app)
        for told in ("once 6", "not now: depth is next", "withdrawn", "queued"):
            assert told in shown
        assert shown.index("hint number 6") < shown.index("hint number 1")


async def test_the_scoreboard_tells_what_each_proposer_brought_and_cost(
    night: Any, screen: Any, until: Any, picture: Any
) -> None:
    night.a_few()
    proposal = Proposal("warmdown", "llm", predicted=-0.1, program="aaaa", constants={"LR": 1})
    number = night.journal.add_experiment(night.tag, 0, proposal)
    run = Run(number, 1, 1, "setup", 0, "finished", 0.0, val_bpb=2.0005)
    night.journal.add_run(run)
    night.journal.change_experiment(number, status=Status.KEPT)
    proposal = Proposal("warmup", "llm", program="bbbb", constants={"LR": 2})
    night.journal.add_experiment(night.tag, 0, proposal)
    night.call(0.42, experiment=number)
    async with screen(100, 30) as pilot:
        await opened(pilot, until, "/score")
        await until(pilot, lambda: "proposer" in picture(pilot.app))
        shown = picture(pilot.app)
        assert "$0.42 this night: 1 call, 1.20k tokens" in shown
        rows = {line.split()[1]: line for line in shown.splitlines() if len(line.split()) > 3}
        assert "−0.1000" in rows["llm"]
        assert "$0.42" in rows["llm"]
        assert "±0.0000" in rows["llm"]
        assert "−0.1005" in rows["search"]
        assert {"aaaa", "bbbb"} < rows.keys()
        assert "unknown" not in rows


def test_a_lab_without_a_tag_has_an_empty_scoreboard() -> None:
    (line,) = score_lines((None, NOTHING_SPENT), 80)
    assert "Nobody has proposed anything yet" in line[0][0]
