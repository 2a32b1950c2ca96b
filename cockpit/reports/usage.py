"""What a tag took: calls of models, nights, seconds."""

from collections.abc import Iterable, Mapping

from cockpit.core.experiment import VERDICTS, Experiment
from cockpit.core.ledger import total
from cockpit.lab.chronicle import Chronicle
from cockpit.lab.lab import Lab
from cockpit.lab.pruning import PruningState
from cockpit.lab.rows import Call
from cockpit.report import counted_until, elapsed, engine_state
from cockpit.reports.night import ModelCost, TimeSpent

LEAST_HOURS = 1 / 60
"""Rates an hour are not told of less than a minute."""


def models(calls: Iterable[Call]) -> tuple[ModelCost, ...]:
    """Return what each model has taken for each proposer, the dearest first."""
    groups: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.proposer, call.model), []).append(call)
    rows = [
        ModelCost(
            proposer=proposer,
            model=model,
            calls=len(own),
            unanswered=sum(call.outcome != "ok" for call in own),
            prompt_tokens=sum(call.prompt_tokens for call in own),
            completion_tokens=sum(call.completion_tokens for call in own),
            dollars=sum(call.dollars or 0.0 for call in own),
            unpriced=sum(call.dollars is None and call.outcome == "ok" for call in own),
        )
        for (proposer, model), own in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.dollars, -row.calls, row.model)))


def nights(
    lab: Lab, journal: Chronicle | None, tag: str | None
) -> tuple[int, float, dict[str, float], int]:
    """Return nights and seconds of a tag, and the ledger and slots of its last night.

    The journal keeps the ledger of the last night alone.
    """
    if journal is None or tag is None:
        return 0, 0.0, {}, 0
    own = [night for night in journal.nights() if night.tag == tag]
    row = journal.engine()
    at = counted_until(row, engine_state(lab, row))
    seconds = sum(elapsed(night, row, at) for night in own)
    last = journal.last_night()
    slots = journal.slots() if last and last.tag == tag else {}
    ledger = total([slot for _, slot in slots.values()], at) if slots else {}
    return len(own), seconds, ledger, len(slots)


def time_spent(
    own: Mapping[int, Experiment],
    ledger: Mapping[str, float],
    slots: int,
    seconds: float,
    pruning: PruningState | None,
) -> TimeSpent:
    """Return where the time of a tag went."""
    runs = [run for e in own.values() for run in e.runs]
    hours = seconds / 3600
    ideas = sum(e.parent is not None and e.status in VERDICTS for e in own.values())
    ended = sum(run.ended_at is not None for run in runs)
    return TimeSpent(
        ledger=ledger,
        slots=slots,
        in_runs={
            "training": sum(run.training_seconds or 0.0 for run in runs),
            "evaluation": sum(run.evaluation_seconds or 0.0 for run in runs),
            "startup": sum(run.startup_seconds or 0.0 for run in runs),
        },
        runs=ended,
        pruning=pruning,
        ideas_an_hour=ideas / hours if hours >= LEAST_HOURS else None,
        runs_an_hour=ended / hours if hours >= LEAST_HOURS else None,
    )
