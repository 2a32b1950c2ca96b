"""A night like the last one, begun from the screen."""

from cockpit.lab.rows import Night
from cockpit.ui.beginning import next_night, night_facts
from cockpit.ui.snapshot import EngineState, Snapshot

OPTIONS = {
    "proposer": "llm:3,search:1",
    "model": ["openai/gpt-4o-mini", "other/one"],
    "max_cost": 10.0,
    "agent": None,
    "unsafe_agent": True,
    "seed": 0,
    "duration_seconds": 3600.0,
}


def ended() -> Snapshot:
    night = Night(1, "nov20", OPTIONS, 0.0, 1.0, "enough", 0.0, 3)
    return Snapshot("lab", 0.0, EngineState("stopped"), night=night)


def test_it_has_the_models_and_limits_of_the_last() -> None:
    words = next_night(ended(), [])
    assert words[:2] == ["--tag", "nov20"]
    typed = " ".join(words)
    for option in (
        "--proposer llm:3,search:1",
        "--model openai/gpt-4o-mini,other/one",
        "--max-cost 10.0",
        "--unsafe-agent",
        "--seed 0",
        "--duration 3600s",
    ):
        assert option in typed
    assert "--agent" not in words


def test_what_is_typed_wins() -> None:
    words = next_night(ended(), ["--model", "mine"])
    assert words.count("--model") == 1
    assert "openai/gpt-4o-mini,other/one" not in words


def test_the_question_names_who_has_the_ideas_and_what_it_may_cost() -> None:
    facts = dict(night_facts(ended(), next_night(ended(), [])))
    assert facts["ideas"] == "llm:3,search:1 · openai/gpt-4o-mini,other/one · at most $10.00"
