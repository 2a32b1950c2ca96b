"""What a lab has to say of itself: the status, the log, one experiment; as data and as text."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cockpit.core.constraints import named_metrics
from cockpit.core.experiment import Experiment, Run, Status
from cockpit.core.ledger import total
from cockpit.core.tree import delta, sound_ids
from cockpit.lab.clock import boot
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.rows import EngineRow, Night
from cockpit.lab.rundir import MetricsTail, Phase, Step
from cockpit.lab.tree import Tree


def engine_state(lab: Lab, row: EngineRow | None) -> str:
    """Return `running`, `paused`, `stopped` or `dead` (it was killed and nothing was repaired)."""
    if row is None or row.state == "stopped":
        return "stopped"
    return row.state if lab.engine_lives() else "dead"


def iso(at: float | None) -> str | None:
    """Return Unix seconds as ISO 8601 in UTC, or None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def status(lab: Lab) -> dict[str, Any]:
    """Return what `cockpit status --json` prints; an empty lab has an empty status."""
    if not lab.journal.exists():
        return _status(lab, None, None)
    journal = Journal(lab.journal, write=False)
    try:
        tree = Tree(journal)
        tree.refresh()
        return _status(lab, journal, tree)
    finally:
        journal.close()


def _status(lab: Lab, journal: Journal | None, tree: Tree | None) -> dict[str, Any]:
    row = journal.engine() if journal else None
    night = journal.last_night() if journal else None
    tags = journal.tags() if journal else []
    tag = night.tag if night else tags[-1].name if tags else None
    setup = next((t.setup for t in tags if t.name == tag), None)
    own = list(tree.of(tag).values()) if tree and tag else []
    state = engine_state(lab, row)
    at = _now(row, state)
    noise = tree.noise(tag) if tree and tag else None
    baseline = tree.baseline(tag) if tree and tag else None
    best = tree.best(tag) if tree and tag else None
    ledgers = [ledger for _, ledger in journal.slots().values()] if journal else []
    return {
        "lab": str(lab.root),
        "tag": tag,
        "setup": setup,
        "engine": {
            "pid": row.pid if row and state in ("running", "paused") else None,
            "state": state,
            "reason": row.reason if row else None,
            "activity": row.activity if row else None,
        },
        "sandbox": (row.sandbox or None) if row else None,
        "counts": {
            "total": len(own),
            **{s.value: sum(e.status is s for e in own) for s in Status},
        },
        "baseline": _scored(baseline),
        "best": _scored(best),
        "noise": {"sigma": noise.sigma if noise else None, "runs": noise.runs if noise else 0},
        "current": [_current(lab, run) for run in journal.running()] if journal else [],
        "ledger": {name: round(seconds, 3) for name, seconds in total(ledgers, at).items()},
        "slots": len(ledgers),
        "elapsed_seconds": round(_elapsed(night, row, at), 3),
        "cost_usd": 0.0,
        "hints": [
            {"id": h.id, "text": h.text, "state": h.state, "experiment": h.experiment}
            for h in (journal.hints() if journal else [])
        ],
    }


def _now(row: EngineRow | None, state: str) -> float:
    """Return the monotonic time up to which the ledger counts: a live engine's is now."""
    if row is None:
        return 0.0
    live = state in ("running", "paused") and row.boot == boot()
    return time.monotonic() if live else row.monotonic


def _elapsed(night: Night | None, row: EngineRow | None, at: float) -> float:
    if night is None:
        return 0.0
    if row is None or night.ended_at is not None or row.night != night.id:
        return night.elapsed
    return night.elapsed + max(0.0, at - row.monotonic)


def _scored(experiment: Experiment | None) -> dict[str, Any]:
    if experiment is None:
        return {"id": None, "val_bpb": None}
    return {"id": experiment.id, "val_bpb": experiment.val_bpb}


def _current(lab: Lab, run: Run) -> dict[str, Any]:
    """Return where a run under way stands, read from its own metrics."""
    tail = MetricsTail(lab.run_directory(run.experiment, run.number) / "metrics.jsonl")
    phase, step = "starting", None
    while events := tail.read_new():
        for event in events:
            if isinstance(event, Phase):
                phase = event.phase
            elif isinstance(event, Step):
                step = event
    return {
        "experiment": run.experiment,
        "run": run.number,
        "phase": phase,
        "progress": step.progress if step else None,
        "step": step.step if step else None,
        "loss": step.loss if step else None,
        "tokens_per_second": step.tokens_per_second if step else None,
    }


def log(lab: Lab) -> Iterator[dict[str, Any]]:
    """Yield one object an experiment, oldest first, for `cockpit log --json`."""
    if not lab.journal.exists():
        return
    journal = Journal(lab.journal, write=False)
    try:
        experiments = journal.experiments()
    finally:
        journal.close()
    sound = sound_ids(experiments)
    for own in experiments.values():
        yield logged(own, delta(experiments, own), own.id in sound)


def experiment(lab: Lab, number: int) -> dict[str, Any] | None:
    """Return what the log says of one experiment, or None when there is none."""
    return next((told for told in log(lab) if told["id"] == number), None)


def logged(own: Experiment, change: float | None, sound: bool) -> dict[str, Any]:
    """Return an experiment under the names that other tools read."""
    return {
        "id": own.id,
        "tag": own.tag,
        "parent": own.parent,
        "commit": own.commit,
        "title": own.title,
        "proposer": own.proposer,
        "status": own.status.value,
        "decided_by": own.decided_by,
        "sound": sound,
        "val_bpb": own.val_bpb,
        "delta": change,
        "runs": [
            {
                "seed": run.seed,
                "val_bpb": run.val_bpb,
                "named": dict(named_metrics(run)),
                "training_seconds": run.training_seconds,
                "total_seconds": run.total_seconds,
                "peak_memory_bytes": run.peak_memory_bytes,
                "tokens": run.tokens,
                "steps": run.steps,
            }
            for run in own.runs
            if run.state == "finished"
        ],
        "created_at": iso(own.created_at),
        "decided_at": iso(own.decided_at),
    }
