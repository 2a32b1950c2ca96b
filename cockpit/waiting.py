"""What runs, what is next, and what waits for a person: as data, and in words."""

from typing import Any

from cockpit.core import queue
from cockpit.core.awaiting import awaiting, is_a_persons, worth
from cockpit.core.experiment import Experiment, Status
from cockpit.core.judge import signed
from cockpit.core.tree import delta, sound_ids, unsound_kept
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.rows import Wanted
from cockpit.lab.rundir import plain_text
from cockpit.lab.tree import Tree

TITLE_CHARACTERS = 60


def waiting(lab: Lab) -> dict[str, Any]:
    """Return what `cockpit queue --json` prints; of a lab without a journal nothing waits."""
    told: dict[str, Any] = {
        "tag": None, "base": None, "pinned": False, "running": [], "queue": [], "wanted": [],
        "awaiting": [], "unsound": [],
    }  # fmt: skip
    if not lab.journal.exists():
        return told
    journal = Journal(lab.journal, write=False)
    try:
        tag = journal.present_tag()
        if tag is None:
            return told
        tree = Tree(journal)
        tree.refresh()
        return told | _of_tag(journal, tree, tag)
    finally:
        journal.close()


def _of_tag(journal: Journal, tree: Tree, tag: str) -> dict[str, Any]:
    own = tree.of(tag)
    base, sound = tree.base(tag), sound_ids(own)
    deltas = {n: delta(own, e) for n, e in own.items() if is_a_persons(e)}
    line = queue.in_line(tree.with_status(tag, Status.QUEUED))
    running = [run for run in journal.running() if run.experiment in own]
    return {
        "tag": tag,
        "base": base.id if base is not None else None,
        "pinned": tag in tree.pins,
        "running": [
            _named(own[run.experiment]) | {"run": run.number, "purpose": run.purpose}
            for run in running
        ],
        "queue": [
            {"position": at, **_named(e), "parent": e.parent} for at, e in enumerate(line, 1)
        ],
        "wanted": [_wish(own[w.experiment], w) for w in journal.wanted() if w.experiment in own],
        "awaiting": [
            _named(e) | _figures(e, deltas.get(e.id))
            for e in awaiting(own.values(), sound, deltas)
        ],
        "unsound": [
            _named(e) | {"val_bpb": e.val_bpb, "status": e.status}
            for e in [*unsound_kept(own, tag), *_unsound_borderline(own, sound)]
        ],
    }  # fmt: skip


def _unsound_borderline(own: dict[int, Experiment], sound: set[int]) -> list[Experiment]:
    return [e for e in own.values() if e.status is Status.BORDERLINE and e.id not in sound]


def _named(own: Experiment) -> dict[str, Any]:
    return {"id": own.id, "title": own.title, "proposer": own.proposer}


def _wish(own: Experiment, wish: Wanted) -> dict[str, Any]:
    return _named(own) | {"why": wish.why, "purpose": wish.purpose, "author": wish.author}


def _figures(own: Experiment, change: float | None) -> dict[str, Any]:
    return {
        "status": own.status,
        "parent": own.parent,
        "delta": change,
        "probability": own.probability,
        "gain": own.gain,
        "gain_error": own.gain_error,
        "runs": len(own.scores),
        "worth": worth(own, change),
        "commands": [f"cockpit {verb} {own.id}" for verb in ("accept", "reject", "replicate")],
    }


def in_words(told: dict[str, Any]) -> str:
    """Return what waits for a person at a terminal."""
    if told["tag"] is None:
        return "nothing has been started in this lab yet: `cockpit start` begins a night"
    lines = []
    for one in told["running"]:
        what = "" if one["purpose"] == "verdict" else f" ({one['purpose']})"
        lines.append(f"now    {_line(one)}, run {one['run']}{what}")
    lines += [f"asked  {_line(one)}: {one['why']}, {one['author']}" for one in told["wanted"]]
    lines += [f"{one['position']:>4}   {_line(one)}, on #{one['parent']}" for one in told["queue"]]
    if not lines:
        lines.append("nothing runs, and nothing waits in the queue")
    if told["base"] is not None:
        by_hand = ", by hand: `cockpit branch best` gives it back" if told["pinned"] else ""
        lines.append(f"base   #{told['base']}{by_hand}")
    for one in told["awaiting"]:
        by_now = ": kept, and looks like none by now" if one["status"] == Status.KEPT else ""
        lines += [f"yours  {_line(one)}{by_now}", f"       {_odds(one)}", f"       {_ways(one)}"]
    for one in told["unsound"]:
        again = f"cockpit rerun {one['id']} tries it on the present base"
        lines += [f"unsound {_line(one)} is {one['status']} on what is not kept", f"       {again}"]
    return "\n".join(lines)


def _line(one: dict[str, Any]) -> str:
    title = plain_text(one["title"])
    short = title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 1] + "…"
    return f"#{one['id']:<4} {short} ({plain_text(one['proposer'])})"


def _odds(one: dict[str, Any]) -> str:
    """Return the figures that a decision rests on."""
    found = [f"P(better) {one['probability']:.2f}"] if one["probability"] is not None else []
    if one["gain"] is not None:
        error = f" ±{one['gain_error']:.4f}" if one["gain_error"] is not None else ""
        found.append(f"honest {signed(one['gain'])}{error}")
    if one["delta"] is not None:
        found.append(f"measured {signed(one['delta'])} on #{one['parent']}")
    runs = one["runs"]
    return ", ".join([*found, f"{runs} run{'s' * (runs != 1)}"])


def _ways(one: dict[str, Any]) -> str:
    return f"{one['commands'][0]}, " + ", ".join(
        command.removeprefix("cockpit ") for command in one["commands"][1:]
    )
