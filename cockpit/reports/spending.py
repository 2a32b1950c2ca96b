"""The sections about what it took: models and dollars, and where every minute went."""

from collections.abc import Iterable, Sequence

from cockpit.core.ledger import CATEGORIES
from cockpit.core.quoting import one_line
from cockpit.core.scoreboard import Score
from cockpit.reports.night import NightReport
from cockpit.reports.telling import NOTHING, Bar, Section, Table, change, counted, dollars, span

CATEGORY_WORDS = {
    "training": "training",
    "evaluation": "evaluation",
    "audit": "audit",
    "startup": "starting up",
    "proposing": "waiting for an idea",
    "paused": "paused",
    "other": "in between",
}


def cost(report: NightReport) -> Section | None:
    """Return who brought what, and what the models took."""
    if not report.proposers and not report.models:
        return None
    models = tuple(
        (
            one_line(row.proposer, 40),
            one_line(row.model, 60),
            f"{row.calls:,}" + (f" ({row.unanswered:,} failed)" if row.unanswered else ""),
            f"{row.prompt_tokens:,}",
            f"{row.completion_tokens:,}",
            dollars(row.dollars, row.unpriced),
        )
        for row in report.models
    )
    tables = (
        _scoreboard(report.proposers).filled,
        Table(("for", "model", ">calls", ">tokens read", ">written", ">cost"), models),
    )
    unpriced = sum(row.unpriced for row in report.models)
    return Section(
        "cost",
        "Who brought what, and what it cost",
        "" if report.models else "No model was asked; nothing was paid.",
        tuple(table for table in tables if table.rows),
        f"{counted(unpriced, 'call')} of unknown price." if unpriced else "",
    )


def _scoreboard(rows: Iterable[Score]) -> Table:
    return Table(
        ("proposer", ">ideas", ">kept", ">failed", ">gain", ">cost", ">predictions off by"),
        tuple(
            (
                one_line(row.name, 60),
                f"{row.proposals:,}",
                f"{row.kept:,}",
                f"{row.failed:,}",
                change(0.0 - row.gain) if row.kept else NOTHING,
                dollars(row.dollars, row.unpriced) if row.dollars or row.unpriced else NOTHING,
                NOTHING if row.prediction_error is None else f"±{row.prediction_error:.4f}",
            )
            for row in rows
        ),
    )


def ledger(report: NightReport) -> Section | None:
    """Return where every minute went."""
    spent = report.time
    whole = sum(spent.ledger.values())
    if not whole and not spent.runs:
        return None
    rows = tuple(
        (
            CATEGORY_WORDS[name],
            span(spent.ledger.get(name, 0.0)),
            Bar(spent.ledger.get(name, 0.0) / whole, f"{spent.ledger.get(name, 0.0) / whole:.1%}"),
        )
        for name in CATEGORIES
        if whole
    )
    return Section(
        "time",
        "Where every minute went",
        " ".join(_sentences(report)),
        (Table(("in the last night", ">time", "share"), rows),) if rows else (),
    )


def _sentences(report: NightReport) -> Sequence[str]:
    spent, told = report.time, []
    if spent.busy is not None:
        slots = counted(spent.slots, "slot")
        told.append(f"{slots}, busy {spent.busy:.0%} of the time with training and evaluation.")
    if spent.ideas_an_hour is not None and spent.runs_an_hour is not None:
        told.append(
            f"{spent.ideas_an_hour:.1f} ideas an hour from {spent.runs_an_hour:.1f} runs an hour."
        )
    if spent.runs:
        parts = ", ".join(
            f"{span(seconds)} {CATEGORY_WORDS[name]}"
            for name, seconds in spent.in_runs.items()
            if seconds
        )
        told.append(
            f"{counted(spent.runs, 'run')} in all nights" + (f": {parts}." if parts else ".")
        )
    if (pruning := spent.pruning) is not None:
        if pruning.pruned:
            saved = span(pruning.saved_seconds)
            told.append(f"{counted(pruning.pruned, 'run')} stopped early, which saved {saved}.")
        told.append(f"Stopping early is {pruning.says}.")
    return told
