"""The keep rule: when a lower number is progress and when it is noise.

Keeping whatever is lower keeps mostly noise: of 22 changes kept in the best published night, 14
were smaller than what another seed alone does, and replications found three quarters of the claimed
gain. Simulated, "lower is kept" makes a third of its keeps in error. The obvious cure, a threshold
against the run that made the base, is worse: that run was kept because it was lucky, nothing beats
it, and the night locks up.

The rule asks instead how probable it is that a change truly lowers val_bpb, given everything the
lab has measured. Three things go into that, none of them known exactly:

* the noise, a distribution that starts from a stated prior and sharpens with every replicate
  (`core.noise`);
* what changes do at all: how often one gains, harms or does nothing, and by how much, learned
  from the lab's own results (`core.effects`);
* the base, about whose true score there is a belief that was drawn back by its own luck when it
  was kept (`core.beliefs`).

From P(better) = `KEEP_FROM` on, a change is kept. Below `DROP_BELOW` it is discarded: at first
with patience, because one run is cheap to double, after that with less. Between them the policy
speaks. `auto` runs again, with another seed, whichever of base and challenger is less certain, at
most `REPLICATES` times for one challenger, and then decides or leaves it to a person. `ask` leaves
it to a person at once. `strict` is the rule that all this replaces, for comparison.

A base with many challengers is what all of them lean on; it is measured again once more than
`CHALLENGERS` times the square of its runs have been held against it. (Against one control the
best number of its runs grows with the square root of the number of treatments: Dunnett, JASA 50,
1955.)

The honest gain is the mean of the true change given all this. It is what a replication would find.

`tests/bench/judge.py` plays 10,000 experiments with known truth and counts: see its output for
the shares of false keeps, of gains found, and of runs spent that these numbers were chosen by.

Simplicity counts, as program.md says. A change that takes out at least `SIMPLER_LINES` lines of
code and is not worse by more than `EQUAL_SIGMAS` of the noise is kept for that (`simpler`), after
one replicate at least. Not worse than what: than the best its line has come by. Against its base
alone, fifty removals that each cost a little would add up to a loss. One that adds `MANY_LINES`
and more has to gain one sigma for every `LINES_PER_SIGMA` of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from cockpit.core.beliefs import Assessment, Belief, assess
from cockpit.core.effects import Effects
from cockpit.core.experiment import Event, Verdict
from cockpit.core.noise import Noise

KEEP_FROM = 0.80
"""Kept when the probability of being truly better than the base is at least this."""
DROP_BELOW = (0.38, 0.50, 0.55)
"""Discarded when it is below this: after its first run, after one replicate, after more."""
REPLICATES = 4
"""Further runs, of challenger or base, that one challenger is worth at most."""
CHALLENGERS = 8
"""A base is measured again after this many challengers times the square of its runs."""
SIMPLER_LINES = 3
"""Lines of code that have to go before a change counts as simpler."""
EQUAL_SIGMAS = 0.5
"""Scores count as equal where one is not worse by more than this part of the noise."""
EQUAL_FROM = 0.90
"""Probability from which they do."""
MANY_LINES = 10
"""Added lines of code from which on a gain has to pay for them."""
LINES_PER_SIGMA = 20
"""Added lines that one sigma of honest gain pays for. Upstream's brief calls 0.001 for 20 lines
probably not worth it; its noise was 0.0007."""


class Policy(StrEnum):
    """Who decides what is neither a clear win nor a clear loss."""

    AUTO = "auto"
    ASK = "ask"
    STRICT = "strict"


Again = Literal["own", "base"]


@dataclass(frozen=True, slots=True)
class Base:
    """What a result is held against."""

    id: int
    scores: Sequence[float]
    belief: Belief
    challengers: int = 0
    """Experiments on it that have been measured, this one included."""
    slack: float = 0.0
    """How far it is believed above the lowest of its line: what was given up for simplicity."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the figures behind it."""

    verdict: Verdict | None
    """None: another run is due first."""
    again: Again | None = None
    """Whose."""
    assessment: Assessment | None = None
    delta: float | None = None
    """Mean val_bpb minus the mean of the base's runs; negative is better."""
    facts: Mapping[str, Any] = field(default_factory=dict)


