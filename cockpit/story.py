"""The story of an experiment: every event of its life, and what people have noted, by time."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cockpit.core.judge import signed
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.rows import DecisionEvent
from cockpit.lab.rundir import plain_text
from cockpit.report import iso

SIGNED = frozenset({"delta", "gain"})
"""Changes of val_bpb among the facts of an event."""
UNTOLD = frozenset({"seen", "undoes", "event", "by"})
"""Facts that the event's own words say already, or that are for the engine alone."""


def story(lab: Lab, number: int) -> dict[str, Any]:
    """Return the events and notes of an experiment, as `cockpit show --json` has them."""
    journal = Journal(lab.journal, write=False)
    try:
        events, remarks = journal.verdicts(number), journal.remarks(number)
    finally:
        journal.close()
    return {
        "events": [
            {
                "at": iso(event.at),
                "event": event.event,
                "status": event.status,
                "decided_by": event.decided_by,
                "reason": event.reason,
                "facts": dict(event.facts),
            }
            for event in events
        ],
        "remarks": [asdict(remark) | {"at": iso(remark.at)} for remark in remarks],
    }


def story_lines(journal: Journal, number: int) -> list[str]:
    """Return the story for a person: a line an event or note, and what runs are asked for."""
    lines = [(event.at, _event_line(event)) for event in journal.verdicts(number)]
    for remark in journal.remarks(number):
        text = " ".join(plain_text(line) for line in remark.text.splitlines())
        lines.append((remark.at, f"{iso(remark.at)}  note by {plain_text(remark.author)}: {text}"))
    told = [line for _, line in sorted(lines, key=lambda timed: timed[0])]
    for wish in journal.wanted():
        if wish.experiment == number:
            told.append(f"{iso(wish.at)}  {wish.why}: one more run is asked for, {wish.author}")
    return told


def _event_line(event: DecisionEvent) -> str:
    facts = _facts(event.facts)
    return (
        f"{iso(event.at)}  {event.event} → {event.status}, {event.decided_by}: "
        f"{plain_text(event.reason)}{f' ({facts})' if facts else ''}"
    )


def _facts(facts: Mapping[str, Any]) -> str:
    """Return the figures that an event rests on, and from what a person decided."""
    told = []
    before = facts.get("before")
    if isinstance(before, Mapping):
        told.append(f"from {before.get('status')}, decided by {before.get('decided_by')}")
    elif before is not None:
        told.append(f"from #{before}")
    for name, value in facts.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or name in UNTOLD:
            continue
        if name == "after":
            told.append(f"to #{value}")
        elif name != "before":
            told.append(f"{name} {_number(name, value)}")
    return ", ".join(told)


def _number(name: str, value: float) -> str:
    if name in SIGNED:
        return signed(value)
    return str(value) if isinstance(value, int) else f"{value:.4f}"
