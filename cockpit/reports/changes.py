"""The sections about single changes: what waits, what was kept, what failed."""

from cockpit.core.quoting import one_line
from cockpit.lab.chronicle import NOBODY
from cockpit.reports.night import Change, NightReport
from cockpit.reports.telling import (
    Commands,
    Section,
    Table,
    Titled,
    bpb,
    chance,
    change,
    counted,
    detail,
    named,
    title,
)

MOST_KEPT = 1000
MOST_WAITING = 100
MOST_WORSE = 12
MOST_INVALID = 30


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
        "clear loss. The night went on without them; the most valuable stands first."
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


# ---- what failed -------------------------------------------------------------------------------


def failed(report: NightReport) -> Section | None:
    """Return crashes by kind, what was clearly worse, and what could not be measured fairly."""
    if not (report.crashes or report.worse or report.invalid):
        return None
    titles = report.titles
    crashed = tuple(
        (kind.kind, f"{kind.count:,}", named(kind.examples, titles)) for kind in report.crashes
    )
    worse = tuple(
        (
            f"#{own.id}",
            _titled(own),
            change(own.raw, own.raw_error),
            change(own.gain, own.gain_error),
            _by(own),
        )
        for own in report.worse[:MOST_WORSE]
    )
    invalid = tuple(
        (f"#{own.id}", Titled(title(own.title), detail(own.reason)), _by(own))
        for own in report.invalid[:MOST_INVALID]
    )
    tables = (
        Table(("crashed", ">how often", "the newest"), crashed),
        Table(
            (">#", "clearly worse", ">measured", ">honest", "proposed by"),
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
    return Section(
        "failed", "What failed", lead, tuple(table.filled for table in tables if table.rows)
    )
