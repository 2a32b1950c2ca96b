"""One proposer at work: a thread that asks it, checks the answer, and sends back what fails.

Everything that it hears and finds goes into a queue that the night empties at its turns, so
that nothing but the engine's own thread writes the journal.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cockpit.core.briefing import Attempt, Briefing
from cockpit.core.experiment import Proposal
from cockpit.engine.checking import Checked
from cockpit.proposers.base import Event, Order, ProposerError, ProposerProcess

SEARCH_SECONDS = 300.0
"""A search that is silent for longer is ended and asked again."""
log = logging.getLogger("cockpit.engine")

LLM_SECONDS = 1800.0
"""All of a model's answers to one order, with every back-off between them."""
PROBE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that was said on the way."""

    event: Event


@dataclass(frozen=True, slots=True)
class Idea:
    """A proposal, with what the checks found; refused where no repair mended it."""

    briefing: Briefing
    proposal: Proposal
    checked: Checked
    repairs: int
    """Answers before it that went back."""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer went back to its author."""

    problem: str


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to a question."""

    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Well:
    """A probe was answered."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer."""

    order: str
    """Kind of the order."""
    error: ProposerError
    briefing: Briefing | None = None


Told = Heard | Idea | Sent | Said | Well | Failed
Check = Callable[[Briefing, Proposal], Checked]
Options = Callable[[], Mapping[str, Any]]


class Asking:
    """Asks one proposer for one thing at a time."""

    def __init__(
        self,
        kind: str,
        process: ProposerProcess,
        check: Check,
        options: Options,
        *,
        repairs: int = 0,
        seconds: float = SEARCH_SECONDS,
    ) -> None:
        """`options` are asked for at every order; `seconds` is the patience with one."""
        self.kind = kind
        self._process = process
        self._check = check
        self._options = options
        self._repairs = repairs
        self._seconds = seconds
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Tell whether it is at work, or has said something that nobody took yet."""
        return (self._thread is not None and self._thread.is_alive()) or not self._told.empty()

    def take(self) -> list[Told]:
        """Return what has been said since the last time, in its order."""
        told = []
        while not self._told.empty():
            told.append(self._told.get())
        return told

    def propose(self, briefing: Briefing) -> None:
        """Begin to ask for a proposal."""
        self._begin(lambda: self._propose(briefing), "propose", briefing)

    def answer(self, briefing: Briefing) -> None:
        """Begin to ask the briefing's question."""

        def work() -> None:
            answer = self._order("ask", briefing, self._seconds)
            self._told.put(Said(briefing.question or "", answer.text))

        self._begin(work, "ask", briefing)

    def probe(self) -> None:
        """Begin to find out whether it would answer."""

        def work() -> None:
            self._order("probe", None, PROBE_SECONDS)
            self._told.put(Well())

        self._begin(work, "probe", None)

    def close(self) -> None:
        """End the proposer's process; what is under way is given up."""
        self._closed = True
        self._process.close()

    def _begin(self, work: Callable[[], None], order: str, briefing: Briefing | None) -> None:
        assert not self.busy, f"{self.kind} is asked for one thing at a time"

        def guarded() -> None:
            try:
                work()
            except ProposerError as error:
                if not self._closed:
                    self._told.put(Failed(order, error, briefing))
            except (OSError, ValueError) as error:
                log.exception("%s: %s", self.kind, error)
                self._told.put(Failed(order, ProposerError(str(error), "fault"), briefing))

        self._thread = threading.Thread(target=guarded, name=self.kind, daemon=True)
        self._thread.start()

    def _order(self, kind: str, briefing: Briefing | None, seconds: float) -> Any:
        def hear(event: Event) -> None:
            self._told.put(Heard(event))

        return self._process.ask(Order(kind, briefing, self._options()), seconds, hear)

    def _propose(self, briefing: Briefing) -> None:
        attempts: tuple[Attempt, ...] = ()
        while True:
            answer = self._order("propose", replace(briefing, attempts=attempts), self._seconds)
            checked = Checked(answer.problem)
            spent = len(attempts) >= self._repairs
            # What is wrong beside the edits (a hint without an answer) is overlooked at last.
            if answer.proposal is not None and (answer.problem is None or spent):
                checked = self._check(briefing, answer.proposal)
            problem = checked.refusal
            if answer.proposal is not None and (problem is None or spent):
                repairs = len(attempts)
                self._told.put(Idea(briefing, answer.proposal, checked, repairs, answer.told))
                return
            problem = problem or "there is no proposal in it"
            if spent:
                raise ProposerError(f"no answer could be used: {problem}", "unusable")
            self._told.put(Sent(problem))
            attempts += (Attempt(answer.text, problem),)
