"""Pairs of fresh runs of the best and the baseline: who asks for them, and what they came to.

A pair is two wishes in the journal with one seed. What a person asks for goes before the next new
idea. What the night wants by itself waits until a slot has nothing else to do, one pair at a time,
so that an idea is never kept waiting by more than the one run that is under way when it comes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cockpit.core import confirming
from cockpit.core.confirming import FRESH, HORIZON, IDLE, pairs_of, told_budget, told_count
from cockpit.core.experiment import BY_RULE, Experiment, Run
from cockpit.engine.outcomes import DecisionError, UnknownExperimentError
from cockpit.lab.honest import awaited, honest
from cockpit.lab.rows import Tag, Wanted
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

PAIRS = 3
"""Asked for where no number is given, and made of each best while slots are idle."""
MOST_PAIRS = 50
WAITED_SHARE, WAITED_SECONDS = 0.25, 10.0
"""Of a budget, and at least: a slot that has waited so long for an idea takes a pair's run."""
SEED_STRIDE, FIRST_SEED = 1000, 500
"""Pairs of an experiment have seeds that none of its other runs comes to."""


def present_tag(journal: EngineJournal, name: object = None) -> Tag:
    """Return a tag by name, or the one of the last night; raises `DecisionError`."""
    wanted = name if isinstance(name, str) else journal.present_tag()
    tag = journal.tag(wanted) if wanted is not None else None
    if tag is None:
        raise DecisionError(f"there is no tag {wanted}" if wanted else "nothing was measured yet")
    return tag


def ask(journal: EngineJournal, tree: Tree, author: str, given: Mapping[str, Any]) -> str:
    """Want pairs of runs for a person, and say so in words.

    `given` has `id` (None: the best), `pairs`, `budget_seconds` (None: the setup's own), `idle`,
    `tag`, and `drop`: take back what waits. Raises `DecisionError` where there is nothing to
    confirm.
    """
    tree.refresh()
    tag = present_tag(journal, given.get("tag"))
    own, baseline = _compared(tree, tag, given.get("id"))
    tag = journal.tag(own.tag) or tag
    if given.get("drop"):
        return _take_back(journal, own)
    count, budget = _count(given.get("pairs")), _budget(given.get("budget_seconds"))
    setup = journal.setup(tag.setup) or {}
    usual = float(setup.get("budget_seconds") or 0.0)
    budget = None if budget == usual else budget
    idle = bool(given.get("idle"))
    want_pairs(journal, baseline, own, author, count, budget=budget, idle=idle)
    when = "when a slot has nothing else to do" if idle else "before the next new idea"
    night = journal.last_night()
    if night is not None and night.ended_at is None and night.tag != own.tag:
        when = f"when a night of {own.tag} runs"
    length = told_budget(budget or usual) if budget or usual else "the usual length"
    told = (
        f"{count} pair{'s'[: count != 1]} of #{own.id} and the baseline #{baseline.id}: "
        f"{told_count(2 * count)} of {length}, {when}"
    )
    journal.add_message("engine", author, told, own.id)
    tree.refresh()
    return told


def _take_back(journal: EngineJournal, own: Experiment) -> str:
    """Take back the runs that wait to confirm an experiment, the baseline's among them."""
    waiting = [w for w in journal.wanted() if w.purpose in (FRESH, HORIZON)]
    seeds = {w.seed for w in waiting if w.experiment == own.id} | {r.seed for r in own.runs}
    dropped = [w for w in waiting if w.seed in seeds]
    if not dropped:
        raise DecisionError(f"no run waits to confirm #{own.id}")
    for wish in dropped:
        journal.unwant(wish.id)
    return f"{told_count(len(dropped))} that were to confirm #{own.id} are taken back"


def _compared(tree: Tree, tag: Tag, number: object) -> tuple[Experiment, Experiment]:
    if number is None:
        own = tree.best(tag.name)
        if own is None:
            raise DecisionError(f"{tag.name} has no best yet: its baseline is not measured")
    else:
        found = tree.experiments.get(number) if isinstance(number, int) else None
        if found is None:
            raise UnknownExperimentError(f"there is no experiment #{number}")
        own = found
    baseline = tree.baseline(own.tag)
    if own.parent is None or baseline is None:
        raise DecisionError(
            f"#{own.id} is the baseline: there is no gain to confirm"
            + (" until something is kept" if number is None else "")
        )
    if not baseline.scores:
        raise DecisionError(f"the baseline #{baseline.id} has no score yet")
    if not own.scores or own.commit is None:
        raise DecisionError(f"#{own.id} is {own.status} and has no score: nothing to confirm")
    return own, baseline


def _count(value: object) -> int:
    if value is None:
        return PAIRS
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_PAIRS:
        raise DecisionError(f"{value} is no number of pairs from 1 to {MOST_PAIRS}")
    return value


