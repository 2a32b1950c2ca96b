"""Pure: everything that can be done at this moment, as a list to choose from."""

from collections.abc import Iterable
from dataclasses import dataclass

from textual.message import Message

from cockpit.core.experiment import Experiment
from cockpit.ui import acts, wishes
from cockpit.ui.acts import ACTS, Act
from cockpit.ui.commands import COMMANDS, PAGES, parse
from cockpit.ui.messages import AskHelp, Do, Send, ShowPage, Wish
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.text import clean
from cockpit.ui.wishes import WISHES

MANY = 12
"""Queued experiments beside the selected one that are offered to be moved or dropped."""
QUEUE_VERBS = ("first", "later", "drop")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to choose."""

    label: str
    key: str
    """Textual's name of the key that does the same from the panes; empty where none does."""
    why: str | None
    """Why it is not possible, None where it is."""
    wish: Message
    """What is sent when it is chosen."""
    name: str = ""
    """What it is found by beside the words of its label."""


def entries(snapshot: Snapshot, selected: Experiment | None) -> list[Entry]:
    """Return everything, what concerns the selected experiment first."""
    found = [] if selected is None else [_of(snapshot, selected, act) for act in ACTS]
    known = snapshot.experiments or {}
    for run in snapshot.current:
        if run.experiment in known and (selected is None or run.experiment != selected.id):
            found.append(_of(snapshot, known[run.experiment], acts.BY_VERB["finish"]))
    found += [
        Entry(w.does, w.key, wishes.why_not(snapshot, w.name), Wish(w.name), f"{w.name} {w.label}")
        for w in WISHES
    ]
    for number in snapshot.queue[:MANY]:
        if selected is None or number != selected.id:
            found += [_of(snapshot, known[number], acts.BY_VERB[verb]) for verb in QUEUE_VERBS]
    says = dict(COMMANDS)
    found += [
        Entry(says[f"/{page}"], "", None, ShowPage(page), page) for page in PAGES if page != "yours"
    ]
    return [*found, Entry("keys and words", "question_mark", None, AskHelp(), "help")]


def _of(snapshot: Snapshot, own: Experiment, act: Act) -> Entry:
    label = f"#{own.id} {act.does} · {clean(own.title, 60)}"
    why, wish = acts.why_not(snapshot, own, act.verb), Do(act.verb, own.id)
    return Entry(label, act.key, why, wish, f"{act.verb} {act.label}")


def matching(found: Iterable[Entry], typed: str) -> list[Entry]:
    """Return the entries that have every word of what was typed, the possible ones first.

    What is a command of the agent pane (`branch 12`, `skip requeue`) comes before all of them.
    """
    words = typed.lower().lstrip("/").split()
    hits = [e for e in found if all(word in f"{e.name} {e.label}".lower() for word in words)]
    # Whose own name is meant comes before what only mentions it.
    hits.sort(key=lambda entry: not any(word in entry.name for word in words))
    hits.sort(key=lambda entry: entry.why is not None)
    command = parse("/" + typed.strip().lstrip("/")) if words else ""
    if isinstance(command, str) or command.verb in {"help", *PAGES}:
        return hits
    label = f"/{typed.strip().lstrip('/')}"
    return [Entry(clean(label, 200), "", None, Send(command.verb, command.arguments)), *hits]
