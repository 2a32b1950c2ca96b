"""What a proposer reads: a briefing as text, for a model or for a coding agent.

Stable things come first, so that providers' caches of prompts hold: the system text has the rules,
the contract, the setup, the program and how to answer, which stay for a night; the user's text has
the base, which stays until something is kept, then the history, then what is of this moment. What
must be there is measured first, and the history gets the room that is left of the token limit.

What comes from programs and models is material behind fences (`core.quoting`); only what a person
wrote stands outside of them.
"""

from cockpit.core import instructions, request, standing
from cockpit.core.briefing import Briefing
from cockpit.core.findings import divided
from cockpit.core.history import history, under_way
from cockpit.core.past import Past
from cockpit.core.quoting import BYTES_A_TOKEN, clean, fenced, one_line, size, tokens
from cockpit.core.request import Message
from cockpit.core.setup import setup_line

__all__ = ["Message", "conversation", "for_agent", "tokens"]

FINDINGS_SHARE = 0.25
"""Of the room that the history has."""
MESSAGE_BYTES = 32
"""What a message takes besides its text, and what rounding takes."""


def conversation(briefing: Briefing, *, tools: bool) -> list[Message]:
    """Return the messages for a model: system, user, and for each attempt its answer and problem.

    `tools` says whether a proposal is a call of the tool `propose` or a text in a fixed form. The
    whole stays within the briefing's token limit unless what must be there is longer.
    """
    how = instructions.BY_TOOL if tools else instructions.BY_TEXT
    system = _system(briefing, instructions.BY_WORDS if briefing.question else how)
    attempts = [message for one in briefing.attempts for message in request.attempt(briefing, one)]
    spent = size(system) + sum(size(text) for _, text in attempts)
    spent += MESSAGE_BYTES * (2 + len(attempts))
    closing = "Call `propose` now." if tools else "Write your proposal now, in the form above."
    base = [_base(briefing), fenced(briefing.base_train_py, "python")]
    user = _user(briefing, "llm", "\n\n".join(base), closing, spent)
    return [("system", system), ("user", user), *attempts]


def for_agent(briefing: Briefing) -> str:
    """Return one text for a coding agent, which finds the base's train.py in its directory."""
    how = instructions.BY_WORDS if briefing.question else instructions.BY_FILE
    system = _system(briefing, how)
    attempts = ["# Your earlier attempts"] * bool(briefing.attempts)
    for one in briefing.attempts:
        (_, answer), (_, problem) = request.attempt(briefing, one)
        attempts += [fenced(answer), problem]
    spent = size(system) + sum(size(text) for text in attempts) + MESSAGE_BYTES * len(attempts)
    closing = "Edit trainer/train.py and write PROPOSAL.md now."
    told = _base(briefing) + "\nIt is trainer/train.py in your directory: read it first."
    return _joined(
        system, _user(briefing, "command", told, closing, spent + MESSAGE_BYTES), *attempts
    )


# ---- what stays -------------------------------------------------------------------------------


def _system(briefing: Briefing, how: str) -> str:
    program, _ = divided(clean(briefing.program))
    return _joined(
        instructions.ROLE,
        instructions.RULES,
        instructions.REFUSED,
        instructions.MATERIAL,
        _tagged("contract", "What train.py may ask of the harness.", briefing.contract),
        _measuring(briefing),
        _tagged("program", "The brief of the human whose night this is: follow it.", program),
        how,
    )


def _tagged(name: str, told: str, text: str) -> str:
    if not text.strip():
        return ""
    return f"# The {name}\n{told}\n<{name}>\n{clean(text).strip()}\n</{name}>"


def _measuring(briefing: Briefing) -> str:
    lines = [setup_line(briefing.setup)] if briefing.setup else []
    lines += [
        "A run that breaks one of these limits is discarded, whatever its score: "
        + ", ".join(one_line(limit) for limit in briefing.constraints)
        + "."
    ] * bool(briefing.constraints)
    return _joined("# How it is measured\n" + "\n".join(lines)) if lines else ""


# ---- what changes -----------------------------------------------------------------------------


def _user(briefing: Briefing, proposer: str, base: str, closing: str, spent: int) -> str:
    """Return the user's text; the history gets what `spent` and the rest leave of the limit."""
    past = Past.of(briefing.history, briefing.noise)
    before = _joined(base, standing.standing(briefing, past))
    asked = f"# The question\n{clean(briefing.question)}" if briefing.question else ""
    after = _joined(
        standing.dynamics(briefing),
        standing.predictions(briefing, proposer),
        standing.conversation(briefing.conversation),
        under_way(past),
        request.hints(briefing.hints),
        asked or request.task(briefing, closing),
    )
    limit = int(briefing.token_limit * BYTES_A_TOKEN)
    room = limit - spent - size(before) - size(after) - MESSAGE_BYTES
    findings = standing.findings(briefing, int(room * FINDINGS_SHARE))
    told = history(past, briefing.base, room - size(findings))
    return _joined(before, findings, *told, after)


def _base(briefing: Briefing) -> str:
    return f"# The base: trainer/train.py of #{briefing.base}"


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
