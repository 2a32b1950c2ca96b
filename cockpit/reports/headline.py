"""How far a tag has come: baseline, best, the gain between them and how sure it is."""

from collections.abc import Mapping, Sequence

from cockpit.core.experiment import VERDICTS, Experiment, Status
from cockpit.core.failures import raw_error
from cockpit.core.noise import Noise
from cockpit.core.tree import lineage
from cockpit.lab.rows import Call
from cockpit.reports.describing import Describer
from cockpit.reports.night import Estimate, Headline


def headline(
    describe: Describer,
    best: Experiment | None,
    pinned: int | None,
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
        sigma=noise.sigma,
        sigma_runs=noise.runs,
        ideas=len(judged),
        kept=sum(e.status is Status.KEPT for e in judged),
        waiting=sum(e.status is Status.BORDERLINE and describe.one(e).sound for e in judged),
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
