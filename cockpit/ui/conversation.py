"""What the agent pane shows, read from the journal; parts that did not change are kept."""

from collections.abc import Iterable, Mapping
from typing import Any

from cockpit.core.experiment import Experiment, Hint
from cockpit.lab.looking import LookingJournal
from cockpit.lab.rows import Message, Night, Stream
from cockpit.ui.offers import standing_offer
from cockpit.ui.past import PastNight, past_nights, talk_begins
from cockpit.ui.spent import NOTHING_SPENT

MESSAGES = 600
"""The newest messages of a night that a screen keeps."""


class Conversation:
    """Follows messages, hints, streams and calls; `read` takes what is new of them."""

    def __init__(self) -> None:
        self._night: int | None = None
        self._since = 0.0
        self._messages: tuple[Message, ...] = ()
        self._earlier = 0
        self._hints: tuple[Hint, ...] = ()
        self._streams: tuple[Stream, ...] = ()
        self._spent = NOTHING_SPENT
        self._past: tuple[PastNight, ...] = ()

    def read(
        self,
        journal: LookingJournal,
        night: Night | None,
        experiments: Mapping[int, Experiment],
        changed: Iterable[Experiment],
    ) -> dict[str, Any]:
        """Return the fields of a snapshot; `changed` are the experiments read anew just now."""
        hints = tuple(journal.hints())
        other_night = night is not None and night.id != self._night
        if other_night:
            assert night is not None
            self._begin(journal, night)
        if night is not None and (
            other_night
            or hints != self._hints
            or any((e.claimed_at or e.created_at) < night.started_at for e in changed)
        ):
            self._condense(journal, experiments, hints)
        self._hints = self._hints if hints == self._hints else hints
        self._read_messages(journal)
        if night is not None:
            self._spent = self._spent.and_then(journal.calls_after(night.id, self._spent.last))
        streams = tuple(journal.streams())
        self._streams = self._streams if streams == self._streams else streams
        return {
            "messages": self._messages,
            "earlier": self._earlier,
            "offer": standing_offer(self._messages),
            "past": self._past,
            "hints": self._hints,
            "streams": self._streams,
            "spent": self._spent,
        }

    def _begin(self, journal: LookingJournal, night: Night) -> None:
        """Begin with another night: what was said before it is condensed."""
        nights = journal.nights()
        self._night, self._since = night.id, talk_begins(nights, len(nights) - 1)
        self._messages, self._earlier = (), 0
        self._spent = NOTHING_SPENT

    def _condense(
        self,
        journal: LookingJournal,
        experiments: Mapping[int, Experiment],
        hints: tuple[Hint, ...],
    ) -> None:
        nights = journal.nights()
        if len(nights) < 2:
            self._past = ()
            return
        past = past_nights(
            nights, experiments, hints, journal.exchanges(), journal.dollars_by_night()
        )
        known = {one.id: one for one in self._past}
        # A block that says the same is the same object: it is not wrapped again.
        self._past = tuple(known[p.id] if known.get(p.id) == p else p for p in past)

    def _read_messages(self, journal: LookingJournal) -> None:
        last = self._messages[-1].id if self._messages else 0
        fresh = tuple(journal.messages_since(self._since, last, MESSAGES))
        if not fresh:
            return
        self._messages = (self._messages + fresh)[-MESSAGES:]
        if len(self._messages) == MESSAGES:
            self._earlier = journal.messages_before(self._messages[0].id, self._since)
