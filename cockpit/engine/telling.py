"""How a run went, and what a verdict says, in words for a person."""

from cockpit.core.ablating import PROPOSER as ABLATE
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.engine.judging import Due


def told_run(own: Experiment, run: Run, due: Due | None) -> str:
    """Return in words how one run of an experiment went."""
    if own.status not in (Status.RUNNING, Status.QUEUED):
        return told_verdict(own)
    score = f"{run.val_bpb:.4f}" if run.val_bpb is not None else run.reason or "no score"
    if due == "audit":
        return f"run {run.number}: {score}, audited before it is kept"
    again = own.status is Status.RUNNING and own.parent is not None
    why = " before it is decided" if own.proposer == ABLATE else " before it is kept"
    return f"run {run.number}: {score}{f', once more{why}' if again else ''}"


def told_verdict(own: Experiment) -> str:
    """Return an experiment's verdict in words."""
    mean = f"{own.val_bpb:.4f} " if own.val_bpb is not None else ""
    return f"{mean}{own.status}" + (f": {own.reason}" if own.reason else "")
