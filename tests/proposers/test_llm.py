"""The llm proposer: its real process, against a provider on loopback that plays scripts."""

import email.utils
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cockpit.core.briefing import Attempt, Briefing, Crash, HistoryEntry
from cockpit.core.edits import Edit
from cockpit.core.experiment import Hint, HintAnswer
from cockpit.proposers.base import (
    Answer,
    Event,
    Order,
    ProposerError,
    ProposerProcess,
    child_environment,
    proposer_process,
)
from cockpit.proposers.keys import write_key
from tests.proposers import openai_server as play
from tests.proposers.openai_server import ModelServer, Script, Usage

KEY = "sk-test-4f9c1a7e5b2d8036"
NEW_KEY = "sk-test-new-0a1b2c3d4e5f"
MODEL, SECOND = "openai/gpt-4o-mini", "openai/gpt-4o"
INPUT, OUTPUT = 0.15e-6, 0.60e-6
"""Dollars a token of the first model."""
TEXT = "DEPTH = 4  # layers\nRATE = 0.02  # step\n"
BRIEFING = Briefing(
    "t", 0, TEXT, TEXT, (HistoryEntry(0, None, "kept", 2.0, None, "baseline", None),),
    program="Make it better.",
)  # fmt: skip
EDIT = {"search": "DEPTH = 4  # layers", "replace": "DEPTH = 5  # layers"}
GOOD = play.answer("Depth 5", edits=[EDIT], usage=Usage(1000, 200))


