"""A lab with experiments at every point of their life, and a person's hand in it."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from cockpit.core.constants import rewrite
from cockpit.core.experiment import Event, Experiment, Proposal, Run, Status, Verdict
from cockpit.engine.daemon import tick_once
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rows import AuditRow, Command
from cockpit.lab.writing import EngineJournal

SETUP = "setup"
TEXT = '''"""A model that is small enough to be read at a glance."""

import harness
import torch

PRESET = "none"  # its constants are its own
WIDTH = 64  # channels [8, 512]
DEPTH = 2  # layers [1, 8]


def build_model(task):
    return torch.nn.Linear(WIDTH, DEPTH)


def main():
    task = harness.start()
    task.finish(build_model(task))
'''
BY_RULE = {
    Status.KEPT: Event.KEEP,
    Status.DISCARDED: Event.DISCARD,
    Status.BORDERLINE: Event.ASK,
    Status.CRASHED: Event.CRASH,
    Status.INVALID: Event.REFUSE,
    Status.STOPPED: Event.STOP,
}


def wide(width: int) -> str:
    """Return the text with another width."""
    return rewrite(TEXT, {"WIDTH": width})


class Hands:
    """One lab without an engine: what is dropped into its inbox is answered by one turn."""

    def __init__(self, root: Path) -> None:
        self.lab = Lab(root)
        if not root.exists():
            self._make()
        self.journal = EngineJournal(self.lab.journal)
        self.repo = Repo(root)

    def _make(self) -> None:
        root = self.lab.root
        (root / "trainer").mkdir(parents=True)
        subprocess.run(["git", "init", "-q", root], check=True)
        (root / TRAIN_PY).write_text(TEXT, encoding="utf-8")
        (root / "program.md").write_text("# Brief\n")
        self.git("add", "trainer", "program.md")
        self.git("-c", "commit.gpgsign=false", "commit", "-qm", "Begin")
        self.lab.state.mkdir()
        self.repo, self.journal = Repo(root), EngineJournal(self.lab.journal)
        head = self.repo.head()[0]
        options = {"parent_commit": head, "corpus": "stdlib"}
        self.journal.add_tag("t", {"budget_seconds": 10.0}, SETUP, "cpu", options)
        number = self.journal.add_experiment(
            "t", None, Proposal("baseline", "baseline", train_py=TEXT)
        )
        self._commit(number, head, TEXT)
        self.claim(number)
        for score in (2.000, 2.001):
            self.scored(number, score)
        self.decided(number, Status.KEPT)
        self.journal.add_audit(AuditRow(number, 1, time.time(), "passed", "audit: passed", {}))
        self.journal.close()

    def copy(self, place: Path) -> "Hands":
        """Return a lab like this one."""
        self.journal.close()
        shutil.copytree(self.lab.root, place, symlinks=True)
        self.journal = EngineJournal(self.lab.journal)
        return Hands(place)

    def git(self, *words: str) -> str:
        """Run git as a person and return what it says."""
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.lab.root, capture_output=True, text=True,
            check=True, env=os.environ,
        )  # fmt: skip
        return done.stdout.strip()

    # ---- what the night has brought --------------------------------------------------------

    def queued(self, width: int, parent: int = 0, *, proposer: str = "search") -> int:
        """Queue a change of the width."""
        title = f"width {width}"
        return self.journal.add_experiment(
            "t", parent, Proposal(title, proposer, constants={"WIDTH": width})
        )

    def claim(self, number: int) -> None:
        """Let a slot have it."""
        self.journal.decide(number, Status.RUNNING, Verdict(Event.CLAIM, "its turn"))

    def running(self, width: int, parent: int = 0) -> int:
        """Let a run of a change be under way."""
        number = self.queued(width, parent)
        on = self.own(parent).commit
        assert on is not None
        self._commit(number, on, rewrite(self.repo.read_text(on, TRAIN_PY), {"WIDTH": width}))
        self.claim(number)
        self.runs(number)
        return number

    def runs(self, number: int) -> Run:
        """Begin one more run of it."""
        own = self.own(number)
        run = Run(number, len(own.runs) + 1, len(own.runs), SETUP, 0, "running", time.time())
        self.journal.add_run(run)
        return run

    def scored(self, number: int, score: float | None, state: str = "finished") -> None:
        """End the run under way, or one more."""
        own = self.own(number)
        run = next((r for r in own.runs if r.state == "running"), None) or self.runs(number)
        self.journal.change_run(
            number, run.number, state=state, val_bpb=score, ended_at=time.time()
        )

    def decided(self, number: int, status: Status, by: str = "rule") -> None:
        """Give it a verdict."""
        self.journal.decide(number, status, Verdict(BY_RULE[status], f"{status} by the rule", by))

    def measured(
        self, status: Status, width: int, score: float | None = 1.9, parent: int = 0
    ) -> int:
        """Let a change have come to a verdict."""
        number = self.running(width, parent)
        self.scored(number, score, "finished" if score is not None else "failed")
        self.decided(number, status)
        return number

    def _commit(self, number: int, parent: str, text: str) -> None:
        commit = self.repo.commit_experiment(
            parent, text, title="idea", body="", tag="t", number=number, proposer="search"
        )
        self.journal.change_experiment(number, commit_hash=commit)

    # ---- looking, and a person -------------------------------------------------------------

    def own(self, number: int) -> Experiment:
        """Return an experiment as it is."""
        found = self.journal.experiment(number)
        assert found is not None
        return found

    def act(self, verb: str, author: str = "ada", **arguments: object) -> Command:
        """Give a command and return its answered row."""
        inbox = Journal(self.lab.journal)
        number = inbox.drop(verb, arguments, author)
        tick_once(self.lab)
        row = inbox.command(number)
        inbox.close()
        assert row is not None
        return row

    def story(self, number: int) -> list[tuple[str, str, str]]:
        """Return event, status and author of all that has happened to an experiment."""
        return [(e.event, e.status, e.decided_by) for e in self.journal.verdicts(number)]

    def branch(self) -> str:
        """Return where git's branch of the tag is."""
        return self.git("rev-parse", "refs/heads/cockpit/t")
