"""From the journal to the figures of a report."""

import time
from collections.abc import Mapping, Sequence

from cockpit.core.awaiting import awaiting
from cockpit.core.experiment import VERDICTS, Status
from cockpit.core.failures import clearly_worse, crashes
from cockpit.core.families import families
from cockpit.core.noise import Noise
from cockpit.core.pairs import pairs
from cockpit.core.progress import progress
from cockpit.core.scoreboard import by_proposer
from cockpit.core.setup import setup_line
from cockpit.core.tree import delta, sound_ids
from cockpit.lab.chronicle import NOBODY, Chronicle
from cockpit.lab.honest import Ablation, ablation, honest
from cockpit.lab.lab import Lab, NoLabError
from cockpit.lab.pruning import PruningState, pruning_state
from cockpit.lab.rows import DecisionEvent, Tag
from cockpit.lab.tree import Tree
from cockpit.report import engine_state
from cockpit.reports import usage
from cockpit.reports.describing import Describer
from cockpit.reports.headline import headline
from cockpit.reports.night import Decision, NightReport, TimeSpent

NOTHING_KNOWN = Noise(None, 0, 0)


def night_report(lab: Lab, tag: str | None = None) -> NightReport:
    """Return the report of a tag, of the present one unless it is named.

    Raises `NoLabError` where there is no such tag. A lab without any has an empty report.
    """
    if not lab.journal.exists():
        if tag is not None:
            raise _unknown(tag)
        return _empty(lab)
    journal = Chronicle(lab.journal, write=False)
    try:
        tags = {one.name: one for one in journal.tags()}
        if tag is not None and tag not in tags:
            raise _unknown(tag)
        night = journal.last_night()
        name = tag or (night.tag if night else next(reversed(tags), None))
        return _report(lab, journal, tags[name]) if name in tags else _empty(lab)
    finally:
        journal.close()


def _unknown(tag: str) -> NoLabError:
    return NoLabError(f"there is no tag {tag} in this lab: `cockpit log` names them")


def _empty(lab: Lab) -> NightReport:
    describe = Describer({}, {}, NOTHING_KNOWN)
    return NightReport(
        lab=lab.name,
        tag=None,
        setup="",
        made_at=time.time(),
        under_way=False,
        headline=headline(describe, None, None, 0, 0.0, ()),
        honest=None,
        ablation=Ablation((), None),
        progress=progress({}, NOTHING_KNOWN, None),
        kept=(),
        waiting=(),
        crashes=(),
        worse=(),
        invalid=(),
        families=(),
        pairs=(),
        proposers=(),
        models=(),
        time=TimeSpent({}, 0, {}, 0, None, None, None),
        decisions=(),
        remarks=(),
    )


def _report(lab: Lab, journal: Chronicle, tag: Tag) -> NightReport:
    tree = Tree(journal)
    tree.refresh()
    own, noise, best = tree.of(tag.name), tree.noise(tag.name), tree.best(tag.name)
    proposals, calls = journal.proposals(tag.name), journal.calls_of(tag.name)
    describe = Describer(own, proposals, noise)
    nights, seconds, ledger, slots = usage.nights(lab, journal, tag.name)
    deltas = {number: delta(own, e) for number, e in own.items()}
    waiting = awaiting(own.values(), sound_ids(own), deltas)
    kept = tree.with_status(tag.name, Status.KEPT)
    return NightReport(
        lab=lab.name,
        tag=tag.name,
        setup=_setup(journal, tag),
        made_at=time.time(),
        under_way=_under_way(lab, journal, tag.name),
        headline=headline(
            describe,
            best,
            tree.pins.get(tag.name),
            nights,
            seconds,
            calls,
        ),
        honest=honest(journal, tree, best) if best else None,
        ablation=ablation(journal, tree, tag.name),
        progress=progress(own, noise, best.id if best else None),
        kept=describe.all(e for e in kept if e.parent is not None),
        waiting=describe.all(waiting),
        crashes=crashes(own),
        worse=describe.all(own[number] for number in clearly_worse(own, noise)),
        invalid=describe.all(tree.with_status(tag.name, Status.INVALID)),
        families=families(own, proposals),
        pairs=pairs(own, proposals, noise),
        proposers=by_proposer(own, proposals, [(call.proposer, call.dollars) for call in calls]),
        models=usage.models(calls),
        time=usage.time_spent(own, ledger, slots, seconds, _pruning(journal, tree, tag)),
        decisions=_decisions(journal.stories_with_people(tag.name)),
        remarks=tuple(journal.remarks_of(tag.name)),
    )


def _setup(journal: Chronicle, tag: Tag) -> str:
    if tag.imported is not None:
        return f"Imported from {tag.imported}."
    return setup_line(journal.setup(tag.setup) or {})


def _pruning(journal: Chronicle, tree: Tree, tag: Tag) -> PruningState | None:
    """Return whether runs of a tag are stopped early, as its last night was to; None of a table."""
    if tag.imported is not None:
        return None
    options = next((n.options for n in reversed(journal.nights()) if n.tag == tag.name), {})
    return pruning_state(journal, tree, tag.name, wanted=options.get("prune") is not False)


def _under_way(lab: Lab, journal: Chronicle, tag: str) -> bool:
    night = journal.last_night()
    at_work = engine_state(lab, journal.engine()) in ("running", "paused")
    return night is not None and night.tag == tag and at_work


def _decisions(stories: Mapping[int, Sequence[DecisionEvent]]) -> tuple[Decision, ...]:
    found = []
    for events in stories.values():
        ruled: str | None = None
        for event in events:
            if event.decided_by not in NOBODY:
                found.append(
                    Decision(
                        event.experiment,
                        event.at,
                        event.decided_by,
                        event.event,
                        event.status,
                        event.reason,
                        ruled,
                    )
                )
            elif event.status in VERDICTS:
                ruled = event.status
    return tuple(sorted(found, key=lambda decision: (decision.at, decision.experiment)))
