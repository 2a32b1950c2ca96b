"""The status, the log and an experiment in words, for a person at a terminal."""

from typing import Any

from cockpit.core import ablating
from cockpit.core.constraints import named_metrics
from cockpit.core.experiment import Experiment, Proposal, Run, Status
from cockpit.core.judge import signed
from cockpit.core.ledger import CATEGORIES
from cockpit.core.noise import Noise
from cockpit.core.tree import delta
from cockpit.lab import honest as asked
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.rundir import plain_text
from cockpit.lab.tree import Tree
from cockpit.report import iso, noises, scores
from cockpit.story import story_lines
from cockpit.ui.score_lines import score_lines
from cockpit.ui.spent import NOTHING_SPENT, dollars
from cockpit.ui.words import GLYPHS

TABLE_COLUMNS = 100


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
    if told["honest"]:
        lines += [f"{word:<9} {said}" for word, said in told["honest"]["told"]]
    if told["ablation"] and told["ablation"]["told"]:
        lines.append(f"ablation  {told['ablation']['told']}")
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
    lines += _pruning(told["pruning"])
    waiting = counts[Status.BORDERLINE.value]
    if waiting:
        lines.append(f"yours     {waiting} borderline: cockpit queue shows them")
    lines += _shares(told)
    open_hints = [hint for hint in told["hints"] if hint["state"] != "withdrawn"]
    return "\n".join([*lines, *(_hint(hint) for hint in open_hints)])


def _pruning(told: dict[str, Any] | None) -> list[str]:
    """Return whether runs are stopped early, and what that saved this night."""
    if told is None:
        return []
    runs = f"{told['pruned']} run{'s' * (told['pruned'] != 1)} stopped early"
    saved = f"; {runs}, {told['saved_seconds']:.0f} s saved" if told["pruned"] else ""
    return [f"pruning   {told['says']}{saved}"]


def _shares(told: dict[str, Any]) -> list[str]:
    """Return who brought what, and what the models took; nothing of a search by itself."""
    lines = []
    if told["calls"]:
        unknown = ", and calls of unknown price" if told["unpriced_calls"] else ""
        tokens = sum(told["tokens"].values())
        calls = f"{told['calls']} call{'s' * (told['calls'] != 1)}"
        cost = dollars(told["cost_usd"])
        lines.append(f"cost      {cost} this night{unknown}: {calls}, {tokens:,} tokens")
    rows = told["proposers"]
    if told["calls"] or len(rows) > 1:
        shares = [
            f"{plain_text(row['name'])} {row['proposals']} ({row['kept']} kept"
            + (f" {signed(0.0 - row['gain'])}" if row["kept"] else "")
            + (f", {dollars(row['dollars'])}" if row["dollars"] else "")
            + ")"
            for row in rows
        ]
        lines.append(f"ideas     {', '.join(shares)}")
    return lines


def _hint(told: dict[str, Any]) -> str:
    kind = "try" if told["order"] else "once" if told["once"] else "hint"
    state = {"declined": "not now"}.get(told["state"], told["state"])
    where = f" in #{told['experiment']}" if told["state"] == "applied" else ""
    why = f": {plain_text(told['why'])[:200]}" if told["why"] else ""
    return f"{kind} {told['id']:>3}  {plain_text(told['text'])[:200]} ({state}{where}{why})"


def noise(found: Noise) -> str:
    """Return the noise of a tag, with how well it is known."""
    if found.sigma is None or found.between is None:
        return "the noise is not known yet"
    low, high = found.between
    rests = f"{found.runs} runs" if found.runs else "assumed: nothing ran twice"
    return f"noise ±{found.sigma:.4f} ({rests}; 90 %: {low:.4f} to {high:.4f})"


def score(lab: Lab) -> str:
    """Return the scoreboard for a person."""
    found, calls = scores(lab)
    lines = score_lines((found, NOTHING_SPENT.and_then(calls)), TABLE_COLUMNS)
    told = ["".join(text for text, _ in line).rstrip() for line in lines]
    if found is not None:
        told.append(noise(noises(lab)[found.tag]))
    return "\n".join(told)


def log_line(told: dict[str, Any]) -> str:
    """Return one line of the log for a person."""
    score = f"{told['val_bpb']:.4f}" if told["val_bpb"] is not None else ""
    if not score and told["status"] == Status.DISCARDED:
        score = "pruned"  # nothing else is discarded without a score
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
        story = story_lines(journal, number)
        audits = journal.audits(number)
        own = experiments.get(number)
        if own is None:
            return None
        proposal = journal.proposal(number)
        more = _honest_lines(journal, own)
    finally:
        journal.close()
    change = delta(experiments, own)
    lines = [
        f"#{own.id}  {plain_text(own.title)}",
        f"{GLYPHS[own.status]} {own.status}" + (f" by {own.decided_by}" if own.decided_by else ""),
        f"tag {own.tag}, " + ("the baseline" if own.parent is None else f"on #{own.parent}"),
        f"proposed by {own.proposer}{_made_with(proposal)} {iso(own.created_at)}",
    ]
    if proposal.predicted is not None:
        lines.append(f"predicted {signed(proposal.predicted)}")
    lines += [
        f"hint {answer.hint}: {'applied' if answer.applied else 'not now'}"
        + (f": {plain_text(answer.why)}" if answer.why else "")
        for answer in proposal.hints
    ]
    if own.commit:
        lines.append(f"commit {own.commit}")
    if own.hypothesis:
        lines.append(f"\n{plain_text(own.hypothesis)}")
    if own.val_bpb is not None:
        gain = f" ({signed(change)} on #{own.parent})" if change is not None else ""
        lines.append(f"\nval_bpb {own.val_bpb:.4f}{gain}")
    lines += more
    lines += ["", *(_run_line(run) for run in own.runs)]
    lines += [f"run {audit.run}  {plain_text(audit.says)}" for audit in audits]
    lines += story
    return "\n".join(lines)


def honest(lab: Lab, tag: str | None, number: int | None) -> list[str]:
    """Return what fresh runs and ablations say of an experiment, or of the best of a tag."""
    journal = Journal(lab.journal, write=False)
    try:
        tree = Tree(journal)
        tree.refresh()
        name = tag or journal.tags()[-1].name
        own = tree.experiments.get(number) if number is not None else tree.best(name)
        return [f"#{own.id}  {plain_text(own.title)}", *_honest_lines(journal, own)] if own else []
    finally:
        journal.close()


def _honest_lines(journal: Journal, own: Experiment) -> list[str]:
    """Return how good an experiment truly is, as far as more is known than its mean."""
    tree = Tree(journal)
    tree.refresh()
    found = asked.honest(journal, tree, own)
    lines = [f"{word:<9} {said}" for word, said in found.lines()] if found is not None else []
    best = tree.best(own.tag)
    rows = asked.ablation(journal, tree, own.tag).rows
    return lines + [
        f"ablation  {ablating.told(row)}"
        for row in rows
        if row.experiment == own.id or row.variant == own.id or (best and best.id == own.id)
    ]


def _made_with(proposal: Proposal) -> str:
    """Return the model of a proposal, the brief it was made under, and what it mends."""
    model = f" ({plain_text(proposal.model)})" if proposal.model else ""
    program = f" under program.md {plain_text(proposal.program)}" if proposal.program else ""
    mends = f" to mend #{proposal.repair_of}" if proposal.repair_of is not None else ""
    return f"{model}{program}{mends}"


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
