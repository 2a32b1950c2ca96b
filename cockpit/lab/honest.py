"""How good the best truly is: its score over all runs, what pairs confirm, what its changes carry.

Everybody who shows the best asks here: the status, the report, the engine's own words. The score
on sealed rows is among it. It is for people: no proposer, note or finding may come by it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cockpit.core import ablating, confirming
from cockpit.core.ablating import Worth
from cockpit.core.confirming import Confirmation, HonestScore
from cockpit.core.experiment import Experiment, Status
from cockpit.core.judge import signed
from cockpit.lab.journal import Journal
from cockpit.lab.rows import Wanted
from cockpit.lab.tree import Tree


@dataclass(frozen=True, slots=True)
class Horizon:
    """What is left of a gain at another budget."""

    budget_seconds: float | None
    """None where the journal has lost that setup."""
    found: Confirmation


@dataclass(frozen=True, slots=True)
class Sealed:
    """Scores on the sealed rows, by audits that have passed."""

    baseline: float | None
    own: float | None


@dataclass(frozen=True, slots=True)
class Honest:
    """What may be said of an experiment, mostly the best."""

    experiment: int
    baseline: int
    budget_seconds: float | None
    """Of the tag's own setup."""
    score: HonestScore | None
    confirmed: Confirmation
    horizons: tuple[Horizon, ...]
    wanted: int
    """Runs that were asked for to confirm it, and are not made yet."""
    idle: int
    """Those that wait for a slot with nothing else to do."""
    sealed: Sealed

    def lines(self) -> list[tuple[str, str]]:
        """Return it for a person: a word and what it says; only what there is."""
        own = confirming.told_budget(self.budget_seconds) if self.budget_seconds else "its budget"
        waits = f"; {confirming.told_count(self.wanted)} to come" if self.wanted else ""
        if self.idle:
            waits += f"; {confirming.told_count(self.idle)} to come while a slot is idle"
        told = []
        if self.score is not None:
            told.append(("score", confirming.told_score(self.score)))
        if self.experiment != self.baseline and (self.confirmed.pairs or waits):
            told.append(("fresh", confirming.told(self.confirmed) + waits))
        for one in self.horizons:
            seconds = one.budget_seconds
            budget = confirming.told_budget(seconds) if seconds else "another budget"
            told.append(("horizon", confirming.told_horizon(one.found, budget, own)))
        if self.sealed.own is not None:
            told.append(("sealed", self._told_sealed(self.sealed.own)))
        return told

    def _told_sealed(self, score: float) -> str:
        gain = ""
        if self.sealed.baseline is not None and self.experiment != self.baseline:
            gain = f" ({signed(score - self.sealed.baseline)} on the baseline)"
        return f"{score:.4f}{gain} on rows that no training and no proposer is told of"

    def json(self) -> dict[str, Any]:
        """Return it for other programs."""
        return asdict(self) | {"share": self.confirmed.share, "told": self.lines()}


def honest(journal: Journal, tree: Tree, own: Experiment) -> Honest | None:
    """Return what may be said of an experiment; None where its tag has no baseline."""
    baseline, tag = tree.baseline(own.tag), journal.tag(own.tag)
    if baseline is None or tag is None:
        return None
    found = confirming.confirm(baseline, own, confirming.noise_beside(tree.of(own.tag).values()))
    at_hand = found.gain if found.gain is not None else found.claimed
    horizons = [
        Horizon(_budget(journal, setup), confirming.at_horizon(baseline, own, setup, at_hand))
        for setup in (confirming.horizons(baseline, own) if own.id != baseline.id else ())
    ]
    waiting = awaited(journal, baseline, own)
    return Honest(
        experiment=own.id,
        baseline=baseline.id,
        budget_seconds=_budget(journal, tag.setup),
        score=confirming.honest_score(own, tree.noise(own.tag)),
        confirmed=found,
        horizons=tuple(sorted(horizons, key=lambda one: one.budget_seconds or 0.0)),
        wanted=sum(wish.why != confirming.IDLE for wish in waiting),
        idle=sum(wish.why == confirming.IDLE for wish in waiting),
        sealed=Sealed(_sealed(journal, baseline), _sealed(journal, own)),
    )


def _budget(journal: Journal, setup: str) -> float | None:
    value = (journal.setup(setup) or {}).get("budget_seconds")
    return float(value) if isinstance(value, int | float) else None


def awaited(journal: Journal, baseline: Experiment, own: Experiment) -> list[Wanted]:
    """Return the runs of both that were asked for; the baseline's are told by their seeds."""
    fresh = [w for w in journal.wanted() if w.purpose != "verdict"]
    seeds = {w.seed for w in fresh if w.experiment == own.id}
    seeds |= {run.seed for run in own.runs if run.purpose != "verdict"}
    return [
        w
        for w in fresh
        if w.experiment == own.id or (w.experiment == baseline.id and w.seed in seeds)
    ]


def _sealed(journal: Journal, own: Experiment) -> float | None:
    """Return the score on sealed rows of the last audit that an experiment has passed."""
    scores = [
        row.facts.get("sealed_bpb") for row in journal.audits(own.id) if row.outcome == "passed"
    ]
    known = [score for score in scores if isinstance(score, int | float)]
    return float(known[-1]) if known else None


# ---- the ablation -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ablation:
    """What leaving changes out of the best has shown."""

    rows: tuple[Worth, ...]
    lean: Experiment | None
    """The newest experiment without all dead weight."""

    def line(self) -> str | None:
        """Return it in a line for a person; None where nothing was left out yet."""
        if not self.rows:
            return None
        done = [row for row in self.rows if row.finding]
        dead = [f"#{row.experiment}" for row in self.rows if row.finding == "dead weight"]
        lean = f"; lean: #{self.lean.id} {self.lean.status}" if self.lean and dead else ""
        said = f"dead weight: {', '.join(dead)}" if dead else "no dead weight"
        return f"{len(done)} of {len(self.rows)} changes measured; {said}{lean}"

    def json(self) -> dict[str, Any]:
        """Return it for other programs."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "lean": self.lean.id if self.lean is not None else None,
            "told": self.line(),
        }


def ablation(journal: Journal, tree: Tree, tag: str) -> Ablation:
    """Return what has been left out of a tag's best, newest variants first hand."""
    own = tree.of(tag)
    made = {number: e for number, e in own.items() if e.proposer == ablating.PROPOSER}
    proposals = {number: journal.proposal(number) for number in made}
    whole = [e for number, e in made.items() if proposals[number].ablates is None]
    lean = next((e for e in reversed(whole) if e.status is not Status.STOPPED), None)
    rows = ablating.table(own, proposals, tree.noise(tag)) if made else []
    return Ablation(tuple(rows), lean)


def best_of(journal: Journal, tree: Tree, tag: str) -> Mapping[str, Any] | None:
    """Return what may be said of a tag's best, for other programs; None where there is none."""
    best = tree.best(tag)
    found = honest(journal, tree, best) if best is not None else None
    return found.json() if found is not None else None
