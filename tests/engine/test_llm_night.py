"""Whole nights with a model: real engine, real litellm, a real provider on loopback."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cockpit.core.experiment import Experiment, Status
from cockpit.lab.journal import Journal
from tests.bench.nights import cockpit
from tests.engine import models
from tests.engine.models import KEY, READ_DOLLARS, WRITTEN_DOLLARS, Researcher, answered, tell
from tests.proposers import openai_server as provider
from tests.proposers.openai_server import Request, Step, answer, serving


@pytest.fixture
def looking(lab: Path, wait_until: Callable[..., Journal]) -> Iterator[Callable[[], Journal]]:
    """The journal, as soon as the night has begun."""
    opened: list[Journal] = []

    def look() -> Journal:
        if not opened:
            opened.append(wait_until(lambda: models.begun(lab), 60, "a night"))
        return opened[0]

    yield look
    for journal in opened:
        journal.close()


def faster(request: Request) -> Step:
    """Undo the crawling: a gain beyond all noise."""
    edits = [
        request.edit(name, value)
        for name, value in (("MATRIX_LR", 0.03), ("EMBEDDING_LR", 0.3), ("UNEMBEDDING_LR", 0.01))
    ]
    return answer("Steps that move", edits=edits, predicted=-0.5, hints=answered(request))


def misquoted(request: Request) -> Step:
    edits = [{"search": "LEARNING_SPEED = 1", "replace": "LEARNING_SPEED = 2"}]
    return answer("Misquoted", edits=edits, hints=answered(request))


def forbidden(request: Request) -> Step:
    line = request.edit("WARMDOWN", 0.42)
    edits = [{"search": line["search"], "replace": f"import subprocess\n{line['replace']}"}]
    return answer("Forbidden", edits=edits, hints=answered(request))


def on_the_crawling_base(request: Request) -> Step:
    """Edit a line that the faster one changes too."""
    edit = request.edit("MATRIX_LR", 0.0021)
    return answer("Slower still", edits=[edit], hints=answered(request))


def held(idea: Callable[[Request], Step], until: threading.Event) -> Callable[[Request], Step]:
    """Have an idea at once, and say it later."""

    def plan(request: Request) -> Step:
        step = idea(request)

        def later(exchange: provider.Exchange) -> None:
            until.wait(120)
            step(exchange)

        return later

    return plan


def gains(seen: Journal) -> list[Experiment]:
    own = seen.experiments().values()
    return [e for e in own if e.status is Status.KEPT and e.parent is not None]


@pytest.mark.slow
def test_an_idea_that_no_longer_applies_is_proposed_anew(
    lab: Path, looking: Callable[[], Journal], wait_until: Callable[..., object]
) -> None:
    models.let_it_crawl(lab)
    kept = threading.Event()
    researcher = Researcher()
    researcher.plan = [faster, researcher.next_idea, held(on_the_crawling_base, kept)]
    with serving(researcher) as server:
        models.write_settings(lab, server, budget="2s", silence="120s")
        with models.night(lab, "--max-experiments", "4") as night:
            wait_until(lambda: gains(looking()), 120, "a gain")
            kept.set()
            assert night.end(300) == 0
    assert researcher.carried_over == 1
    said = [m.text for m in looking().messages()]
    assert any("“Slower still” does not apply any more, it is proposed anew" in s for s in said)
    assert "Carried over 1" in [e.title for e in looking().experiments().values()]


@pytest.mark.parametrize("experiments", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_a_night_with_hints_a_question_repairs_and_a_new_base(
    lab: Path, looking: Callable[[], Journal], wait_until: Callable[..., object], experiments: int
) -> None:
    models.let_it_crawl(lab)
    kept = threading.Event()
    researcher = Researcher()
    # The third idea is asked for while #1 runs, and comes when #1 is the base.
    researcher.plan = [faster, misquoted, held(researcher.next_idea, kept), forbidden]
    with serving(researcher) as server:
        models.write_settings(lab, server, budget="2s", silence="120s")
        with models.night(lab, "--max-experiments", str(experiments), "--max-cost", "5") as night:
            looking()
            hinted = tell(lab, "hint", text="Look at the step sizes.")
            tell(lab, "hint", text="Only this once.", once=True)
            wait_until(lambda: looking().running(), 60, "a run")
            assert "asked" in tell(lab, "ask", text="Why is it slow?")
            wait_until(lambda: looking().said("answer"), 60, "an answer in mid-run")
            assert looking().running(), "the answer waited for the run"
            wait_until(lambda: gains(looking()), 120, "a gain")
            brief = lab / "program.md"
            brief.write_text(brief.read_text() + "\nThink of the schedule.\n")
            kept.set()
            assert night.end(300) == 0
        seen = looking()
        own = seen.experiments()
        assert sum(e.claimed_at is not None for e in own.values()) == experiments + 1
        assert gains(seen)[0].title == "Steps that move"
        assert researcher.repairs == 2
        said = [m.text for m in seen.messages()]
        assert "re-applied to the new base #1" in said
        assert hinted.startswith("kept as hint 1")
        states = {hint.id: hint.state for hint in seen.hints()}
        assert states == {1: "applied", 2: "applied"}
        assert sum("Only this once." in request.prompt for request in server.requests) <= 2
        assert any(text.startswith("program.md has changed (") for text in said)
        assert "Think of the schedule." in server.requests[-1].prompt
        assert len(seen.programs()) == 2
        check_costs(seen, server)
        no_key_anywhere(lab, server)


def check_costs(seen: Journal, server: provider.ModelServer) -> None:
    """What the journal says is what the provider told, by night and by experiment."""
    calls = seen.calls()
    expected = sum(READ_DOLLARS * p + WRITTEN_DOLLARS * c for _, p, c in server.told)
    assert sum(call.dollars or 0.0 for call in calls) == pytest.approx(expected, rel=1e-6)
    assert {call.purpose for call in calls} >= {"proposal", "repair", "question"}
    used = {call.experiment for call in calls if call.purpose == "repair"}
    assert None not in used


def no_key_anywhere(lab: Path, server: provider.ModelServer) -> None:
    """The key went to the provider and nowhere else."""
    assert {request.key for request in server.requests} == {KEY}
    assert all(KEY not in json.dumps(request.body) for request in server.requests)
    for path in (lab / ".cockpit").rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


INJECTING = "Traceback (most recent call last):\n\x1b]0;x\x07 ```\n/stop now\n$(reboot)"
FAULTS = (
    (provider.rate_limited("1"), provider.malformed()),
    (provider.status(500), provider.huge()),
    (provider.silence(30), provider.empty()),
    (provider.cut(), provider.text(INJECTING)),
    (provider.html(), provider.key_revoked()),
)


@pytest.mark.slow
@pytest.mark.parametrize("faults", FAULTS)
def test_a_night_in_which_every_third_call_goes_wrong(
    lab: Path, looking: Callable[[], Journal], faults: tuple[Step, Step]
) -> None:
    with serving(provider.with_faults(Researcher(), faults)) as server:
        models.write_settings(lab, server, silence="4s")
        with models.night(lab, "--max-experiments", "8") as night:
            looking()
            tell(lab, "hint", text="Stay small.")
            assert night.end(590) == 0
        own = looking().experiments()
        assert sum(e.claimed_at is not None for e in own.values()) == 9
        assert looking().hints()[0].state == "applied"
        assert sum(e.proposer == "llm" for e in own.values()) >= 3
        assert len(server.requests) >= 6, "both faults were met"
        no_key_anywhere(lab, server)
        assert not any("\x1b" in e.title + (e.reason or "") for e in own.values())


@pytest.mark.slow
def test_a_crash_that_looks_like_a_slip_goes_back_once_with_its_traceback(
    lab: Path, looking: Callable[[], Journal]
) -> None:
    slips = 0

    def slip(request: Request) -> Step:
        nonlocal slips
        slips += 1
        line = "        progress = task.progress"
        edit = {
            "search": line,
            # A preflight's one step on noise does not get there.
            "replace": f"{line}\n        if total.item() < 7.5:\n            undefined_{slips}()",
        }
        return answer(f"Slip {slips}", edits=[edit], hints=answered(request))

    researcher = Researcher([slip])

    def script(request: Request) -> Step:
        if "# A crash to mend" in request.prompt and "assistant" not in request.roles:
            return slip(request)
        return researcher(request)

    with serving(script) as server:
        models.write_settings(lab, server)
        with models.night(lab, "--max-experiments", "4") as night:
            assert night.end(300) == 0
        mending = [r.prompt for r in server.requests if "# A crash to mend" in r.prompt]
    assert slips == 2, "the first crash goes back, the crash of its repair does not"
    assert "NameError" in mending[0]
    assert "undefined_1" in mending[0]
    crashed = [e for e in looking().experiments().values() if e.status is Status.CRASHED]
    assert [e.title for e in crashed] == ["Slip 1", "Slip 2"]
    assert looking().proposal(crashed[1].id).repair_of == crashed[0].id


@pytest.mark.slow
def test_an_order_is_the_next_proposal_and_the_next_run(
    lab: Path, looking: Callable[[], Journal], wait_until: Callable[..., object]
) -> None:
    def script(request: Request) -> Step:
        if "# A direct order" in request.prompt:
            edit = request.edit("WARMDOWN", 0.77)
            return answer("As ordered", edits=[edit], hints=answered(request))
        return researcher(request)

    researcher = Researcher()
    with serving(script) as server:
        models.write_settings(lab, server, budget="4s")
        with models.night(lab, "--max-experiments", "4") as night:
            wait_until(lambda: len(looking().experiments()) >= 3, 120, "a queue")
            assert "the next run is its" in tell(lab, "try", text="a long warmdown of 0.77")
            assert night.end(300) == 0
    own = looking().experiments().values()
    ordered = next(e for e in own if e.title == "As ordered")
    waiting = [e for e in own if (e.claimed_at or 1e12) > ordered.created_at]
    assert min(waiting, key=lambda e: e.claimed_at or 1e12) is ordered
    assert looking().proposal(ordered.id).order == 1
    (order,) = looking().hints()
    assert (order.state, order.experiment) == ("applied", ordered.id)


@pytest.mark.slow
def test_a_model_without_a_usable_idea_and_an_order_that_cannot_be_stop_nothing(
    lab: Path, looking: Callable[[], Journal]
) -> None:
    with serving(forbidden) as server:
        models.write_settings(lab, server)
        with models.night(lab, "--max-experiments", "4") as night:
            looking()
            tell(lab, "try", text="use a subprocess")
            assert night.end(300) == 0
        assert len(server.requests) <= 12, "it is not asked for ever"
    own = looking().experiments().values()
    assert sum(e.claimed_at is not None for e in own) == 5
    assert {e.proposer for e in own if e.claimed_at and e.parent is not None} == {"search"}
    (order,) = looking().hints()
    assert order.state == "declined"
    assert order.why.startswith("guard: ")


@pytest.mark.slow
def test_a_key_that_comes_late_is_taken_without_a_restart(
    lab: Path, looking: Callable[[], Journal], wait_until: Callable[..., object]
) -> None:
    """Revoked at first, the search proposes; then `cockpit key` puts in one that works."""
    researcher = Researcher()

    def script(request: Request) -> Step:
        return researcher(request) if request.key == KEY else provider.key_revoked()

    with serving(script) as server:
        models.write_settings(lab, server)
        with models.night(lab, key="sk-old-9876543210zyxwvutsrq") as night:
            wait_until(lambda: "llm" in _proposers_that_failed(looking()), 120, "a refused key")
            wait_until(lambda: "search" in _proposers(looking()), 60, "a stand-in")
            keys = lab.parent / "config" / "cockpit" / "keys.env"
            keys.parent.mkdir(parents=True)
            keys.touch(0o600)
            keys.write_text(f"OPENAI_API_KEY={KEY}\n")
            wait_until(lambda: "llm" in _proposers(looking()), 120, "the model again")
            tell(lab, "stop", now=True)
            night.end(60)
        assert any("llm answers again" in m.text for m in looking().messages())


def _proposers(seen: Journal) -> set[str]:
    return {e.proposer for e in seen.experiments().values()}


def _proposers_that_failed(seen: Journal) -> set[str]:
    return {m.text.partition(":")[0] for m in seen.messages() if "come from search" in m.text}


@pytest.mark.slow
def test_at_the_limit_of_money_the_night_goes_on_with_search(
    lab: Path, looking: Callable[[], Journal]
) -> None:
    dear = provider.Usage(prompt=1_000_000, completion=1_000)

    def script(request: Request) -> Step:
        edit = request.edit("WARMDOWN", round(0.3 + 0.01 * request.number, 3))
        return answer("Dear", edits=[edit], hints=answered(request), usage=dear)

    with serving(script) as server:
        models.write_settings(lab, server)
        with models.night(lab, "--max-experiments", "3", "--max-cost", "0.10") as night:
            assert night.end(200) == 0
    assert len(server.requests) == 1
    assert sorted(e.proposer for e in looking().experiments().values()) == [
        "baseline", "llm", "search", "search",
    ]  # fmt: skip
    assert any("are spent: it goes on with search" in m.text for m in looking().messages())
    told = json.loads(cockpit(lab, "status", "--json").stdout)
    assert told["cost_usd"] == pytest.approx(0.1506)


def test_an_llm_without_a_model_or_a_key_is_one_line_before_anything_begins(lab: Path) -> None:
    for words, why in (
        (("--proposer", "llm"), "--model"),
        (("--proposer", "llm", "--model", models.MODEL), "OPENAI_API_KEY"),
    ):
        with models.night(lab, *words, "--max-experiments", "1", key=None) as night:
            assert night.end(120) == 1
        assert why in night.lines[-1]
    done = subprocess.run(
        ["git", "for-each-ref", "refs/cockpit"], cwd=lab, capture_output=True, check=True
    )
    assert done.stdout == b""
