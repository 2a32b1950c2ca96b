"""The verbs of a person's hand at a real command line."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.core.experiment import Event, Status, Verdict
from cockpit.lab.lab import Lab
from cockpit.lab.repo import TRAIN_PY
from cockpit.lab.writing import EngineJournal
from tests.bench.nights import COCKPIT, cockpit, environment
from tests.engine.conftest import lab, measured, measured_template, template  # noqa: F401
from tests.engine.hands import TEXT, Hands, wide


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    made = Hands(tmp_path / "hands")
    yield made
    made.journal.close()


def at_once(root: Path, *verbs: tuple[str, ...]) -> list[tuple[int, str]]:
    """Begin some verbs at the same moment; return exit code and what each said."""
    begun = [
        subprocess.Popen(
            [*COCKPIT, *words], cwd=root, env=environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for words in verbs
    ]  # fmt: skip
    return [(process.wait(60), (process.stdout or open(os.devnull)).read()) for process in begun]


def one_is_told_who_was_first(said: list[tuple[int, str]], number: int) -> None:
    codes = sorted(code for code, _ in said)
    assert codes == [0, 1], said
    refused = next(text for code, text in said if code)
    done = next(text for code, text in said if not code)
    assert "by hand" in done
    assert f"#{number}: not " in refused
    assert "ed it at " in refused
    assert "look at it and decide again" in refused


def test_of_two_that_decide_at_once_the_second_is_told_who_was_first(hands: Hands) -> None:
    number = hands.measured(Status.BORDERLINE, 70)
    hands.journal.close()
    said = at_once(hands.lab.root, ("accept", str(number)), ("reject", str(number)))
    one_is_told_who_was_first(said, number)
    hands.journal = EngineJournal(hands.lab.journal)
    assert len(hands.journal.by_hand()) == 1


def test_the_queue_says_what_is_next_and_what_waits_for_a_person(hands: Hands) -> None:
    parent = hands.measured(Status.KEPT, 60, 1.9)
    child = hands.measured(Status.KEPT, 61, 1.8, parent)
    hands.act("reject", id=parent)
    small, large = (hands.measured(Status.BORDERLINE, w, 1.95) for w in (70, 80))
    hands.journal.change_experiment(small, probability=0.7, gain=-0.001, gain_error=0.0005)
    hands.journal.change_experiment(large, probability=0.7, gain=-0.01, gain_error=0.0005)
    doubtful = hands.measured(Status.KEPT, 85, 1.99)
    hands.journal.change_experiment(doubtful, probability=0.1, gain=-0.0001)
    waiting = [hands.queued(width) for width in (90, 100)]
    under_way = hands.running(110)
    hands.act("first", id=waiting[1])
    hands.act("replicate", "anna", id=large)

    told = json.loads(cockpit(hands.lab.root, "queue", "--json").stdout)
    assert [(one["position"], one["id"]) for one in told["queue"]] == [
        (1, waiting[1]), (2, waiting[0]),
    ]  # fmt: skip
    assert [one["id"] for one in told["running"]] == [under_way]
    assert [(one["id"], one["author"]) for one in told["wanted"]] == [(large, "anna")]
    assert [one["id"] for one in told["awaiting"]] == [large, small, doubtful]
    assert told["awaiting"][0]["worth"] == pytest.approx(0.007)
    assert [one["id"] for one in told["unsound"]] == [child]
    text = cockpit(hands.lab.root, "queue").stdout
    for words in (
        f"now    #{under_way}", f"   1   #{waiting[1]}", "P(better) 0.70, honest −0.0100 ±0.0005",
        f"cockpit accept {large}, reject {large}, replicate {large}", f"cockpit rerun {child}",
        "kept, and looks like none by now",
    ):  # fmt: skip
        assert words in text


def test_an_experiment_s_whole_story_is_told(hands: Hands) -> None:
    number = hands.measured(Status.BORDERLINE, 70)
    hands.act("note", "anna", id=number, text="looks\nlike \x1b[31mluck")
    hands.act("reject", "anna", id=number)
    hands.act("undo", "bob")
    hands.act("replicate", "bob", id=number)
    told = cockpit(hands.lab.root, "show", str(number)).stdout
    assert "note by anna: looks like luck" in told
    assert "reject → discarded, anna: discarded by hand (from borderline, decided by rule" in told
    assert "undo → borderline, bob: anna's reject of " in told
    assert "replicate: one more run is asked for, bob" in told
    whole = json.loads(cockpit(hands.lab.root, "show", str(number), "--json").stdout)
    assert [event["event"] for event in whole["events"]] == ["claim", "ask", "reject", "undo"]
    assert whole["events"][2]["facts"]["before"]["status"] == "borderline"
    assert [remark["author"] for remark in whole["remarks"]] == ["anna"]


def test_a_train_py_in_a_file_becomes_an_experiment(hands: Hands) -> None:
    path = hands.lab.root / TRAIN_PY
    path.write_text(wide(128), encoding="utf-8")
    done = cockpit(hands.lab.root, "try", "--file", TRAIN_PY, "twice", "as", "wide")
    assert (done.returncode, done.stdout) == (0, "#1 is queued, first, on the base #0\n")
    own = hands.own(1)
    assert (own.title, own.status) == ("twice as wide", Status.QUEUED)
    again = cockpit(hands.lab.root, "try", "--file", TRAIN_PY)
    assert again.returncode == 1
    assert "this very train.py is #1 already (twice as wide: queued)" in again.stderr


def edit(root: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `cockpit try --edit` with a shell script for an editor."""
    program = root.parent / "editor"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return subprocess.run(
        [*COCKPIT, "try", "--edit", *words], cwd=root, stdin=subprocess.DEVNULL, text=True,
        capture_output=True, env=environment() | {"VISUAL": str(program)}, check=False,
    )  # fmt: skip


