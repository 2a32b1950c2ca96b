"""The engine's process: lock, wiring, recovery, signals, the outermost loop, the end.

`run` lives through one night in this process, whoever started it.
"""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cockpit.core.judge import REPLICATES, Policy
from cockpit.core.ledger import SlotLedger
from cockpit.engine import recovery
from cockpit.engine.auditing import Auditing
from cockpit.engine.bounds import Bounds
from cockpit.engine.briefer import Briefer
from cockpit.engine.checking import Checking
from cockpit.engine.checkpoints import DEFAULT_LIMIT_GB, Checkpoints
from cockpit.engine.claiming import Claiming
from cockpit.engine.commands import Commands, NoNight
from cockpit.engine.confirming import Confirming
from cockpit.engine.devices import claim_devices
from cockpit.engine.faults import Faults
from cockpit.engine.file_watch import FileWatch
from cockpit.engine.hand import Hand
from cockpit.engine.heartbeat import Heartbeat
from cockpit.engine.judging import Judging
from cockpit.engine.limits import Limits
from cockpit.engine.loop import Loop
from cockpit.engine.opening import Opening, open_night
from cockpit.engine.program_watch import ProgramWatch
from cockpit.engine.pruning import Pruning
from cockpit.engine.rule import BASELINE_RUNS, Rule
from cockpit.engine.running import Slot
from cockpit.engine.spending import Spending
from cockpit.engine.staffing import Staff
from cockpit.engine.train_watch import TrainWatch
from cockpit.executors.base import Device, ExecutorError
from cockpit.executors.local import LocalExecutor, reap_leftovers
from cockpit.executors.probing import probe
from cockpit.executors.sandbox import Sandbox
from cockpit.lab.clock import boot
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.rebuild import rebuild
from cockpit.lab.repo import Repo
from cockpit.lab.rows import Night
from cockpit.lab.settings import Settings
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

log = logging.getLogger("cockpit.engine")

TICK_SECONDS = 0.03
"""Pause between two turns: what a finished run waits at most to be noticed."""
FAULT_SECONDS = 0.5
"""Pause after a fault, so that one that comes at every turn does not keep a core busy."""
PR_SET_DUMPABLE = 4

Tell = Callable[[str], None]


@dataclass(slots=True)
class Ending:
    """How a night came to its end."""

    reason: str
    failed: bool
    """It could not do what it was asked to: exit code 1."""


def run(
    lab: Lab,
    settings: Settings,
    typed: Settings,
    tell: Tell,
    ready: Callable[[], None] = lambda: None,
    watch: Callable[[Loop], None] = lambda _: None,
) -> Ending:
    """Live through one night and return how it ended.

    `typed` are those of the settings that somebody typed. `tell` gets lines for a person,
    `ready` is called once the night has begun, `watch` at every turn. Raises `LabError` or
    `JournalError` with one line when the night can't begin.
    """
    with lab.locked() as lock, _logging(lab):
        _not_dumpable()
        repo = Repo(lab.root)
        for warning in repo.check():
            tell(warning)
        repo.exclude(lab.state.name)
        journal = EngineJournal(lab.journal)
        try:
            journal.probe_write()
            _rebuild_if_lost(journal, repo, tell)
            return _night(lab, lock, journal, repo, settings, typed, tell, ready, watch)
        finally:
            journal.close()


def _rebuild_if_lost(journal: EngineJournal, repo: Repo, tell: Tell) -> None:
    """Fill a new journal from git, where git knows experiments that it does not."""
    if journal.tags() or journal.experiments() or not repo.experiment_refs():
        return
    rebuilt = rebuild(repo, journal)
    tell(f"the journal was lost: {rebuilt.experiments} experiments are rebuilt from git")
    for warning in rebuilt.warnings:
        tell(warning)


