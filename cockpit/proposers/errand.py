"""One errand of an agent: it is run once, and its edit of train.py becomes a proposal."""

import os
import time
from dataclasses import replace
from pathlib import Path

from cockpit.core.answers import AnswerError, Said, from_text, unanswered
from cockpit.core.briefing import Briefing
from cockpit.core.edits import diff_lines, difference
from cockpit.core.experiment import Proposal
from cockpit.core.prompt import for_agent
from cockpit.lab.repo import TRAIN_PY
from cockpit.proposers.agent_process import Start, run
from cockpit.proposers.base import Answer, Hear, ProposerError
from cockpit.proposers.confining import INSIDE, command, copy_into
from cockpit.proposers.environment import environment
from cockpit.proposers.exporting import PROPOSAL, Export, TakenError
from cockpit.proposers.keys import KeyRing, read_keys, secrets
from cockpit.proposers.naming import title_of
from cockpit.proposers.readiness import Ready, expanded
from cockpit.proposers.reporting import Report
from cockpit.proposers.rooms import Rooms
from cockpit.proposers.speech import Speech

MOST_LINES = 10_000
"""A longer train.py is none, and to compare it would take long."""
SAID_CHARACTERS = 8_000
UNTITLED = "untitled"


class Errand:
    """One order, one run of an agent."""

    def __init__(
        self, ready: Ready, briefing: Briefing, rooms: Rooms, ring: KeyRing, hear: Hear
    ) -> None:
        """`rooms` are empty, and for this errand alone."""
        self._ready, self._briefing, self._rooms = ready, briefing, rooms
        self._redact = ring.redact
        keys_file = ready.options.keys_file
        known = read_keys(keys_file).values() if keys_file is not None else ()
        self._secrets = frozenset({*known, *secrets(os.environ)})
        repair = briefing.attempts or briefing.crash
        purpose = "question" if briefing.question else "repair" if repair else "proposal"
        speech = Speech(ready.agent.speech)
        self._report = Report(speech, purpose, self._secrets, ring.redact, hear)
        self._told: list[str] = []

    def answer(self) -> Answer:
        """Return the agent's answer to the briefing's question; raises `ProposerError`."""
        code, _ = self._run(self._ready.agent.asked or self._ready.agent.argv)
        text = self._report.answer
        if self._report.speech.error or not text:
            raise self._failed(code)
        return Answer(text=text)

    def proposal(self) -> Answer:
        """Return what the agent proposes; raises `ProposerError` where it failed."""
        missing = [path for path in self._guarded() if not os.path.lexists(path)]
        code, export = self._run(self._ready.agent.argv)
        if changes := export.other_changes():
            self._tell(f"the agent also {_listed(changes)}: discarded")
        for path in filter(os.path.lexists, missing):
            self._tell(f"the agent made {path}, which tells its next start what to run: look at it")
        try:
            train_py = export.taken(TRAIN_PY)
        except TakenError as error:
            return self._useless(str(error))
        if train_py == self._briefing.base_train_py and (code or self._report.speech.error):
            raise self._failed(code)
        if problem := self._problem(train_py):
            return self._useless(problem)
        if code:
            self._tell(f"the agent ended with exit code {code}; its edit was taken")
        return self._made(train_py or "", export)

    def _problem(self, train_py: str | None) -> str | None:
        """Return what is wrong with a train.py at first sight, None where nothing is."""
        if train_py is None:
            return f"{TRAIN_PY} is gone: edit it and leave it there"
        if train_py == self._briefing.base_train_py:
            return f"{TRAIN_PY} is unchanged: edit it there, nothing else is taken"
        if train_py.count("\n") > MOST_LINES:
            return f"{TRAIN_PY} has more than {MOST_LINES} lines"
        if any(secret in train_py for secret in self._secrets):
            return f"{TRAIN_PY} holds a key: leave it out"
        return None

    def _made(self, train_py: str, export: Export) -> Answer:
        """Return the proposal of an edited file."""
        base = self._briefing.base_train_py
        said, text = self._said(export)
        edits = difference(base, train_py)
        proposal = Proposal(
            self._redact(said.title if said.title != UNTITLED else title_of(base, train_py)),
            "command",
            hypothesis=self._redact(said.hypothesis),
            edits=edits,
            predicted=said.predicted,
            hints=tuple(replace(hint, why=self._redact(hint.why)) for hint in said.hints),
            model=self._report.speech.bill.model or self._ready.agent.name,
        )
        written = self._redact(text.strip()[:SAID_CHARACTERS])
        diff = "\n".join(diff_lines(edits))
        return Answer(proposal, f"{written}\n\n{diff}".strip(), told=tuple(self._told))

    def _said(self, export: Export) -> tuple[Said, str]:
        """Return what PROPOSAL.md says, and its text; a script of one's own may write none."""
        nothing = Said(UNTITLED, "", None, (), ())
        try:
            text = export.taken(PROPOSAL) or ""
        except TakenError as error:
            self._tell(str(error))
            return nothing, ""
        if not text.strip():
            return nothing, ""
        try:
            said = _read(text)
        except AnswerError as error:
            self._tell(f"{PROPOSAL}: {error}")
            return nothing, text
        order = self._briefing.order
        if problem := unanswered(said, (*self._briefing.hints, *((order,) if order else ()))):
            self._tell(f"{PROPOSAL}: {problem.partition(':')[0]}")
        return said, text

    def _useless(self, problem: str) -> Answer:
        text = self._report.answer or self._report.everything
        return Answer(text=text, problem=self._redact(problem), told=tuple(self._told))

    def _failed(self, code: int) -> ProposerError:
        ended = f"ended with exit code {code}" if code else "has failed"
        complaint = self._report.complaint
        says = f": {complaint}" if complaint else ""
        return ProposerError(f"{self._ready.agent.name} {ended}{says}", "fault")

    def _tell(self, words: str) -> None:
        self._told.append(self._redact(words))

    def _guarded(self) -> list[Path]:
        """Return what lies in the agent's configuration and is not for it to write."""
        sight = self._ready.sight
        paths = [expanded(name, sight.home) for name in self._ready.agent.read_only]
        return [path for path in paths if any(map(path.is_relative_to, sight.config))]

    # ---- running it ---------------------------------------------------------------------------

    def _run(self, words: tuple[str, ...]) -> tuple[int, Export]:
        """Run the agent in a repository of its own; return its exit code and what it left."""
        prompt = self._redact(for_agent(self._briefing))
        export = Export(self._rooms.work, self._files(), prompt)
        task = self._rooms.root / "task"
        task.write_text(prompt, encoding="utf-8")
        start = self._start(words, task if self._ready.agent.on_stdin else None)
        began, outcome = time.monotonic(), "ended"
        try:
            code = run(start, self._report.heard, self._report.tick)
            outcome = f"exit code {code}" if code else "ok"
        except ProposerError as error:
            outcome = str(error)
            raise
        finally:
            self._report.end(self._ready.agent.name, time.monotonic() - began, outcome)
        return code, export

    def _files(self) -> dict[str, str]:
        fixed = self._ready.options.trainer_files
        files = {name if "/" in name else f"trainer/{name}": fixed[name] for name in fixed}
        if self._briefing.program:
            files["program.md"] = self._briefing.program
        return files | {TRAIN_PY: self._briefing.base_train_py}

    def _start(self, words: tuple[str, ...], task: Path | None) -> Start:
        ready, rooms = self._ready, self._rooms
        own = [str(ready.program), *words[1:]]
        seconds = ready.options.timeout_seconds
        if ready.way is None:
            given = environment(ready.agent, os.environ, ready.sight.home, rooms.temporary)
            return Start(own, given | {"PWD": str(rooms.work)}, rooms.work, task, seconds)
        copied = [expanded(name, ready.sight.home) for name in ready.agent.copied]
        copy_into(rooms.home, copied, ready.sight)
        inside = Path("/tmp")  # noqa: S108 - which is its own
        given = environment(ready.agent, os.environ, ready.sight.home_inside, inside)
        own = [*command(ready.way, ready.sight, rooms), *own]
        return Start(own, given | {"PWD": str(INSIDE)}, rooms.root, task, seconds)


def _read(text: str) -> Said:
    """Return what a PROPOSAL.md says; one without a title gets one from its edit."""
    try:
        return from_text(text, blocks=False)
    except AnswerError:
        return from_text(f"TITLE: {UNTITLED}\n{text}", blocks=False)


def _listed(changes: list[str]) -> str:
    """Return changes in words, a verb that is the same said once."""
    parts, last = [], ""
    for change in changes:
        verb, _, rest = change.partition(" ")
        parts.append(rest if verb == last else change)
        last = verb
    return ", ".join(parts)
