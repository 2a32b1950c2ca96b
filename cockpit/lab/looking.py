"""The screen's eye on the journal: what it asks beside what everybody asks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from cockpit.core.experiment import Event, Experiment
from cockpit.core.scoreboard import Score, by_program, by_proposer
from cockpit.lab.journal import CALL_COLUMNS, Journal
from cockpit.lab.rows import Call, DecisionEvent, Message, Night

NIGHT_COLUMNS = "id, tag, options, started_at, ended_at, reason, elapsed, claimed"
MESSAGE_COLUMNS = "id, at, role, author, text, experiment"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and what was answered."""

    question: Message
    answer: Message | None
    """None while nobody has."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What each proposer of a tag has brought and cost, and each version of the brief."""

    tag: str
    proposers: tuple[Score, ...]
    programs: tuple[Score, ...]


class LookingJournal(Journal):
    """A journal opened by who only looks at it."""

    def nights(self) -> list[Night]:
        """Return all nights, oldest first."""
        return [
            Night(row[0], row[1], json.loads(row[2]), *row[3:])
            for row in self._db.execute(f"SELECT {NIGHT_COLUMNS} FROM night ORDER BY id")  # noqa: S608
        ]

    def messages_since(self, at: float, after_id: int, limit: int) -> list[Message]:
        """Return the newest `limit` messages from a moment on, after `after_id`, oldest first."""
        rows = self._db.execute(
            f"SELECT {MESSAGE_COLUMNS} FROM message WHERE id > ? AND at >= ? "  # noqa: S608
            "ORDER BY id DESC LIMIT ?",
            (after_id, at, limit),
        ).fetchall()
        return [Message(*row) for row in reversed(rows)]

    def messages_before(self, number: int, since: float) -> int:
        """Return how many messages from a moment on come before one with this number."""
        query = "SELECT count(*) FROM message WHERE id < ? AND at >= ?"
        return int(self._one(query, number, since))

    def exchanges(self) -> list[Exchange]:
        """Return every question of a person with its answer, in the order they were asked."""
        rows = self._db.execute(
            f"SELECT {MESSAGE_COLUMNS} FROM message "  # noqa: S608
            "WHERE role IN ('question', 'answer') ORDER BY id"
        )
        said = [Message(*row) for row in rows]
        questions = [message for message in said if message.role == "question"]
        answers = [message for message in said if message.role == "answer"]
        # Questions are answered one after the other: the first answer is to the first question.
        return [Exchange(*pair) for pair in zip_longest(questions, answers[: len(questions)])]

    def calls_after(self, night: int, number: int) -> list[Call]:
        """Return a night's calls of models that came after one with this number, oldest first."""
        return [
            Call(*row)
            for row in self._db.execute(
                f"SELECT {CALL_COLUMNS} FROM call WHERE night = ? AND id > ? ORDER BY id",  # noqa: S608
                (night, number),
            )
        ]

    def newest_event(self) -> int:
        """Return the number of the newest event of any experiment's life, 0 before the first."""
        return int(self._one("SELECT coalesce(max(id), 0) FROM verdict"))

    def last_by_hand(self) -> DecisionEvent | None:
        """Return what a person decided last and nobody took back, of any experiment, or None."""
        events = self.by_hand()
        undone = {event.facts.get("undoes") for event in events if event.event == Event.UNDO}
        standing = (e for e in reversed(events) if e.event != Event.UNDO and e.id not in undone)
        return next(standing, None)

    def dollars_by_night(self) -> dict[int, float]:
        """Return what the calls of each night have cost, of nights with calls."""
        return dict(self._db.execute("SELECT night, total(dollars) FROM call GROUP BY night"))

    def calls_of(self, tag: str) -> list[Call]:
        """Return the calls of all nights of a tag, oldest first."""
        nights = {night.id for night in self.nights() if night.tag == tag}
        return [call for call in self.calls() if call.night in nights]

    def scores(self, tag: str, experiments: Mapping[int, Experiment]) -> Scores:
        """Return the scoreboard of a tag; `experiments` may hold those of others too."""
        own = {number: e for number, e in experiments.items() if e.tag == tag}
        proposals, calls = self.proposals(tag), self.calls_of(tag)
        versions = {number: p.program for number, p in proposals.items()}
        by_version = [
            (version, call.dollars)
            for call in calls
            if call.experiment is not None and (version := versions.get(call.experiment))
        ]
        return Scores(
            tag,
            by_proposer(own, proposals, [(call.proposer, call.dollars) for call in calls]),
            by_program(own, proposals, by_version),
        )
