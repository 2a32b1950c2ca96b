"""What a lab has to say of itself: the status, the log, one experiment; as data and as text."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cockpit.core.constraints import named_metrics
from cockpit.core.experiment import Experiment, Hint, Proposal, Run, Status
from cockpit.core.ledger import total
from cockpit.core.noise import Noise
from cockpit.core.scoreboard import Score, by_proposer
from cockpit.core.tree import delta, sound_ids
from cockpit.lab.clock import boot
from cockpit.lab.honest import ablation, best_of
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.looking import LookingJournal, Scores
from cockpit.lab.pruning import pruning_state
from cockpit.lab.rows import Call, EngineRow, Night
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
    journal = LookingJournal(lab.journal, write=False)
    try:
        tree = Tree(journal)
        tree.refresh()
        return _status(lab, journal, tree)
    finally:
        journal.close()


def _status(lab: Lab, journal: LookingJournal | None, tree: Tree | None) -> dict[str, Any]:
    row = journal.engine() if journal else None
    night = journal.last_night() if journal else None
    tags = journal.tags() if journal else []
    tag = journal.present_tag() if journal else None
    setup = next((t.setup for t in tags if t.name == tag), None)
    own = list(tree.of(tag).values()) if tree and tag else []
    state = engine_state(lab, row)
    at = counted_until(row, state)
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
        "honest": best_of(journal, tree, tag) if journal and tree and tag else None,
        "ablation": ablation(journal, tree, tag).json() if journal and tree and tag else None,
        "noise": {"sigma": noise.sigma if noise else None, "runs": noise.runs if noise else 0},
        "current": [_current(lab, run) for run in journal.running()] if journal else [],
        "ledger": {name: round(seconds, 3) for name, seconds in total(ledgers, at).items()},
        "pruning": _pruning(journal, tree, tag, night) if journal and tree and tag else None,
        "slots": len(ledgers),
        "elapsed_seconds": round(elapsed(night, row, at), 3),
        "proposer": night.options.get("proposer") if night else None,
        **_cost(journal.calls(night.id) if journal and night else []),
        "proposers": _shares(journal, tree, tag) if journal and tree and tag else [],
        "hints": [_hint(hint) for hint in (journal.hints() if journal else [])],
    }


def _pruning(journal: LookingJournal, tree: Tree, tag: str, night: Night | None) -> dict[str, Any]:
    """Return whether runs are stopped early, what that rests on, and what the night saved."""
    wanted = night is None or night.options.get("prune") is not False
    since = night.started_at if night else 0.0
    return pruning_state(journal, tree, tag, wanted=wanted, since=since).as_json()


def _cost(calls: Iterable[Call]) -> dict[str, Any]:
    """Return what the models of a night took, as far as prices are known."""
    known = list(calls)
    return {
        "cost_usd": round(sum(call.dollars or 0.0 for call in known), 6),
        "calls": len(known),
        "unpriced_calls": sum(call.dollars is None and call.outcome == "ok" for call in known),
        "tokens": {
            "prompt": sum(call.prompt_tokens for call in known),
            "completion": sum(call.completion_tokens for call in known),
        },
    }


def _shares(journal: LookingJournal, tree: Tree, tag: str) -> list[dict[str, Any]]:
    """Return what each proposer has brought to a tag, and cost; `score` has more of it."""
    spent = [(call.proposer, call.dollars) for call in journal.calls_of(tag)]
    return [_scored_row(row) for row in by_proposer(tree.of(tag), {}, spent)]


def _scored_row(row: Score) -> dict[str, Any]:
    return {**asdict(row), "gain": round(row.gain, 6), "dollars": round(row.dollars, 6)}


def _hint(hint: Hint) -> dict[str, Any]:
    return {
        "id": hint.id,
        "text": hint.text,
        "state": hint.state,
        "experiment": hint.experiment,
        "once": hint.once,
        "order": hint.order,
        "why": hint.why,
    }


def scores(lab: Lab) -> tuple[Scores | None, list[Call]]:
    """Return the scoreboard of the present tag, None without one, and the night's calls."""
    if not lab.journal.exists():
        return None, []
    journal = LookingJournal(lab.journal, write=False)
    try:
        night, tag = journal.last_night(), journal.present_tag()
        found = journal.scores(tag, journal.experiments()) if tag else None
        return found, journal.calls(night.id) if night else []
    finally:
        journal.close()


def score(lab: Lab) -> dict[str, Any]:
    """Return what `cockpit score --json` prints."""
    found, calls = scores(lab)
    return {
        "tag": found.tag if found else None,
        "night": _cost(calls),
        "proposers": [_scored_row(row) for row in found.proposers] if found else [],
        "programs": [_scored_row(row) for row in found.programs] if found else [],
    }


def counted_until(row: EngineRow | None, state: str) -> float:
    """Return the monotonic time up to which the ledger counts: a live engine's is now."""
    if row is None:
        return 0.0
    live = state in ("running", "paused") and row.boot == boot()
    return time.monotonic() if live else row.monotonic


def elapsed(night: Night | None, row: EngineRow | None, at: float) -> float:
    """Return the seconds of a night so far, or in all; `at` is what `counted_until` gives."""
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
        proposals = {n: p for tag in journal.tags() for n, p in journal.proposals(tag.name).items()}
    finally:
        journal.close()
    sound = sound_ids(experiments)
    for own in experiments.values():
        yield logged(own, proposals.get(own.id), delta(experiments, own), own.id in sound)


def noises(lab: Lab) -> dict[str, Noise]:
    """Return the noise that changes are held against, by tag."""
    if not lab.journal.exists():
        return {}
    journal = Journal(lab.journal, write=False)
    try:
        tree = Tree(journal)
        tree.refresh()
        return {tag.name: tree.noise(tag.name) for tag in journal.tags()}
    finally:
        journal.close()


def experiment(lab: Lab, number: int) -> dict[str, Any] | None:
    """Return what the log says of one experiment, or None when there is none."""
    return next((told for told in log(lab) if told["id"] == number), None)


def logged(
    own: Experiment, proposal: Proposal | None, change: float | None, sound: bool
) -> dict[str, Any]:
    """Return an experiment under the names that other tools read."""
    return {
        "id": own.id,
        "tag": own.tag,
        "parent": own.parent,
        "commit": own.commit,
        "title": own.title,
        "proposer": own.proposer,
        "model": proposal.model if proposal else None,
        "predicted": proposal.predicted if proposal else None,
        "program": proposal.program if proposal else None,
        "repair_of": proposal.repair_of if proposal else None,
        "status": own.status.value,
        "decided_by": own.decided_by,
        "sound": sound,
        "val_bpb": own.val_bpb,
        "delta": change,
        "runs": [
            {
                "seed": run.seed,
                "purpose": run.purpose,
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
