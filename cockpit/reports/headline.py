"""How far a tag has come: baseline, best, the gain between them and how sure it is."""

from collections.abc import Iterable, Mapping, Sequence

from cockpit.core.confirming import Confirmation, at_horizon, claimed, confirm, horizons
from cockpit.core.experiment import VERDICTS, Experiment, Status
from cockpit.core.failures import raw_error
from cockpit.core.noise import Noise
from cockpit.core.tree import lineage
from cockpit.lab.rows import AuditRow, Call
from cockpit.reports.describing import Describer
from cockpit.reports.night import Estimate, Headline


def headline(
    describe: Describer,
    best: Experiment | None,
    pinned: int | None,
    audits: Sequence[AuditRow],
    budgets: Mapping[str, float],
    nights: int,
    seconds: float,
    calls: Sequence[Call],
) -> Headline:
    """Return how far a tag has come, and what that took."""
    own, noise = describe.experiments, describe.noise
    first = next((e for e in own.values() if e.parent is None), None)
    gained = first is not None and best is not None and first.id != best.id
    judged = [e for e in own.values() if e.parent is not None and e.status in VERDICTS]
    return Headline(
        baseline=describe.one(first) if first else None,
        best=describe.one(best) if best else None,
        pinned=pinned,
        gain=_gain(own, first, best, noise) if gained and first and best else None,
        confirmed=_confirmed(first, best, noise) if gained and first and best else None,
        horizons=_horizons(first, best, budgets) if gained and first and best else (),
        sealed=_sealed(audits, best),
        sealed_baseline=_sealed(audits, first),
        sigma=noise.sigma,
        sigma_runs=noise.runs,
        ideas=len(judged),
        kept=sum(e.status is Status.KEPT for e in judged),
        waiting=sum(e.status is Status.BORDERLINE for e in judged),
        runs=sum(len(e.runs) for e in own.values()),
        nights=nights,
        seconds=seconds,
        dollars=sum(call.dollars or 0.0 for call in calls),
        unpriced=sum(call.dollars is None and call.outcome == "ok" for call in calls),
    )


def _gain(
    own: Mapping[int, Experiment], first: Experiment, best: Experiment, noise: Noise
) -> Estimate | None:
    """Return what the best has won: the honest gains of the way there, where all are known."""
    steps = [e for e in lineage(own, best.id) if e.parent is not None]
    known = [(e.gain, e.gain_error) for e in steps if e.gain is not None]
    if known and len(known) == len(steps):
        errors = [error for _, error in known if error is not None]
        error = sum(e * e for e in errors) ** 0.5 if len(errors) == len(known) else None
        return Estimate(sum(gain for gain, _ in known), error, "honest")
    if best.val_bpb is None or first.val_bpb is None:
        return None
    return Estimate(best.val_bpb - first.val_bpb, raw_error(best, first, noise), "measured")


def _confirmed(first: Experiment, best: Experiment, noise: Noise) -> Confirmation | None:
    found = confirm(first, best, noise)
    return found if found.pairs else None


def _horizons(
    first: Experiment, best: Experiment, budgets: Mapping[str, float]
) -> tuple[tuple[float | None, Confirmation], ...]:
    """Return what is left of a gain at other budgets, the shortest first."""
    claim = claimed(first, best)
    found = [
        (budgets.get(setup), at_horizon(first, best, setup, claim))
        for setup in horizons(first, best)
    ]
    return tuple(sorted((one for one in found if one[1].pairs), key=lambda one: one[0] or 0.0))


def _sealed(audits: Iterable[AuditRow], own: Experiment | None) -> float | None:
    """Return the mean score on sealed rows over an experiment's audits, None without one."""
    scores = [
        float(score)
        for audit in audits
        if own is not None and audit.experiment == own.id
        if isinstance(score := audit.facts.get("sealed_bpb"), int | float)
    ]
    return sum(scores) / len(scores) if scores else None
