"""Who has the ideas tonight: from the settings to the proposers at work."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cockpit.core import schedule as schedules
from cockpit.core.schedule import Schedule
from cockpit.engine.asking import LLM_SECONDS, Asking, Check
from cockpit.engine.briefer import Briefer
from cockpit.engine.checking import Checked, Checking
from cockpit.engine.conversation import Conversation
from cockpit.engine.opening import Opening
from cockpit.engine.proposing import Proposing
from cockpit.engine.spending import Spending
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.repo import Repo
from cockpit.lab.rows import Night
from cockpit.lab.settings import Settings
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from cockpit.proposers.base import Order, ProposerError, ProposerProcess, proposer_process
from cockpit.proposers.keys import keys_file

SEARCH, LLM, COMMAND = "search", "llm", "command"
REPAIRS = 2
"""How often an answer that can't be used goes back to its author."""
ABOUT_SECONDS = 60.0
SILENCE_SECONDS = 120.0
"""Models that think say nothing for a while."""
AGENT_SECONDS = 1200.0
CALL_ATTEMPTS = 3
"""How often one model is asked again after a fault that may pass."""
ANSWER_TOKENS = 16_000

Tell = Callable[[str], None]


class Staff:
    """Makes the proposers of one night."""

    def __init__(
        self, lab: Lab, settings: Settings, opening: Opening, cpus: Sequence[int], tell: Tell
    ) -> None:
        """`cpus` are the cores that proposers may use; empty: all."""
        self._lab = lab
        self._settings = settings
        self._opening = opening
        self._cpus = tuple(cpus)
        self._tell = tell

    def process(self, kind: str) -> ProposerProcess:
        """Return the process of a proposer, not started yet."""
        return proposer_process(kind, self._lab.log, self._cpus)

    def schedule(self, *, going_on: bool) -> Schedule:
        """Return who proposes, and how often; raises `LabError` where one that was named can't.

        Where nobody was named it is the model of the settings if there is one with its key, else
        the search. A night that is `going_on` after its engine was killed keeps its own: who
        can't be asked now is stood in for until they can.
        """
        named = self._settings.proposer
        schedule = schedules.parse(named or (LLM if self._settings.model else SEARCH))
        for kind in schedule.names:
            if kind == SEARCH:
                continue
            process = self.process(kind)
            try:
                about = process.ask(Order("about", None, self.options(kind, None)), ABOUT_SECONDS)
            except ProposerError as error:
                if going_on:
                    self._tell(f"{kind}: {error}")
                    continue
                if named is not None:
                    raise LabError(f"--proposer {kind}: {error}") from error
                self._tell(f"{error}: the ideas come from search")
                return schedules.parse(SEARCH)
            finally:
                process.close()
            self._tell(f"{kind}: {about.text}")
        return schedule

    def asking(self, kind: str, check: Check, spending: Spending) -> Asking:
        """Return a proposer at work."""
        process = self.process(kind)
        if kind == SEARCH:
            return Asking(kind, process, check, dict)
        seconds = LLM_SECONDS if kind == LLM else 60.0 + self._agent_seconds()
        repairs = self._settings.repairs if self._settings.repairs is not None else REPAIRS
        return Asking(
            kind,
            process,
            check,
            lambda: self.options(kind, spending),
            repairs=repairs,
            seconds=seconds,
        )

    def work(
        self,
        schedule: Schedule,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        night: Night,
        briefer: Briefer,
        checking: Checking,
        spending: Spending,
    ) -> tuple[Proposing, Conversation]:
        """Set everybody to work; the search always stands by."""
        reader = next((kind for kind in (LLM, COMMAND) if kind in schedule.names), None)
        questions = None
        if reader is not None:
            questions = self.asking(reader, lambda *_: Checked(), spending)
        conversation = Conversation(journal, spending, questions)
        proposing = Proposing(
            journal, repo, tree, night, briefer, checking, schedule, spending, conversation
        )
        for kind in {*schedule.names, SEARCH}:
            proposing.employ(self.asking(kind, proposing.check, spending))
        return proposing, conversation

    def options(self, kind: str, spending: Spending | None) -> Mapping[str, Any]:
        """Return what an order carries beside its briefing; no key is ever among it."""
        return self._llm(spending) if kind == LLM else self._command()

    def _llm(self, spending: Spending | None) -> dict[str, Any]:
        own = self._settings
        return {
            "models": list(own.model or ()),
            "api_base": own.api_base,
            "silence_seconds": own.silence_seconds or SILENCE_SECONDS,
            "attempts": CALL_ATTEMPTS,
            "answer_tokens": own.answer_tokens or ANSWER_TOKENS,
            "dollars_left": spending.left if spending is not None else own.max_cost,
            "prices": {model: [read, written] for model, read, written in own.model_prices or ()},
            "keys_file": str(keys_file()),
        }

    def _command(self) -> dict[str, Any]:
        own = self._settings
        cache = self._opening.corpus.directory.parents[2]
        files = sorted(self._opening.trainer.iterdir())
        return {
            "agent": own.agent,
            "timeout_seconds": self._agent_seconds(),
            "unsafe": bool(own.unsafe_agent),
            "keys": list(own.agent_keys or ()),
            "config": list(own.agent_config or ()),
            "hidden": [str(self._lab.root), str(self._lab.state), str(cache)],
            "trainer_files": {
                path.name: path.read_text(encoding="utf-8") for path in files if path.is_file()
            },
            "keys_file": str(keys_file()),
        }

    def _agent_seconds(self) -> float:
        return self._settings.agent_seconds or AGENT_SECONDS
