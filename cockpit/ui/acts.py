"""Pure: what a person may do to an experiment, on which key, and why not where it isn't possible.

The one list behind the keys of every pane and screen, the footer, the help and the palette. The
engine has the last word: what is said here saves a person the way there and back.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from textual.binding import Binding

from cockpit.core.experiment import Experiment, Status
from cockpit.ui.deciding import EVENTS
from cockpit.ui.deciding import why_not as why_not_decide
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.words import status_word


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is done to one experiment."""

    verb: str
    """That of the inbox; `note` asks for its words first."""
    key: str
    label: str
    """Beside its key."""
    does: str
    """In the palette, after the experiment's number."""


ACTS = (
    Act("accept", "a", "accept", "keep it by hand"),
    Act("reject", "r", "reject", "discard it by hand"),
    Act("replicate", "R", "replicate", "run it once more, with another seed"),
    Act("branch", "b", "branch", "make it the base: what comes next grows from it"),
    Act("rerun", "A", "run again", "run it anew"),
    Act("note", "n", "note", "write a line to it"),
    Act("drop", "x", "drop", "take it from the queue"),
    Act("first", "less_than_sign", "first", "put it at the front of the queue"),
    Act("later", "greater_than_sign", "later", "put it at the end of the queue"),
    Act("finish", "f", "let it finish", "never stop its run early"),
)
BY_VERB = {act.verb: act for act in ACTS}


def bindings(shown: Collection[str]) -> list[Binding]:
    """Return the keys of all acts, those of `shown` in the footer.

    Each key has a second meaning where the first is not possible: it says why.
    """
    keys = []
    for act in ACTS:
        keys.append(Binding(act.key, f"act('{act.verb}')", act.label, show=act.verb in shown))
        keys.append(Binding(act.key, f"say_why('{act.verb}')", show=False))
    return keys


def why_not(snapshot: Snapshot, own: Experiment, verb: str) -> str | None:
    """Return why `verb` is not possible for an experiment, one line, or None where it is."""
    if verb in EVENTS:
        return why_not_decide(own, verb)
    return _REASONS[verb](snapshot, own)


def why_not_best(snapshot: Snapshot) -> str | None:
    """Return why the base can't be given back to the best, or None."""
    pinned = snapshot.tag.pinned if snapshot.tag else None
    return "no base is pinned: it is the best already" if pinned is None else None


def why_not_undo(snapshot: Snapshot) -> str | None:
    """Return why there is nothing to take back, or None."""
    return None if snapshot.by_hand else "nobody has decided anything by hand yet"


def _measured(own: Experiment, otherwise: str) -> str | None:
    number = f"#{own.id}"
    if own.status is Status.QUEUED:
        return f"{number} waits in the queue: it has no result yet"
    if own.val_bpb is None and own.status is Status.RUNNING:
        return f"{number} is under way: it has no result yet"
    return f"{number} has no val_bpb: {otherwise}" if own.val_bpb is None else None


def _replicate(snapshot: Snapshot, own: Experiment) -> str | None:
    if own.status is Status.RUNNING:
        return f"#{own.id} is under way: it has no verdict yet"
    return _measured(own, "another seed is no help, run it again")


def _rerun(snapshot: Snapshot, own: Experiment) -> str | None:
    if own.status is Status.QUEUED:
        return f"#{own.id} waits in the queue: it runs all the same"
    if own.status is Status.RUNNING:
        return f"#{own.id} is under way already"
    return None


def _branch(snapshot: Snapshot, own: Experiment) -> str | None:
    if snapshot.tag is not None and own.tag != snapshot.tag.name:
        return f"#{own.id} is of another tag: `start --from {own.id}` begins a new one there"
    if snapshot.tag is not None and own.id == snapshot.tag.pinned:
        return f"#{own.id} is pinned already"
    if own.status is Status.INVALID:
        return f"#{own.id} is invalid: nothing can grow from it"
    return _measured(own, "nothing can grow from it")


def _drop(snapshot: Snapshot, own: Experiment) -> str | None:
    if own.parent is None and own.status is Status.QUEUED:
        return f"#{own.id} is the baseline: without it nothing can be compared"
    return _queued(snapshot, own)


def _queued(snapshot: Snapshot, own: Experiment) -> str | None:
    if own.status is Status.QUEUED:
        return None
    return f"#{own.id} does not wait in the queue: it is {status_word(own.status)}"


def _first(snapshot: Snapshot, own: Experiment) -> str | None:
    if snapshot.queue[:1] == (own.id,):
        return f"#{own.id} is the first of the queue already"
    return _queued(snapshot, own)


def _later(snapshot: Snapshot, own: Experiment) -> str | None:
    if snapshot.queue[-1:] == (own.id,):
        return f"#{own.id} is the last of the queue already"
    return _queued(snapshot, own)


def _finish(snapshot: Snapshot, own: Experiment) -> str | None:
    run = next((run for run in own.runs if run.state == "running"), None)
    if run is None:
        return f"no run of #{own.id} is under way"
    return f"#{own.id} is let finish already" if run.spared == "hand" else None


def _note(snapshot: Snapshot, own: Experiment) -> str | None:
    return None


_REASONS: dict[str, Callable[[Snapshot, Experiment], str | None]] = {
    "replicate": _replicate,
    "rerun": _rerun,
    "branch": _branch,
    "note": _note,
    "drop": _drop,
    "first": _first,
    "later": _later,
    "finish": _finish,
}
