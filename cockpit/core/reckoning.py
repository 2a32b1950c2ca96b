"""All that the judge knows of a tag, reckoned from its experiments alone.

Nothing of it is stored: noise, effects and beliefs follow from the runs and verdicts in the
journal, so that a decision by hand, a replicate or a rebuilt journal are counted by themselves.
"""

from collections.abc import Mapping
from functools import cached_property

from cockpit.core import tree
from cockpit.core.beliefs import Assessment, Belief, assess, of_baseline
from cockpit.core.effects import Effects
from cockpit.core.experiment import Experiment, Status
from cockpit.core.judge import Base
from cockpit.core.noise import Noise, NoisePrior, pooled
from cockpit.core.schedule import ABLATE

LEARNED_FROM = 600
"""The newest results that the effects are learned from; they forget faster than that."""
COUNTED = (Status.KEPT, Status.DISCARDED, Status.BORDERLINE)
"""Verdicts that tell what a change did."""

PRUNED_AS = (6.0, 2.0)
"""Change and error, in units of the noise, that a run without a score counts as which was stopped
because it lay hopelessly above its base: without it, harm would be thought rare."""

CUDA_SIGMA = 0.0007
"""Another seed on an H100, 50M parameters, 300 s (upstream's)."""
OTHER_SIGMA = 0.015
"""The CPU preset at 60 s, between seeds: 0.014 and 0.018 in two sets of five."""
CUDA_SECONDS, OTHER_SECONDS = 300.0, 60.0


def noise_prior(setup: Mapping[str, object] | None) -> NoisePrior | None:
    """Return what is believed of a setup's noise before anything ran twice; None without a setup.

    Shorter runs differ more: the spread is taken to fall with the square root of the budget. It
    is a guess to begin with, and three replicates outweigh it.
    """
    if not setup:
        return None
    budget = setup.get("budget_seconds")
    seconds = float(budget) if isinstance(budget, int | float) and budget > 0 else CUDA_SECONDS
    if setup.get("device") == "cuda" or setup.get("imported"):
        return NoisePrior(CUDA_SIGMA * (CUDA_SECONDS / seconds) ** 0.5)
    return NoisePrior(OTHER_SIGMA * (OTHER_SECONDS / seconds) ** 0.5)


