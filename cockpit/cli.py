"""The verbs. Heavy imports happen only inside the verb that needs them."""

import argparse
import getpass
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cockpit import inbox
from cockpit.arguments import NIGHT_OPTIONS, Verb, parser
from cockpit.lab import lab as labs
from cockpit.lab.journal import Journal, JournalError
from cockpit.lab.lab import Lab, LabError, LockedError, NoLabError, SettingsError
from cockpit.lab.rows import IMPORT

if TYPE_CHECKING:
    from cockpit.lab.settings import Settings

DONE, REFUSED, USAGE, UNKNOWN = 0, 1, 2, 3
"""Exit codes: done; refused with a reason; wrong usage; no such lab or experiment."""
TICK = "_tick"
"""Not a verb: how the screen, which must not import the engine, has one turn taken."""


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
    return _run(lab, _settings(given, lab), _typed(given))


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


# ---- commands: a row in the inbox, and its outcome ---------------------------------------------


def command(given: argparse.Namespace) -> int:
    """Drop a command into the inbox and print what became of it."""
    lab = _lab(given)
    arguments = {name: getattr(given, name) for name in given.carries}
    if "text" in arguments:
        arguments["text"] = " ".join(arguments["text"])
    with inbox.opened(lab) as journal:
        print(inbox.send(lab, journal, given.name, arguments))
    return DONE


def confirm(given: argparse.Namespace) -> int:
    """Have the best, or another experiment, run anew beside the baseline."""
    from cockpit.lab.settings import parse_duration

    lab = _lab(given)
    seconds = parse_duration(given.horizon) if given.horizon else None
    arguments = {"id": given.id, "pairs": given.pairs, "budget_seconds": seconds}
    arguments |= {"idle": given.idle, "drop": given.drop}
    return _measured(given, lab, "confirm", arguments)


def ablate(given: argparse.Namespace) -> int:
    """Have each kept change be taken out of the best."""
    return _measured(given, _lab(given), "ablate", {})


def _measured(given: argparse.Namespace, lab: Lab, verb: str, arguments: dict[str, Any]) -> int:
    """Ask for runs; where no engine is there to make them, make them and nothing else."""
    settings = _settings(given, lab)
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

    only, typed = (replace(s, max_experiments=0, tag=tag) for s in (settings, _typed(given)))
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


def by_hand(given: argparse.Namespace) -> int:
    """Carry out a verb of a person's hand and print what became of it."""
    from cockpit import decisions

    print(decisions.VERBS[given.hand](given, _lab(given)))
    return DONE


def ask(given: argparse.Namespace) -> int:
    """Ask the proposer, wait for its answer, and print it."""
    from cockpit import talk

    print(talk.shown(talk.ask(_lab(given), " ".join(given.text).strip())))
    return DONE


def tick() -> int:
    """Answer what waits in the inbox where no engine does; only the screen calls it."""
    inbox.tick(labs.find(Path.cwd()))
    return DONE


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


def morning(given: argparse.Namespace) -> int:
    """Write the report of a tag and print where it is, or print the report itself."""
    from cockpit.reports.figures import night_report

    lab = _lab(given)
    report = night_report(lab, given.only_tag)
    out = None if given.out in (None, "-") else Path(given.out).expanduser()
    if given.json:
        print(json.dumps(report.as_json(), default=str))
    elif given.out == "-":
        from cockpit.reports.writing import as_markdown

        print(as_markdown(report), end="")
    else:
        from cockpit.reports.writing import write

        for path in write(lab, report, out):
            print(path)
    return DONE


def show(given: argparse.Namespace) -> int:
    """Print one experiment: its story, or its diff."""
    from cockpit import report, words

    lab = _lab(given)
    if given.diff:
        from cockpit.lab.repo import Repo

        print(Repo(lab.root).diff(_commit(lab, given.id)), end="")
    elif given.json:
        from cockpit.story import story

        told = report.experiment(lab, given.id) or _unknown(given.id)
        print(json.dumps(told | story(lab, given.id)))
    else:
        print(words.experiment(lab, given.id) or _unknown(given.id))
    return DONE


def findings(given: argparse.Namespace) -> int:
    """Print what the lab has learnt, or merge it into program.md."""
    from cockpit import talk

    lab = _lab(given)
    if given.write:
        changed = talk.write_findings(lab)
        done = "program.md has the findings now: `git diff` shows them"
        told: dict[str, Any] = {"path": str(lab.program), "changed": changed}
        text = done if changed else "program.md has these findings already"
    else:
        told = talk.findings(lab)
        text = talk.shown(told["findings"])
    print(json.dumps(told) if given.json else text)
    return DONE


def score(given: argparse.Namespace) -> int:
    """Print what each proposer has brought and cost."""
    from cockpit import report, words

    lab = _lab(given)
    print(json.dumps(report.score(lab)) if given.json else words.score(lab))
    return DONE


def rejudge(given: argparse.Namespace) -> int:
    """Print what the keep rule makes of a tag's verdicts; nothing is changed."""
    from cockpit import rejudging
    from cockpit.core.judge import Policy

    policy = Policy(given.rule)
    found = rejudging.rejudge(_lab(given), given.only_tag, policy, given.sigma)
    if given.json:
        print(json.dumps(rejudging.as_json(*found)))
    else:
        print("\n".join(rejudging.lines(*found, policy)))
    return DONE


def key(given: argparse.Namespace) -> int:
    """Keep a key for the proposers."""
    from cockpit import talk

    print(talk.keep_key(given.name))
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


def import_table(given: argparse.Namespace) -> int:
    """Make a tag of a results table."""
    from cockpit import tables

    path = Path(given.file)
    print(tables.told(tables.import_table(_lab(given), path, given.tag), path))
    return DONE


def export(given: argparse.Namespace) -> int:
    """Write what a person carries away of an experiment, or the results table of a tag."""
    number = given.what.removeprefix("#")
    if number.isdecimal() != (given.directory is not None):
        raise SettingsError(
            "export takes an experiment's ID and a DIR, or a FILE.tsv by itself (- prints it)"
        )
    if given.directory is None:
        return _export_table(given)
    lab = _lab(given)
    _commit(lab, int(number))  # refuses what has none
    cache = _settings(given, lab).cache_dir
    from cockpit import exporting

    print(exporting.export(lab, int(number), Path(given.directory), cache))
    return DONE


def _export_table(given: argparse.Namespace) -> int:
    from cockpit import tables

    text, tag, count = tables.export_table(_lab(given), given.only_tag)
    if given.what == "-":
        print(text, end="")
    else:
        tables.write_file(Path(given.what), text, force=given.force)
        print(f"{count} experiments of {tag} are in {given.what}")
    return DONE


def _commit(lab: Lab, number: int) -> str:
    """Return an experiment's commit; raises where there is none."""
    from cockpit import report

    told = report.experiment(lab, number) or _unknown(number)
    if told["commit"] is None and told["proposer"] == IMPORT:
        raise LabError(f"#{number} was imported from a table: it has no train.py here")
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
    # Not `in`: 0 equals False, and 0 dollars or seed 0 are options like any other.
    return {n: value for n, value in typed.items() if value is not None and value is not False}


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
    "confirm": confirm,
    "ablate": ablate,
    "by_hand": by_hand,
    "ask": ask,
    "status": status,
    "log": log,
    "report": morning,
    "show": show,
    "findings": findings,
    "score": score,
    "rejudge": rejudge,
    "key": key,
    "apply": apply,
    "import": import_table,
    "export": export,
    "init": init,
    "prepare": prepare,
    "doctor": doctor,
}


if __name__ == "__main__":
    raise SystemExit(main())