@dataclass
class Talk:
    """The child, the server, and what was said in the last order."""

    process: ProposerProcess
    server: ModelServer
    log: Path
    keys: Path
    events: list[Event] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Everything that ever came out of the child, as JSON."""

    def order(
        self, kind: str, script: Script, briefing: Briefing | None = BRIEFING, **options: Any
    ) -> Answer:
        self.server.play(script)
        self.events = []
        given = {
            "models": [MODEL], "api_base": self.server.base_url, "silence_seconds": 2.0,
            "attempts": 3, "answer_tokens": 4000, "dollars_left": None, "prices": {},
            "keys_file": str(self.keys), "pause_seconds": 0.02,
        }  # fmt: skip
        try:
            answer = self.process.ask(Order(kind, briefing, given | options), 60, self._hear)
        except ProposerError as error:
            self.said.append(str(error))
            raise
        self.said.append(repr(answer))
        return answer

    def propose(self, script: Script, briefing: Briefing = BRIEFING, **options: Any) -> Answer:
        return self.order("propose", script, briefing, **options)

    @property
    def calls(self) -> list[Event]:
        return [event for event in self.events if event["event"] == "call"]

    @property
    def outcomes(self) -> list[str]:
        return [event["outcome"] for event in self.calls]

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self.said.append(json.dumps(event))


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with play.serving() as served:
        yield served


@pytest.fixture(scope="module")
def shared(server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    place = tmp_path_factory.mktemp("llm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.delenv("ANTHROPIC_API_KEY", raising=False)
        process = proposer_process("llm", place / "engine.log")
    yield Talk(process, server, place / "engine.log", place / "keys.env")
    process.close()


@pytest.fixture
def talk(shared: Talk) -> Iterator[Talk]:
    """The shared child: what it learnt of models stays, keys are as in the beginning."""
    yield shared
    shared.keys.unlink(missing_ok=True)


# --- proposals ---------------------------------------------------------------------------------


def test_a_proposal_by_a_tool_call(talk: Talk) -> None:
    answer = talk.propose([GOOD])
    proposal = answer.proposal
    assert proposal is not None
    assert (proposal.title, proposal.proposer, proposal.model) == ("Depth 5", "llm", MODEL)
    assert proposal.edits == (Edit(EDIT["search"], EDIT["replace"]),)
    assert (proposal.predicted, proposal.program) == (-0.001, BRIEFING.program_version)
    assert (answer.problem, answer.told) == (None, ())
    (request,) = talk.server.requests
    assert (request.model, request.key, request.tools) == ("gpt-4o-mini", KEY, True)
    assert request.body["max_tokens"] == 4000
    assert TEXT in request.prompt


def test_a_call_is_recorded_with_its_cost_to_the_cent(talk: Talk) -> None:
    talk.propose([GOOD])
    (call,) = talk.calls
    assert (call["model"], call["purpose"], call["outcome"]) == (MODEL, "proposal", "ok")
    assert (call["prompt_tokens"], call["completion_tokens"]) == (1000, 200)
    assert call["dollars"] == pytest.approx(1000 * INPUT + 200 * OUTPUT, abs=1e-12)
    assert call["seconds"] > 0
    cached = play.answer(edits=[EDIT], usage=Usage(1000, 200, cached=600))
    talk.propose([cached])
    expected = 400 * INPUT + 600 * INPUT / 2 + 200 * OUTPUT
    assert talk.calls[0]["dollars"] == pytest.approx(expected, abs=1e-12)


def test_a_price_of_ones_own_counts_before_the_table(talk: Talk) -> None:
    talk.propose([GOOD], prices={MODEL: [10.0, 30.0]})
    assert talk.calls[0]["dollars"] == pytest.approx(0.010 + 0.006, abs=1e-12)


def test_what_is_written_is_heard_before_it_is_whole(talk: Talk) -> None:
    slow = play.answer("Depth 5", edits=[EDIT], hypothesis="because " * 30, pause=0.05)
    began = time.monotonic()
    heard: list[tuple[float, str]] = []
    before = talk.events
    talk.server.play([slow])

    def hear(event: Event) -> None:
        if event["event"] == "text":
            heard.append((time.monotonic() - began, event["text"]))
            assert event["about"] == "proposing"

    options = {"models": [MODEL], "api_base": talk.server.base_url, "keys_file": str(talk.keys)}
    talk.process.ask(Order("propose", BRIEFING, options), 60, hear)
    took = time.monotonic() - began
    assert talk.events is before
    assert 3 <= len(heard) <= took * 6 + 2
    assert heard[0][0] < 0.6 * took
    assert any("because" in text and "DEPTH" not in text for _, text in heard)
    assert heard[-1][1].endswith("-DEPTH = 4  # layers\n+DEPTH = 5  # layers")


def test_a_model_without_tools_answers_in_text(talk: Talk) -> None:
    answer = talk.propose([GOOD], models=["openai/some-local-model"])
    assert answer.proposal is not None
    assert answer.proposal.edits == (Edit(EDIT["search"], EDIT["replace"]),)
    assert not talk.server.requests[0].tools
    assert talk.calls[0]["dollars"] is None  # nobody knows its price


def test_a_text_of_a_model_that_was_offered_tools_is_taken(talk: Talk) -> None:
    words = (
        f"TITLE: Depth 5\nHYPOTHESIS: more\nPREDICTED: -0.002\n<<<<<<< SEARCH\n{EDIT['search']}\n"
        f"=======\n{EDIT['replace']}\n>>>>>>> REPLACE\n"
    )
    answer = talk.propose([play.text(words)])
    assert answer.proposal is not None
    assert answer.proposal.predicted == -0.002


def test_a_model_that_refuses_tools_is_asked_without_and_that_is_remembered(talk: Talk) -> None:
    models = ["openai/gpt-4.1-nano"]
    assert talk.propose([play.no_tools(), GOOD], models=models).proposal is not None
    assert [request.tools for request in talk.server.requests] == [True, False]
    talk.propose([GOOD], models=models)
    assert [request.tools for request in talk.server.requests] == [False]


def test_hints_and_orders_have_to_be_answered(talk: Talk) -> None:
    hints = (Hint(3, "try depth", "ada", 0.0), Hint(4, "leave RATE", "ada", 0.0))
    briefing = replace(BRIEFING, hints=hints, order=Hint(7, "depth 5", "ada", 0.0, order=True))
    partly = [{"id": 3, "applied": True, "why": "yes"}]
    answer = talk.propose([play.answer(edits=[EDIT], hints=partly)], briefing)
    assert "hints 4 and 7 are not answered" in (answer.problem or "")
    assert answer.proposal is not None, "it may be taken at last"
    assert json.loads(answer.text)["edits"] == [EDIT]
    whole = [
        *partly,
        {"id": 4, "applied": False, "why": "later"},
        {"id": 7, "applied": True, "why": "as ordered"},
        {"id": 99, "applied": True, "why": "there is none"},
    ]
    proposal = talk.propose([play.answer(edits=[EDIT], hints=whole)], briefing).proposal
    assert proposal is not None
    assert proposal.order == 7
    assert proposal.hints == (
        HintAnswer(3, True, "yes"),
        HintAnswer(4, False, "later"),
        HintAnswer(7, True, "as ordered"),
    )


def test_repairs_go_back_as_a_conversation_and_are_counted_as_such(talk: Talk) -> None:
    briefing = replace(BRIEFING, attempts=(Attempt('{"title": "x"}', "it has no edits"),))
    talk.propose([GOOD], briefing)
    assert talk.server.requests[0].roles == ["system", "user", "assistant", "user"]
    assert talk.calls[0]["purpose"] == "repair"
    crash = Crash(5, "Depth 5", "more", ("+DEPTH = x",), ("NameError: x",))
    proposal = talk.propose([GOOD], replace(BRIEFING, crash=crash)).proposal
    assert proposal is not None
    assert proposal.repair_of == 5
    assert talk.calls[0]["purpose"] == "repair"


def test_a_question_is_answered_in_words(talk: Talk) -> None:
    briefing = replace(BRIEFING, question="Why did that fail?")
    answer = talk.order("ask", [play.text("Because of the noise.", usage=Usage(50, 10))], briefing)
    assert answer.text == "Because of the noise."
    assert not talk.server.requests[0].tools
    assert "Why did that fail?" in talk.server.requests[0].prompt
    assert talk.calls[0]["purpose"] == "question"
    assert [event["about"] for event in talk.events if event["event"] == "text"][-1] == "answering"


# --- answers that a model may mend -------------------------------------------------------------


def test_malformed_arguments_go_back(talk: Talk) -> None:
    answer = talk.propose([play.malformed()])
    assert answer.proposal is None
    assert "not JSON" in (answer.problem or "")
    assert answer.text.startswith('{"title": "Broken"')
    assert talk.outcomes == ["ok"]


def test_an_empty_answer_is_tried_again_and_then_goes_back(talk: Talk) -> None:
    assert talk.propose([play.empty(), GOOD]).proposal is not None
    assert talk.outcomes == ["an empty answer", "ok"]
    answer = talk.propose([play.empty()] * 3)
    assert "empty" in (answer.problem or "")
    assert len(talk.server.requests) == 3


@pytest.mark.parametrize("piece", [10_000, 2_000_000])
def test_a_huge_answer_is_not_read_to_its_end(talk: Talk, piece: int) -> None:
    answer = talk.propose([play.huge(20_000_000, piece=piece)])
    assert "longer than 200000 characters" in (answer.problem or "")
    assert len(answer.text) <= 4000
    (call,) = talk.calls
    assert call["outcome"] == "longer than anybody reads, its cost is estimated"
    assert call["dollars"] > 0.01
    assert max(len(event["text"]) for event in talk.events if event["event"] == "text") <= 8000


def test_an_answer_that_was_cut_at_its_limit_is_told_so(talk: Talk) -> None:
    answer = talk.propose([play.text("TITLE: Depth 5\n<<<<<<< SEARCH\nDEPTH", finish="length")])
    assert "it was cut off where it became too long" in (answer.problem or "")


# --- faults that pass --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (play.rate_limited("0"), "rate limit"),
        (play.status(500), "the server failed"),
        (play.status(503), "the server failed"),
        (play.html(502), "the server failed"),
        (play.html(), "what came back is no answer of a model"),
        (play.not_json(), "what came back is no answer of a model"),
        (play.silence(5.0), "silent for too long, its cost is estimated"),
        (play.silence(5.0, after=3), "silent for too long, its cost is estimated"),
        (play.muttering(5.0), "silent for too long, its cost is estimated"),
        (play.cut(), "the answer broke off, its cost is estimated"),
        (play.cut(reset=True), "the answer broke off, its cost is estimated"),
        (play.ended_early(), "the answer broke off, its cost is estimated"),
        (play.error_in_stream(), "the server failed"),
    ],
)
def test_a_fault_that_passes_is_waited_out(talk: Talk, step: play.Step, outcome: str) -> None:
    answer = talk.propose([step, GOOD])
    assert answer.proposal is not None
    assert [o.removesuffix(", its cost is estimated") for o in talk.outcomes] == [
        outcome.removesuffix(", its cost is estimated"), "ok",
    ]  # fmt: skip
    (trouble,) = [event for event in talk.events if event["event"] == "trouble"]
    assert trouble["says"].startswith(f"{MODEL}: {outcome.partition(',')[0]}")
    failed, good = talk.calls
    assert good["dollars"] == pytest.approx(1000 * INPUT + 200 * OUTPUT, abs=1e-12)
    if outcome.endswith("estimated"):
        assert failed["outcome"] == outcome
        assert failed["prompt_tokens"] > 500
        assert failed["dollars"] > 0
        assert any("estimated" in line for line in answer.told)


def test_what_was_never_read_costs_nothing(talk: Talk) -> None:
    talk.propose([play.rate_limited("0"), play.status(500), GOOD])
    assert [call["dollars"] for call in talk.calls[:2]] == [0.0, 0.0]


def test_retry_after_is_honoured_in_seconds_and_as_a_date(talk: Talk) -> None:
    talk.propose([play.rate_limited("0.7"), GOOD])
    (trouble,) = [event for event in talk.events if event["event"] == "trouble"]
    assert 0.7 <= trouble["seconds"] < 0.75
    date = email.utils.formatdate(time.time() + 2, usegmt=True)
    talk.propose([play.rate_limited(date), GOOD])
    (trouble,) = [event for event in talk.events if event["event"] == "trouble"]
    assert 0.2 <= trouble["seconds"] <= 2.1


def test_nobody_is_waited_for_for_hours(talk: Talk) -> None:
    with pytest.raises(ProposerError, match="rate limit") as error:
        talk.propose([play.rate_limited("7200")])
    assert error.value.kind == "fault"
    assert len(talk.server.requests) == 1


def test_a_provider_that_is_not_there_is_a_fault(talk: Talk) -> None:
    with pytest.raises(ProposerError, match="can't be reached") as error:
        talk.propose([], api_base="http://127.0.0.1:9/v1")
    assert error.value.kind == "fault"
    assert [call["dollars"] for call in talk.calls] == [0.0] * 3


def test_attempts_come_to_an_end(talk: Talk) -> None:
    with pytest.raises(ProposerError, match=r"gpt-4o-mini: the server failed \(500\)") as error:
        talk.propose([play.status(500)] * 9, attempts=4)
    assert error.value.kind == "fault"
    assert len(talk.server.requests) == 4
    assert talk.propose([GOOD]).proposal is not None


# --- faults that stay --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (play.refusal(), "it refused to answer"),
        (play.no_such_model(), "there is no such model"),
        (play.out_of_credit(), "its account is out of credit"),
        (play.status(400, "strange request", kind="invalid_request_error"), "rejected"),
    ],
)
def test_a_fault_that_stays_goes_to_the_next_model(talk: Talk, step: play.Step, told: str) -> None:
    answer = talk.propose([step, GOOD], models=[MODEL, SECOND])
    assert answer.proposal is not None
    assert answer.proposal.model == SECOND
    assert [request.model for request in talk.server.requests] == ["gpt-4o-mini", "gpt-4o"]
    assert told in answer.told[0]
    assert not [event for event in talk.events if event["event"] == "trouble"]
    assert talk.calls[1]["dollars"] == pytest.approx(1000 * 2.5e-6 + 200 * 10e-6, abs=1e-12)


def test_a_model_that_failed_gets_one_try_until_it_answers(talk: Talk) -> None:
    models = ["openai/gpt-4.1-mini", SECOND]
    talk.propose([*[play.status(500)] * 3, GOOD], models=models)
    assert len(talk.server.requests) == 4
    talk.propose([play.status(500), GOOD], models=models)
    assert len(talk.server.requests) == 2
    talk.propose([GOOD], models=models)
    assert talk.calls[0]["model"] == models[0]


def test_a_prompt_that_is_too_long_is_shortened_and_that_is_remembered(talk: Talk) -> None:
    history = tuple(
        HistoryEntry(n, 0, "discarded", 2.0, None, f"Idea {n} " + "x" * 60, "no gain", delta=0.01)
        for n in range(1, 400)
    )
    models = ["openai/gpt-4.1"]
    briefing = replace(BRIEFING, history=(*BRIEFING.history, *history), token_limit=12_000)
    script = [play.context_too_long(), play.context_too_long(), GOOD]
    assert talk.propose(script, briefing, models=models).proposal is not None
    sizes = [len(request.prompt) for request in talk.server.requests]
    assert sizes[0] > sizes[1] > sizes[2]
    talk.propose([GOOD], briefing, models=models)
    assert len(talk.server.requests[0].prompt) == sizes[2]


def test_a_prompt_that_stays_too_long_is_a_fault(talk: Talk) -> None:
    with pytest.raises(ProposerError, match="the prompt is too long") as error:
        talk.propose([play.context_too_long()] * 9, models=["openai/gpt-4.1-nano"])
    assert error.value.kind == "fault"
    assert len(talk.server.requests) == 4


# --- keys --------------------------------------------------------------------------------------


def test_a_revoked_key_is_not_shown_again_and_a_new_one_is_taken_at_once(talk: Talk) -> None:
    write_key(talk.keys, "OPENAI_API_KEY", NEW_KEY[:-1] + "0")
    with pytest.raises(ProposerError, match="its key is missing, wrong") as error:
        talk.propose([play.key_revoked()])
    assert error.value.kind == "key"
    assert len(talk.server.requests) == 1  # no use in trying again
    with pytest.raises(ProposerError, match="its key"):
        talk.order("probe", [GOOD], None)
    assert not talk.server.requests
    pid = talk.process.pid
    write_key(talk.keys, "OPENAI_API_KEY", NEW_KEY)
    assert talk.propose([GOOD]).proposal is not None
    assert talk.server.requests[0].key == NEW_KEY
    assert talk.process.pid == pid


def test_a_key_that_may_not_do_this_is_a_matter_of_keys(talk: Talk) -> None:
    with pytest.raises(ProposerError, match="does not have access") as error:
        talk.propose([play.forbidden()], models=["openai/gpt-4.1"])
    assert error.value.kind == "key"


def test_a_key_that_no_header_can_hold_is_a_matter_of_keys(talk: Talk) -> None:
    talk.keys.write_text("OPENAI_API_KEY=sk-test-schlüssel-0123456789\n")
    talk.keys.chmod(0o600)
    with pytest.raises(ProposerError, match="its key is missing, wrong") as error:
        talk.propose([GOOD])
    assert error.value.kind == "key"
    assert "schl" not in str(error.value)


def test_a_missing_key_is_named_and_nobody_is_called(talk: Talk) -> None:
    with pytest.raises(ProposerError, match="ANTHROPIC_API_KEY is not set, neither in") as error:
        talk.propose([GOOD], models=["anthropic/claude-sonnet-4-5"])
    assert error.value.kind == "key"
    assert (talk.server.requests, talk.calls) == ([], [])


def test_a_file_of_keys_that_others_may_read_is_refused(talk: Talk) -> None:
    write_key(talk.keys, "OPENAI_API_KEY", NEW_KEY)
    talk.keys.chmod(0o644)
    with pytest.raises(ProposerError, match="chmod 600") as error:
        talk.propose([GOOD])
    assert error.value.kind == "key"


# --- money -------------------------------------------------------------------------------------


def test_an_answer_may_be_as_long_as_what_is_left_pays_for(talk: Talk) -> None:
    talk.propose([GOOD], dollars_left=0.0015)
    (request,) = talk.server.requests
    assert 500 <= request.body["max_tokens"] < 0.0015 / OUTPUT
    with pytest.raises(ProposerError, match="is left of the limit") as error:
        talk.propose([GOOD], dollars_left=0.0004)
    assert error.value.kind == "money"
    assert not talk.server.requests


def test_without_a_price_there_is_no_limit_to_keep(talk: Talk) -> None:
    with pytest.raises(ProposerError, match=r"model_prices in cockpit\.toml") as error:
        talk.propose([GOOD], models=["openai/some-local-model"], dollars_left=5.0)
    assert error.value.kind == "money"
    assert not talk.server.requests
    prices = {"openai/some-local-model": [0.0, 0.0]}
    answer = talk.propose([GOOD], models=[*prices], prices=prices, dollars_left=5.0)
    assert answer.proposal is not None
    assert talk.calls[0]["dollars"] == 0.0


# --- about and probe ---------------------------------------------------------------------------


def test_about_says_what_is_there(talk: Talk) -> None:
    models = [MODEL, "anthropic/claude-sonnet-4-5", "nobody-knows-this"]
    answer = talk.order("about", [], None, models=models)
    mini, claude, nobody = answer.text.split("; ", 2)
    assert mini == f"{MODEL}: $0.15 and $0.60 a million tokens"
    assert "ANTHROPIC_API_KEY is not set" in claude
    assert "no provider is known" in nobody
    assert len(answer.told) == 2
    local = talk.order("about", [], None, models=["openai/some-local-model"])
    assert local.text == "openai/some-local-model: price not known"
    assert not talk.server.requests


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"models": []}, "refused", "no model is named"),
        ({"models": ["anthropic/claude-sonnet-4-5"]}, "key", "ANTHROPIC_API_KEY"),
        ({"models": ["nobody-knows-this"]}, "refused", "provider/model"),
        ({"models": ["openai/some-local-model"], "dollars_left": 1.0}, "money", "model_prices"),
    ],
)
def test_about_says_what_is_missing(
    talk: Talk, options: dict[str, Any], kind: str, told: str
) -> None:
    with pytest.raises(ProposerError, match=told) as error:
        talk.order("about", [], None, **options)
    assert error.value.kind == kind


def test_a_probe_takes_next_to_nothing(talk: Talk) -> None:
    answer = talk.order("probe", [play.text("yes", usage=Usage(12, 1))], None)
    assert answer.text == f"{MODEL} answers"
    (request,) = talk.server.requests
    assert request.probe
    assert request.body["max_tokens"] == 16
    assert talk.calls[0]["purpose"] == "probe"
    assert talk.calls[0]["dollars"] == pytest.approx(12 * INPUT + OUTPUT, abs=1e-12)
    with pytest.raises(ProposerError, match="the server failed"):
        talk.order("probe", [play.status(500), GOOD], None)
    assert len(talk.server.requests) == 1


# --- the process -------------------------------------------------------------------------------


def test_no_key_was_ever_seen(talk: Talk) -> None:
    """After all of the above: in no event, answer, error or log."""
    write_key(talk.keys, "OTHER_TOKEN", "hunter2-hunter2")
    briefing = replace(BRIEFING, program=f"my keys are {KEY} and hunter2-hunter2")
    answer = talk.propose([play.text(f"TITLE: {KEY}"), GOOD], briefing)
    assert answer.text == "TITLE: [key]"
    assert "my keys are [key] and [key]" in talk.server.requests[0].prompt
    for seen in (*talk.said, talk.log.read_text()):
        for secret in ("sk-test", "hunter2", KEY[-8:], NEW_KEY[-8:]):
            assert secret not in seen


def test_the_library_is_imported_where_it_is_used_and_nowhere_else() -> None:
    code = "import sys, cockpit.proposers.llm; print('litellm' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout == "False\n"


def test_the_log_is_empty_and_nobody_else_was_called(talk: Talk) -> None:
    talk.propose([GOOD])
    assert talk.log.read_text() == ""
    assert talk.process.pid is not None
    connections = psutil.Process(talk.process.pid).net_connections()
    assert {c.raddr.port for c in connections if c.raddr} <= {talk.server.port}


def test_a_child_ends_with_its_engine_in_the_middle_of_a_call(
    server: ModelServer, tmp_path: Path, wait_until: Callable[..., object]
) -> None:
    server.play([play.silence(60.0)])
    options = {
        "models": [MODEL], "api_base": server.base_url, "keys_file": str(tmp_path / "keys.env"),
    }  # fmt: skip
    engine = (
        "import json, os, signal, sys, threading\nfrom pathlib import Path\n"
        "from cockpit.proposers.base import Order, proposer_process\n"
        f"p = proposer_process('llm', Path({str(tmp_path / 'log')!r}))\n"
        f"options = json.loads({json.dumps(options)!r})\n"
        "ask = lambda: p.ask(Order('probe', None, options), 60)\n"
        "threading.Thread(target=ask, daemon=True).start()\n"
        "sys.stdin.readline()\nprint(p.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = child_environment(everything=True) | {"OPENAI_API_KEY": KEY}
    with subprocess.Popen(
        [sys.executable, "-c", engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment, cwd=Path(__file__).resolve().parents[2],
    ) as process:  # fmt: skip
        wait_until(lambda: server.requests, 30, "the call")
        said, _ = process.communicate("go\n")
    wait_until(lambda: not psutil.pid_exists(int(said)), 5, "the end of the orphan")


# --- the provider on loopback ------------------------------------------------------------------


def test_a_script_may_answer_from_what_the_prompt_says(talk: Talk) -> None:
    hints = (Hint(3, "try depth", "ada", 0.0), Hint(12, "leave RATE", "ada", 0.0))
    order = Hint(15, "depth 5", "ada", 0.0, order=True)
    briefing = replace(BRIEFING, hints=hints, order=order)

    def script(request: play.Request) -> play.Step:
        answers = [{"id": hint, "applied": True, "why": "so"} for hint in request.hints]
        if request.number == 0:
            return play.status(500)
        return play.answer(edits=[request.edit("DEPTH", 5)], hints=answers)

    proposal = talk.propose(script, briefing).proposal
    assert proposal is not None
    assert proposal.edits == (Edit("DEPTH = 4  # layers", "DEPTH = 5  # layers"),)
    assert [answer.hint for answer in proposal.hints] == [3, 12, 15]
    ((model, prompt, completion),) = talk.server.told
    call = talk.calls[-1]
    assert (model, prompt) == ("gpt-4o-mini", call["prompt_tokens"])
    assert completion == call["completion_tokens"]


def test_faults_may_come_at_every_third_request(server: ModelServer) -> None:
    wrong = [play.status(500), play.rate_limited("0")]
    script = play.with_faults(lambda _: GOOD, wrong)
    assert callable(script)
    steps = [script(play.Request(number, {}, {})) for number in range(9)]
    assert steps == [GOOD, GOOD, wrong[0], GOOD, GOOD, wrong[1], GOOD, GOOD, wrong[0]]


def test_the_server_lets_go_who_waits_when_it_closes(wait_until: Callable[..., object]) -> None:
    began = time.monotonic()
    with play.serving([play.silence(60.0)]) as served:
        waiting = socket.create_connection(("127.0.0.1", served.port))
        body = b'{"model": "x", "messages": []}'
        head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        waiting.sendall(head.encode() + body)
        waiting.settimeout(10.0)
        wait_until(lambda: served.requests, 10, "the request")
    assert waiting.recv(1) == b""
    waiting.close()
    assert time.monotonic() - began < 5
