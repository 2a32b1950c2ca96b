"""What an order to a proposer carries beside its briefing, from the settings; never a key."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cockpit.core import schedule as schedules
from cockpit.core.schedule import Schedule
from cockpit.lab.lab import Lab
from cockpit.lab.settings import Settings
from cockpit.proposers.base import Order, ProposerError, proposer_process
from cockpit.proposers.keys import keys_file

SEARCH, LLM, COMMAND = "search", "llm", "command"
SILENCE_SECONDS = 120.0
"""Models that think say nothing for a while."""
AGENT_SECONDS = 1200.0
CALL_ATTEMPTS = 3
"""How often one model is asked again after a fault that may pass."""
ANSWER_TOKENS = 16_000
ABOUT_SECONDS = 60.0


def schedule_of(settings: Settings) -> Schedule:
    """Return who is to propose; where nobody is named the model, the agent, or the search."""
    unnamed = LLM if settings.model else COMMAND if settings.agent else SEARCH
    return schedules.parse(settings.proposer or unnamed)


def llm_options(settings: Settings, dollars_left: float | None) -> dict[str, Any]:
    """Return what the models are asked with."""
    prices = settings.model_prices or ()
    return {
        "models": list(settings.model or ()),
        "api_base": settings.api_base,
        "silence_seconds": settings.silence_seconds or SILENCE_SECONDS,
        "attempts": CALL_ATTEMPTS,
        "answer_tokens": settings.answer_tokens or ANSWER_TOKENS,
        "dollars_left": dollars_left,
        "prices": {model: [read, written] for model, read, written in prices},
        "keys_file": str(keys_file()),
    }


def agent_options(
    settings: Settings, hidden: Sequence[Path], trainer_files: Mapping[str, str]
) -> dict[str, Any]:
    """Return what an agent works with: what it may not see, and the fixed files it may read."""
    return {
        "agent": settings.agent,
        "timeout_seconds": agent_seconds(settings),
        "unsafe": bool(settings.unsafe_agent),
        "keys": list(settings.agent_keys or ()),
        "config": list(settings.agent_config or ()),
        "hidden": [str(path) for path in hidden],
        "trainer_files": dict(trainer_files),
        "keys_file": str(keys_file()),
    }


def agent_seconds(settings: Settings) -> float:
    """Return how long an agent may take for one proposal."""
    return settings.agent_seconds or AGENT_SECONDS


def about(
    lab: Lab, settings: Settings, cpus: Sequence[int] = ()
) -> Iterator[tuple[str, str | ProposerError]]:
    """Yield each proposer that is to be asked, with what it says of itself or why it can't be.

    Takes seconds for a model: its library is imported. The search needs nothing.
    """
    for kind in schedule_of(settings).names:
        if kind == SEARCH:
            continue
        options = (
            llm_options(settings, settings.max_cost)
            if kind == LLM
            else agent_options(settings, (lab.root, lab.state), {})
        )
        process = proposer_process(kind, lab.log, cpus)
        try:
            yield kind, process.ask(Order("about", None, options), ABOUT_SECONDS).text
        except ProposerError as error:
            yield kind, error
        finally:
            process.close()
