"""The verbs. Heavy imports happen only inside the verb that needs them."""

import argparse
import getpass
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cockpit.arguments import NIGHT_OPTIONS, Verb, parser
from cockpit.lab import lab as labs
from cockpit.lab.journal import Journal, JournalError
from cockpit.lab.lab import Lab, LabError, LockedError, NoLabError, SettingsError
from cockpit.lab.rows import Command

if TYPE_CHECKING:
    from cockpit.lab.settings import Settings

DONE, REFUSED, USAGE, UNKNOWN = 0, 1, 2, 3
"""Exit codes: done; refused with a reason; wrong usage; no such lab or experiment."""
TICK = "_tick"
"""Not a verb: how the screen, which must not import the engine, has one turn taken."""
ANSWER_SECONDS = 5.0
"""How long a verb waits for the engine's outcome."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; a person gets one line, never a traceback."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if words == [TICK]:
            return tick()
        given = parser(VERBS).parse_args(words)
        return int(given.verb(given))
    except NoLabError as error:
        return _fail(error, UNKNOWN)
    except SettingsError as error:
        return _fail(error, USAGE)
    except (LabError, JournalError) as error:
        return _fail(error, REFUSED)
    except BrokenPipeError:
        # The reader of our output has gone (`cockpit log | head`): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except sqlite3.Error as error:
        return _fail(
            f"the journal can't be used: {error}; free some space if the disk is full, or move a "
            "damaged journal.db away: `cockpit start` rebuilds it from git",
            REFUSED,
        )
    except OSError as error:
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", REFUSED)
    except KeyboardInterrupt:
        return 130


def _fail(error: object, code: int) -> int:
    print(f"cockpit: {error}", file=sys.stderr)
    return code


# ---- the night ---------------------------------------------------------------------------------


def screen(given: argparse.Namespace) -> int:
    """Show the screen; outside a lab, offer to make one."""
    if not _can_show_a_screen():
        return status(given)
    try:
        lab = _lab(given)
    except NoLabError as error:
        return _offer_lab(given, error)
    if _options(given):
        _settings(given, lab)  # nonsense is told before the terminal is taken
    from cockpit.ui.launch import run_screen

    return run_screen(lab, _option_words(given), lambda: _card(lab, _settings(given, lab)))


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
    return init(given) or screen(given)


def run(given: argparse.Namespace) -> int:
    """Run the engine in the foreground until the night is over."""
    lab = _lab(given)
    settings = _settings(given, lab)
    from cockpit.engine import daemon
    from cockpit.foreground import Foreground

    with Foreground(lab) as terminal:
        ending = daemon.run(lab, settings, _typed(given), tell=terminal.tell, watch=terminal.watch)
        terminal.tell(f"the night is over: {ending.reason}")
    return REFUSED if ending.failed else DONE


def start(given: argparse.Namespace) -> int:
    """Start the engine detached; where one runs already, say so."""

    def tell(**told: object) -> None:
        text = next(str(value) for value in told.values())
        print(json.dumps(told) if given.json_progress else text, flush=True)

    lab = _lab(given)
    try:
        tell(ok=_start(lab, _settings(given, lab), _typed(given), tell))
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
        row = _answer(lab, journal, journal.drop("start", {}, getpass.getuser()))
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


# ---- commands: a row in the inbox, and its outcome ---------------------------------------------


def command(given: argparse.Namespace) -> int:
    """Drop a command into the inbox and print what became of it."""
    lab = _lab(given)
    if not lab.journal.exists():
        raise LabError("nothing has been started in this lab yet: `cockpit start` begins a night")
    arguments = {name: getattr(given, name) for name in given.carries}
    if "text" in arguments:
        arguments["text"] = " ".join(arguments["text"])
    journal = Journal(lab.journal)
    try:
        number = journal.drop(given.name, arguments, getpass.getuser())
        return _outcome(lab, journal, number)
    finally:
        journal.close()


def tick() -> int:
    """Answer what waits in the inbox where no engine does; only the screen calls it."""
    _tick(labs.find(Path.cwd()))
    return DONE


def _tick(lab: Lab) -> None:
    from cockpit.engine.daemon import tick_once

    try:
        tick_once(lab)
    except LockedError:
        return  # an engine has it after all and will answer


def _outcome(lab: Lab, journal: Journal, number: int) -> int:
    row = _answer(lab, journal, number)
    if row.state == "done":
        print(row.outcome)
        return DONE
    raise (NoLabError if row.state == "unknown" else LabError)(row.outcome)


def _answer(lab: Lab, journal: Journal, number: int) -> Command:
    """Wait for a command's outcome; where no engine is left to give it, one turn of ours does."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if not lab.engine_lives():
            _tick(lab)
        row = journal.command(number)
        if row is not None and row.state != "waiting":
            return row
        time.sleep(0.03)
    raise LabError(
        f"the engine has not answered within {ANSWER_SECONDS:.0f} s; the command stays in its "
        "inbox and is carried out when it can (see `cockpit status`)"
    )


# ---- looking -----------------------------------------------------------------------------------


def status(given: argparse.Namespace) -> int:
    """Print how the night stands."""
    from cockpit import report, words

    told = report.status(_lab(given))
    print(json.dumps(told) if given.json else words.status(told))
    return DONE


