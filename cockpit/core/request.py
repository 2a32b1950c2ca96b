"""What a proposal has to be: the human's hints and orders, something to mend, a direction.

Hints and orders are instructions and stand as they were written; a crash, an idea that went stale
and an answer that could not be used are material.
"""

from collections.abc import Iterable

from cockpit.core.briefing import Attempt, Briefing
from cockpit.core.direction import direction
from cockpit.core.experiment import Hint
from cockpit.core.quoting import (
    BYTES_A_TOKEN,
    clean,
    fenced,
    kept_lines,
    last_lines,
    one_line,
    shortened,
)

ANSWER_SHARE = 0.1
"""Of the token limit, for an answer that could not be used; at most `ANSWER_CHARACTERS`."""
ANSWER_CHARACTERS = 12_000
PROBLEM_CHARACTERS = 3_000
DIFF_LINES = 60

Message = tuple[str, str]
"""Role (`system`, `user` or `assistant`) and text."""


def hints(standing: Iterable[Hint]) -> str:
    """Return the human's hints: instructions, so that they stand outside of fences."""
    told = [_hint(hint) for hint in standing]
    if not told:
        return ""
    return (
        "# Hints of the human\nThey stand until they are withdrawn. Follow each that fits into "
        "this proposal, and say of every one, by its number, what you did with it: applied and "
        "how, or why not now.\n" + "\n".join(told)
    )


def _hint(hint: Hint) -> str:
    state = "new" if hint.state == "queued" else hint.state
    if hint.experiment is not None:
        state += f" in #{hint.experiment}"
    once = ", for this proposal only" if hint.once else ""
    text = clean(hint.text).strip().replace("\n", "\n  ")
    return f"Hint {hint.id} ({one_line(hint.author, 40)}, {state}{once}): {text}"


def task(briefing: Briefing, closing: str) -> str:
    """Return the end of the user's text: what this proposal has to be."""
    first = _ordered(briefing) or _mending(briefing) or _anew(briefing) or _directed(briefing)
    turn = f"# Your turn\nPropose the next experiment on #{briefing.base}. {closing}"
    return f"{first}\n\n{turn}" if first else turn


def _ordered(briefing: Briefing) -> str:
    order = briefing.order
    if order is None:
        return ""
    text = clean(order.text).strip().replace("\n", "\n  ")
    return (
        f"# A direct order of the human\nThe next experiment is this, whatever the history says of "
        f"it; propose exactly that, and answer it as hint {order.id}.\n"
        f"Order {order.id} ({one_line(order.author, 40)}): {text}"
    )


def _mending(briefing: Briefing) -> str:
    crash = briefing.crash
    if crash is None:
        return ""
    material = [
        f"title: {one_line(crash.title)}",
        f"hypothesis: {one_line(crash.hypothesis, 600)}",
        "change:",
        *kept_lines(crash.diff, DIFF_LINES),
        "end of the log:",
        *(f"| {line}" for line in last_lines(crash.log)),
    ]
    return (
        f"# A crash to mend\n#{crash.experiment} ended in an exception in its first seconds, "
        "which looks like a slip. Propose the same idea again without the slip: the whole change, "
        f"on train.py as it stands, where nothing of #{crash.experiment} is in. There is no "
        "further try. If the log shows that the idea itself can't work, propose the nearest that "
        "can.\n" + fenced("\n".join(material))
    )


def _anew(briefing: Briefing) -> str:
    stale = briefing.stale
    if stale is None:
        return ""
    of = "An idea of yours" if stale.experiment is None else f"#{stale.experiment}"
    material = [
        f"title: {one_line(stale.title)}",
        f"hypothesis: {one_line(stale.hypothesis, 600)}",
        f"problem: {one_line(stale.problem, 400)}",
        "change:",
        *kept_lines(stale.diff, DIFF_LINES),
    ]
    return (
        f"# An idea to carry over\n{of} was made for an older base, and its edits "
        "do not apply to the present one. Propose the same idea for train.py as it stands. If the "
        "base has it already, or has made it pointless, propose something else.\n"
        + fenced("\n".join(material))
    )


def _directed(briefing: Briefing) -> str:
    found = direction(briefing.history)
    return f"# A new direction is needed: {found.why}\n{found.text}" if found else ""


def attempt(briefing: Briefing, made: Attempt) -> list[Message]:
    """Return an answer that could not be used, and what is to be said to it."""
    most = min(ANSWER_CHARACTERS, int(briefing.token_limit * BYTES_A_TOKEN * ANSWER_SHARE))
    answer = shortened(clean(made.answer), most).strip() or "(an empty answer)"
    problem = shortened(clean(made.problem), PROBLEM_CHARACTERS)
    return [
        ("assistant", answer),
        (
            "user",
            f"That can't be used. The reason:\n{fenced(problem, 'text')}\nAnswer again, whole: all "
            "of it, not only what was wrong, on the same base.",
        ),
    ]
