"""How good a proposer's predictions were: its expectations against what was measured.

Models expect far more of an idea than it gives. Being shown by how much is what helps them to
choose better, and what lets a person read the next prediction.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cockpit.core.briefing import HistoryEntry
from cockpit.core.experiment import Status
from cockpit.core.judge import signed

COUNTED = 50
"""The newest measured predictions that count: a proposer, or its model, may have become better."""
LAST = 5
"""Predictions shown one by one."""
FAIR = (0.5, 2.0)
"""Measured over predicted, within which predictions are about right."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The newest predictions that were followed by a measurement."""

    count: int
    right_sign: int
    """Those where val_bpb moved in the direction that was predicted."""
    kept: int
    predicted: float
    """Mean predicted change of val_bpb."""
    measured: float
    """Mean measured change."""
    error: float
    """Mean distance between the two."""
    unmeasured: int
    """Predictions of the same time whose experiment never got a score."""
    last: tuple[HistoryEntry, ...]
    """The newest ones, oldest first."""


def calibration(history: Iterable[HistoryEntry], proposer: str) -> Calibration | None:
    """Return how good a proposer's predictions were, None before the first was measured."""
    own = [e for e in history if e.proposer == proposer and e.predicted is not None]
    pairs = [(e, e.predicted, e.delta) for e in own]
    told = [(e, p, d) for e, p, d in pairs if p is not None and d is not None][-COUNTED:]
    if not told:
        return None
    count = len(told)
    since = told[0][0].id if count == COUNTED else 0
    failed = sum(e.status in (Status.CRASHED, Status.INVALID) and e.id > since for e in own)
    return Calibration(
        count=count,
        right_sign=sum((p < 0) == (d < 0) for _, p, d in told),
        kept=sum(e.status == Status.KEPT for e, _, _ in told),
        predicted=sum(p for _, p, _ in told) / count,
        measured=sum(d for _, _, d in told) / count,
        error=sum(abs(p - d) for _, p, d in told) / count,
        unmeasured=failed,
        last=tuple(e for e, _, _ in told[-LAST:]),
    )


def told(found: Calibration) -> str:
    """Return it in two lines that a model can use."""
    last = ", ".join(
        f"#{e.id} {signed(e.predicted)} → {signed(e.delta)}"
        for e in found.last
        if e.predicted is not None and e.delta is not None
    )
    failed = f", {found.unmeasured} more never got a score" if found.unmeasured else ""
    return (
        f"Your last {found.count} measured predictions{failed}: right sign {found.right_sign} of "
        f"{found.count}, kept {found.kept}; mean predicted {signed(found.predicted)}, mean "
        f"measured {signed(found.measured)}, mean error {found.error:.4f}.{_advice(found)}\n"
        f"The last ones, predicted → measured: {last}."
    )


def _advice(found: Calibration) -> str:
    if found.predicted >= 0:
        return ""
    share = found.measured / found.predicted
    if share < 0:
        return (
            " On average your changes made it worse: expect less, and prefer ideas whose mechanism "
            "the results so far support."
        )
    if share < FAIR[0]:
        return f" You got {share:.0%} of what you expected: predict smaller."
    return " You expect too little." if share > FAIR[1] else " About right."
