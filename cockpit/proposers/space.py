"""Which constants a search may move, and between which values.

The range comes from the comment of the baseline's constant; where that says nothing, from
the baseline's value. It stays the same for a whole tag, because a score is only of use to
the sampler inside the space it was told in.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cockpit.core.constants import Choices, Constant, Interval, Value

NEVER = frozenset({"PRESET"})
"""Says where the constants come from."""
NOT_RESEARCH = frozenset({"COMPILE", "PRECISION", "DEVICE_BATCH_ROWS", "SEED"})
"""About the machine or the measuring: searched only where the comment gives a range."""
DIGITS = 3
"""Significant digits of a proposed number: nobody can tell 0.0312 from 0.03117."""
FEW_STEPS = 16
"""Powers of two from here up are moved by doubling and halving."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One dimension of the search."""

    name: str
    kind: str
    """`float`, `int`, `pow2` (moved by its exponent) or `choice`."""
    low: float = 0.0
    """In the sampler's terms: the exponent for `pow2`."""
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    def inner(self, value: Value) -> Value:
        """Return a constant's value in the sampler's terms, moved into the range."""
        if self.kind == "choice":
            return value if value in self.choices else self.choices[0]
        assert not isinstance(value, str)
        number = math.log2(max(1, value)) if self.kind == "pow2" else value
        number = min(max(number, self.low), self.high)
        return float(number) if self.kind == "float" else round(number)

    def outer(self, value: Value) -> Value:
        """Return what the sampler chose as a constant's value, with few digits."""
        if self.kind == "choice":
            return value
        assert not isinstance(value, str)
        if self.kind == "float":
            return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)
        return 2 ** int(value) if self.kind == "pow2" else int(value)

    def suits(self, constant: Constant | None) -> bool:
        """Tell whether a constant of some train.py is still the one this knob was made for."""
        if constant is None or constant.fixed:
            return False
        if self.kind == "choice":
            return type(constant.value) is type(self.choices[0])
        return type(constant.value) is (float if self.kind == "float" else int)


def knobs(constants: Iterable[Constant]) -> dict[str, Knob]:
    """Return the knobs of a baseline's constants by name, in their order."""
    found = {constant.name: knob_of(constant) for constant in constants}
    return {name: knob for name, knob in found.items() if knob is not None}


def knob_of(constant: Constant) -> Knob | None:
    """Return the knob of a constant, None where it is not to be searched."""
    name, value, search = constant.name, constant.value, constant.search
    if constant.fixed or name in NEVER or (search is None and name in NOT_RESEARCH):
        return None
    if isinstance(search, Choices):
        return _choice(name, (*search.values, value))
    if isinstance(value, bool):
        return _choice(name, (False, True))
    if isinstance(value, str):
        return None
    interval = search or _around(value)
    if interval is None:
        return None
    if search is not None:
        interval = recentred(interval, value)
    if interval.scale == "pow2":
        low, high = math.ceil(math.log2(interval.low)), math.floor(math.log2(interval.high))
        return Knob(name, "pow2", low, high) if low < high else None
    log = interval.scale == "log"
    if isinstance(value, int):
        low, high = math.ceil(interval.low), math.floor(interval.high)
        return Knob(name, "int", low, high, log) if low < high else None
    return Knob(name, "float", interval.low, interval.high, log)


def _choice(name: str, values: tuple[Value, ...]) -> Knob | None:
    distinct = tuple(dict.fromkeys(values))
    return Knob(name, "choice", choices=distinct) if len(distinct) > 1 else None


def _around(value: float) -> Interval | None:
    """Return a range around a value whose comment gives none."""
    if value <= 0:
        return None
    if isinstance(value, int):
        scale = "pow2" if value >= FEW_STEPS and value.bit_count() == 1 else "linear"
        return Interval(max(1, value // 2), 2 * value, scale)
    if value < 1:
        return Interval(value / 4, min(1.0, 4 * value), "log")
    return Interval(value / 2, 2 * value, "log")


def recentred(interval: Interval, value: float) -> Interval:
    """Return a range as it is when it holds the value, else one as wide around the value.

    A preset may start far from where the comment's author was: its value is the better hint.
    """
    if interval.low <= value <= interval.high:
        return interval
    if interval.scale != "linear" and value > 0:
        half = math.sqrt(interval.high / interval.low)
        low = max(1.0, value / half) if interval.scale == "pow2" else value / half
        return Interval(low, value * half, interval.scale)
    width = (interval.high - interval.low) / 2
    return Interval(value - width, value + width)


def shown(value: Value) -> str:
    """Return one value as a person reads it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
