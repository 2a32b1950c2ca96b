"""All experiments of a lab in memory, kept fresh by asking only for what has changed."""

from cockpit.core.experiment import Experiment, Status
from cockpit.core.noise import Noise, pooled
from cockpit.core.tree import base, baseline, best
from cockpit.lab.journal import Journal


class Tree:
    """A picture of the journal's experiments; `refresh` brings it up to date."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._revision = -1
        self.experiments: dict[int, Experiment] = {}
        self.pins: dict[str, int] = {}
        """The base that a person has chosen, by tag."""
        self._of: dict[str, dict[int, Experiment]] = {}
        self._standing: dict[tuple[str, tuple[Status, ...]], list[Experiment]] = {}

    @property
    def revision(self) -> int:
        """Return the number of the last change that it knows."""
        return self._revision

    def refresh(self) -> bool:
        """Read what has changed since the last time; tell whether anything had."""
        revision = self._journal.revision()
        if revision == self._revision:
            return False
        self.experiments.update(self._journal.experiments(self._revision))
        self.pins = self._journal.pins()
        self._revision = revision
        self._of.clear()
        self._standing.clear()
        return True

    def of(self, tag: str) -> dict[int, Experiment]:
        """Return the experiments of one tag, ascending by id."""
        if tag not in self._of:
            own = {number: e for number, e in sorted(self.experiments.items()) if e.tag == tag}
            self._of[tag] = own
        return self._of[tag]

    def baseline(self, tag: str) -> Experiment | None:
        """Return the baseline of a tag, or None."""
        return baseline(self.of(tag).values(), tag)

    def best(self, tag: str) -> Experiment | None:
        """Return the sound kept experiment of a tag with the lowest score, or None."""
        return best(self.of(tag), tag)

    def base(self, tag: str) -> Experiment | None:
        """Return what the next proposal of a tag edits: the pinned one's best, or the best."""
        return base(self.of(tag), tag, self.pins.get(tag))

    def noise(self, tag: str) -> Noise:
        """Return the spread pooled over all replicates of a tag."""
        return pooled(e.scores for e in self.of(tag).values())

    def with_status(self, tag: str, *statuses: Status) -> list[Experiment]:
        """Return the experiments of a tag that stand at one of `statuses`, oldest first."""
        if (tag, statuses) not in self._standing:  # asked for many times a second
            standing = [e for e in self.of(tag).values() if e.status in statuses]
            self._standing[tag, statuses] = standing
        return self._standing[tag, statuses]
