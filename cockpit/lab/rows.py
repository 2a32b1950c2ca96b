"""The rows of the journal: its schema, and what its rows become in Python."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = (
    """
    CREATE TABLE setup (hash TEXT PRIMARY KEY, fields TEXT NOT NULL);
    CREATE TABLE tag (
        name TEXT PRIMARY KEY, setup TEXT NOT NULL, preset TEXT NOT NULL,
        options TEXT NOT NULL, created_at REAL NOT NULL);
    CREATE TABLE night (
        id INTEGER PRIMARY KEY, tag TEXT NOT NULL, options TEXT NOT NULL,
        started_at REAL NOT NULL, ended_at REAL, reason TEXT,
        elapsed REAL NOT NULL DEFAULT 0, claimed INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE experiment (
        id INTEGER PRIMARY KEY, tag TEXT NOT NULL, parent INTEGER, commit_hash TEXT,
        title TEXT NOT NULL, hypothesis TEXT NOT NULL, proposer TEXT NOT NULL,
        proposal TEXT NOT NULL, status TEXT NOT NULL, decided_by TEXT, reason TEXT,
        created_at REAL NOT NULL, claimed_at REAL, decided_at REAL,
        revision INTEGER NOT NULL);
    CREATE INDEX experiment_revision ON experiment (revision);
    CREATE INDEX experiment_status ON experiment (status);
    CREATE TABLE run (
        experiment INTEGER NOT NULL, number INTEGER NOT NULL, seed INTEGER NOT NULL,
        setup TEXT NOT NULL, slot INTEGER NOT NULL, state TEXT NOT NULL,
        started_at REAL NOT NULL, ended_at REAL, val_bpb REAL, training_seconds REAL,
        total_seconds REAL, startup_seconds REAL, evaluation_seconds REAL,
        peak_memory_bytes INTEGER, tokens INTEGER, steps INTEGER, parameters INTEGER,
        reason TEXT, PRIMARY KEY (experiment, number)) WITHOUT ROWID;
    CREATE INDEX run_state ON run (state);
    CREATE TABLE verdict (
        id INTEGER PRIMARY KEY, experiment INTEGER NOT NULL, at REAL NOT NULL,
        event TEXT NOT NULL, status TEXT NOT NULL, decided_by TEXT NOT NULL,
        reason TEXT NOT NULL);
    CREATE INDEX verdict_experiment ON verdict (experiment);
    CREATE TABLE inbox (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, author TEXT NOT NULL, verb TEXT NOT NULL,
        arguments TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', outcome TEXT,
        done_at REAL);
    CREATE INDEX inbox_state ON inbox (state);
    CREATE TABLE hint (
        id INTEGER PRIMARY KEY, text TEXT NOT NULL, author TEXT NOT NULL, at REAL NOT NULL,
        state TEXT NOT NULL, experiment INTEGER);
    CREATE TABLE message (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, role TEXT NOT NULL, author TEXT NOT NULL,
        text TEXT NOT NULL, experiment INTEGER);
    CREATE TABLE engine (
        id INTEGER PRIMARY KEY CHECK (id = 1), pid INTEGER NOT NULL, state TEXT NOT NULL,
        activity TEXT NOT NULL, reason TEXT, started_at REAL NOT NULL,
        heartbeat_at REAL NOT NULL, monotonic REAL NOT NULL, boot TEXT NOT NULL,
        night INTEGER);
    CREATE TABLE slot (
        number INTEGER PRIMARY KEY, device TEXT NOT NULL, category TEXT NOT NULL,
        since REAL NOT NULL, seconds TEXT NOT NULL);
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO counter VALUES ('revision', 0);
    """,
    """
    CREATE TABLE audit (
        experiment INTEGER NOT NULL, run INTEGER NOT NULL, at REAL NOT NULL,
        outcome TEXT NOT NULL, says TEXT NOT NULL, facts TEXT NOT NULL,
        PRIMARY KEY (experiment, run)) WITHOUT ROWID;
    ALTER TABLE engine ADD COLUMN sandbox TEXT NOT NULL DEFAULT '';
    ALTER TABLE run ADD COLUMN named TEXT;
    """,
    """
    ALTER TABLE hint ADD COLUMN once INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE hint ADD COLUMN direct INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE hint ADD COLUMN why TEXT NOT NULL DEFAULT '';
    CREATE TABLE call (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, night INTEGER NOT NULL,
        proposer TEXT NOT NULL, model TEXT NOT NULL, purpose TEXT NOT NULL,
        experiment INTEGER, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
        dollars REAL, seconds REAL NOT NULL, outcome TEXT NOT NULL);
    CREATE INDEX call_night ON call (night);
    CREATE TABLE stream (
        speaker TEXT PRIMARY KEY, about TEXT NOT NULL, text TEXT NOT NULL,
        started_at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE program (version TEXT PRIMARY KEY, text TEXT NOT NULL, at REAL NOT NULL);
    """,
    """
    ALTER TABLE run ADD COLUMN purpose TEXT NOT NULL DEFAULT 'verdict';
    ALTER TABLE run ADD COLUMN spared TEXT;
    ALTER TABLE experiment ADD COLUMN place REAL;
    ALTER TABLE experiment ADD COLUMN probability REAL;
    ALTER TABLE experiment ADD COLUMN gain REAL;
    ALTER TABLE experiment ADD COLUMN gain_error REAL;
    ALTER TABLE verdict ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE tag ADD COLUMN pinned INTEGER;
    CREATE TABLE wanted (
        id INTEGER PRIMARY KEY, experiment INTEGER NOT NULL, purpose TEXT NOT NULL,
        why TEXT NOT NULL, author TEXT NOT NULL, at REAL NOT NULL, seed INTEGER,
        budget_seconds REAL, run INTEGER, dropped INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE remark (
        id INTEGER PRIMARY KEY, experiment INTEGER NOT NULL, at REAL NOT NULL,
        author TEXT NOT NULL, text TEXT NOT NULL);
    CREATE INDEX remark_experiment ON remark (experiment);
    CREATE TABLE curve (
        experiment INTEGER NOT NULL, run INTEGER NOT NULL, losses TEXT NOT NULL,
        PRIMARY KEY (experiment, run)) WITHOUT ROWID;
    """,
)
"""One script a version; `user_version` says how many of them a file has seen."""

IMPORT = "import"
"""Who proposed and decided what a results table says; also the option of a tag made of one."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One line of research: one baseline, one measuring setup."""

    name: str
    setup: str
    preset: str
    options: dict[str, Any]
    created_at: float
    pinned: int | None = None
    """The experiment that a person has made the base, None for the best."""
    pinned_at: float = 0.0
    """Since when, Unix seconds."""

    @property
    def imported(self) -> str | None:
        """Return the name of the table that it was made of; None for one that is measured here."""
        return self.options.get(IMPORT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that somebody has asked for, of an experiment whatever its status."""

    id: int
    experiment: int
    purpose: str
    """What its run is for: see `core.experiment.Run.purpose`."""
    why: str
    """`replicate`, `rerun`, `confirm` or `horizon`, in a word for a person."""
    author: str
    """`rule`, or a person's login."""
    at: float
    seed: int | None = None
    """None: a seed that the experiment has not had."""
    budget_seconds: float | None = None
    """Another budget than the setup's; only of a run whose purpose is `horizon`."""
    run: int | None = None
    """The run that was made for it; None while it waits."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a person has noted on an experiment."""

    id: int
    experiment: int
    at: float
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Night:
    """One start until its limits."""

    id: int
    tag: str
    options: dict[str, Any]
    started_at: float
    ended_at: float | None
    reason: str | None
    elapsed: float
    """Seconds of wall clock used up, time of a dead engine included once it is back."""
    claimed: int
    """Experiments claimed so far, the baseline not counted."""


@dataclass(frozen=True, slots=True)
class EngineRow:
    """What the engine last said of itself; whether it lives, its lock says."""

    pid: int
    state: str
    """`running`, `paused` or `stopped`."""
    activity: str
    """What it is doing, for a person."""
    reason: str | None
    """Why it is paused or has stopped."""
    started_at: float
    heartbeat_at: float
    monotonic: float
    """Monotonic seconds of the heartbeat, comparable while `boot` is the same."""
    boot: str
    night: int | None
    sandbox: str = ""
    """What trainings are confined by: a level of `executors.sandbox`, empty where unknown."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What an audit found of one run; the latest counts."""

    experiment: int
    run: int
    at: float
    outcome: str
    """`passed`, `failed` or `undecided` (it could not be carried out)."""
    says: str
    """One line for a person. It may name the score on sealed rows: never for a proposer."""
    facts: dict[str, Any]
    """Its figures."""


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the inbox."""

    id: int
    at: float
    author: str
    verb: str
    arguments: dict[str, Any]
    state: str
    """`waiting`, `done` or `refused`."""
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the agent pane's conversation."""

    id: int
    at: float
    role: str
    """`proposer`, `engine` or `human`."""
    author: str
    text: str
    experiment: int | None


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is being written."""

    speaker: str
    """Who writes: a proposer's name, or `answer` where it is to a question."""
    about: str
    """What it is: `proposing`, `mending`, `answering`, in a few words."""
    text: str
    """The end of what is there so far."""
    started_at: float


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model, and what it took."""

    id: int
    at: float
    night: int
    proposer: str
    model: str
    purpose: str
    """`proposal`, `repair`, `question` or `probe`."""
    experiment: int | None
    """The experiment that came of it; None where none did."""
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None
    """None where the price of the model is not known."""
    seconds: float
    outcome: str
    """`ok`, or what went wrong in a few words."""


@dataclass(frozen=True, slots=True)
class DecisionEvent:
    """One event of an experiment's life, never erased."""

    experiment: int
    at: float
    event: str
    status: str
    decided_by: str
    reason: str
    id: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The figures that a rule's verdict rests on."""
