"""The file under the journal: opened, brought up to date, written all or nothing.

WAL mode, so that readers never wait; writers begin immediately, because a deferred transaction
that turns into a write fails at once whatever the timeout.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cockpit.lab.rows import SCHEMA

BUSY_SECONDS = 10.0
"""How long a writer waits for another one."""


class JournalError(Exception):
    """The journal can't be used; the message says what to do."""


class Connection:
    """An open journal; `write=False` opens it for looking only."""

    def __init__(self, path: Path, *, write: bool = True) -> None:
        """Open (and, when writing, create or migrate) the journal at `path`.

        Raises `JournalError` when the file is missing for a reader, is no journal, was made
        by a newer cockpit, or lies where SQLite's WAL can't work.
        """
        self.path = path
        if not write and not path.exists():
            raise JournalError(f"no journal at {path}: nothing has been started here yet")
        try:
            self._db = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            if write or 0 < self._version() < len(SCHEMA):
                self._migrate()  # what an older cockpit wrote, a reader brings up to date too
            if not write:
                # A reader may have to make the -shm file anew, so the file is opened for
                # writing and the connection is told never to.
                self._db.execute("PRAGMA query_only = ON")
            self._check_version()
        except sqlite3.Error as error:
            raise JournalError(
                f"can't use the journal {path}: {error}; if it is damaged, move it away: "
                "`cockpit start` rebuilds it from git"
            ) from error

    def _migrate(self) -> None:
        mode = self._db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise JournalError(
                f"{self.path.parent} can't hold a journal (SQLite's WAL does not work there, as on "
                "network file systems): name a local directory with --state-dir"
            )
        self._db.execute("PRAGMA synchronous = FULL")
        if self._version() >= len(SCHEMA):
            return
        with self.transaction():
            for version in range(self._version(), len(SCHEMA)):
                for statement in SCHEMA[version].split(";"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(SCHEMA)}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _check_version(self) -> None:
        version = self._version()
        if version > len(SCHEMA):
            raise JournalError(f"{self.path} was written by a newer cockpit: update this one")
        if version < len(SCHEMA):
            raise JournalError(f"{self.path} is not a journal of this cockpit (version {version})")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all or nothing; waits up to `BUSY_SECONDS` for another writer."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            # On a full disk SQLite has rolled back by itself already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def data_version(self) -> int:
        """Return a number that changes when another connection has written."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def integrity(self) -> str:
        """Return `ok` or what SQLite finds wrong."""
        return str(self._db.execute("PRAGMA integrity_check").fetchone()[0])

    def probe_write(self) -> None:
        """Write and take back a row; raises `JournalError` where the disk or WAL fails."""
        try:
            with self.transaction():
                self._db.execute("UPDATE counter SET value = value WHERE name = 'revision'")
        except sqlite3.Error as error:
            raise JournalError(f"can't write the journal {self.path}: {error}") from error