def _night(
    lab: Lab,
    lock: int,
    journal: EngineJournal,
    repo: Repo,
    settings: Settings,
    typed: Settings,
    tell: Tell,
    ready: Callable[[], None],
    watch: Callable[[Loop], None],
) -> Ending:
    tree = Tree(journal)
    tree.refresh()
    settings, dead_night = recovery.inherited(journal, settings, typed)
    limit_gb = settings.checkpoint_limit_gb or DEFAULT_LIMIT_GB
    bounds = Bounds(lab.program, settings.constraints or ())
    checkpoints = Checkpoints(lab, tree, 1e9 * limit_gb)
    rule = _rule(journal, repo, tree, settings, bounds)
    judging = Judging(journal, repo, tree, checkpoints, rule)
    hand = Hand.of(journal, repo, tree, judging)
    with contextlib.ExitStack() as closing:
        claimed = closing.enter_context(claim_devices(lab, settings))
        opening = open_night(lab, journal, repo, tree, settings, claimed.devices, tell)
        _stay_on(claimed.reserved_cpus)
        # What was asked for while no engine ran is not meant for this night.
        Commands(journal, hand, NoNight(lambda: False)).take()
        staff = Staff(lab, settings, opening, claimed.reserved_cpus, tell)
        schedule = staff.schedule(going_on=dead_night is not None)
        settings = replace(settings, proposer=str(schedule))
        night, ledgers, began = _begin(journal, settings, opening.tag, dead_night)
        slots = []
        for number, device in enumerate(claimed.devices):
            sandbox = _sandbox(lab, settings, opening, device)
            executor = LocalExecutor(
                device, sys.executable, opening.trainer, lab.spares, lab.log, sandbox
            )
            closing.callback(reap_leftovers, lab.state)
            closing.callback(executor.close)
            ledger = ledgers.get(number, SlotLedger("other", began))
            slots.append(Slot(number, device, executor, sandbox, ledger))
        if slots[0].sandbox.level == "none":
            tell(f"sandbox: {slots[0].sandbox.says}")
        for told in recovery.adopt(lab, journal, slots, opening):
            tell(told)
        recovery.give_back(lab, journal, judging, tree, slots)
        reap_leftovers(lab.state)
        judging.repair()
        rule.calibrate(opening.tag)
        for warning in judging.settle(opening.tag):
            tell(warning)
        spending = Spending(journal, night.id, settings.max_cost)
        briefer = Briefer(lab, journal, repo, tree, opening, bounds, settings.prompt_tokens)
        checking = Checking(opening, slots[0], sys.executable, lab.state / "preflight")
        proposing, conversation = staff.work(
            schedule, journal, repo, tree, night, briefer, checking, spending
        )
        closing.callback(proposing.close)
        files = closing.enter_context(FileWatch(lab.program, lab.trainer / "train.py"))
        brief, own_text = ProgramWatch(lab.program, files), TrainWatch(lab, files, tree, hand.texts)
        claiming = Claiming(lab, journal, repo, tree, judging, opening, night)
        auditing = Auditing(lab, journal, repo, tree, opening, sys.executable)
        closing.callback(auditing.close)
        wanted = settings.prune is not False
        pruning = Pruning(lab, journal, tree, slots, opening.tag, wanted=wanted)
        meanwhile = settings.confirm_when_idle is not False
        budget = opening.setup.budget_seconds
        confirming = Confirming(journal, tree, opening.tag, budget, when_idle=meanwhile)
        limits = Limits(settings.max_experiments, settings.duration_seconds)
        loop = Loop(
            journal, tree, slots, judging, claiming, proposing, conversation, auditing, pruning,
            confirming, hand.ablating, night, limits, tell, briefer.learn,
            think_ahead=settings.think_ahead is not False,
        )  # fmt: skip
        beat = Heartbeat(lab, lock, journal, loop, night, began)

        def say_problems() -> None:
            bounds()
            for problem in bounds.problems:
                loop.say(problem)

        def watch_all(loop: Loop) -> None:
            if version := brief.changed():
                loop.say(f"program.md has changed ({version}): the next proposal reads it")
                say_problems()
            if offer := own_text.news():
                loop.say(offer, "offer")
            watch(loop)

        with _signals(loop, tell):
            beat(force=True)
            ready()
            briefer.learn()
            say_problems()
            _drive(loop, Commands(journal, hand, loop), beat, watch_all, tell)
        judging.close(opening.tag)
        recovery.return_idle(journal, tree, "the night ended")
        _end(journal, judging, opening, loop, beat)
    return Ending(loop.ending or "", loop.failed)


def _rule(
    journal: EngineJournal, repo: Repo, tree: Tree, settings: Settings, bounds: Bounds
) -> Rule:
    """Return the keep rule as a night's settings have it."""
    return Rule(
        journal,
        repo,
        tree,
        bounds,
        Policy(settings.policy or Policy.AUTO),
        REPLICATES if settings.replicates is None else settings.replicates,
        settings.calibrate or BASELINE_RUNS,
    )


def _sandbox(lab: Lab, settings: Settings, opening: Opening, device: Device) -> Sandbox:
    """Find out what can confine the trainings on a device; raises `LabError`."""
    cache = opening.corpus.directory.parents[2]
    wanted = settings.sandbox or "auto"
    # A GPU's torch needs more of the machine than one can know: there it is tried too.
    modules = () if device.kind == "cpu" else ("torch",)
    try:
        return probe(lab.state, device, wanted=wanted, hidden=(cache,), modules=modules)
    except ExecutorError as error:
        raise LabError(str(error)) from error


