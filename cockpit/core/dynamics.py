"""What a run tells of its training, in lines that a person or a proposer reads.

The figures come from the training process, so that nothing is believed to be there or to be a
number before it has been looked at.
"""

import math
from collections.abc import Mapping, Sequence


def told(dynamics: Mapping[str, object], loss_tenths: Sequence[float | None]) -> list[str]:
    """Return the lines; none for what is not there.

    `dynamics` is `result.json`'s (see `trainer/dynamics.py`), `loss_tenths` the mean loss of each
    tenth of the budget in nats a token.
    """
    lines = []
    if any(loss is not None for loss in loss_tenths):
        shown = " ".join("—" if loss is None else f"{loss:.3f}" for loss in loss_tenths)
        lines.append(f"loss by tenths of the budget: {shown}")
    spikes = _mapping(dynamics.get("spikes"))
    if count := _number(spikes.get("count")):
        first = spikes.get("first")
        places = [_mapping(spike) for spike in first[:5]] if isinstance(first, list) else []
        at = ", ".join(
            f"+{rise:.2f} at {progress:.0%}"
            for spike in places
            if (rise := _number(spike.get("rise"))) is not None
            and (progress := _number(spike.get("progress"))) is not None
        )
        lines.append(f"spikes of the loss: {count:.0f}" + (f" ({at})" if at else ""))
    elif dynamics:
        lines.append("spikes of the loss: none")
    if (worst := _number(dynamics.get("not_finite"))) is not None and worst > 0:
        lines.append(f"steps without a finite loss: {worst:.0f}")
    if norm := _numbers(dynamics.get("grad_norm"), "median", "p90", "maximum"):
        lines.append(
            f"gradient norm: median {norm[0]:.3g}, p90 {norm[1]:.3g}, largest {norm[2]:.3g}"
        )
    if pace := _numbers(dynamics.get("tokens_per_second"), "median", "slowest_tenth"):
        lines.append(f"tokens/s: median {pace[0]:,.0f}, a tenth below {pace[1]:,.0f}")
    return lines


def _numbers(value: object, *names: str) -> list[float]:
    """Return the numbers under these names; none of them where one is missing."""
    given = _mapping(value)
    found = [number for name in names if (number := _number(given.get(name))) is not None]
    return found if len(found) == len(names) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
