"""Changes that were tried together and apart: do they help each other, or get in the way?

The tree answers this in three places only, and nothing is said elsewhere:

* the same change was measured on two bases, one of which descends from the other (it was
  re-applied, or proposed again with the very same edits or constants);
* a kept change was taken out of a later base (`Proposal.ablates`), which measures what it is
  worth in the company of what was kept after it;
* a change of several constants has each of its parts measured by itself on the same parent.

In each case one change X is measured alone and in the company C of others. With raw means (the
honest ones are shrunk, and a difference of shrunk figures is biased)

    interaction = gain of X in company - gain of X alone

which is also: gain of all together minus the sum of their gains apart. Its error is that of the
four means. One caution stays: what was kept was kept for being low, so its first gain flatters,
and some "in the way" is nothing but that luck wearing off.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cockpit.core.experiment import Experiment, Proposal
from cockpit.core.noise import Noise
from cockpit.core.tree import delta

TELLING = 2.0
"""Standard errors from which an interaction is spoken of."""
MOST = 100
"""A tag that tries the same again and again has thousands: the most telling are enough."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One change, measured alone and in company."""

    change: int
    """The experiment that measured it alone."""
    company: tuple[int, ...]
    """The changes that were there the second time, oldest first."""
    by: int
    """The experiment that measured it, or all together, the second time."""
    how: str
    """`re-applied`, `taken out` or `combined`."""
    apart: float
    """Change of val_bpb that is expected if the changes do not touch each other."""
    together: float
    """The change that was measured."""
    error: float | None
    """Standard error of the difference; None while the noise is not known."""

    @property
    def interaction(self) -> float:
        """Return how much better (negative) or worse it is together than expected."""
        return self.together - self.apart

    @property
    def says(self) -> str:
        """Return what can be said of it."""
        if self.error is None:
            return "noise not known"
        if abs(self.interaction) <= TELLING * self.error:
            return "add up, as far as the noise shows"
        return "help each other" if self.interaction < 0 else "in each other's way"


def pairs(
    experiments: Mapping[int, Experiment], proposals: Mapping[int, Proposal], noise: Noise
) -> tuple[Pair, ...]:
    """Return what can be said of one tag, the most telling first, at most `MOST`."""
    within = _Tree(experiments, proposals, noise)
    found = {
        (pair.change, pair.by): pair
        for source in (within.ablated(), within.combined(), within.reapplied())
        for pair in source
    }
    return tuple(sorted(found.values(), key=_telling)[:MOST])


def _telling(pair: Pair) -> tuple[float, int]:
    return (-abs(pair.interaction) / pair.error if pair.error else 0.0, pair.by)


class _Tree:
    """The measured experiments of a tag, and who descends from whom."""

    def __init__(
        self,
        experiments: Mapping[int, Experiment],
        proposals: Mapping[int, Proposal],
        noise: Noise,
    ) -> None:
        self._experiments = experiments
        self._proposals = proposals
        self._noise = noise
        self._delta = {
            e.id: change
            for e in experiments.values()
            if (change := delta(experiments, e)) is not None
        }

    def reapplied(self) -> Iterator[Pair]:
        """The same change on a base and on one that descends from it."""
        first: dict[str, int] = {}
        for number in sorted(self._delta):
            proposal = self._proposals.get(number)
            if proposal is None:
                continue
            key = _key(proposal)
            alone = proposal.reapplies if proposal.reapplies is not None else first.get(key)
            if key:
                first.setdefault(key, number)
            if alone in self._delta and alone is not None:
                company = self._between(self._parent(alone), self._parent(number))
                if company and alone not in company:
                    apart, together = self._delta[alone], self._delta[number]
                    yield self._pair(alone, company, number, "re-applied", apart, together)

    def ablated(self) -> Iterator[Pair]:
        """A kept change, taken out of a base that has others after it."""
        for number in sorted(self._delta):
            proposal = self._proposals.get(number)
            out = proposal.ablates if proposal else None
            base = self._parent(number)
            if not out or base is None or any(one not in self._delta for one in out):
                continue
            # All that was kept from the first one's parent on, but for what is taken out.
            company = self._between(self._parent(min(out)), base)
            rest = tuple(one for one in company if one not in out)
            if not company or not set(out) <= set(company) or (not rest and len(out) < 2):
                continue
            apart = sum(self._delta[one] for one in out)
            others = (*rest, *sorted(out)[1:])
            yield self._pair(
                min(out), tuple(sorted(others)), number, "taken out", apart, -self._delta[number]
            )

    def combined(self) -> Iterator[Pair]:
        """Several constants at once, each of which was also measured alone on that parent."""
        alone: dict[tuple[int | None, str], int] = {}
        for number in sorted(self._delta):
            for key, count in _constants(self._proposals.get(number)):
                if count == 1:
                    alone.setdefault((self._parent(number), key), number)
        for number in sorted(self._delta):
            parts = list(_constants(self._proposals.get(number)))
            own = [alone.get((self._parent(number), key)) for key, _ in parts]
            known = [one for one in own if one is not None]
            if len(parts) > 1 and len(known) == len(parts):
                apart = sum(self._delta[one] for one in known)
                yield self._pair(
                    known[0], tuple(known[1:]), number, "combined", apart, self._delta[number]
                )

    def _parent(self, number: int) -> int | None:
        return self._experiments[number].parent

    def _between(self, older: int | None, newer: int | None) -> tuple[int, ...]:
        """Return the changes that lead from one base down to another; none if they do not."""
        path: list[int] = []
        while newer is not None and newer != older and newer in self._experiments:
            path.append(newer)
            newer = self._experiments[newer].parent
        return tuple(reversed(path)) if newer is not None and newer == older else ()

    def _pair(
        self,
        change: int,
        company: tuple[int, ...],
        by: int,
        how: str,
        apart: float,
        together: float,
    ) -> Pair:
        error = self._error(change, company, by, how)
        return Pair(change, company, by, how, apart, together, error)

    def _error(self, change: int, company: tuple[int, ...], by: int, how: str) -> float | None:
        """Return the error of the interaction, from how often each mean counts in it."""
        if self._noise.sigma is None:
            return None
        weights: dict[int, int] = {}

        def count(number: int, sign: int) -> None:
            parent = self._parent(number)
            weights[number] = weights.get(number, 0) + sign
            if parent is not None:
                weights[parent] = weights.get(parent, 0) - sign

        if how == "taken out":
            out = self._proposals[by].ablates or ()
            count(by, -1)
            apart = out
        else:
            count(by, 1)
            apart = (change, *company) if how == "combined" else (change,)
        for one in apart:
            count(one, -1)
        runs = ((weight, len(self._experiments[n].scores)) for n, weight in weights.items())
        return self._noise.sigma * float(sum(w * w / n for w, n in runs if n) ** 0.5)


def _key(proposal: Proposal) -> str:
    """Return what two proposals share when their change is the same; empty where it is not told."""
    if proposal.constants:
        return json.dumps(proposal.constants, sort_keys=True, default=str)
    if proposal.edits:
        return json.dumps([[edit.search, edit.replace] for edit in proposal.edits])
    return ""


def _constants(proposal: Proposal | None) -> Iterator[tuple[str, int]]:
    """Yield each constant that a proposal sets, as a key, and how many it sets in all."""
    constants = proposal.constants if proposal else None
    for name, value in sorted((constants or {}).items()):
        yield json.dumps([name, value], default=str), len(constants or {})
