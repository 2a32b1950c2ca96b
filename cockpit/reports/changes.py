"""The sections about changes: what waits, what was kept, what failed, families and pairs."""

from collections.abc import Iterable, Sequence

from cockpit.core.families import Family
from cockpit.core.pairs import Pair
from cockpit.core.quoting import one_line
from cockpit.lab.chronicle import NOBODY
from cockpit.reports.night import Change, NightReport
from cockpit.reports.telling import (
    NOTHING,
    Bar,
    Cell,
    Commands,
    Section,
    Table,
    Titled,
    bpb,
    chance,
    change,
    counted,
    detail,
    title,
)

MOST_KEPT = 1000
MOST_WAITING = 100
MOST_WORSE = 12
MOST_INVALID = 30
MOST_PAIRS = 20
MOST_COMPANY = 4
"""Experiments that are named before a number stands for the rest."""


def waiting(report: NightReport) -> Section | None:
    """Return what a person has to decide, None where there is nothing."""
    if not report.waiting:
        return None
    rows = tuple(
        (
            f"#{own.id}",
            _titled(own),
            chance(own.probability),
            change(own.gain, own.gain_error),
            change(own.raw, own.raw_error),
            str(own.runs),
            Commands(
                tuple(f"cockpit {verb} {own.id}" for verb in ("accept", "reject", "replicate"))
            ),
        )
        for own in report.waiting[:MOST_WAITING]
    )
    table = Table(
        (">#", "change", ">P", ">honest gain", ">measured", ">runs", "to decide"),
        rows,
        len(report.waiting) - len(rows),
    )
    count = len(report.waiting)
    lead = (
        f"{counted(count, 'experiment')} {'is' if count == 1 else 'are'} neither a clear win nor a "
        "clear loss. The night went on without them; the likeliest stands first."
    )
    return Section("yours", "Yours to decide", lead, (table.filled,))


def kept(report: NightReport) -> Section | None:
    """Return what was kept, in its order."""
    if report.tag is None:
        return None
    if not report.kept:
        return Section("kept", "Kept", "Nothing has been kept yet.")
    rows = tuple(
        (
            f"#{own.id}",
            _titled(own),
            bpb(own.val_bpb),
            change(own.raw, own.raw_error),
            change(own.gain, own.gain_error),
            chance(own.probability),
            str(own.runs),
            _by(own),
        )
        for own in report.kept[:MOST_KEPT]
    )
    unsound = sum(not own.sound for own in report.kept)
    table = Table(
        (">#", "change", ">val_bpb", ">measured", ">honest gain", ">P", ">runs", "proposed by"),
        rows,
        len(report.kept) - len(rows),
    )
    note = (
        f"{counted(unsound, 'change')} marked unsound: an ancestor is no longer kept, so that "
        "its gain was measured on a base that does not stand."
        if unsound
        else ""
    )
    return Section("kept", "Kept", "In the order in which they came.", (table.filled,), note)


def _titled(own: Change) -> Titled:
    return Titled(title(own.title), detail(own.hypothesis), "" if own.sound else "unsound")


def _by(own: Change) -> str:
    model = f" ({one_line(own.model.rsplit('/', 1)[-1], 40)})" if own.model else ""
    person = own.decided_by is not None and own.decided_by not in NOBODY
    by_hand = f", kept by {one_line(own.decided_by or '', 30)}" if person else ""
    return one_line(own.proposer, 40) + model + by_hand


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


# ---- what failed -------------------------------------------------------------------------------


def failed(report: NightReport) -> Section | None:
    """Return crashes by kind, what was clearly worse, and what could not be measured fairly."""
    if not (report.crashes or report.worse or report.invalid):
        return None
    titles = report.titles
    crashed = tuple(
        (kind.kind, f"{kind.count:,}", _named(kind.examples, titles)) for kind in report.crashes
    )
    worse = tuple(
        (f"#{own.id}", _titled(own), change(own.raw, own.raw_error), _by(own))
        for own in report.worse[:MOST_WORSE]
    )
    invalid = tuple(
        (f"#{own.id}", Titled(title(own.title), detail(own.reason)), _by(own))
        for own in report.invalid[:MOST_INVALID]
    )
    tables = (
        Table(("crashed", ">how often", "the newest"), crashed),
        Table(
            (">#", "clearly worse", ">measured", "proposed by"),
            worse,
            len(report.worse) - len(worse),
        ),
        Table(
            (">#", "invalid, and why", "proposed by"), invalid, len(report.invalid) - len(invalid)
        ),
    )
    count = sum(kind.count for kind in report.crashes)
    lead = (
        f"{counted(count, 'crash').replace('crashs', 'crashes')}, {len(report.worse):,} clearly "
        f"worse than their parent, {len(report.invalid):,} invalid."
    )
    return Section("failed", "What failed", lead, tuple(table for table in tables if table.rows))


def _named(numbers: Iterable[int], titles: dict[int, str]) -> str:
    return " · ".join(f"#{number} {one_line(titles.get(number, ''), 50)}" for number in numbers)


# ---- families and pairs ------------------------------------------------------------------------


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
    honest = any(own.gain is not None for own in report.kept)
    return Section(
        "families",
        "Families of changes",
        "What was tried in each area, and what it brought: is there more to find?",
        (table,),
        f"The last column is the mean {'honest' if honest else 'measured'} change of all that was "
        "measured in a family, first half against second half tried. Level: the noise does not "
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
    return _named(shown, titles) + (f" and {more} more" if more else "")
