"""The only door out of the screen: read a snapshot, drop a command, begin a night.

Everything here may block (a disk, another writer), so that the app calls it in a thread.
The journal is only ever read, but for the inbox.
"""

import getpass
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cockpit.core.experiment import Experiment, Hint
from cockpit.core.ledger import total
from cockpit.lab.connection import JournalError
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.looking import LookingJournal, Scores
from cockpit.lab.rows import EngineRow, Night
from cockpit.ui.conversation import Conversation
from cockpit.ui.derived import derived
from cockpit.ui.details import TEXT_BYTES, read_details, text_under_test
from cockpit.ui.sending import Sending
from cockpit.ui.snapshot import Details, EngineState, Outcome, Slot, Snapshot
from cockpit.ui.spawn import own_cores, start_night, stay_on
from cockpit.ui.spent import Spent
from cockpit.ui.tally import done_tonight
from cockpit.ui.underway import UnderWay, running

FINDINGS_BYTES = 1 << 18
"""No findings are read further than this."""
LOCK_SECONDS = 1.0
"""How often the engine's lock is tried: whoever tries holds it for a moment."""

Scored = tuple[Scores | None, Spent]
"""A scoreboard, None where there is no tag yet, and what the night has taken."""


def _claims(night: Night | None) -> tuple[int, int] | None:
    """Return what tells one moment of a night from another, as far as experiments go."""
    return (night.id, night.claimed) if night else None