def judge(
    scores: Sequence[float],
    base: Base,
    noise: Noise,
    effects: Effects,
    *,
    policy: Policy = Policy.AUTO,
    replicates: int = REPLICATES,
    spent: int = 0,
    lines: int = 0,
) -> Judgement:
    """Judge an experiment by the val_bpb of its runs, of which there is at least one.

    `spent` replicates of the `replicates` that it is worth have been made, of itself or of its
    base; `lines` is how much code it adds (negative: takes out).
    """
    if not base.scores:
        raise ValueError(f"experiment {base.id} has no score to judge anything against")
    mean = sum(scores) / len(scores)
    delta = mean - sum(base.scores) / len(base.scores)
    if policy is Policy.STRICT:
        event = Event.KEEP if delta < 0 else Event.DISCARD
        return Judgement(Verdict(event, f"{signed(delta)}: lower is kept (strict)"), None, None,
                         delta)  # fmt: skip
    if noise.sigma is None:
        told = f"{signed(delta)}, and the noise is not known yet"
        return Judgement(Verdict(Event.ASK, told), None, None, delta)
    found = assess(base.belief, scores, noise, effects)
    event, why = _decision(found, noise.sigma, base.slack, spent, lines)
    facts = _facts(found, noise, len(scores), base, lines, policy)
    told = (
        f"{signed(delta)}, honest {signed(found.gain)} ±{found.error:.4f} with noise "
        f"±{noise.sigma:.4f}: P(better) {found.probability:.2f}{why}"
    )
    if policy is Policy.AUTO and spent < replicates:
        worn = base.challengers > CHALLENGERS * len(base.scores) ** 2 and spent == 0
        if event is Event.ASK or (worn and event is not Event.KEEP):
            again: Again = "base" if worn or base.belief.share > 1 / len(scores) else "own"
            return Judgement(None, again, found, delta, facts)
    return Judgement(Verdict(event, told, facts=facts), None, found, delta, facts)


def _decision(
    found: Assessment, sigma: float, slack: float, spent: int, lines: int
) -> tuple[Event, str]:
    """Return what the figures say by themselves, and the words to add to them."""
    chance = found.probability
    low = DROP_BELOW[min(spent, len(DROP_BELOW) - 1)]
    if lines <= -SIMPLER_LINES and slack < EQUAL_SIGMAS * sigma:
        worse = found.worse_by(EQUAL_SIGMAS * sigma - slack)
        if chance >= KEEP_FROM or (worse <= 1 - EQUAL_FROM and spent > 0):
            return Event.KEEP, f"; simpler: {-lines} lines less, and no worse"
        if worse < 1 - low:
            return Event.ASK, f"; simpler by {-lines} lines"
    if chance >= KEEP_FROM:
        price = sigma * lines / LINES_PER_SIGMA
        if lines >= MANY_LINES and -found.gain < price:
            return Event.DISCARD, f"; {lines} lines more are worth {price:.4f}, it gains less"
        return Event.KEEP, ""
    return (Event.DISCARD if chance < low else Event.ASK), ""


def _facts(
    found: Assessment, noise: Noise, runs: int, base: Base, lines: int, policy: Policy
) -> Mapping[str, Any]:
    return {
        "probability": round(found.probability, 4),
        "gain": found.gain,
        "gain_error": found.error,
        "measured": found.measured,
        "sigma": noise.sigma,
        "sigma_runs": noise.runs,
        "runs": runs,
        "base": base.id,
        "base_runs": len(base.scores),
        "base_mean": base.belief.mean,
        "lines": lines,
        "policy": str(policy),
    }


def signed(delta: float) -> str:
    """Return a difference of val_bpb as it is written everywhere, with a true minus."""
    return f"{delta:+.4f}".replace("-", "−")
