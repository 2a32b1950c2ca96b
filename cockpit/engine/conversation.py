"""The conversation with the proposers, as the journal keeps it.

What is being written is a stream that readers see grow; what is said is a message; a hint's
state follows from what a valid answer says of it; a question has an answer, even if that is
only why there is none.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from cockpit.core.briefing import Briefing
from cockpit.core.experiment import Hint, Proposal
from cockpit.engine.asking import Asking, Failed, Heard, Idea, Said, Told
from cockpit.engine.briefer import Briefer
from cockpit.engine.spending import Spending
from cockpit.lab.rows import Stream
from cockpit.lab.writing import EngineJournal

STREAM_CHARACTERS = 8_000
"""The end of an answer that is shown while it is written."""
SAID_CHARACTERS = 8_000
"""A message is not longer."""
ANSWER = "answer"
"""The speaker of the stream that answers a question."""


class Conversation:
    """Writes what proposers and people say to each other."""

    def __init__(
        self, journal: EngineJournal, spending: Spending, questions: Asking | None
    ) -> None:
        """`questions` answers them in a process of its own; None where nobody reads."""
        self._journal = journal
        self._spending = spending
        self._questions = questions
        self._streams: dict[str, Stream] = {}
        self._unshown: set[str] = set()
        self._untaken: deque[Told] = deque()
        self._troubles: dict[str, str] = {}
        journal.end_stream()  # what a killed engine was showing
        self._waiting = self._unanswered()

    @property
    def answers_questions(self) -> bool:
        """Tell whether there is anybody to ask."""
        return self._questions is not None

    def close(self) -> None:
        """End what is being written; who was asked is asked again on the next night."""
        if self._questions is not None:
            self._questions.close()
            for told in self._questions.take():
                if isinstance(told, Heard) and told.event.get("event") == "call":
                    self._spending.record(self._questions.kind, told.event)
        self._journal.end_stream()

    # ---- what is being written -------------------------------------------------------------

    def write(self, speaker: str, event: Mapping[str, object]) -> None:
        """Show an answer as far as it is written."""
        text = str(event.get("text", ""))[-STREAM_CHARACTERS:]
        known = self._streams.get(speaker)
        began = known.started_at if known else time.time()
        stream = Stream(speaker, str(event.get("about", "")), text, began)
        if known != stream:
            self._streams[speaker] = stream
            self._unshown.add(speaker)  # written down once a turn, however much comes

    def show(self) -> None:
        """Let readers see what has been written since the last time."""
        for speaker in sorted(self._unshown):
            self._journal.set_stream(self._streams[speaker])
        self._unshown.clear()

    def written(self, speaker: str) -> None:
        """Take away what a speaker was writing: it is finished."""
        self._troubles.pop(speaker, None)
        self._unshown.discard(speaker)
        if self._streams.pop(speaker, None) is not None:
            self._journal.end_stream(speaker)

    def trouble(self, speaker: str, says: str) -> None:
        """Say what holds a proposer up, once while it is the same."""
        if self._troubles.get(speaker) != says:
            self._troubles[speaker] = says
            self.say("engine", f"{speaker}: {says}", None)

    def say(self, author: str, text: str, experiment: int | None) -> None:
        """Add a message of the engine, or of what it does with an author's answer."""
        self._journal.add_message("engine", author, text[:SAID_CHARACTERS], experiment)

    # ---- proposals and hints ---------------------------------------------------------------

    def proposed(self, number: int, proposal: Proposal, idea: Idea) -> None:
        """Write down a proposal and how it came about."""
        lines = [proposal.title, proposal.hypothesis]
        if proposal.predicted is not None:
            lines.append(f"predicted {proposal.predicted:+.4f}".replace("-", "−"))
        text = "\n".join(line for line in lines if line.strip())
        self._journal.add_message("proposer", proposal.proposer, text[:SAID_CHARACTERS], number)
        if idea.repairs:
            times = "once" if idea.repairs == 1 else f"{idea.repairs} times"
            self.say("engine", f"repaired {times} before it passed", number)
        for told in idea.told:
            self.say(proposal.proposer, told, number)

    def answered(self, number: int, proposal: Proposal, briefing: Briefing) -> None:
        """Give the hints of a briefing their state: a valid answer has come back."""
        answers = {answer.hint: answer for answer in proposal.hints}
        shown = [*briefing.hints, *([briefing.order] if briefing.order else [])]
        present = {hint.id: hint for hint in self._journal.hints()}
        if proposal.proposer == "search":
            return
        for hint in shown:
            now = present.get(hint.id)
            if now is None or now.state == "withdrawn" or now.text != hint.text:
                continue  # withdrawn, or edited while the answer was written: not seen yet
            answer = answers.get(hint.id)
            if answer is None and not hint.order:
                continue  # its author has nothing to say to it: it stays as new
            applied = hint.order or (answer is not None and answer.applied)
            if not applied and now.state == "applied":
                continue
            state = "applied" if applied else "declined"
            why = answer.why if answer is not None else ""
            self._journal.change_hint(hint.id, state=state, experiment=number, why=why)
            self._tell_of(hint, state, why, proposal.proposer, number, now)

    def decline(self, order: Hint, why: str, experiment: int | None) -> None:
        """Say that an order can't be carried out: it was tried, and is not tried again."""
        self._journal.change_hint(order.id, state="declined", experiment=experiment, why=why)
        self.say("engine", f"order {order.id} can't be carried out: {why}", experiment)

    def reopen(self, experiment: int) -> list[Hint]:
        """Make the hints new again that an experiment was to apply which never ran."""
        reopened = [hint for hint in self._journal.hints() if hint.experiment == experiment]
        for hint in reopened:
            if hint.state != "withdrawn":
                self._journal.change_hint(hint.id, state="queued", experiment=None, why="")
        return reopened

    def _tell_of(
        self, hint: Hint, state: str, why: str, author: str, number: int, before: Hint
    ) -> None:
        """Say what became of a hint, when that is news."""
        if (before.state, before.why) == (state, why):
            return
        what = "applied" if state == "applied" else "not now"
        text = f"hint {hint.id}: {what}" + (f": {why}" if why else "")
        self._journal.add_message("proposer", author, text[:SAID_CHARACTERS], number)

    # ---- questions -------------------------------------------------------------------------

    def ask(self, author: str, text: str) -> None:
        """Take a question; it is answered as soon as the one before is."""
        self._journal.add_message("question", author, text)
        self._waiting.append(text)

    def listen(self, briefer: Briefer) -> None:
        """Take the answer to a question, ask the next, and show what is being written."""
        self.show()
        if self._questions is None:
            return
        self._untaken += self._questions.take()
        while self._untaken:
            match self._untaken[0]:
                case Heard({"event": "call", **event}):
                    self._spending.record(self._questions.kind, event)
                case Heard({"event": "trouble", **event}):
                    self.trouble(ANSWER, str(event.get("says", "")))
                case Heard(event):
                    self.write(ANSWER, event)
                case Said(_, text):
                    self._reply(text.strip() or "(an empty answer)")
                case Failed(_, error):
                    self._reply(f"no answer: {error}")
                case _:
                    pass
            self._untaken.popleft()  # taken when it is written down
        if self._waiting and not self._questions.busy:
            if self._spending.over:
                self._reply("no answer: the money of this night is spent")
            elif briefing := briefer.briefing(even_unmeasured=True):
                self._questions.answer(replace(briefing, question=self._waiting[0]))

    def _reply(self, text: str) -> None:
        self.written(ANSWER)
        author = self._questions.kind if self._questions else "engine"
        self._journal.add_message("answer", author, text[:SAID_CHARACTERS])
        if self._waiting:
            self._waiting.pop(0)

    def _unanswered(self) -> list[str]:
        """Return the questions that an engine before this one has not answered."""
        return self._journal.said("question")[len(self._journal.said("answer")) :]
