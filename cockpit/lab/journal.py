"""The journal: one SQLite file that says what happened in a lab.

The engine alone writes it, but for `inbox`, where the screen and the verbs drop their
commands. Readers hold no transaction open. Rows become frozen dataclasses here and nowhere else.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cockpit.core.experiment import BY_RULE, Experiment, Hint, Proposal, Run, Status
from cockpit.core.ledger import SlotLedger
from cockpit.lab.connection import Connection
from cockpit.lab.rows import (
    AuditRow,
    Call,
    Command,
    DecisionEvent,
    EngineRow,
    Message,
    Night,
    Remark,
    Stream,
    Tag,
    Wanted,
)

RUN_COLUMNS = (
    "experiment, number, seed, setup, slot, state, started_at, ended_at, val_bpb, "
    "training_seconds, total_seconds, startup_seconds, evaluation_seconds, "
    "peak_memory_bytes, tokens, steps, parameters, reason, named, purpose, spared"
)
CALL_COLUMNS = (
    "id, at, night, proposer, model, purpose, experiment, prompt_tokens, completion_tokens, "
    "dollars, seconds, outcome"
)
WANTED_COLUMNS = "id, experiment, purpose, why, author, at, seed, budget_seconds, run"
EXPERIMENT_COLUMNS = (
    "id, tag, parent, title, proposer, status, created_at, commit_hash, hypothesis, "
    "decided_by, reason, claimed_at, decided_at, place, probability, gain, gain_error"
)


class Journal(Connection):
    """What the journal says, and the inbox; `write=False` opens it for looking only."""

    # ---- reading -------------------------------------------------------------------------

    def experiments(self, since_revision: int = -1) -> dict[int, Experiment]:
        """Return experiments by id, ascending; only those changed after `since_revision`."""
        runs: dict[int, list[Run]] = {}
        condition = "WHERE revision > ?"
        # One picture for both questions: an experiment that changes between them would
        # come back without its runs.
        with self._picture():
            for row in self._db.execute(
                f"SELECT {RUN_COLUMNS} FROM run WHERE ? < 0 OR experiment IN "  # noqa: S608 constants
                f"(SELECT id FROM experiment {condition}) ORDER BY experiment, number",
                (since_revision, since_revision),
            ):
                runs.setdefault(row[0], []).append(Run(*row))
            return {
                row[0]: _experiment(row, runs.get(row[0], ()))
                for row in self._db.execute(
                    f"SELECT {EXPERIMENT_COLUMNS} FROM experiment {condition} ORDER BY id",  # noqa: S608
                    (since_revision,),
                )
            }

    @contextlib.contextmanager
    def _picture(self) -> Iterator[None]:
        """Read several times from one state of the journal; not for longer than that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def experiment(self, number: int) -> Experiment | None:
        """Return one experiment with its runs, or None."""
        row = self._db.execute(
            f"SELECT {EXPERIMENT_COLUMNS} FROM experiment WHERE id = ?",  # noqa: S608 constants
            (number,),
        ).fetchone()
        if row is None:
            return None
        runs = self._db.execute(
            f"SELECT {RUN_COLUMNS} FROM run WHERE experiment = ? ORDER BY number",  # noqa: S608
            (number,),
        )
        return _experiment(row, [Run(*run) for run in runs])

    def revision(self) -> int:
        """Return the number of the last change to an experiment."""
        return int(self._one("SELECT value FROM counter WHERE name = 'revision'"))

    def proposal(self, experiment: int) -> Proposal:
        """Return the proposal behind an experiment."""
        text = self._one("SELECT proposal FROM experiment WHERE id = ?", experiment)
        return Proposal.from_json(json.loads(text))

    def proposals(self, tag: str) -> dict[int, Proposal]:
        """Return the proposals of a tag by experiment id."""
        return {
            row[0]: Proposal.from_json(json.loads(row[1]))
            for row in self._db.execute("SELECT id, proposal FROM experiment WHERE tag = ?", (tag,))
        }

    def tag(self, name: str) -> Tag | None:
        """Return a tag by name, or None."""
        return next((tag for tag in self.tags() if tag.name == name), None)

    def tags(self) -> list[Tag]:
        """Return all tags, oldest first."""
        return [
            Tag(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5], row[6] or 0.0)
            for row in self._db.execute(
                "SELECT name, setup, preset, options, created_at, pinned, (SELECT max(at) "
                "FROM verdict WHERE experiment = pinned AND event = 'branch') "
                "FROM tag ORDER BY created_at"
            )
        ]

    def ordered(self, tag: str) -> frozenset[int]:
        """Return the experiments of a tag that a person ordered, or that take changes out again."""
        rows = self._db.execute(
            "SELECT id FROM experiment WHERE tag = ? AND "
            "coalesce(json_extract(proposal, '$.order', '$.ablates'), '[null,null]') "
            "<> '[null,null]'",
            (tag,),
        )
        return frozenset(row[0] for row in rows)

    def present_tag(self) -> str | None:
        """Return the tag of the last night, else the newest; None where there is none."""
        night, tags = self.last_night(), self.tags()
        return night.tag if night is not None else tags[-1].name if tags else None

    def setup(self, setup_hash: str) -> dict[str, Any] | None:
        """Return the fields of a measuring setup by its hash, or None."""
        row = self._db.execute("SELECT fields FROM setup WHERE hash = ?", (setup_hash,)).fetchone()
        return json.loads(row[0]) if row else None

    def last_night(self) -> Night | None:
        """Return the newest night, ended or not."""
        row = self._db.execute(
            "SELECT id, tag, options, started_at, ended_at, reason, elapsed, claimed "
            "FROM night ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return Night(row[0], row[1], json.loads(row[2]), *row[3:]) if row else None

    def engine(self) -> EngineRow | None:
        """Return what the engine last said of itself."""
        row = self._db.execute(
            "SELECT pid, state, activity, reason, started_at, heartbeat_at, monotonic, boot, "
            "night, sandbox FROM engine"
        ).fetchone()
        return EngineRow(*row) if row else None

    def audits(self, experiment: int | None = None) -> list[AuditRow]:
        """Return what audits found, of one experiment or of all, by experiment and run."""
        return [
            AuditRow(row[0], row[1], row[2], row[3], row[4], json.loads(row[5]))
            for row in self._db.execute(
                "SELECT experiment, run, at, outcome, says, facts FROM audit "
                "WHERE ?1 IS NULL OR experiment = ?1 ORDER BY experiment, run",
                (experiment,),
            )
        ]

    def slots(self) -> dict[int, tuple[str, SlotLedger]]:
        """Return device name and ledger of each slot of the last night."""
        return {
            row[0]: (row[1], SlotLedger(row[2], row[3], json.loads(row[4])))
            for row in self._db.execute(
                "SELECT number, device, category, since, seconds FROM slot ORDER BY number"
            )
        }

    def running(self) -> list[Run]:
        """Return the runs under way."""
        return [
            Run(*row)
            for row in self._db.execute(
                f"SELECT {RUN_COLUMNS} FROM run WHERE state = 'running'"  # noqa: S608 constants
            )
        ]

    def verdicts(self, experiment: int) -> list[DecisionEvent]:
        """Return the story of an experiment's verdicts, oldest first."""
        return self._events("experiment = ?", experiment)

    def by_hand(self) -> list[DecisionEvent]:
        """Return all that people have decided in this lab, oldest first."""
        hands = "event IN ('accept', 'reject', 'branch', 'undo') AND decided_by <> ?"
        return self._events(hands, BY_RULE)

    def newest_event_by(self, at: float) -> int:
        """Return the number of the newest event of any experiment up to a moment; 0: none."""
        return int(self._one("SELECT coalesce(max(id), 0) FROM verdict WHERE at <= ?", at))

    def _events(self, condition: str, value: object) -> list[DecisionEvent]:
        rows = self._db.execute(
            "SELECT experiment, at, event, status, decided_by, reason, id, facts "  # noqa: S608
            f"FROM verdict WHERE {condition} ORDER BY id",
            (value,),
        )
        return [
            DecisionEvent(number, at, event, status, by, reason, own, json.loads(facts))
            for number, at, event, status, by, reason, own, facts in rows
        ]

    def pins(self) -> dict[str, int]:
        """Return the experiment that a person has made the base, by tag."""
        found = self._db.execute("SELECT name, pinned FROM tag WHERE pinned IS NOT NULL")
        return dict(found.fetchall())

    def reapplied(self) -> dict[int, bool]:
        """Return the experiments whose change was tried again on a newer base, by id.

        With each, whether that is over: True once nothing of it is queued or running.
        """
        found = self._db.execute(
            "SELECT json_extract(proposal, '$.reapplies') AS source, "
            "max(status IN ('queued', 'running')) FROM experiment "
            "WHERE source IS NOT NULL GROUP BY source"
        )
        return {source: not open_ones for source, open_ones in found}

    def kept_at(self) -> dict[int, float]:
        """Return when each experiment was kept for the first time, whatever it is now."""
        found = self._db.execute(
            "SELECT experiment, min(at) FROM verdict WHERE status = 'kept' GROUP BY experiment"
        )
        return dict(found.fetchall())

    def wanted(self) -> list[Wanted]:
        """Return the runs that were asked for and have not been made, oldest first."""
        return self._wanted("run IS NULL")

    def wishes(self, why: str) -> list[Wanted]:
        """Return the runs that were asked for with this reason, made or not, oldest first."""
        return self._wanted("why = ?", why)

    def _wanted(self, condition: str, *values: object) -> list[Wanted]:
        rows = self._db.execute(
            f"SELECT {WANTED_COLUMNS} FROM wanted WHERE {condition} AND NOT dropped "  # noqa: S608
            "ORDER BY id",
            values,
        )
        return [Wanted(*row) for row in rows]

    def remarks(self, experiment: int) -> list[Remark]:
        """Return what people have noted on an experiment, oldest first."""
        return [
            Remark(*row)
            for row in self._db.execute(
                "SELECT id, experiment, at, author, text FROM remark WHERE experiment = ? "
                "ORDER BY id",
                (experiment,),
            )
        ]

    def curves(self, tag: str) -> dict[tuple[int, int], tuple[float | None, ...]]:
        """Return the thinned loss curves of a tag's runs by experiment and run.

        Each is the smoothed loss at `core.pruning.FRACTIONS` of the budget.
        """
        return {
            (row[0], row[1]): tuple(json.loads(row[2]))
            for row in self._db.execute(
                "SELECT curve.experiment, curve.run, losses FROM curve JOIN experiment "
                "ON experiment.id = curve.experiment WHERE experiment.tag = ? "
                "ORDER BY curve.experiment, curve.run",
                (tag,),
            )
        }

    def hints(self) -> list[Hint]:
        """Return all hints, oldest first."""
        rows = self._db.execute(
            "SELECT id, text, author, at, state, experiment, once, direct, why "
            "FROM hint ORDER BY id"
        )
        return [
            Hint(number, text, author, at, state, experiment, bool(once), bool(direct), why)
            for number, text, author, at, state, experiment, once, direct, why in rows
        ]

    def messages(self, after_id: int = 0, limit: int = 2000) -> list[Message]:
        """Return the newest `limit` messages after `after_id`, oldest first."""
        rows = self._db.execute(
            "SELECT id, at, role, author, text, experiment FROM message WHERE id > ? "
            "ORDER BY id DESC LIMIT ?",
            (after_id, limit),
        ).fetchall()
        return [Message(*row) for row in reversed(rows)]

    def said(self, role: str) -> list[str]:
        """Return the texts of all messages of one role, oldest first."""
        found = self._db.execute("SELECT text FROM message WHERE role = ? ORDER BY id", (role,))
        return [row[0] for row in found]

    def streams(self) -> list[Stream]:
        """Return what is being written at this moment, by who writes it."""
        return [
            Stream(*row)
            for row in self._db.execute(
                "SELECT speaker, about, text, started_at FROM stream ORDER BY started_at"
            )
        ]

    def calls(self, night: int | None = None) -> list[Call]:
        """Return the calls of models, of one night or of all, oldest first."""
        return [
            Call(*row)
            for row in self._db.execute(
                f"SELECT {CALL_COLUMNS} FROM call WHERE ?1 IS NULL OR night = ?1 ORDER BY id",  # noqa: S608
                (night,),
            )
        ]

    def dollars(self, night: int) -> float:
        """Return what the calls of a night have cost so far, as far as their price is known."""
        return float(self._one("SELECT total(dollars) FROM call WHERE night = ?", night))

    def programs(self) -> dict[str, str]:
        """Return every text of program.md that a proposal was made under, by version."""
        return dict(self._db.execute("SELECT version, text FROM program ORDER BY at"))

    def command(self, number: int) -> Command | None:
        """Return a row of the inbox, or None."""
        return next(iter(self._commands("id = ?", number)), None)

    def waiting_commands(self) -> list[Command]:
        """Return the commands that no engine has taken yet, oldest first."""
        return self._commands("state = ?", "waiting")

    def _commands(self, condition: str, value: object) -> list[Command]:
        return [
            Command(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], row[6])
            for row in self._db.execute(
                "SELECT id, at, author, verb, arguments, state, outcome FROM inbox "  # noqa: S608
                f"WHERE {condition} ORDER BY id",
                (value,),
            )
        ]

    def _one(self, query: str, *arguments: object) -> Any:
        row = self._db.execute(query, arguments).fetchone()
        if row is None:
            raise KeyError(f"no such row: {arguments}")
        return row[0]

    # ---- the inbox: what the screen and the verbs write ------------------------------------

    def drop(self, verb: str, arguments: Mapping[str, Any], author: str) -> int:
        """Put a command into the inbox and return its row's number."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO inbox (at, author, verb, arguments) VALUES (?, ?, ?, ?)",
                (time.time(), author, verb, json.dumps(dict(arguments))),
            )
        return int(cursor.lastrowid or 0)


def _experiment(row: tuple[Any, ...], runs: Sequence[Run]) -> Experiment:
    """Build an experiment from a row of `EXPERIMENT_COLUMNS`."""
    values: tuple[Any, ...] = (*row[:5], Status(row[5]), *row[6:], tuple(runs))
    return Experiment(*values)