def log(given: argparse.Namespace) -> int:
    """Print every experiment, oldest first."""
    from cockpit import report, words

    told_all = list(report.log(_lab(given)))
    if given.only_tag and all(told["tag"] != given.only_tag for told in told_all):
        raise NoLabError(f"there is no tag {given.only_tag} in this lab")
    for told in told_all:
        if given.only_tag in (None, told["tag"]):
            print(json.dumps(told) if given.json else words.log_line(told))
    return DONE


def show(given: argparse.Namespace) -> int:
    """Print one experiment: its story, or its diff."""
    from cockpit import report, words

    lab = _lab(given)
    if given.diff:
        from cockpit.lab.repo import Repo

        print(Repo(lab.root).diff(_commit(lab, given.id)), end="")
    elif given.json:
        print(json.dumps(report.experiment(lab, given.id) or _unknown(given.id)))
    else:
        print(words.experiment(lab, given.id) or _unknown(given.id))
    return DONE


def apply(given: argparse.Namespace) -> int:
    """Write an experiment's train.py into the working tree."""
    from cockpit.lab.repo import TRAIN_PY, Repo

    lab = _lab(given)
    repo = Repo(lab.root)
    text = repo.read_text(_commit(lab, given.id), TRAIN_PY)
    path = lab.root / TRAIN_PY
    if TRAIN_PY in repo.dirty((TRAIN_PY,)) and not given.force:
        raise LabError(
            f"{TRAIN_PY} has edits that are not committed: commit or stash them, or use --force"
        )
    temporary = path.with_name(".train.py.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    print(f"{TRAIN_PY} is #{given.id}'s now; `git diff` shows it against yours")
    return DONE


def _commit(lab: Lab, number: int) -> str:
    """Return an experiment's commit; raises where there is none."""
    from cockpit import report

    told = report.experiment(lab, number) or _unknown(number)
    if told["commit"] is None:
        raise LabError(f"#{number} is {told['status']}: it has no commit yet")
    return str(told["commit"])


def _unknown(number: int) -> NoReturn:
    raise NoLabError(f"there is no experiment #{number}: see `cockpit log`")


def init(given: argparse.Namespace) -> int:
    """Make a lab."""
    from cockpit.lab import template
    from cockpit.lab.newlab import init_lab

    directory = Path(given.directory).expanduser().resolve()
    added = init_lab(directory, template.directory())
    what = f"added {', '.join(added)}" if added else "everything is there already"
    print(f"{directory} is a lab: {what}. Edit program.md, then run `cockpit` there.")
    return DONE


def prepare(given: argparse.Namespace) -> int:
    """Prepare the corpus that a night with these options would use."""
    lab = _lab(given)
    from cockpit.engine.opening import prepare_only

    corpus = prepare_only(lab, _settings(given, lab), lambda text: print(text, flush=True))
    print(f"{corpus.corpus}: {corpus.train_tokens / 1e6:.1f}M training tokens, {corpus.directory}")
    return DONE


def doctor(given: argparse.Namespace) -> int:
    """Check the machine and the lab, one line each."""
    from cockpit.doctor import examine

    lab = _lab(given)
    lines = examine(lab, _settings(given, lab))
    if given.json:
        print(json.dumps([{"check": c.name, "ok": c.ok, "says": c.says} for c in lines]))
    else:
        for check in lines:
            print(f"{'ok' if check.ok else '!!'}  {check.name:<12} {check.says}")
    return DONE if all(check.ok for check in lines) else REFUSED


# ---- what was typed ----------------------------------------------------------------------------


def _lab(given: argparse.Namespace) -> Lab:
    lab = labs.find(Path(given.lab) if given.lab else Path.cwd())
    labs.place_state(lab, Path(given.state_dir) if given.state_dir else None)
    return lab


def _settings(given: argparse.Namespace, lab: Lab) -> "Settings":
    from cockpit.lab.settings import load

    settings = load(lab.root / "cockpit.toml", _options(given))
    labs.place_state(lab, settings.state_dir)
    return settings


def _typed(given: argparse.Namespace) -> "Settings":
    from cockpit.lab.settings import load

    return load(None, _options(given))


def _options(given: argparse.Namespace) -> dict[str, Any]:
    typed = {name: getattr(given, name, None) for name in NIGHT_OPTIONS}
    corpus = typed["corpus"]
    if corpus and corpus.startswith("local:"):
        typed["corpus"] = f"local:{Path(corpus.removeprefix('local:')).expanduser().resolve()}"
    return {name: value for name, value in typed.items() if value not in (None, False)}


def _option_words(given: argparse.Namespace) -> list[str]:
    """Return the options as they are typed again for `cockpit start`."""
    words: list[str] = []
    for name, value in _options(given).items():
        flag = "--from" if name == "start_from" else "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, str(value)]
    return words


VERBS: dict[str, Verb] = {
    "screen": screen,
    "run": run,
    "start": start,
    "command": command,
    "status": status,
    "log": log,
    "show": show,
    "apply": apply,
    "init": init,
    "prepare": prepare,
    "doctor": doctor,
}


if __name__ == "__main__":
    raise SystemExit(main())