class Reckoning:
    """What follows from the experiments of one tag; made anew when they change."""

    def __init__(
        self,
        experiments: Mapping[int, Experiment],
        prior: NoisePrior | None = None,
        carried: Effects | None = None,
        reapplied: Mapping[int, bool] | None = None,
        kept_at: Mapping[int, float] | None = None,
    ) -> None:
        """`experiments` are those of one tag by id.

        `carried` is what another tag has taught about effects, where this one began from it.
        `reapplied` has the experiments whose change was tried again on a newer base, and whether
        that is over; `kept_at` has when each was kept for the first time: see `late`.
        """
        self.experiments = experiments
        self._prior = prior
        self._carried = carried or Effects()
        self._reapplied = reapplied or {}
        self._kept_at = kept_at or {}
        self._beliefs: dict[int, Belief | None] = {}

    @cached_property
    def noise(self) -> Noise:
        """Return the spread pooled over all replicates."""
        return pooled((e.scores for e in self.experiments.values()), self._prior)

    @cached_property
    def effects(self) -> Effects:
        """Return what changes have done so far, in units of the noise."""
        told, sigma = self._carried, self.noise.sigma
        if sigma is None:
            return told
        measured = sorted(
            (
                e
                for e in self.experiments.values()
                if e.status in COUNTED and (e.scores or _is_pruned(e)) and e.proposer != ABLATE
            ),
            key=lambda e: (e.decided_at or 0.0, e.id),
        )
        bases: dict[int, Belief | None] = {}
        for own in measured[-LEARNED_FROM:]:
            if not own.scores:
                told = told.after(*PRUNED_AS)
                continue
            base = self._along(own.parent, told, bases) if own.parent is not None else None
            if base is not None and own.val_bpb is not None:
                error = (base.share + 1 / len(own.scores)) ** 0.5
                told = told.after((own.val_bpb - base.mean) / sigma, error)
        return told

    @cached_property
    def _children(self) -> Mapping[int, int]:
        """Return how many measured experiments each one has had on it."""
        counts: dict[int, int] = {}
        for own in self.experiments.values():
            if own.parent is not None and own.scores:
                counts[own.parent] = counts.get(own.parent, 0) + 1
        return counts

    def belief(self, number: int) -> Belief | None:
        """Return what is believed of an experiment's true val_bpb; None before its first run."""
        return self._along(number, self.effects, self._beliefs)

    def _along(
        self, number: int, effects: Effects, known: dict[int, Belief | None]
    ) -> Belief | None:
        """Return the belief in an experiment, those in its ancestors first."""
        if number not in self.experiments:
            return None
        if number not in known:
            for own in tree.lineage(self.experiments, number):
                if own.id not in known:
                    above = known.get(own.parent) if own.parent is not None else None
                    known[own.id] = self._believed(own, above, effects)
        return known[number]

    def _believed(self, own: Experiment, base: Belief | None, effects: Effects) -> Belief | None:
        if not own.scores:
            return None
        if base is None or self.noise.sigma is None:
            return of_baseline(own.scores)
        return assess(base, own.scores, self.noise, effects).belief

    def assessment(self, own: Experiment) -> Assessment | None:
        """Return what is known of an experiment against its parent; None where nothing is."""
        base = self.base_of(own)
        if base is None or not own.scores or self.noise.sigma is None:
            return None
        return assess(base.belief, own.scores, self.noise, self.effects)

    def base_of(self, own: Experiment) -> Base | None:
        """Return what an experiment is held against; None where its parent has no score."""
        parent = self.experiments.get(own.parent) if own.parent is not None else None
        belief = self.belief(parent.id) if parent is not None else None
        if parent is None or belief is None:
            return None
        line = [self.belief(e.id) for e in tree.lineage(self.experiments, parent.id)]
        lowest = min(one.mean for one in line if one is not None)
        challengers = self._children.get(parent.id, 0)
        return Base(parent.id, parent.scores, belief, challengers, belief.mean - lowest)

    @cached_property
    def sound(self) -> frozenset[int]:
        """Return the ids of those whose ancestors are all kept."""
        return frozenset(tree.sound_ids(self.experiments))

    @cached_property
    def late(self) -> frozenset[int]:
        """Return the ids of those that won on a base which had been left for another win.

        Their change is measured on top of that one first. Until it has been, neither they nor what
        grew from them is a base: the branch does not move to one win and lose the other.
        """
        first: dict[int, tuple[float, int]] = {}
        for own in self.experiments.values():
            if own.status is Status.KEPT and own.parent is not None and own.id in self.sound:
                at = self._since(own)
                first[own.parent] = min(at, first.get(own.parent, at))
        late: set[int] = set()
        for number in sorted(self.sound):
            own = self.experiments[number]
            if own.parent is None or own.status is not Status.KEPT:
                continue
            second = first[own.parent] < self._since(own)
            if own.parent in late or (second and not self._reapplied.get(number, False)):
                late.add(number)
        return frozenset(late)

    def _since(self, own: Experiment) -> tuple[float, int]:
        """Return when an experiment was kept, and its id where two were at one time."""
        return self._kept_at.get(own.id, own.decided_at or 0.0), own.id

    @cached_property
    def best(self) -> Experiment | None:
        """Return the best: of the sound kept ones that nothing kept follows, the lowest believed.

        A kept child stands in its parent's place: it was better, or as good and simpler, or a
        person wanted it.
        """
        kept = {n for n in self.sound if self.experiments[n].status is Status.KEPT}
        return self._lowest({n for n in kept - self.late if self.experiments[n].scores})

    def grown_from(self, pinned: int, since: float = 0.0) -> Experiment:
        """Return the best of a pinned experiment and what was kept on it, sound or not.

        What grew from it counts when it was claimed after `since`, the moment it was pinned: who
        goes back to an earlier one does not want what grew from it before.
        """
        grown = {pinned}
        for number in sorted(self.experiments):
            own = self.experiments[number]
            kept = own.status is Status.KEPT and own.scores
            if own.parent in grown and kept and (own.claimed_at or 0.0) >= since:
                grown.add(number)
        return self._lowest(grown) or self.experiments[pinned]

    def _lowest(self, numbers: set[int]) -> Experiment | None:
        leaves = numbers - {self.experiments[n].parent for n in numbers}
        if len(leaves) == 1:  # one line of kept ones, as mostly: no belief is needed
            return self.experiments[leaves.pop()]
        found = [(belief.mean, n) for n in leaves if (belief := self.belief(n)) is not None]
        return self.experiments[min(found)[1]] if found else None


def _is_pruned(own: Experiment) -> bool:
    return any(run.state == "pruned" for run in own.runs)