class Client:
    """Looks at one lab and speaks for one person."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.author = getpass.getuser()
        self._cores = own_cores()
        # Looked at from worker threads: SQLite must not be closed, or asked twice at once,
        # while another thread is in it.
        self._using = threading.RLock()
        self._journal: LookingJournal | None = None
        self._conversation = Conversation()
        self._file: tuple[int, int] | None = None
        self._data_version = -1
        self._revision = -1
        self._known = Snapshot(lab.name, time.time(), EngineState("fresh"))
        self._row: EngineRow | None = None
        self._heartbeat = (0.0, 0.0)
        self._lives = (False, float("-inf"))
        self._under_way = UnderWay(lab)
        self._sending = Sending(lab, self.author, self._cores)
        self._scores: tuple[tuple[int, str, int], Scores] | None = None

    # ---- reading ---------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the lab as it is now; never raises for what a lab may look like."""
        with self._using:
            return self._look()

    def _look(self) -> Snapshot:
        problem = None
        try:
            self._read_journal()
        except (JournalError, sqlite3.Error) as error:
            problem = str(error) if self.lab.journal.exists() else None
            self._forget()
        outcomes = self._sending.answers(self._journal) if self._journal else ()
        engine = self._engine_state()
        known = self._known
        runs = running(known.experiments or {})
        current = self._under_way.follow(
            runs if engine.alive else {}, known.experiments or {}, known.slots or {}
        )
        self._known = replace(
            known,
            at=time.time(),
            engine=engine,
            problem=problem,
            # What a dead engine's proposer was writing is written by nobody now.
            streams=known.streams if engine.alive else (),
            current=current,
            stranded=tuple(sorted({n for n, _ in runs})) if engine.state == "dead" else (),
            outcomes=outcomes,
        )
        return self._known

    @property
    def engine_state(self) -> str:
        """Return how the engine was when last looked at: see `EngineState.state`."""
        return self._known.engine.state

    def close(self) -> None:
        """Let go of the journal, once no thread is in it."""
        with self._using:
            if self._journal is not None:
                self._journal.close()
            self._journal = None

    def _forget(self) -> None:
        """The journal is gone or broken: what was known of it is not true any more."""
        self.close()
        self._data_version = self._revision = -1
        self._known = Snapshot(self.lab.name, time.time(), EngineState("fresh"))
        self._row = None
        self._conversation = Conversation()
        self._under_way = UnderWay(self.lab)
        self._sending.forget()
        self._scores = None

    def _read_journal(self) -> None:
        try:
            status = self.lab.journal.stat()
        except OSError as error:
            raise JournalError(f"no journal: {error}") from error
        if self._journal is not None and self._file != (status.st_dev, status.st_ino):
            self._forget()
        if self._journal is None:
            self._journal = LookingJournal(self.lab.journal, write=False)
            self._file = (status.st_dev, status.st_ino)
        # Before the reading: what is written meanwhile is read again, never missed.
        version = self._journal.data_version()
        if version == self._data_version:
            return
        self._read_rows(self._journal)
        self._data_version = version

    def _read_rows(self, journal: LookingJournal) -> None:
        known = self._known
        self._row = journal.engine()
        night, tags = journal.last_night(), journal.tags()
        name = night.tag if night else tags[-1].name if tags else None
        tag = next((t for t in tags if t.name == name), None)
        setup = known.setup
        if tag != known.tag:
            setup = journal.setup(tag.setup) if tag else None
        self._known = replace(
            known,
            tag=known.tag if tag == known.tag else tag,
            setup=setup,
            night=night,
            slots=self._slots(journal),
        )
        # Before the experiments: what is decided in between counts as not seen.
        seen, wanted = journal.newest_event(), tuple(journal.wanted())
        changed = self._read_experiments(journal, changed_tag=tag != known.tag)
        experiments = self._known.experiments or {}
        self._known = replace(
            self._known,
            seen=seen,
            wanted=known.wanted if wanted == known.wanted else wanted,
            **self._conversation.read(journal, night, experiments, changed.values()),
        )
        if seen != known.seen:
            self._known = replace(self._known, by_hand=journal.last_by_hand())
        if changed or _claims(night) != _claims(known.night):
            of_tag = (e for e in experiments.values() if tag and e.tag == tag.name)
            self._known = replace(self._known, done_tonight=done_tonight(night, of_tag))

    def _read_experiments(self, journal: Journal, *, changed_tag: bool) -> dict[int, Experiment]:
        """Take what has changed, and return it."""
        revision = journal.revision()
        if revision == self._revision and not changed_tag:
            return {}
        changed = journal.experiments(self._revision)
        self._revision = revision
        experiments = {**(self._known.experiments or {}), **changed}
        if list(experiments) != sorted(experiments):
            experiments = dict(sorted(experiments.items()))
        self._known = replace(
            self._known,
            experiments=experiments,
            **derived(
                experiments,
                self._known.tag,
                self._known.setup,
                journal.reapplied(),
                journal.kept_at(),
            ),
        )
        return changed

    def _slots(self, journal: Journal) -> dict[int, Slot]:
        rows = journal.slots()
        at = self._row.monotonic if self._row else 0.0
        if self._engine_lives():  # a dead one's time does not go on
            at = max(at, time.monotonic())
        return {
            number: Slot(device, ledger.category, total([ledger], at))
            for number, (device, ledger) in rows.items()
        }

    def _engine_lives(self) -> bool:
        now = time.monotonic()
        if now - self._lives[1] >= LOCK_SECONDS:
            self._lives = (self.lab.engine_lives(), now)
        return self._lives[0]

    def _engine_state(self) -> EngineState:
        row = self._row
        if row is None or self._journal is None:
            return EngineState("fresh")
        now = time.monotonic()
        # The age is counted from when this process first saw the beat: clocks may jump.
        if row.heartbeat_at != self._heartbeat[0]:
            first = self._heartbeat[0] == 0.0
            late = max(0.0, time.time() - row.heartbeat_at) if first else 0.0
            self._heartbeat = (row.heartbeat_at, now - late)
        state = row.state if row.state in {"running", "paused"} else "stopped"
        if state != "stopped" and not self._engine_lives():
            state = "dead"
        age = max(0.0, now - self._heartbeat[1])
        return EngineState(state, age, row.activity, row.reason, row.sandbox)

    def details(self, number: int) -> Details | None:
        """Return everything about one experiment, or None where there is none."""
        experiments = self._known.experiments or {}
        with self._using:
            if number not in experiments or self._journal is None:
                return None
            return read_details(self.lab, self._journal, experiments, number)

    def base_text(self) -> tuple[int, str] | None:
        """Return the number of the base and its train.py, None where it is not there."""
        base = self._known.base
        text = text_under_test(self.lab, base) if base is not None else None
        return (base.id, text) if base is not None and text is not None else None

    def own_text(self) -> str | None:
        """Return the working tree's train.py, None where there is none that can be read."""
        try:
            with (self.lab.root / "trainer" / "train.py").open("rb") as file:
                return file.read(TEXT_BYTES).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    # ---- pages: each may take a while -------------------------------------------------------

    def findings(self) -> str | None:
        """Return the findings as they stand, None where there are none; not more than a page."""
        try:
            with self.lab.findings.open("rb") as file:
                return file.read(FINDINGS_BYTES).decode("utf-8", "replace")
        except OSError:
            return None

    def hints(self) -> tuple[Hint, ...]:
        """Return all hints, oldest first."""
        return self._known.hints

    def scores(self) -> Scored:
        """Return the scoreboard of the present tag, and what the night has taken."""
        with self._using:
            known = self._known
            if self._journal is None or known.tag is None:
                return None, known.spent
            key = self._revision, known.tag.name, known.spent.last
            if self._scores is None or self._scores[0] != key:
                try:
                    found = self._journal.scores(known.tag.name, known.experiments or {})
                except sqlite3.Error:  # the next snapshot says what is wrong with the journal
                    return None, known.spent
                self._scores = key, found
            return self._scores[1], known.spent

    # ---- commands --------------------------------------------------------------------------

    def send(self, verb: str, arguments: Mapping[str, Any]) -> Outcome | None:
        """Drop a command; its answer comes in a later snapshot, a refusal to try at once."""
        return self._sending.send(verb, arguments)

    def start(self, options: Sequence[str], progress: Callable[[str], None]) -> str | None:
        """Begin (or repair) a night; return None, or why it could not begin. Blocks."""
        return start_night(self.lab.root, list(options), self._cores, progress)

    def keep_off_training_cores(self) -> None:
        """On a CPU lab, stay on the last core: the training has the others."""
        device = (self._known.setup or {}).get("device")
        if device == "cpu" and len(self._cores) > 1:
            stay_on({max(self._cores)})
