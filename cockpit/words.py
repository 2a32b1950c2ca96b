"""The status, the log and an experiment in words, for a person at a terminal."""

from typing import Any

from cockpit.core.constraints import named_metrics
from cockpit.core.experiment import Run, Status
from cockpit.core.judge import signed
from cockpit.core.ledger import CATEGORIES
from cockpit.core.tree import delta
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.rundir import plain_text
from cockpit.report import iso
from cockpit.ui.words import GLYPHS


def status(told: dict[str, Any]) -> str:
    """Return a status for a person."""
    engine, counts, noise = told["engine"], told["counts"], told["noise"]
    lines = [f"{told['lab']}  tag {told['tag'] or 'none yet'}"]
    reason = f": {engine['reason']}" if engine["reason"] else ""
    repair = " — `cockpit start` repairs and goes on" if engine["state"] == "dead" else ""
    lines.append(f"engine    {engine['state']}{reason}{repair}")
    if told["sandbox"] == "none" and engine["pid"] is not None:
        lines.append("sandbox   UNSANDBOXED: trainings can read what you can (cockpit doctor)")
    shown = ", ".join(
        f"{counts[s.value]} {s.value}" for s in Status if counts[s.value] or s is Status.KEPT
    )
    lines.append(f"tried     {counts['total']}, with the baseline: {shown}")
    sigma = f" ±{noise['sigma']:.4f} ({noise['runs']} runs)" if noise["sigma"] else ""
    if told["best"]["val_bpb"] is not None:
        gain = told["best"]["val_bpb"] - told["baseline"]["val_bpb"]
        ahead = f" ({signed(gain)} on the baseline)" if gain else " (the baseline)"
        lines.append(f"best      #{told['best']['id']} {told['best']['val_bpb']:.4f}{ahead}{sigma}")
    for run in told["current"]:
        progress = f" {run['progress']:.0%}" if run["progress"] is not None else ""
        loss = f"  loss {run['loss']:.3f}" if run["loss"] is not None else ""
        rate = f"  {run['tokens_per_second']:,.0f} tok/s" if run["tokens_per_second"] else ""
        phase = run["phase"] if engine["state"] != "dead" else "waits for repair, was"
        lines.append(f"now       #{run['experiment']} {phase}{progress}{loss}{rate}")
    seconds = sum(told["ledger"].values())
    if seconds:
        spent = ", ".join(
            f"{name} {told['ledger'][name] / seconds:.0%}"
            for name in CATEGORIES
            if told["ledger"][name] > 0.005 * seconds
        )
        lines.append(f"time      {seconds:.0f} slot-seconds: {spent}")
    waiting = counts[Status.BORDERLINE.value]
    if waiting:
        lines.append(f"yours     {waiting} borderline: cockpit accept ID, cockpit reject ID")
    open_hints = [hint for hint in told["hints"] if hint["state"] != "withdrawn"]
    lines += [f"hint {hint['id']:>3}  {plain_text(hint['text'])[:200]}" for hint in open_hints]
    return "\n".join(lines)


def log_line(told: dict[str, Any]) -> str:
    """Return one line of the log for a person."""
    score = f"{told['val_bpb']:.4f}" if told["val_bpb"] is not None else ""
    change = signed(told["delta"]) if told["delta"] is not None else ""
    glyph = GLYPHS[Status(told["status"])]
    unsound = "" if told["sound"] else "  (unsound: an ancestor is not kept)"
    parent = f"on #{told['parent']}" if told["parent"] is not None else ""
    return (
        f"{told['tag']:<8} #{told['id']:<4} {glyph} {told['status']:<10} {score:>7} {change:>8}  "
        f"{parent:<8} {told['proposer']:<8} {plain_text(told['title'])}{unsound}"
    )


def experiment(lab: Lab, number: int) -> str | None:
    """Return the whole story of an experiment for a person, or None when there is none."""
    journal = Journal(lab.journal, write=False)
    try:
        experiments = journal.experiments()
        events = journal.verdicts(number)
        audits = journal.audits(number)
    finally:
        journal.close()
    own = experiments.get(number)
    if own is None:
        return None
    change = delta(experiments, own)
    lines = [
        f"#{own.id}  {plain_text(own.title)}",
        f"{GLYPHS[own.status]} {own.status}" + (f" by {own.decided_by}" if own.decided_by else ""),
        f"tag {own.tag}, " + ("the baseline" if own.parent is None else f"on #{own.parent}"),
        f"proposed by {own.proposer} {iso(own.created_at)}",
    ]
    if own.commit:
        lines.append(f"commit {own.commit}")
    if own.hypothesis:
        lines.append(f"\n{plain_text(own.hypothesis)}")
    if own.val_bpb is not None:
        gain = f" ({signed(change)} on #{own.parent})" if change is not None else ""
        lines.append(f"\nval_bpb {own.val_bpb:.4f}{gain}")
    lines += ["", *(_run_line(run) for run in own.runs)]
    lines += [f"run {audit.run}  {plain_text(audit.says)}" for audit in audits]
    lines += [
        f"{iso(event.at)}  {event.event} → {event.status}, {event.decided_by}: "
        f"{plain_text(event.reason)}"
        for event in events
    ]
    return "\n".join(lines)


def _run_line(run: Run) -> str:
    score = f"{run.val_bpb:.4f}" if run.val_bpb is not None else "no score"
    trained = (
        f"  {run.steps} steps, {run.tokens:,} tokens in {run.training_seconds:.1f} s"
        if run.steps is not None and run.tokens is not None and run.training_seconds is not None
        else ""
    )
    memory = f", {run.peak_memory_bytes / 1e9:.2f} GB" if run.peak_memory_bytes else ""
    reason = f"  {plain_text(run.reason)}" if run.reason else ""
    named = "".join(f"  {name} {value:.4g}" for name, value in named_metrics(run).items())
    seed = f"seed {run.seed}  {run.state}"
    return f"run {run.number}  {seed}  {score}{trained}{memory}{named}{reason}"