def _budget(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e7:
        raise DecisionError(f"{value} is no budget in seconds")
    return float(value)


def want_pairs(
    journal: EngineJournal,
    baseline: Experiment,
    own: Experiment,
    author: str,
    count: int,
    *,
    budget: float | None = None,
    idle: bool = False,
) -> None:
    """Want runs of both with one seed each pair, by turns who is first."""
    purpose = FRESH if budget is None else HORIZON
    seeds = _fresh_seeds(baseline, own, journal.wanted())
    with journal.transaction():
        for number in range(count):
            seed = next(seeds)
            # A machine that gets warm or slow over the pairs favours neither.
            for one in (baseline, own) if number % 2 == 0 else (own, baseline):
                journal.want(
                    one.id, purpose, IDLE if idle else purpose, author,
                    seed=seed, budget_seconds=budget,
                )  # fmt: skip


def _fresh_seeds(baseline: Experiment, own: Experiment, wanted: Sequence[Wanted]) -> Iterator[int]:
    """Yield seeds that neither of two experiments has had or is to have."""
    taken = {run.seed for e in (baseline, own) for run in e.runs}
    taken |= {w.seed for w in wanted if w.experiment in (baseline.id, own.id) and w.seed}
    first = min((run.seed for run in baseline.runs), default=1)
    seed = first + SEED_STRIDE * own.id + FIRST_SEED
    while True:
        if seed not in taken:
            yield seed
        seed += 1


class Confirming:
    """The pairs of one night."""

    def __init__(
        self,
        journal: EngineJournal,
        tree: Tree,
        tag: str,
        budget_seconds: float,
        *,
        when_idle: bool = True,
    ) -> None:
        """`when_idle` lets idle slots confirm the best without being asked."""
        self._journal = journal
        self._tree = tree
        self._tag = tag
        self._patience = max(WAITED_SHARE * budget_seconds, WAITED_SECONDS)
        self._when_idle = when_idle
        self._since: dict[int, float] = {}

    def has_time(self, slot: int, waits: bool, now: float) -> bool:
        """Tell whether a slot has waited so long that a pair's run may take its time."""
        if not waits:
            self._since.pop(slot, None)
            return False
        return now - self._since.setdefault(slot, now) >= self._patience

    def for_idle(self) -> bool:
        """Want a pair for a slot that has nothing else to do; tell whether a run is wanted so."""
        best, baseline = self._tree.best(self._tag), self._tree.baseline(self._tag)
        waiting = [w for w in self._journal.wanted() if w.why == IDLE]
        if best is None or baseline is None or best.id == baseline.id:
            return bool(self._of_others(waiting, set()))
        if left := self._of_others(waiting, {best.id}):
            return bool(left)
        if not self._when_idle or len(pairs_of(baseline, best)) >= PAIRS:
            return False
        want_pairs(self._journal, baseline, best, BY_RULE, 1, idle=True)
        return True

    def _of_others(self, waiting: Sequence[Wanted], best: set[int]) -> list[Wanted]:
        """Drop what the night wanted of a best that is none any more; return what is left."""
        seeds = {w.seed for w in waiting if w.experiment in best}
        for number in best:
            seeds |= {run.seed for run in self._tree.experiments[number].runs}
        stale = [w for w in waiting if w.author == BY_RULE and w.seed not in seeds]
        for wish in stale:
            self._journal.unwant(wish.id)
        return [w for w in waiting if w not in stale]

    def ended(self, run: Run) -> tuple[Experiment, str, int] | None:
        """Return whom a run that is over confirms, what its pairs say, and the runs to come.

        Only those count that are made in any case, not those that wait for an idle slot.
        None where the run was no pair's, or its other half is still to come.
        """
        own = self._confirmed_by(run)
        found = honest(self._journal, self._tree, own) if own is not None else None
        if own is None or found is None:
            return None
        if run.purpose == FRESH:
            if run.seed not in {pair.seed for pair in found.confirmed.pairs}:
                return None
            told = confirming.told(found.confirmed)
        else:
            same = [one for one in found.horizons if _has(one.found, run)]
            if not same:
                return None
            usual = told_budget(found.budget_seconds or 0.0)
            budget = told_budget(same[0].budget_seconds or 0.0)
            told = confirming.told_horizon(same[0].found, budget, usual)
        baseline = self._tree.experiments[found.baseline]
        to_come = [w for w in awaited(self._journal, baseline, own) if w.why != IDLE]
        return own, told, sum(w.purpose == run.purpose for w in to_come)

    def _confirmed_by(self, run: Run) -> Experiment | None:
        """Return the experiment whose gain a run is to confirm: its own, or its pair's."""
        if run.purpose not in (FRESH, HORIZON):
            return None
        own = self._tree.experiments[run.experiment]
        if own.parent is not None:
            return own
        others = self._tree.of(own.tag).values()
        return next((e for e in others if e.id != own.id and _ran_with(e, run)), None)


def _ran_with(own: Experiment, run: Run) -> bool:
    return any(other.seed == run.seed and other.purpose == run.purpose for other in own.runs)


def _has(found: confirming.Confirmation, run: Run) -> bool:
    return any(pair.seed == run.seed for pair in found.pairs)
