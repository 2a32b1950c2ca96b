"""A person's command at the terminal: a row in the inbox, and the wait for what becomes of it."""

import contextlib
import getpass
import time
from collections.abc import Iterator, Mapping
from typing import Any

from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab, LabError, LockedError, NoLabError
from cockpit.lab.looking import LookingJournal
from cockpit.lab.rows import Command
from cockpit.lab.rundir import plain_text

ANSWER_SECONDS = 5.0
"""How long a verb waits for the engine's outcome."""


@contextlib.contextmanager
def opened(lab: Lab) -> Iterator[LookingJournal]:
    """Give the journal of a lab, to drop commands into; raises `LabError` where there is none."""
    if not lab.journal.exists():
        raise LabError("nothing has been started in this lab yet: `cockpit start` begins a night")
    journal = LookingJournal(lab.journal)
    try:
        yield journal
    finally:
        journal.close()


def send(lab: Lab, journal: Journal, verb: str, arguments: Mapping[str, Any]) -> str:
    """Have a command carried out and return its outcome; raises `LabError` where it is refused."""
    row = answer(lab, journal, journal.drop(verb, arguments, getpass.getuser()))
    if row.state != "done":
        raise (NoLabError if row.state == "unknown" else LabError)(plain_text(row.outcome or ""))
    return plain_text(row.outcome or "")


def answer(lab: Lab, journal: Journal, number: int) -> Command:
    """Wait for a command's outcome; where no engine is left to give it, one turn of ours does."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if not lab.engine_lives():
            tick(lab)
        row = journal.command(number)
        if row is not None and row.state != "waiting":
            return row
        time.sleep(0.03)
    raise LabError(
        f"the engine has not answered within {ANSWER_SECONDS:.0f} s; the command stays in its "
        "inbox and is carried out when it can (see `cockpit status`)"
    )


def tick(lab: Lab) -> None:
    """Answer what waits in the inbox where no engine does."""
    from cockpit.engine.daemon import tick_once

    try:
        tick_once(lab)
    except LockedError:
        return  # an engine has it after all and will answer
