"""What the engine says of itself, every few seconds: alive, at work on what, and the ledger."""

import os
import time

from cockpit.core.ledger import SlotLedger
from cockpit.engine.loop import Loop
from cockpit.lab.clock import boot
from cockpit.lab.lab import Lab
from cockpit.lab.rows import EngineRow, Night
from cockpit.lab.writing import EngineJournal

HEARTBEAT_SECONDS = 2.0


class Heartbeat:
    """Writes the engine's row when something changed, and often enough to be called alive."""

    def __init__(
        self,
        lab: Lab,
        lock: int,
        journal: EngineJournal,
        loop: Loop,
        night: Night,
        since: float,
    ) -> None:
        """`since` is the monotonic time up to which the night's elapsed time is counted."""
        self._lab = lab
        self._lock = os.fstat(lock).st_ino
        self._journal = journal
        self._loop = loop
        self._began = time.time()
        self._last = since
        self._due = 0.0
        self._said: tuple[str, str, str | None] = ("", "", None)
        self.night = night

    def __call__(self, force: bool, stopped: str | None = None) -> None:
        loop, now = self._loop, time.monotonic()
        loop.elapsed += now - self._last
        self._last = now
        paused = loop.paused_by or loop.pausing
        state = "stopped" if stopped else "paused" if paused else "running"
        said = (state, loop.activity, stopped or paused)
        if not force and now < self._due and said == self._said:
            return
        self._due, self._said = now + HEARTBEAT_SECONDS, said
        if not stopped and not self._state_is_there() and loop.ending is None:
            loop.stop("whoever removed the lab's state directory", now=True)
        row = EngineRow(
            pid=os.getpid(),
            state=state,
            activity=loop.activity,
            reason=stopped or paused,
            started_at=self._began,
            heartbeat_at=time.time(),
            monotonic=now,
            boot=boot(),
            night=self.night.id,
            sandbox=loop.slots[0].sandbox.level,
        )
        with self._journal.transaction():
            self._journal.say(row)
            self._journal.change_night(self.night.id, elapsed=loop.elapsed)
            for slot in loop.slots:
                if stopped:
                    slot.ledger = SlotLedger("other", now, slot.ledger.totals(now))
                self._journal.set_slot(slot.number, slot.device.name, slot.ledger)

    def _state_is_there(self) -> bool:
        """Tell whether the lock that this engine holds is still the one that others ask."""
        try:
            return self._lab.lock.stat().st_ino == self._lock
        except OSError:
            return False
