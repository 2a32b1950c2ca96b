"""A briefing crosses a process border as JSON and is the same behind it."""

import json
from dataclasses import asdict

from cockpit.core.briefing import (
    Attempt,
    Briefing,
    Crash,
    Exchange,
    HistoryEntry,
    Stale,
    version_of,
)
from cockpit.core.edits import Edit
from cockpit.core.experiment import Hint, HintAnswer, Proposal
from cockpit.core.noise import Noise


def test_a_briefing_comes_back_from_json_as_it_was() -> None:
    entry = HistoryEntry(
        3, 0, "crashed", None, {"DEPTH": 4}, "deeper", "NaN", diff=("-a", "+b"), log=("x",)
    )
    hint = Hint(1, "wider", "ada", 5.0, once=True)
    briefing = Briefing(
        "t", 0, "A = 1\n", "A = 2\n", (entry,),
        hints=(hint,), order=Hint(2, "now", "ada", 6.0, order=True), program="p",
        program_version=version_of("p"), setup={"device": "cpu"}, noise=Noise(0.1, 4, 2),
        constraints=("parameters <= 5",), dynamics=("loss",), dynamics_of=3,
        conversation=(Exchange("why?", "so"),),
        crash=Crash(3, "deeper", "h", ("-a",), ("E",)),
        stale=Stale(None, "old", "h", ("-a",), "gone"),
        attempts=(Attempt("{}", "empty"),), question="why?",
    )  # fmt: skip
    assert Briefing.from_json(json.loads(json.dumps(asdict(briefing)))) == briefing
    plain = Briefing("t", 0, "", "", ())
    assert Briefing.from_json(json.loads(json.dumps(asdict(plain)))) == plain


def test_a_proposal_comes_back_from_json_as_it_was() -> None:
    proposal = Proposal(
        "t", "llm", edits=(Edit("a", "b"),), predicted=-0.1, hints=(HintAnswer(1, True, "y"),)
    )
    assert Proposal.from_json(json.loads(json.dumps(asdict(proposal)))) == proposal
    newer = asdict(Proposal("t", "search", constants={"A": 1})) | {"of_a_newer_cockpit": 1}
    assert Proposal.from_json(newer) == Proposal("t", "search", constants={"A": 1})
