"""Nights with a model: a real provider on loopback, and a researcher that follows a plan."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cockpit.core.constants import rewrite
from cockpit.lab import presets
from cockpit.lab.connection import JournalError
from cockpit.lab.journal import Journal
from cockpit.lab.lab import find
from tests.bench.nights import COCKPIT
from tests.conftest import wait_until
from tests.proposers.openai_server import ModelServer, Request, Step, answer, text

MODEL = "openai/gpt-4o-mini"
KEY = "sk-test-0123456789abcdefghij"
READ_DOLLARS, WRITTEN_DOLLARS = 0.15e-6, 0.60e-6
"""A token's price of that model in litellm's table."""
SMALL_STEPS = {"MATRIX_LR": 0.002, "EMBEDDING_LR": 0.01, "UNEMBEDDING_LR": 0.0005}
"""A baseline that learns far too slowly: whoever finds that has a gain beyond all noise."""


def let_it_crawl(lab: Path) -> None:
    """Commit a baseline that is easily beaten."""
    known = presets.read((lab / "trainer" / "presets.toml").read_text(encoding="utf-8"))
    path = lab / "trainer" / "train.py"
    values = known["cpu"].constants | {"PRESET": "none"} | SMALL_STEPS
    path.write_text(rewrite(path.read_text(encoding="utf-8"), values), encoding="utf-8")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run([*git, "commit", "-qam", "Crawl"], cwd=lab, check=True)


class Researcher:
    """Answers a night's requests: each new idea is the next of a plan, whatever else is asked.

    A plan's entry makes a step of a request; when it is over, small changes go on for ever.
    """

    def __init__(self, plan: Sequence[Callable[[Request], Step]] = ()) -> None:
        self.plan = list(plan)
        self.ideas = 0
        self.repairs = 0
        self.carried_over = 0
        self.questions = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Step:
        with self._lock:
            if request.probe:
                return text("yes")
            if "# The question" in request.prompt:
                self.questions += 1
                return text("Because the embedding learns **too slowly**: see #1.")
            if "assistant" in request.roles:
                self.repairs += 1
                return self.small_change(request, f"Mended {self.repairs}")
            if "# An idea to carry over" in request.prompt:
                self.carried_over += 1
                return self.small_change(request, f"Carried over {self.carried_over}")
            self.ideas += 1
            if self.plan:
                return self.plan.pop(0)(request)
            return self.next_idea(request)

    def next_idea(self, request: Request) -> Step:
        """Propose something small."""
        return self.small_change(request, f"Idea {self.ideas}")

    def small_change(self, request: Request, title: str) -> Step:
        """Change a constant to a value that it never had."""
        edit = request.edit("WARMDOWN", round(0.3 + 0.01 * request.number, 3))
        return answer(title, edits=[edit], hints=answered(request))


def answered(request: Request, *, applied: bool = True) -> list[dict[str, object]]:
    """Say the same of every hint."""
    return [{"id": n, "applied": applied, "why": "as it was asked"} for n in request.hints]


def write_settings(lab: Path, server: ModelServer, **more: object) -> None:
    """Let a lab ask that server."""
    settings = {
        "device": "cpu", "budget": "1s", "model": MODEL, "api_base": server.base_url,
        "silence": "20s", "confirm_when_idle": False, **more,
    }  # fmt: skip
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items()]
    (lab / "cockpit.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{value}"'


class Night:
    """A night in the foreground, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(self.process.stdout or [])

    def end(self, seconds: float) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(seconds)
        self._reader.join()
        return code


@contextmanager
def night(lab: Path, *words: str, key: str | None = KEY) -> Iterator[Night]:
    """Run a night in the foreground; what still runs when the block is left is stopped."""
    place = lab.parent / "config"
    environment = os.environ | {"XDG_CONFIG_HOME": str(place)}
    environment.pop("OPENAI_API_KEY", None)
    if key is not None:
        environment["OPENAI_API_KEY"] = key
    process = subprocess.Popen(
        [*COCKPIT, "run", *words],
        cwd=lab, env=environment, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    night = Night(process)
    try:
        yield night
    finally:
        if process.poll() is None:
            process.terminate()
        night.end(60)
        sys.stdout.write("".join(night.lines))  # shown where the test fails


def begun(lab: Path) -> Journal | None:
    """Look at a lab's journal; None while no night has begun."""
    try:
        journal = Journal(find(lab).journal, write=False)
    except JournalError:  # not there yet, or not whole
        return None
    if journal.last_night() is None:
        journal.close()
        return None
    return journal


def tell(lab: Path, verb: str, **arguments: object) -> str:
    """Give a command as the screen does, and return its outcome."""
    inbox = Journal(find(lab).journal)
    try:
        number = inbox.drop(verb, arguments, "ada")

        def outcome() -> str | None:
            row = inbox.command(number)
            return row.outcome if row and row.state != "waiting" else None

        return str(wait_until(outcome, 20, f"the outcome of {verb}"))
    finally:
        inbox.close()
