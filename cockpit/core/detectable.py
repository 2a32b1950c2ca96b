"""How large a gain has to be before the keep rule can tell it from noise."""

from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.judge import probability_better
from cockpit.core.noise import Noise

STEPS = 40
LARGEST = 64.0
"""In sigmas: with one degree of freedom a gain needs six standard errors."""


def smallest_gain(noise: Noise, base_runs: int, own_runs: int, chance: float) -> float | None:
    """Return the measured gain from which P(better) reaches `chance`, None where noise is unknown.

    Asks the judge itself, so that it can't say anything else than the rule does.
    """
    if noise.sigma is None or base_runs < 1 or own_runs < 1:
        return None
    low, high = 0.0, LARGEST * noise.sigma
    base = _measured(0.0, base_runs)
    for _ in range(STEPS):
        middle = (low + high) / 2
        found = probability_better(_measured(-middle, own_runs), base, noise)
        low, high = (low, middle) if found is not None and found >= chance else (middle, high)
    return high


def _measured(score: float, runs: int) -> Experiment:
    """Return an experiment that measured the same `runs` times."""
    made = (Run(0, n, 0, "", 0, "finished", 0.0, val_bpb=score) for n in range(1, runs + 1))
    return Experiment(0, "", None, "", "", Status.RUNNING, 0.0, runs=tuple(made))
