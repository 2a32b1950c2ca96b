"""How large a gain has to be before the keep rule can tell it from noise."""

from cockpit.core.beliefs import Belief, assess
from cockpit.core.effects import Effects
from cockpit.core.noise import Noise

STEPS = 14
LARGEST = 16.0
"""In sigmas."""


def smallest_gain(
    noise: Noise, effects: Effects, base_runs: int, own_runs: int, chance: float
) -> float | None:
    """Return the measured gain from which P(better) reaches `chance`, None where noise is unknown.

    Asks what the judge asks, so that it can't say anything else than the rule does.
    """
    if noise.sigma is None or base_runs < 1 or own_runs < 1:
        return None
    low, high = 0.0, LARGEST * noise.sigma
    base = Belief(0.0, 1 / base_runs)
    for _ in range(STEPS):
        middle = (low + high) / 2
        found = assess(base, [-middle] * own_runs, noise, effects).probability
        low, high = (low, middle) if found >= chance else (middle, high)
    return high
