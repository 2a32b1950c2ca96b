"""Verbs that bring something in, or carry it away: labs, corpora, texts, tables, keys."""

import argparse
import json
from pathlib import Path

from cockpit.lab.lab import LabError, SettingsError
from cockpit.verbs.codes import DONE, REFUSED
from cockpit.verbs.looking import commit_of
from cockpit.verbs.typed import lab_of, settings_of


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
    lab = lab_of(given)
    from cockpit.engine.opening import prepare_only

    corpus = prepare_only(lab, settings_of(given, lab), lambda text: print(text, flush=True))
    print(f"{corpus.corpus}: {corpus.train_tokens / 1e6:.1f}M training tokens, {corpus.directory}")
    return DONE


def doctor(given: argparse.Namespace) -> int:
    """Check the machine and the lab, one line each."""
    from cockpit.doctor import examine

    lab = lab_of(given)
    lines = examine(lab, settings_of(given, lab))
    if given.json:
        print(json.dumps([{"check": c.name, "ok": c.ok, "says": c.says} for c in lines]))
    else:
        for check in lines:
            print(f"{'ok' if check.ok else '!!'}  {check.name:<12} {check.says}")
    return DONE if all(check.ok for check in lines) else REFUSED


def key(given: argparse.Namespace) -> int:
    """Keep a key for the proposers."""
    from cockpit import talk

    print(talk.keep_key(given.name))
    return DONE


def apply(given: argparse.Namespace) -> int:
    """Write an experiment's train.py into the working tree."""
    from cockpit.lab.repo import TRAIN_PY, Repo

    lab = lab_of(given)
    repo = Repo(lab.root)
    text = repo.read_text(commit_of(lab, given.id), TRAIN_PY)
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
    print(tables.told(tables.import_table(lab_of(given), path, given.tag), path))
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
    lab = lab_of(given)
    commit_of(lab, int(number))  # refuses what has none
    cache = settings_of(given, lab).cache_dir
    from cockpit import exporting

    print(exporting.export(lab, int(number), Path(given.directory), cache))
    return DONE


def _export_table(given: argparse.Namespace) -> int:
    from cockpit import tables

    text, tag, count = tables.export_table(lab_of(given), given.only_tag)
    if given.what == "-":
        print(text, end="")
    else:
        tables.write_file(Path(given.what), text, force=given.force)
        print(f"{count} experiments of {tag} are in {given.what}")
    return DONE
