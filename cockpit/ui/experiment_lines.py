"""Pure: the page of one experiment."""

from cockpit.core.experiment import BY_RULE, Proposal
from cockpit.ui.change_lines import change_lines
from cockpit.ui.chart_lines import chart_lines
from cockpit.ui.figure_lines import figure_lines, run_lines
from cockpit.ui.snapshot import Details, Snapshot
from cockpit.ui.story_lines import story_lines
from cockpit.ui.text import Line, clean, signed, wrap
from cockpit.ui.words import glyph, status_word, style_key

CHART_LINES = 8
SHORT_CHANGE = 12
"""Lines of a change that stands before curve and story; a longer one stands below them."""


def detail_lines(details: Details, snapshot: Snapshot, width: int) -> list[Line]:
    """Return the page for a width."""
    own, parent = details.experiment, details.parent
    best = snapshot.best.id if snapshot.best else None
    lines: list[Line] = [
        *[((line, "heading"),) for line in wrap(clean(own.title, 500), width)],
        ((f"{glyph(own, best)} {standing(details, snapshot)}", style_key(own, best)),),
        *[((line, "muted"),) for line in wrap(_origin(details), width)],
        (),
    ]
    if own.hypothesis:
        for paragraph in own.hypothesis.split("\n")[:40]:
            lines += [((line, ""),) for line in wrap(clean(paragraph), width)]
        lines.append(())
    lines += _hint_answers(details.proposal, width)
    lines += figure_lines(details, snapshot.noise, width)
    change = change_lines(details)
    changed: list[Line] = [(("Change to train.py", "heading"),), *change, ()] if change else []
    lines += changed if len(change) <= SHORT_CHANGE else []
    if chart := chart_lines(details.curve, details.parent_curve, width, CHART_LINES, "parent"):
        lines += [*chart, ()]
    if own.runs:
        lines += [(("Runs", "heading"),), *run_lines(own.runs, width), ()]
    lines += story_lines(details, width)
    lines += changed if len(change) > SHORT_CHANGE else []
    if details.dynamics:
        lines += [(("Training", "heading"),)]
        for figure in details.dynamics:
            lines += [((f"  {line}", ""),) for line in wrap(figure, width - 2)]
        lines.append(())
    for audit in details.audits:
        key = {"passed": "", "failed": "crashed"}.get(audit.outcome, "muted")
        told = f"  run {audit.run}: {clean(audit.says, 600)}"
        lines += [(("Audit", "heading"),), *[((line, key),) for line in wrap(told, width)], ()]
    if parent is not None and details.log:
        lines += [(("Log, last lines", "heading"),)]
        lines += [((f"  {clean(line, 300)}", "muted"),) for line in details.log]
    return lines


def standing(details: Details, snapshot: Snapshot) -> str:
    """Return where an experiment stands, in words."""
    own, best = details.experiment, snapshot.best
    words = [status_word(own.status) if own.id != (best.id if best else None) else "best, kept"]
    if own.id in snapshot.awaiting:
        words = ["borderline", "yours to decide"]
    elif own.id not in snapshot.sound:
        words.append("unsound: an ancestor is not kept (A tries it on the present base)")
    if own.id in snapshot.queue:
        words.append(f"{snapshot.queue.index(own.id) + 1} of {len(snapshot.queue)} in the queue")
    if snapshot.tag is not None and own.id == snapshot.tag.pinned:
        words.append("pinned by hand as the base")
    elif snapshot.base is not None and own.id == snapshot.base.id:
        words.append("the base")
    if own.decided_by and own.decided_by != BY_RULE:
        words.append(f"decided by {clean(own.decided_by, 30)}")
    return " · ".join(words)


def _origin(details: Details) -> str:
    own, parent = details.experiment, details.parent
    on = f"on #{parent.id} {clean(parent.title, 60)}" if parent else f"baseline of {own.tag}"
    commit = f" · commit {own.commit[:10]}" if own.commit else ""
    return f"{on} · proposed by {clean(own.proposer, 30)}{_made_with(details.proposal)}{commit}"


def _made_with(proposal: Proposal) -> str:
    """Return the model of a proposal, what it mends or repeats, and what its author expected."""
    model = f" ({clean(proposal.model, 40)})" if proposal.model else ""
    mends = f" to mend #{proposal.repair_of}" if proposal.repair_of is not None else ""
    again = f" · #{proposal.reapplies} on a newer base" if proposal.reapplies is not None else ""
    without = ", ".join(f"#{number}" for number in proposal.ablates or ())
    expected = proposal.predicted
    predicted = f" · predicted {signed(expected)}" if expected is not None else ""
    return f"{model}{mends}{again}{f' · without {without}' if without else ''}{predicted}"


def _hint_answers(proposal: Proposal, width: int) -> list[Line]:
    """Return what the proposal did with each hint that stood."""
    lines: list[Line] = []
    for answer in proposal.hints:
        done, key = ("applied", "kept") if answer.applied else ("not now", "warning")
        told = f"hint {answer.hint}: {done}" + (f": {clean(answer.why, 300)}" if answer.why else "")
        lines += [((line, key),) for line in wrap(told, width)]
    return [*lines, ()] if lines else []