def test_the_base_is_edited_in_an_editor(hands: Hands) -> None:
    best = hands.measured(Status.KEPT, 70, 1.9)
    root = hands.lab.root
    done = edit(root, "sed -i 's/DEPTH = 2 /DEPTH = 3 /' \"$1\"", "--title", "deeper")
    assert (done.returncode, done.stdout) == (0, f"#2 is queued, first, on the base #{best}\n")
    assert hands.journal.proposal(2).constants == {"DEPTH": 3}
    assert (hands.own(2).title, hands.own(2).parent) == ("deeper", best)
    same = edit(root, "true")
    assert same.returncode == 1
    assert "the text is unchanged: nothing is queued" in same.stderr


def test_what_was_edited_survives_a_refusal(hands: Hands) -> None:
    refused = edit(hands.lab.root, 'echo "import os" >> "$1"')
    assert refused.returncode == 1
    assert "guard: " in refused.stderr
    path = Path(refused.stderr.partition("your text is kept in ")[2].partition(":")[0])
    assert path.read_text().endswith("import os\n")
    assert path.read_text().startswith(TEXT[:40])
    failing = edit(hands.lab.root, "exit 3")
    assert failing.returncode == 1
    assert "ended with 3" in failing.stderr


def test_nothing_to_try_is_wrong_usage(hands: Hands) -> None:
    assert cockpit(hands.lab.root, "try").returncode == 2
    assert cockpit(hands.lab.root, "accept", "77").returncode == 3
    assert cockpit(hands.lab.root, "branch", "worst").returncode == 2


@pytest.mark.slow
def test_of_two_that_decide_at_once_in_a_night_the_second_is_told_who_was_first(
    measured: Path,  # noqa: F811
    wait_until: Callable[..., Any],
) -> None:
    journal = EngineJournal(Lab(measured).journal)
    journal.decide(1, Status.BORDERLINE, Verdict(Event.ASK, "neither a gain nor none"))
    journal.close()
    assert cockpit(measured, "start").returncode == 0
    wait_until(lambda: json.loads(cockpit(measured, "queue", "--json").stdout)["running"], 60)
    one_is_told_who_was_first(at_once(measured, ("accept", "1"), ("reject", "1")), 1)
