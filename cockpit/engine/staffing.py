"""Who has the ideas tonight: from the settings to the proposers at work."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cockpit.core import schedule as schedules
from cockpit.core.schedule import Schedule
from cockpit.engine import orders
from cockpit.engine.asking import LLM_SECONDS, Asking, Check
from cockpit.engine.briefer import Briefer
from cockpit.engine.checking import Checked, Checking
from cockpit.engine.conversation import Conversation
from cockpit.engine.opening import Opening
from cockpit.engine.orders import COMMAND, LLM, SEARCH
from cockpit.engine.proposing import Proposing
from cockpit.engine.spending import Spending
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.repo import Repo
from cockpit.lab.rows import Night
from cockpit.lab.settings import Settings
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal
from cockpit.proposers.base import ProposerProcess, proposer_process

REPAIRS = 2
"""How often an answer that can't be used goes back to its author."""

COST_UNTOLD = "not every agent tells what it costs: --max-cost holds only for what it does tell"

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
        for kind, says in orders.about(self._lab, self._settings, self._cpus):
            if isinstance(says, str) or going_on:
                self._tell(f"{kind}: {says}")
                if kind == COMMAND and self._settings.max_cost is not None:
                    self._tell(f"{kind}: {COST_UNTOLD}")
            elif self._settings.proposer is not None:
                raise LabError(f"--proposer {kind}: {says}") from says
            else:
                self._tell(f"{says}: the ideas come from search")
                return schedules.parse(SEARCH)
        return orders.schedule_of(self._settings)

    def asking(self, kind: str, check: Check, spending: Spending) -> Asking:
        """Return a proposer at work."""
        process = self.process(kind)
        if kind == SEARCH:
            return Asking(kind, process, check, dict)
        seconds = LLM_SECONDS if kind == LLM else 60.0 + orders.agent_seconds(self._settings)
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

    def options(self, kind: str, spending: Spending) -> Mapping[str, Any]:
        """Return what an order carries beside its briefing; no key is ever among it."""
        if kind == LLM:
            return orders.llm_options(self._settings, spending.left)
        cache = self._opening.corpus.directory.parents[2]
        files = {
            path.name: path.read_text(encoding="utf-8")
            for path in sorted(self._opening.trainer.iterdir())
            if path.is_file()
        }
        return orders.agent_options(self._settings, (self._lab.root, self._lab.state, cache), files)
