"""The verbs. Heavy imports happen only inside the verb that needs them."""

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from cockpit.arguments import NIGHT_OPTIONS, Verb, parser
from cockpit.lab import lab as labs
from cockpit.lab.journal import Journal, JournalError
from cockpit.lab.lab import Lab, LabError, LockedError, NoLabError
from cockpit.lab.settings import Settings, SettingsError

DONE, REFUSED, USAGE, UNKNOWN = 0, 1, 2, 3
"""Exit codes: done; refused with a reason; wrong usage; no such lab or experiment."""
ANSWER_SECONDS = 5.0
"""How long a verb waits for the engine's outcome."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; a person gets one line, never a traceback."""
    given = parser(VERBS).parse_args(arguments)
    try:
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
    except KeyboardInterrupt:
        return 130


def _fail(error: Exception, code: int) -> int:
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
    settings = _settings(given, lab)
    from cockpit.ui.launch import run_screen

    return run_screen(lab, _option_words(given), lambda: _card(lab, settings))


def _can_show_a_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _card(lab: Lab, settings: Settings) -> list[tuple[str, str, str]]:
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
        ending = daemon.run(lab, settings, tell=terminal.tell, watch=terminal.watch)
        terminal.tell(f"the night is over: {ending.reason}")
    return REFUSED if ending.failed else DONE


def start(given: argparse.Namespace) -> int:
    """Start the engine detached; where one runs already, say so."""
    lab = _lab(given)
    settings = _settings(given, lab)
    from cockpit.engine.spawning import spawn

    def progress(text: str) -> None:
        print(json.dumps({"progress": text}) if given.json_progress else text, flush=True)

    try:
        if lab.engine_lives():
            raise LockedError
        pid = spawn(lab, settings, progress)
    except LockedError:
        row = _engine_pid(lab)
        told = f"the engine runs already (pid {row}): `cockpit` shows it"
        print(json.dumps({"ok": True, "pid": row}) if given.json_progress else told)
        return DONE
    except LabError as error:
        if given.json_progress:
            print(json.dumps({"error": str(error)}))
            return REFUSED
        raise
    told = f"the night has begun (pid {pid}): `cockpit` shows it, `cockpit stop` ends it"
    print(json.dumps({"ok": True, "pid": pid}) if given.json_progress else told)
    return DONE


def _engine_pid(lab: Lab) -> int | None:
    journal = Journal(lab.journal, write=False) if lab.journal.exists() else None
    row = journal.engine() if journal else None
    return row.pid if row else None


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


def tick(given: argparse.Namespace) -> int:
    """Answer what waits in the inbox where no engine does (used by the screen)."""
    lab = _lab(given)
    _tick(lab)
    return DONE


def _tick(lab: Lab) -> None:
    from cockpit.engine.daemon import tick_once

    try:
        tick_once(lab)
    except LockedError:
        return  # an engine has it after all and will answer


def _outcome(lab: Lab, journal: Journal, number: int) -> int:
    if not lab.engine_lives():
        _tick(lab)
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        row = journal.command(number)
        if row is not None and row.state != "waiting":
            if row.state == "done":
                print(row.outcome)
                return DONE
            raise (NoLabError if row.state == "unknown" else LabError)(row.outcome)
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


def _settings(given: argparse.Namespace, lab: Lab) -> Settings:
    from cockpit.lab.settings import load

    settings = load(lab.root / "cockpit.toml", _options(given))
    labs.place_state(lab, settings.state_dir)
    return settings


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
    "_tick": tick,
}


if __name__ == "__main__":
    raise SystemExit(main())