def _begin(
    journal: EngineJournal, settings: Settings, tag: str, dead_night: Night | None
) -> tuple[Night, dict[int, SlotLedger], float]:
    """Begin a night, or go on with the one whose engine was killed.

    Returns its ledgers too, and the monotonic time from which both count. What went by since
    the last heartbeat belongs to the night, once: the same transaction writes one of ours.
    """
    last, row, now = journal.last_night(), journal.engine(), time.monotonic()
    if dead_night is None:
        if last is not None and last.ended_at is None:
            journal.change_night(last.id, ended_at=time.time(), reason="another one was begun")
        journal.begin_night(tag, recovery.plain(settings))
        ledgers = {}
    else:
        ledgers = {number: ledger for number, (_, ledger) in journal.slots().items()}
        down = recovery.downtime(row)
        with journal.transaction():
            journal.change_night(dead_night.id, elapsed=dead_night.elapsed + down)
            if row is not None and row.boot != boot():
                # The clock began anew: what was open is closed as of the last heartbeat.
                for number, ledger in ledgers.items():
                    seconds = ledger.totals(row.monotonic)
                    seconds["other"] = seconds.get("other", 0.0) + down
                    ledgers[number] = SlotLedger("other", now, seconds)
            if row is not None:
                journal.say(
                    replace(
                        row, pid=os.getpid(), heartbeat_at=time.time(), monotonic=now, boot=boot()
                    )
                )
            for number, ledger in ledgers.items():
                journal.set_slot(number, "", ledger)
    night = journal.last_night()
    assert night is not None
    return night, ledgers, now


def _drive(
    loop: Loop,
    commands: Commands,
    beat: Heartbeat,
    watch: Callable[[Loop], None],
    tell: Tell,
) -> None:
    """Turn the loop until the night is over: the one place where any fault is caught."""
    faults, progress = Faults(), 0
    pause = threading.Event()
    while True:
        try:
            if commands.take():
                faults.retry_now()
            if not faults.waits(time.monotonic(), ending=loop.ending is not None):
                if not loop.tick():
                    return
                if loop.progress != progress:
                    progress, loop.trouble = loop.progress, None
                    faults.clear()
            beat(force=False)
            watch(loop)
        except Exception as fault:
            if faults.note(fault, time.monotonic()):
                log.exception("fault %d: %s", faults.count, faults.reason)
                tell(f"trouble: {faults.reason} (again in {faults.wait_seconds:.0f} s)")
            loop.trouble = faults.reason if faults.pausing else None
            pause.wait(FAULT_SECONDS)
        pause.wait(TICK_SECONDS)


def _end(
    journal: EngineJournal, judging: Judging, opening: Opening, loop: Loop, beat: Heartbeat
) -> None:
    for warning in judging.settle(opening.tag):
        journal.add_message("engine", "engine", warning)
    reason = loop.ending or "ended"
    beat(force=True, stopped=reason)
    journal.change_night(beat.night.id, ended_at=time.time(), reason=reason)
    journal.add_message("engine", "engine", f"the night is over: {reason}")


def tick_once(lab: Lab) -> None:
    """Answer what waits in the inbox of a lab where no engine runs.

    Raises `LockedError` when one does after all: then it will answer.
    """
    with lab.locked(), _logging(lab):
        journal = EngineJournal(lab.journal)
        try:
            tree = Tree(journal)
            tree.refresh()
            checkpoints = Checkpoints(lab, tree, 1e9 * DEFAULT_LIMIT_GB)
            repo = Repo(lab.root)
            night = journal.last_night()
            settings = recovery.settings_of(night) if night else Settings()
            bounds = Bounds(lab.program, settings.constraints or ())
            rule = _rule(journal, repo, tree, settings, bounds)
            judging = Judging(journal, repo, tree, checkpoints, rule)
            control = NoNight(lambda: recovery.end_dead_night(lab, journal, judging, tree))
            Commands(journal, Hand.of(journal, repo, tree, judging), control).take()
        finally:
            journal.close()


@contextlib.contextmanager
def _signals(loop: Loop, tell: Tell) -> Iterator[None]:
    """SIGINT ends the night after the run under way, a second one at once; so does SIGTERM."""

    def interrupt(_number: int, _frame: object) -> None:
        if loop.ending is None:
            tell(loop.stop("ctrl+c", now=False) + " (ctrl+c again: now)")
        else:
            tell(loop.stop("ctrl+c", now=True))

    def terminate(_number: int, _frame: object) -> None:
        loop.stop("SIGTERM", now=True)

    before = {
        number: signal.signal(number, handler)
        for number, handler in ((signal.SIGINT, interrupt), (signal.SIGTERM, terminate))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _logging(lab: Lab) -> Iterator[None]:
    """Let tracebacks go to `engine.log` and nowhere else."""
    handler = logging.FileHandler(lab.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _not_dumpable() -> None:
    """Keep this process' memory and environment from other processes of the user (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _stay_on(cpus: tuple[int, ...]) -> None:
    """Leave the cores of a CPU training alone: this process and its children stay on the rest."""
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)
