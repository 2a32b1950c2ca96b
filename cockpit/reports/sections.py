"""A report's figures in words and tables: what stands in which section."""

import time

from cockpit.core.confirming import Confirmation
from cockpit.core.quoting import one_line
from cockpit.lab.honest import Honest
from cockpit.reports.changes import failed, kept, waiting
from cockpit.reports.night import Headline, NightReport
from cockpit.reports.patterns import families, pairs, worth
from cockpit.reports.spending import cost, ledger
from cockpit.reports.telling import (
    Fact,
    Section,
    Table,
    Titled,
    Told,
    bpb,
    change,
    counted,
    detail,
    dollars,
    interval,
    span,
    title,
)

MOST_EVENTS = 200
"""Decisions and remarks that are shown; the newest."""
HOW_TO_READ = (
    "val_bpb is validation bits per byte; lower is better, so a gain is negative. A measured "
    "change holds noise and luck; the honest one is what the rule believes after both, and it is "
    "smaller. P is the probability of being truly better than the parent. Sealed rows are seen by "
    "no training and told to no proposer. Unsound is what was kept on a parent that no longer is."
)


def told(report: NightReport) -> Told:
    """Return a report in words."""
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.made_at))
    state = " · the night is under way" if report.under_way else ""
    name = one_line(report.lab, 60)
    sections = (
        waiting(report),
        kept(report),
        worth(report),
        failed(report),
        families(report),
        pairs(report),
        cost(report),
        ledger(report),
        _people(report),
    )
    return Told(
        title=f"{name} · {report.tag}" if report.tag else name,
        under=f"{one_line(report.setup, 400)} {made}{state}".strip(),
        facts=_facts(report) if report.tag else (),
        sections=tuple(each for each in sections if each is not None),
        note=HOW_TO_READ if report.tag else "Nothing has been started in this lab yet.",
    )


def _facts(report: NightReport) -> tuple[Fact, ...]:
    head = report.headline
    nights = f"in {counted(head.nights, 'night')}" if head.nights else ""
    facts = [_standing(head), *_gains(head, report.honest)]
    if head.sigma is not None:
        source = f"between runs, from {head.sigma_runs} of them"
        assumed = "assumed: nothing has run twice"
        facts.append(Fact("noise", f"±{head.sigma:.4f}", source if head.sigma_runs else assumed))
    waits = f" · {head.waiting} {'is' if head.waiting == 1 else 'are'} yours" * bool(head.waiting)
    facts.append(Fact("ideas", f"{head.ideas:,}", f"{head.kept:,} kept{waits}"))
    facts.append(Fact("runs", f"{head.runs:,}", _rates(report)))
    if head.seconds:
        facts.append(Fact("time", span(head.seconds), nights))
    if calls := sum(model.calls for model in report.models):
        cost_so_far = dollars(head.dollars, head.unpriced)
        facts.append(Fact("cost", cost_so_far, counted(calls, "call")))
    return tuple(facts)


def _standing(head: Headline) -> Fact:
    if head.baseline is None or head.baseline.val_bpb is None or head.best is None:
        return Fact("best", bpb(None), "no baseline measured yet")
    if head.gain is None:
        return Fact("best", bpb(head.best.val_bpb), "the baseline itself: nothing kept yet")
    number = f"#{head.best.id} {one_line(head.best.title, 60)}"
    return Fact(
        "baseline → best",
        f"{bpb(head.baseline.val_bpb)} → {bpb(head.best.val_bpb)}",
        f"{number}, {counted(head.best.runs, 'run')}",
    )


def _gains(head: Headline, honest: Honest | None) -> list[Fact]:
    if (gain := head.gain) is None:
        return []
    told = interval(gain.value, gain.error)
    facts = [Fact(f"{gain.how} gain", change(gain.value, gain.error), told)]
    if honest is None:
        return facts
    if honest.confirmed.pairs:
        facts.append(_confirmation("by fresh pairs", honest.confirmed))
    facts += [
        _confirmation(f"at {span(s)} a run" if (s := one.budget_seconds) else "longer", one.found)
        for one in honest.horizons
    ]
    if honest.sealed.own is not None:
        first = honest.sealed.baseline
        against = f"{change(honest.sealed.own - first)} on the baseline's" if first else ""
        facts.append(Fact("on sealed rows", bpb(honest.sealed.own), against))
    return facts


def _confirmation(name: str, found: Confirmation) -> Fact:
    between = (
        f"95 %: {change(found.gain - found.half)} to {change(found.gain + found.half)}; "
        if found.gain is not None and found.half is not None
        else ""
    )
    told = f"{between}{found.state}, {counted(len(found.pairs), 'pair')}"
    return Fact(name, change(found.gain), told)


def _rates(report: NightReport) -> str:
    if report.time.ideas_an_hour is None or report.time.runs_an_hour is None:
        return ""
    ideas = f"{report.time.ideas_an_hour:.1f} ideas an hour"
    return f"{report.time.runs_an_hour:.1f} runs an hour, {ideas}"


# ---- what people did ---------------------------------------------------------------------------


def _people(report: NightReport) -> Section | None:
    if not report.decisions and not report.remarks:
        return None
    titles = report.titles
    decided = tuple(
        (
            _when(one.at),
            one_line(one.by, 40),
            Titled(
                f"{one.event} #{one.experiment} {title(titles.get(one.experiment, ''))}",
                detail(one.reason),
            ),
            f"{one.ruled} → {one.status}" if one.ruled else one.status,
        )
        for one in report.decisions[-MOST_EVENTS:]
    )
    said = tuple(
        (_when(one.at), one_line(one.author, 40), f"#{one.experiment}", detail(one.text))
        for one in report.remarks[-MOST_EVENTS:]
    )
    left = (len(report.decisions) - len(decided), len(report.remarks) - len(said))
    tables = (
        Table(("when", "who", "decision", "the rule had it, and then"), decided, left[0]),
        Table(("when", "who", "on", "remark"), said, left[1]),
    )
    return Section("people", "By hand", tables=tuple(table for table in tables if table.rows))


def _when(at: float) -> str:
    return time.strftime("%m-%d %H:%M", time.localtime(at))
