"""Verbs that only look."""

import argparse
import json
from pathlib import Path
from typing import Any, NoReturn

from cockpit.lab.lab import Lab, LabError, NoLabError
from cockpit.lab.rows import IMPORT
from cockpit.verbs.codes import DONE
from cockpit.verbs.typed import lab_of


def status(given: argparse.Namespace) -> int:
    """Print how the night stands."""
    from cockpit import report, words

    told = report.status(lab_of(given))
    print(json.dumps(told) if given.json else words.status(told))
    return DONE


def log(given: argparse.Namespace) -> int:
    """Print every experiment, oldest first."""
    from cockpit import report, words

    told_all = list(report.log(lab_of(given)))
    if given.only_tag and all(told["tag"] != given.only_tag for told in told_all):
        raise NoLabError(f"there is no tag {given.only_tag} in this lab")
    for told in told_all:
        if given.only_tag in (None, told["tag"]):
            print(json.dumps(told) if given.json else words.log_line(told))
    for tag, noise in report.noises(lab_of(given)).items() if not given.json else ():
        if given.only_tag in (None, tag) and noise.sigma is not None:
            print(f"{tag}: {words.noise(noise)}")
    return DONE


def morning(given: argparse.Namespace) -> int:
    """Write the report of a tag and print where it is, or print the report itself."""
    from cockpit.reports.figures import night_report

    lab = lab_of(given)
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

    lab = lab_of(given)
    if given.diff:
        from cockpit.lab.repo import Repo

        print(Repo(lab.root).diff(commit_of(lab, given.id)), end="")
    elif given.json:
        from cockpit.story import story

        told = report.experiment(lab, given.id) or unknown(given.id)
        print(json.dumps(told | story(lab, given.id)))
    else:
        print(words.experiment(lab, given.id) or unknown(given.id))
    return DONE


def findings(given: argparse.Namespace) -> int:
    """Print what the lab has learnt, or merge it into program.md."""
    from cockpit import talk

    lab = lab_of(given)
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

    lab = lab_of(given)
    print(json.dumps(report.score(lab)) if given.json else words.score(lab))
    return DONE


def rejudge(given: argparse.Namespace) -> int:
    """Print what the keep rule makes of a tag's verdicts; nothing is changed."""
    from cockpit import rejudging
    from cockpit.core.judge import Policy

    policy = Policy(given.rule)
    found = rejudging.rejudge(lab_of(given), given.only_tag, policy, given.sigma)
    if given.json:
        print(json.dumps(rejudging.as_json(*found)))
    else:
        print("\n".join(rejudging.lines(*found, policy)))
    return DONE


def commit_of(lab: Lab, number: int) -> str:
    """Return an experiment's commit; raises where there is none."""
    from cockpit import report

    told = report.experiment(lab, number) or unknown(number)
    if told["commit"] is None and told["proposer"] == IMPORT:
        raise LabError(f"#{number} was imported from a table: it has no train.py here")
    if told["commit"] is None:
        raise LabError(f"#{number} is {told['status']}: it has no commit yet")
    return str(told["commit"])


def unknown(number: int) -> NoReturn:
    """Raise that there is no such experiment."""
    raise NoLabError(f"there is no experiment #{number}: see `cockpit log`")
