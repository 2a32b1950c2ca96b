"""Pure: what a person may wish of the night as a whole, on which key, and why not now."""

from dataclasses import dataclass
from itertools import groupby

from textual.binding import Binding

from cockpit.ui.acts import why_not_best, why_not_undo
from cockpit.ui.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Wish:
    """Something about the night, and no single experiment."""

    name: str
    key: str
    """Empty: it is in the palette alone."""
    label: str
    """Beside its key."""
    does: str
    """In the palette."""
    shown: bool = True
    """Whether it stands in the footer where it is possible."""


WISHES = (
    Wish("pause", "space", "pause", "pause: let the run under way end, begin nothing new"),
    Wish("resume", "space", "resume", "go on"),
    Wish("yours", "Q", "yours", "what waits for you, most valuable first"),
    Wish("try", "t", "try", "try an idea in words: the next proposal is this"),
    Wish("edit", "e", "edit", "try an idea: the base's train.py in your editor", shown=False),
    Wish("take", "o", "try offer", "try the working tree's train.py, as is offered"),
    Wish("undo", "u", "undo", "take the last decision by hand back", shown=False),
    Wish("best", "B", "best", "the base is the best again: nothing is pinned", shown=False),
    Wish("confirm", "", "confirm", "confirm the best: fresh pairs of runs of it and the baseline"),
    Wish("ablate", "", "ablate", "leave each change of the best out: which are dead weight"),
    Wish("skip", "s", "skip", "end the run under way: its experiment is stopped"),
    Wish(
        "requeue", "S", "requeue", "end the run under way without a verdict: back to the queue",
        shown=False,
    ),
    Wish("begin", "N", "begin", "begin a night"),
    Wish("repair", "N", "repair", "repair what a dead engine left, and go on"),
)  # fmt: skip
BY_NAME = {wish.name: wish for wish in WISHES}
EVERYWHERE = frozenset({"undo", "pause", "resume"})
"""Wishes whose keys work on every page too."""


def bindings() -> list[Binding]:
    """Return the keys of all wishes; where none of a key is possible, it says why."""
    keys = []
    for key, wishes in groupby(filter(lambda w: w.key, WISHES), key=lambda wish: wish.key):
        names = []
        for wish in wishes:
            names.append(wish.name)
            keys.append(Binding(key, f"wish('{wish.name}')", wish.label, show=wish.shown))
        keys.append(Binding(key, f"say_why_not('{names[0]}')", show=False))
    return keys


def possible_on(key: str, snapshot: Snapshot) -> bool:
    """Return whether a key does anything now."""
    return any(w.key == key and why_not(snapshot, w.name) is None for w in WISHES)


def why_not(snapshot: Snapshot, name: str) -> str | None:
    """Return why a wish can't be granted now, one line, or None where it can."""
    engine = snapshot.engine
    begins = "N repairs it" if engine.state == "dead" else "N begins a night"
    if name in {"pause", "resume", "skip", "requeue", "try"} and not engine.alive:
        return f"no engine runs: {begins}"
    if name in {"skip", "requeue"}:
        return None if snapshot.current else "no run is under way"
    if name in {"pause", "resume"}:
        wanted = "running" if name == "pause" else "paused"
        return None if engine.state == wanted else f"the night is {engine.state}"
    if name in {"begin", "repair"}:
        if engine.alive:
            return "a night goes on already"
        wrong = (engine.state == "dead") == (name == "begin")
        return f"the engine is {engine.state}" if wrong else None
    if name == "take":
        return None if snapshot.offer is not None else "nothing is offered"
    if name in {"confirm", "ablate"}:
        return None if snapshot.gain is not None else "the baseline is the best: nothing is won yet"
    if name == "edit":
        return None if snapshot.base is not None else "there is no base yet"
    if name in {"undo", "best"}:
        return {"undo": why_not_undo, "best": why_not_best}[name](snapshot)
    return None
