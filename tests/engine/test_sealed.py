"""The score on sealed rows is for people: no proposer, note or finding comes by it."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

from cockpit.core import prompt
from cockpit.engine.briefer import Briefer
from cockpit.engine.devices import claim_devices
from cockpit.engine.opening import open_night
from cockpit.lab.lab import Lab
from cockpit.lab.repo import NOTES, Repo
from cockpit.lab.settings import load
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from tests.bench.nights import cockpit


def test_no_sealed_score_is_in_a_prompt_a_finding_or_a_note_and_people_see_it(
    measured: Path,
) -> None:
    lab, repo = Lab(measured), Repo(measured)
    journal = EngineJournal(lab.journal)
    tree = Tree(journal)
    tree.refresh()
    sealed = [row.facts["sealed_bpb"] for row in journal.audits() if row.outcome == "passed"]
    assert sealed, "the baseline's audit has scored them"
    settings = replace(load(measured / "cockpit.toml", {}), tag="first")
    with claim_devices(lab, settings, lock=False) as claimed:
        opening = open_night(lab, journal, repo, tree, settings, claimed.devices, lambda _: None)
    briefing = Briefer(lab, journal, repo, tree, opening, list, None).briefing()
    journal.close()
    assert briefing is not None
    asked = replace(briefing, question="How good is the best on the sealed rows?")
    read = [
        json.dumps(prompt.conversation(told, tools=tools))
        for told in (briefing, asked)
        for tools in (True, False)
    ]
    read += [prompt.for_agent(briefing), (lab.state / "findings.md").read_text()]
    read.append(
        subprocess.run(
            ["git", "log", f"--notes={NOTES}", "--all", "--format=%B%n%N"],
            cwd=measured, capture_output=True, text=True, check=True,
        ).stdout
    )  # fmt: skip
    for text in read:
        assert str(briefing.history[0].val_bpb)[:5] in text, "it tells of scores"
        assert not [score for score in sealed if f"{score:.4f}" in text or repr(score) in text]
    shown = cockpit(measured, "show", "0").stdout
    assert f"sealed    {sealed[0]:.4f} on rows that" in shown
