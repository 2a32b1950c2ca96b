"""Verbs that make runs: the screen, a night, and the runs that somebody asks for."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit import inbox
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab, LabError, LockedError, NoLabError
from cockpit.verbs import carrying, looking
from cockpit.verbs.codes import DONE, REFUSED, UNKNOWN
from cockpit.verbs.typed import lab_of, option_words, options_of, settings_of, typed_of

if TYPE_CHECKING:
    from cockpit.lab.settings import Settings


def screen(given: argparse.Namespace) -> int:
    """Show the screen; outside a lab, offer to make one."""
    if not _can_show_a_screen():
        return looking.status(given)
    try:
        lab = lab_of(given)
    except NoLabError as error:
        return _offer_lab(given, error)
    if options_of(given):
        settings_of(given, lab)  # nonsense is told before the terminal is taken
    from cockpit.ui.launch import run_screen

    return run_screen(lab, option_words(given), lambda: _card(lab, settings_of(given, lab)))


def _can_show_a_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _card(lab: Lab, settings: "Settings") -> list[tuple[str, str, str]]:
    from cockpit.doctor import card

    return card(lab, settings)


def _offer_lab(given: argparse.Namespace, error: NoLabError) -> int:
    print(f"cockpit: {error}")
    here = Path.cwd()
    answer = input(f"Make a lab in {here}? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        return UNKNOWN
    given.directory = here
    return carrying.init(given) or screen(given)


def run(given: argparse.Namespace) -> int:
    """Run the engine in the foreground until the night is over."""
    lab = lab_of(given)
    return _run(lab, settings_of(given, lab), typed_of(given))


def _run(lab: Lab, settings: "Settings", typed: "Settings") -> int:
    from cockpit.engine import daemon
    from cockpit.foreground import Foreground

    with Foreground(lab) as terminal:
        ending = daemon.run(lab, settings, typed, tell=terminal.tell, watch=terminal.watch)
        terminal.tell(f"the night is over: {ending.reason}")
    return REFUSED if ending.failed else DONE


def start(given: argparse.Namespace) -> int:
    """Start the engine detached; where one runs already, say so."""

    def tell(**told: object) -> None:
        text = next(str(value) for value in told.values())
        print(json.dumps(told) if given.json_progress else text, flush=True)

    lab = lab_of(given)
    try:
        tell(ok=_start(lab, settings_of(given, lab), typed_of(given), tell))
    except LabError as error:
        if not given.json_progress:
            raise
        tell(error=str(error))
        return REFUSED
    return DONE


def _start(lab: Lab, settings: "Settings", typed: "Settings", tell: Callable[..., None]) -> str:
    """Start an engine, or have a running one go on; return in words what came of it."""
    from cockpit.engine.spawning import spawn

    if lab.engine_lives() and lab.journal.exists():
        _refuse_other_options(lab, typed)
        journal = Journal(lab.journal)
        row = inbox.answer(lab, journal, journal.drop("start", {}, getpass.getuser()))
        journal.close()
        if row.state == "done":
            return row.outcome or "the engine runs already: `cockpit` shows it"
    try:
        pid = spawn(lab, settings, typed, lambda text: tell(progress=text))
    except LockedError:
        return "an engine is being started here already: `cockpit` shows it"
    return f"the night has begun (pid {pid}): `cockpit` shows it, `cockpit stop` ends it"


def _refuse_other_options(lab: Lab, typed: "Settings") -> None:
    """Raise `LabError` when a night under way has other options than those typed."""
    from cockpit.engine.recovery import other_options

    night = Journal(lab.journal, write=False).last_night()
    if night is None or night.ended_at is not None:
        return
    if other := other_options(night, typed):
        raise LabError(
            f"a night is under way with other options ({'; '.join(other)}): "
            "`cockpit stop` ends it first"
        )


def confirm(given: argparse.Namespace) -> int:
    """Have the best, or another experiment, run anew beside the baseline."""
    from cockpit.lab.settings import parse_duration

    lab = lab_of(given)
    seconds = parse_duration(given.horizon) if given.horizon else None
    arguments = {"id": given.id, "pairs": given.pairs, "budget_seconds": seconds}
    arguments |= {"idle": given.idle, "drop": given.drop}
    return _measured(given, lab, "confirm", arguments)


def ablate(given: argparse.Namespace) -> int:
    """Have each kept change be taken out of the best."""
    return _measured(given, lab_of(given), "ablate", {})


def _measured(given: argparse.Namespace, lab: Lab, verb: str, arguments: dict[str, Any]) -> int:
    """Ask for runs; where no engine is there to make them, make them and nothing else."""
    settings = settings_of(given, lab)
    with inbox.opened(lab) as journal:
        night, tag = journal.last_night(), given.tag
        tag = tag or (night.tag if night is not None else settings.tag)
        if verb == "confirm" and arguments["id"] is None:
            arguments["id"] = _best(journal, tag)  # which may be another one when it is over
        if arguments.get("id") is not None and (own := journal.experiment(arguments["id"])):
            tag = own.tag
        print(inbox.send(lab, journal, verb, arguments | {"tag": tag}), flush=True)
    if lab.engine_lives() or arguments.get("idle") or arguments.get("drop"):
        return DONE
    from dataclasses import replace

    from cockpit import words

    only, typed = (replace(s, max_experiments=0, tag=tag) for s in (settings, typed_of(given)))
    code = _run(lab, only, typed)
    for line in words.honest(lab, tag, arguments.get("id")):
        print(line)
    return code


def _best(journal: Journal, tag: str | None) -> int | None:
    from cockpit.lab.tree import Tree

    tree = Tree(journal)
    tree.refresh()
    best = tree.best(tag) if tag is not None else None
    return best.id if best is not None else None
