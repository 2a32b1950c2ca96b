"""Verbs of a person's hand: to decide with what they have seen, and to try a text of their own."""

import argparse
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from cockpit import inbox
from cockpit.lab.connection import JournalError
from cockpit.lab.lab import Lab, LabError, SettingsError
from cockpit.lab.looking import LookingJournal

REACTION_SECONDS = 1.0
"""What was decided so shortly before a verb was begun nobody has read."""


def decide(given: argparse.Namespace, lab: Lab) -> str:
    """Accept, reject or undo, with what can have been seen when the verb was typed."""
    with inbox.opened(lab) as journal:
        seen = journal.newest_event_by(_typed_at() - REACTION_SECONDS)
        number = {"id": given.id} if "id" in given else {}
        return inbox.send(lab, journal, given.name, {**number, "seen": seen})


def _typed_at() -> float:
    """Return when this process began: two that are begun at once may get here one by one."""
    import psutil

    return min(time.time(), float(psutil.Process().create_time()))


def branch(given: argparse.Namespace, lab: Lab) -> str:
    """Make an experiment the base, or give it back to the best."""
    with inbox.opened(lab) as journal:
        return inbox.send(lab, journal, "branch", {"id": given.id})


# ---- a text of one's own -----------------------------------------------------------------------


def attempt(given: argparse.Namespace, lab: Lab) -> str:
    """Order an idea in words, or queue a train.py that a person has written."""
    words = " ".join(given.text).strip()
    if given.edit and given.file:
        raise LabError("--edit opens the base's train.py, --file takes another: not both")
    with inbox.opened(lab) as journal:
        if given.edit:
            return _edited(given, lab, journal, words)
        if given.file:
            text = _read(Path(given.file))
            return _queue(lab, journal, text, given.title or words or _asked(""), None)
        if not words:
            raise SettingsError("say what to try, or --edit the base, or take a --file")
        return inbox.send(lab, journal, "try", {"text": words})


def _edited(given: argparse.Namespace, lab: Lab, journal: LookingJournal, words: str) -> str:
    """Open the base's train.py in an editor, and queue what it is then."""
    from cockpit.ui.editing import Edited, EditError, suggested_title

    number, before = _base(lab, journal)
    edited = Edited(before)
    try:
        after = edited.edit(os.environ)
        if after is None:
            edited.forget()
            raise LabError("the text is unchanged: nothing is queued")
        title = given.title or words or _asked(suggested_title(before, after))
        outcome = _queue(lab, journal, after, title, number)
    except (EditError, JournalError, OSError, sqlite3.Error, KeyboardInterrupt) as error:
        if not edited.path.exists():
            raise
        raise LabError(f"{error or 'interrupted'}; {_kept(edited.path)}") from error
    except LabError as error:
        if not edited.path.exists():
            raise
        raise type(error)(f"{error}; {_kept(edited.path)}") from error
    edited.forget()
    return outcome


def _kept(path: Path) -> str:
    return f"your text is kept in {path}: `cockpit try --file {path}` tries it again"


def _base(lab: Lab, journal: LookingJournal) -> tuple[int, str]:
    """Return the base of the present tag and its train.py."""
    from cockpit.lab.repo import TRAIN_PY, Repo
    from cockpit.lab.tree import Tree

    tree = Tree(journal)
    tree.refresh()
    base = tree.base(journal.present_tag() or "")
    if base is None or base.commit is None:
        raise LabError("there is no base yet: the baseline of the tag is not measured")
    return base.id, Repo(lab.root).read_text(base.commit, TRAIN_PY)


def _queue(lab: Lab, journal: LookingJournal, text: str, title: str, base: int | None) -> str:
    given: dict[str, Any] = {"title": title, "train_py": text, "base": base}
    return inbox.send(lab, journal, "experiment", given)


def _read(path: Path) -> str:
    from cockpit.core.guard import LARGEST_BYTES

    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES + 1).decode("utf-8")
    except UnicodeDecodeError as error:
        raise LabError(f"{path} is not UTF-8: {error}") from error


def _asked(suggested: str) -> str:
    """Return a title: what is typed, or what is suggested where nobody is there or nothing is."""
    if not sys.stdin.isatty():
        return suggested
    return input(f"title{f' [{suggested}]' if suggested else ''}: ").strip() or suggested


# ---- what waits --------------------------------------------------------------------------------


def line(given: argparse.Namespace, lab: Lab) -> str:
    """Return the queue and what waits for a person."""
    import json

    from cockpit.waiting import in_words, waiting

    told = waiting(lab)
    return json.dumps(told) if given.json else in_words(told)


VERBS = {"decide": decide, "branch": branch, "try": attempt, "queue": line}
"""By the name of what carries them out."""
