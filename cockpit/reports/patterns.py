"""The sections about changes together: families, pairs, and what each is worth in the best."""

from collections.abc import Sequence

from cockpit.core.families import Family
from cockpit.core.pairs import Pair
from cockpit.reports.night import NightReport
from cockpit.reports.telling import (
    NOTHING,
    Bar,
    Cell,
    Section,
    Table,
    Titled,
    chance,
    change,
    named,
    title,
)

MOST_PAIRS = 20
MOST_COMPANY = 4
"""Experiments that are named before a number stands for the rest."""


def families(report: NightReport) -> Section | None:
    """Return what each family of changes has brought, and whether it still does."""
    if not report.families:
        return None
    most = max(family.tried for family in report.families)
    rows = tuple(
        (
            family.name,
            Bar(family.tried / most, f"{family.tried:,}"),
            f"{family.kept:,}",
            f"{family.success:.0%}",
            f"{family.failed:,}",
            change(family.gain) if family.kept else NOTHING,
            _halves(family),
        )
        for family in report.families
    )
    table = Table(
        (
            "family",
            "tried",
            ">kept",
            ">success",
            ">failed",
            ">gain of the kept",
            ">first half → second",
        ),
        rows,
    )
    honest = sum(family.honest for family in report.families)
    measured = sum(family.measured for family in report.families)
    kind = "honest" if honest == measured else "honest, or else measured," if honest else "measured"
    return Section(
        "families",
        "Families of changes",
        "What was tried in each area, and what it brought: is there more to find?",
        (table,),
        f"The last column is the mean {kind} change of all that was measured "
        "in a family, first half against second half tried. Level: the noise does not "
        "tell the halves apart (less than two standard errors).",
    )


def _halves(family: Family) -> str:
    if family.first is None or family.second is None:
        return "too few to tell"
    return f"{change(family.first.mean)} → {change(family.second.mean)} · {family.trend}"


def pairs(report: NightReport) -> Section | None:
    """Return which changes help each other or do not, None where the tree can't tell."""
    if not report.pairs:
        return None
    titles = report.titles
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Titled(
                f"#{pair.change} {title(titles.get(pair.change, ''))}",
                f"with {_company(pair, titles)} ({pair.how} in #{pair.by})",
            ),
            change(pair.apart),
            change(pair.together),
            change(pair.interaction, pair.error),
            pair.says,
        )
        for pair in report.pairs[:MOST_PAIRS]
    )
    table = Table(
        ("change, and its company", ">apart", ">together", ">difference", "so they"),
        rows,
        len(report.pairs) - len(rows),
    )
    return Section(
        "pairs",
        "Together and apart",
        "Changes that were measured alone and again beside others.",
        (table,),
        "Means as measured. What was kept was kept for a low first score, so a small loss in "
        "company may be that luck wearing off.",
    )


def _company(pair: Pair, titles: dict[int, str]) -> str:
    shown: Sequence[int] = pair.company[-MOST_COMPANY:]
    more = len(pair.company) - len(shown)
    return named(shown, titles) + (f" and {more} more" if more else "")


def worth(report: NightReport) -> Section | None:
    """Return what each kept change is worth in the best, None where none was left out of it."""
    titles = report.titles
    rows = tuple(
        (
            f"#{one.experiment}",
            title(titles.get(one.experiment, "")),
            change(one.gain, one.error),
            chance(one.probability),
            one.finding or "being measured",
            f"#{one.variant}",
        )
        for one in report.ablation.rows
    )
    if not rows:
        return None
    table = Table((">#", "change", ">worth", ">P", "finding", ">without it"), rows)
    lead = f"The best without each kept change: {report.ablation.line()}."
    note = "Worth is val_bpb with the change minus without; P is of more than half a sigma."
    return Section("worth", "What each kept change is worth", lead, (table,), note)
