"""What an engine finds when it starts after one that was killed, and how it goes on.

A training that is still alive is adopted, not restarted; one that has ended meanwhile is
collected like any other; a lost one goes back to the queue. Afterwards no experiment is
called running that does not run, and git says what the journal says.
"""

import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from cockpit.core.experiment import Event, Status, Verdict, after
from cockpit.engine.judging import Judging
from cockpit.engine.opening import Opening
from cockpit.engine.running import Slot, ended_run
from cockpit.executors.local import observe, reap_leftovers, stop
from cockpit.lab.clock import boot, seconds_between
from cockpit.lab.lab import Lab
from cockpit.lab.rows import EngineRow, Night
from cockpit.lab.settings import Settings
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

WAIT_SECONDS = 10.0
"""How long a stopped run may take to be gone."""


def adopt(lab: Lab, journal: EngineJournal, slots: list[Slot], opening: Opening) -> list[str]:
    """Give runs that another engine left to the slots; return what was found, in words."""
    told = []
    for run in journal.running():
        own = journal.experiment(run.experiment)
        slot = next((s for s in slots if s.number == run.slot and s.idle), None)
        if own is None or own.tag != opening.tag or slot is None:
            told.append(f"#{run.experiment} goes back to the queue of {own.tag if own else '?'}")
            continue
        directory = lab.run_directory(run.experiment, run.number)
        alive = observe(directory).state == "alive"
        budget = (journal.setup(run.setup) or {}).get("budget_seconds")
        wall = opening.wall_seconds_at(float(budget)) if budget else opening.wall_seconds
        slot.adopt(run, directory, wall)
        told.append(f"#{run.experiment} {'goes on' if alive else 'had ended meanwhile'}")
    return told


def give_back(
    lab: Lab, journal: EngineJournal, judging: Judging, tree: Tree, slots: list[Slot]
) -> None:
    """End the runs that no slot follows, and return what does not run to the queue."""
    followed = {(slot.run.experiment, slot.run.number) for slot in slots if slot.run}
    for run in journal.running():
        if (run.experiment, run.number) in followed:
            continue
        directory = lab.run_directory(run.experiment, run.number)
        stop(directory)
        deadline = time.monotonic() + WAIT_SECONDS
        while (seen := observe(directory)).state == "alive" and time.monotonic() < deadline:
            time.sleep(0.05)
        judging.take(ended_run(run, directory, seen, None))
    return_idle(journal, tree, "its engine was killed")


def return_idle(journal: EngineJournal, tree: Tree, why: str) -> None:
    """Put experiments back into the queue that are called running and have no run under way."""
    tree.refresh()
    for own in list(tree.experiments.values()):
        if own.status is Status.RUNNING and not any(r.state == "running" for r in own.runs):
            verdict = Verdict(Event.RETURN, why)
            journal.decide(own.id, after(own.status, verdict.event), verdict)
    tree.refresh()


def end_dead_night(lab: Lab, journal: EngineJournal, judging: Judging, tree: Tree) -> bool:
    """End a night whose engine was killed, and what is left of it; tell whether there was one."""
    night, row = journal.last_night(), journal.engine()
    if night is None or night.ended_at is not None:
        return False
    give_back(lab, journal, judging, tree, [])
    reap_leftovers(lab.state)
    judging.repair()
    judging.settle(night.tag)
    reason = "stopped after its engine had been killed"
    with journal.transaction():
        journal.change_night(night.id, ended_at=time.time(), reason=reason)
        if row is not None:
            journal.say(replace(row, state="stopped", activity="", reason=reason))
    return True


def downtime(row: EngineRow | None) -> float:
    """Return the seconds since an engine's last heartbeat."""
    if row is None:
        return 0.0
    return seconds_between(
        row.monotonic, row.heartbeat_at, row.boot, time.monotonic(), time.time(), boot()
    )


def inherited(
    journal: EngineJournal, given: Settings, typed: Settings
) -> tuple[Settings, Night | None]:
    """Return the settings to go on with, and the night whose engine was killed, if it is that.

    A start after a crash continues that night: its tag, its limits and what is used up of
    them. It is another night where anything is typed that does not hold for that one; what
    `cockpit.toml` says was there before.
    """
    night = journal.last_night()
    if night is None or night.ended_at is not None:
        return given, None
    if other_options(night, typed):
        return given, None
    return settings_of(night), night


def settings_of(night: Night) -> Settings:
    """Return the settings that a night was begun with."""
    known = {field.name for field in fields(Settings)}
    options = {name: value for name, value in night.options.items() if name in known}
    return Settings(**options | {"tag": night.tag})


def other_options(night: Night, typed: Settings) -> list[str]:
    """Return what of the typed options does not hold for a night, in words."""
    had = {**night.options, "tag": night.tag}
    return [
        f"{name.removesuffix('_seconds').replace('_', ' ')} is {had.get(name)}, not {value}"
        for name, value in plain(typed).items()
        if value is not None and had.get(name) != value
    ]


def plain(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON gives them back."""
    return {name: _plain(value) for name, value in asdict(settings).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
