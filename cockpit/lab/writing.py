"""The engine's hand in the journal: everything that it alone writes."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cockpit.core.experiment import Proposal, Run, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.lab.journal import Journal
from cockpit.lab.rows import AuditRow, Call, EngineRow, Stream


class EngineJournal(Journal):
    """A journal opened by who holds the engine's lock."""

    def answer(self, command: int, state: str, outcome: str) -> None:
        """Write the outcome of a command into its row."""
        with self.transaction():
            self._db.execute(
                "UPDATE inbox SET state = ?, outcome = ?, done_at = ? WHERE id = ?",
                (state, outcome, time.time(), command),
            )

    def add_tag(
        self,
        name: str,
        setup: Mapping[str, Any],
        setup_hash: str,
        preset: str,
        options: Mapping[str, Any],
    ) -> None:
        """Record a new tag with its measuring setup and what it was begun with."""
        with self.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO setup VALUES (?, ?)", (setup_hash, json.dumps(dict(setup)))
            )
            self._db.execute(
                "INSERT INTO tag (name, setup, preset, options, created_at) VALUES (?, ?, ?, ?, ?)",
                (name, setup_hash, preset, json.dumps(dict(options)), time.time()),
            )

    def keep_setup(self, setup_hash: str, setup: Mapping[str, Any]) -> None:
        """Keep the fields of a measuring setup, once."""
        with self.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO setup VALUES (?, ?)", (setup_hash, json.dumps(dict(setup)))
            )

    def pin(self, tag: str, experiment: int | None) -> None:
        """Make an experiment the base of a tag by hand; None gives it back to the best."""
        with self.transaction():
            self._db.execute("UPDATE tag SET pinned = ? WHERE name = ?", (experiment, tag))
            self._count_up()

    def begin_night(self, tag: str, options: Mapping[str, Any]) -> int:
        """Record a new night and return its id; the slots of the last one are forgotten."""
        with self.transaction():
            self._db.execute("DELETE FROM slot")
            cursor = self._db.execute(
                "INSERT INTO night (tag, options, started_at) VALUES (?, ?, ?)",
                (tag, json.dumps(dict(options)), time.time()),
            )
        return int(cursor.lastrowid or 0)

    def change_night(self, night: int, **columns: Any) -> None:
        """Set columns of a night: `ended_at`, `reason`, `elapsed`, `claimed`, `options`."""
        self._update("night", "id", night, columns)

    def say(self, row: EngineRow) -> None:
        """Write what the engine says of itself (its heartbeat)."""
        values = asdict(row)
        with self.transaction():
            self._db.execute(
                f"INSERT OR REPLACE INTO engine (id, {', '.join(values)}) "  # noqa: S608 own names
                f"VALUES (1, {', '.join('?' * len(values))})",
                tuple(values.values()),
            )

    def set_slot(self, number: int, device: str, ledger: SlotLedger) -> None:
        """Write a slot's ledger."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?, ?)",
                (number, device, ledger.category, ledger.since, json.dumps(ledger.seconds)),
            )

    def add_experiment(
        self,
        tag: str,
        parent: int | None,
        proposal: Proposal,
        *,
        number: int | None = None,
        created_at: float | None = None,
    ) -> int:
        """Queue an experiment and return its id, the next free one unless `number` is given."""
        with self.transaction():
            if number is None:
                number = self._one("SELECT coalesce(max(id) + 1, 0) FROM experiment")
            self._db.execute(
                "INSERT INTO experiment (id, tag, parent, title, hypothesis, proposer, proposal, "
                "status, created_at, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    number,
                    tag,
                    parent,
                    proposal.title,
                    proposal.hypothesis,
                    proposal.proposer,
                    json.dumps(asdict(proposal)),
                    Status.QUEUED,
                    created_at if created_at is not None else time.time(),
                ),
            )
            self._touch(number)
        return number

    def change_experiment(self, number: int, **columns: Any) -> None:
        """Set columns of an experiment without an event: `commit_hash`, `parent`, `place`, …"""
        with self.transaction():
            self._update("experiment", "id", number, columns)
            self._touch(number)

    def decide(
        self, number: int, status: Status, verdict: Verdict, at: float | None = None
    ) -> None:
        """Record an event of an experiment's life and the status it leads to."""
        at = at if at is not None else time.time()
        columns: dict[str, Any] = {"status": status}
        if status is Status.RUNNING:
            columns |= {"claimed_at": at}
        elif status is Status.QUEUED:
            columns |= {"reason": verdict.reason}
        else:
            columns |= {
                "decided_at": at,
                "decided_by": verdict.decided_by,
                "reason": verdict.reason,
            }
        with self.transaction():
            self.tell(number, status, verdict, at)
            self.change_experiment(number, **columns)

    def tell(self, number: int, status: Status, verdict: Verdict, at: float | None = None) -> None:
        """Add an event to the story of an experiment that stays, or is put, at `status`."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO verdict (experiment, at, event, status, decided_by, reason, facts) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    number, at if at is not None else time.time(), verdict.event, status,
                    verdict.decided_by, verdict.reason, json.dumps(dict(verdict.facts)),
                ),
            )  # fmt: skip
            self._touch(number)

    def want(
        self,
        experiment: int,
        purpose: str,
        why: str,
        author: str,
        *,
        seed: int | None = None,
        budget_seconds: float | None = None,
    ) -> int:
        """Ask for a run of an experiment, whatever its status, and return the wish's number."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO wanted (experiment, purpose, why, author, at, seed, budget_seconds) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (experiment, purpose, why, author, time.time(), seed, budget_seconds),
            )
            self._touch(experiment)
        return int(cursor.lastrowid or 0)

    def grant(self, wanted: int, run: int | None) -> None:
        """Say which run was made for a wish; None: it is still wanted after all."""
        self._update("wanted", "id", wanted, {"run": run})

    def want_again(self, experiment: int, run: int) -> None:
        """Say that a run that was made for a wish has come to nothing."""
        with self.transaction():
            self._db.execute(
                "UPDATE wanted SET run = NULL WHERE experiment = ? AND run = ?", (experiment, run)
            )

    def unwant(self, wanted: int) -> None:
        """Take a wish for a run back."""
        self._update("wanted", "id", wanted, {"dropped": 1})

    def remark(self, experiment: int, author: str, text: str) -> None:
        """Keep what a person notes on an experiment."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO remark (experiment, at, author, text) VALUES (?, ?, ?, ?)",
                (experiment, time.time(), author, text),
            )
            self._touch(experiment)

    def keep_curve(self, experiment: int, run: int, losses: Sequence[float | None]) -> None:
        """Keep the thinned loss curve of a run."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO curve VALUES (?, ?, ?)",
                (experiment, run, json.dumps(list(losses))),
            )

    def add_run(self, run: Run) -> None:
        """Record a run that begins."""
        values = asdict(run)
        with self.transaction():
            self._db.execute(
                f"INSERT INTO run ({', '.join(values)}) "  # noqa: S608 own names
                f"VALUES ({', '.join('?' * len(values))})",
                tuple(values.values()),
            )
            self._touch(run.experiment)

    def change_run(self, experiment: int, number: int, **columns: Any) -> None:
        """Set columns of a run."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self.transaction():
            self._db.execute(
                f"UPDATE run SET {assignments} WHERE experiment = ? AND number = ?",  # noqa: S608
                (*columns.values(), experiment, number),
            )
            self._touch(experiment)

    def add_audit(self, audit: AuditRow) -> None:
        """Record what an audit found; one of the same run before it is replaced."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO audit VALUES (?, ?, ?, ?, ?, ?)",
                (
                    audit.experiment, audit.run, audit.at, audit.outcome, audit.says,
                    json.dumps(audit.facts),
                ),
            )  # fmt: skip
            self._touch(audit.experiment)

    def add_hint(self, text: str, author: str, *, once: bool = False, order: bool = False) -> int:
        """Record a hint, or a direct order, and return its id."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO hint (text, author, at, state, once, direct) "
                "VALUES (?, ?, ?, 'queued', ?, ?)",
                (text, author, time.time(), once, order),
            )
        return int(cursor.lastrowid or 0)

    def change_hint(self, number: int, **columns: Any) -> None:
        """Set columns of a hint: `text`, `state`, `experiment`, `why`."""
        self._update("hint", "id", number, columns)

    def set_stream(self, stream: Stream) -> None:
        """Show an answer as far as it is written, over what the same speaker wrote before."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?)",
                (stream.speaker, stream.about, stream.text, stream.started_at),
            )

    def end_stream(self, speaker: str | None = None) -> None:
        """Take away what a speaker was writing, or what anybody was."""
        with self.transaction():
            self._db.execute("DELETE FROM stream WHERE ?1 IS NULL OR speaker = ?1", (speaker,))

    def add_call(self, call: Call) -> int:
        """Record a call of a model and return its number; `call.id` is not looked at."""
        values = asdict(call)
        del values["id"]
        with self.transaction():
            cursor = self._db.execute(
                f"INSERT INTO call ({', '.join(values)}) "  # noqa: S608 own names
                f"VALUES ({', '.join('?' * len(values))})",
                tuple(values.values()),
            )
        return int(cursor.lastrowid or 0)

    def assign_calls(self, calls: Sequence[int], experiment: int) -> None:
        """Say which experiment calls of a model led to."""
        with self.transaction():
            self._db.executemany(
                "UPDATE call SET experiment = ? WHERE id = ?",
                [(experiment, number) for number in calls],
            )

    def keep_program(self, version: str, text: str) -> None:
        """Keep a text of program.md, once."""
        with self.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO program VALUES (?, ?, ?)", (version, text, time.time())
            )

    def add_message(self, role: str, author: str, text: str, experiment: int | None = None) -> None:
        """Add a line to the conversation of the agent pane."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO message (at, role, author, text, experiment) VALUES (?, ?, ?, ?, ?)",
                (time.time(), role, author, text, experiment),
            )

    def _update(self, table: str, key: str, value: object, columns: Mapping[str, Any]) -> None:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        encoded = [json.dumps(v) if isinstance(v, dict) else v for v in columns.values()]
        with self.transaction():
            self._db.execute(
                f"UPDATE {table} SET {assignments} WHERE {key} = ?",  # noqa: S608 own names
                (*encoded, value),
            )

    def _touch(self, experiment: int) -> None:
        """Give an experiment the next revision, so that readers fetch just what is new."""
        self._count_up()
        self._db.execute(
            "UPDATE experiment SET revision = (SELECT value FROM counter WHERE name = 'revision') "
            "WHERE id = ?",
            (experiment,),
        )

    def _count_up(self) -> None:
        """Let readers see that something has changed."""
        self._db.execute("UPDATE counter SET value = value + 1 WHERE name = 'revision'")
