"""The keep rule: when a lower number is progress and when it is noise.

Keeping whatever is lower keeps mostly noise: of 22 changes kept in the best published
night, 14 were smaller than what another seed alone does. So a result is held against
the spread of its own setup. The baseline runs twice with different seeds, and what would
be kept runs a second time before it is; both add to one pooled estimate (`core.noise`).

The question asked is Welch's and Student's: how probable is it that the experiment's
true mean lies below its base's, given both means, the runs behind them and a spread
that is itself only estimated? With sigma from `degrees` degrees of freedom,

    t = (base - own) / (sigma * sqrt(1/n_base + 1/n_own)),   P(better) = F_t(t; degrees)

Two runs leave one degree of freedom, and Student's t with one degree is the Cauchy
distribution: a gain must be 6.3 standard errors to reach 95 %. That is not timid, it is
what two runs can tell: their estimate of sigma is anywhere between 0.06 and 1.96 of the
truth. Every replicate makes the rule sharper (2.9 standard errors with two degrees,
2.0 with five).

Why the second run. When the baseline's two runs happen to agree, sigma comes out far too
small and a whole night would keep noise on the strength of it. The second run of the
first such keep is another look at the spread and mends it. Simulated over 400 nights of
100 experiments (30 % gains of 0.2 to 5 sigma, 35 % nothing, 35 % harm): without it 14 % of
what is kept is no gain and a night gains 16 sigma, with it 2 % and 24, for 7 % more runs.

Source: Student, "The Probable Error of a Mean", Biometrika 6 (1908).
"""

from dataclasses import dataclass

from cockpit.core.experiment import Event, Experiment, Verdict
from cockpit.core.noise import Noise, student_cdf

KEEP_ABOVE = 0.95
"""Kept when the probability of being better than the base is at least this."""
ASK_ABOVE = 0.80
"""Borderline, a person's to decide, from here up to `KEEP_ABOVE`."""
KEEP_RUNS = 2
"""Nothing is kept on fewer runs than this."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the figures behind it."""

    verdict: Verdict | None
    """None: it would be kept, and has to run once more first."""
    delta: float | None
    """Mean val_bpb minus the base's; negative is better."""
    probability: float | None
    """Of being truly better than the base."""


def probability_better(own: Experiment, base: Experiment, noise: Noise) -> float | None:
    """Return the probability that `own` truly beats `base`, or None where nothing can be said."""
    if own.val_bpb is None or base.val_bpb is None or noise.sigma is None:
        return None
    error = noise.sigma * (1 / len(base.scores) + 1 / len(own.scores)) ** 0.5
    return student_cdf((base.val_bpb - own.val_bpb) / error, noise.degrees)


def judge(own: Experiment, base: Experiment, noise: Noise) -> Judgement:
    """Judge a measured experiment against its base.

    `own` has at least one run that ended; a run without a finite score is a crash.
    """
    if own.val_bpb is None:
        return Judgement(Verdict(Event.CRASH, "val_bpb is not a finite number"), None, None)
    if base.val_bpb is None:
        raise ValueError(f"experiment {base.id} has no score to judge #{own.id} against")
    delta = own.val_bpb - base.val_bpb
    chance = probability_better(own, base, noise)
    if chance is None:
        return Judgement(
            Verdict(Event.ASK, f"{signed(delta)}, and the noise is not known yet"), delta, None
        )
    told = (
        f"{signed(delta)} with noise ±{noise.sigma:.4f} ({noise.runs} runs): P(better) {chance:.2f}"
    )
    if chance >= KEEP_ABOVE and len(own.scores) < KEEP_RUNS:
        return Judgement(None, delta, chance)
    if chance >= KEEP_ABOVE:
        return Judgement(Verdict(Event.KEEP, told), delta, chance)
    if chance >= ASK_ABOVE:
        return Judgement(Verdict(Event.ASK, told), delta, chance)
    return Judgement(Verdict(Event.DISCARD, told), delta, chance)


def signed(delta: float) -> str:
    """Return a difference of val_bpb as it is written everywhere, with a true minus."""
    return f"{delta:+.4f}".replace("-", "−")
