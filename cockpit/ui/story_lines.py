"""Pure: the whole story of an experiment: who decided what, when, and on which figures."""

import time
from collections.abc import Mapping
from typing import Any

from cockpit.core.experiment import BY_RULE
from cockpit.lab.rows import DecisionEvent, Remark, Wanted
from cockpit.ui.snapshot import Details
from cockpit.ui.text import Line, clean, signed, wrap

EVENTS = {
    "claim": "a slot took it",
    "return": "back to the queue",
    "keep": "kept",
    "discard": "discarded",
    "ask": "left to you",
    "crash": "crashed",
    "refuse": "invalid",
    "stop": "stopped",
    "accept": "accepted",
    "reject": "rejected",
    "branch": "base",
    "undo": "undone",
}
"""What happened, in words; an event of a newer cockpit is called by its name."""
HIDDEN = frozenset(
    {
        "gain_error", "sigma_runs", "base_runs", "base_mean", "measured", "val_bpb",
        "seen", "undoes", "event", "by", "after",
    }
)  # fmt: skip
"""Figures that are told with another one, or that say nothing to a person."""
SAID = {"gain": "honest", "probability": "P(better)", "sigma": "noise"}
"""Words by which one sees that the reason has told a figure already."""
FACTS_SHOWN = 12


def story_lines(details: Details, width: int) -> list[Line]:
    """Return events, remarks and wishes, oldest first."""
    told: list[tuple[float, list[Line]]] = [
        *((event.at, _event(event, width)) for event in details.verdicts),
        *((remark.at, _remark(remark, width)) for remark in details.remarks),
        *((wish.at, _wish(wish, width)) for wish in details.wanted),
    ]
    told.sort(key=lambda one: one[0])
    if not told:
        return []
    return [(("Story", "heading"),), *(line for _, lines in told for line in lines), ()]


def _event(event: DecisionEvent, width: int) -> list[Line]:
    word = EVENTS.get(event.event, clean(event.event, 20))
    by = "" if event.decided_by == BY_RULE else f" by {clean(event.decided_by, 30)}"
    reason = f": {clean(event.reason, 600)}" if event.reason else ""
    key = "yours" if by else ""
    lines = _told(event.at, f"{word}{by}{reason}", width, key)
    if facts := facts_words(event.facts, event.reason):
        lines += [((" " * 9 + piece, "muted"),) for piece in wrap(facts, max(8, width - 9))]
    return lines


def _remark(remark: Remark, width: int) -> list[Line]:
    return _told(
        remark.at, f"{clean(remark.author, 30)} notes: {clean(remark.text)}", width, "yours"
    )


def _wish(wish: Wanted, width: int) -> list[Line]:
    by = "" if wish.author == BY_RULE else f" by {clean(wish.author, 30)}"
    return _told(
        wish.at, f"{clean(wish.why, 40)} asked for{by}: waits for a slot", width, "running"
    )


def _told(at: float, text: str, width: int, key: str) -> list[Line]:
    first, *rest = wrap(text, max(8, width - 9))
    lead = ((f"  {clock_time(at)}", "muted"), ("  ", ""), (first, key))
    return [lead, *[((" " * 9 + piece, key),) for piece in rest]]


def clock_time(at: float) -> str:
    """Return the local hour and minute of a moment."""
    return time.strftime("%H:%M", time.localtime(at))


def facts_words(facts: Mapping[str, Any], reason: str = "") -> str:
    """Return the figures that a verdict rests on, in words, but for those that its reason tells."""
    told = []
    for name, value in facts.items():
        if value is None or name in HIDDEN or (name in SAID and SAID[name] in reason):
            continue
        told.append(_fact(name, value, facts))
    return " · ".join(filter(None, told[:FACTS_SHOWN]))


def _fact(name: str, value: Any, facts: Mapping[str, Any]) -> str:
    """Return one figure; what a newer cockpit adds is called by its name."""
    if name == "gain" and isinstance(value, float):
        error = facts.get("gain_error", facts.get("error"))
        return f"honest {signed(value)}" + (f" ±{error:.4f}" if isinstance(error, float) else "")
    if name == "delta" and isinstance(value, float):
        return f"gain {signed(value)}"
    if name == "probability" and isinstance(value, float):
        return f"P(better) {value:.2f}"
    if name == "sigma" and isinstance(value, float):
        return f"noise ±{value:.4f} ({_runs(facts.get('sigma_runs', 0))})"
    if name == "runs" and isinstance(value, int):
        return _runs(value)
    if name == "base" and isinstance(value, int):
        return f"base #{value}, {_runs(facts.get('base_runs', 0))}" + _believed(facts)
    if name == "lines" and isinstance(value, int):
        return f"{value:+d} lines of code".replace("-", "−") if value else ""
    if name == "before":
        return _before(value)
    return f"{clean(name.replace('_', ' '), 40)} {_plain(value)}"


def _runs(count: object) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _before(value: Any) -> str:
    """Return what an experiment was before a person decided; nothing of another base."""
    if not isinstance(value, Mapping):
        return ""
    by = value.get("decided_by")
    whose = f" by {clean(str(by), 30)}" if by and by != BY_RULE else ""
    return f"before: {clean(str(value.get('status')), 20)}{whose}"


def _believed(facts: Mapping[str, Any]) -> str:
    mean = facts.get("base_mean")
    return f", believed at {mean:.4f}" if isinstance(mean, float) else ""


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return clean(", ".join(_plain(one) for one in value[:8]), 100)
    return f"{value:.4g}" if isinstance(value, float) else clean(str(value), 100)
