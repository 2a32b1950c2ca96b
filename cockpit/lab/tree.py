"""All experiments of a lab in memory, kept fresh by asking only for what has changed."""

from cockpit.core.effects import Effects
from cockpit.core.experiment import Experiment, Status
from cockpit.core.noise import Noise
from cockpit.core.reckoning import Reckoning, noise_prior
from cockpit.core.tree import baseline
from cockpit.lab.journal import Journal


class Tree:
    """A picture of the journal's experiments; `refresh` brings it up to date."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._revision = -1
        self.experiments: dict[int, Experiment] = {}
        self.pins: dict[str, int] = {}
        """The base that a person has chosen, by tag."""
        self._reapplied: dict[int, bool] = {}
        self._kept_at: dict[int, float] = {}
        self._pinned_at: dict[str, float] = {}
        self._reckoned: dict[str, Reckoning] = {}
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
        self._pinned_at = {tag.name: tag.pinned_at for tag in self._journal.tags()}
        self._reapplied = self._journal.reapplied()
        self._kept_at = self._journal.kept_at()
        self._reckoned.clear()
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

    def reckoning(self, tag: str) -> Reckoning:
        """Return what the judge knows of a tag."""
        if tag not in self._reckoned:
            known = self._journal.tag(tag)
            setup = self._journal.setup(known.setup) if known else None
            carried = Effects.from_json(known.options.get("effects")) if known else None
            self._reckoned[tag] = Reckoning(
                self.of(tag), noise_prior(setup), carried, self._reapplied, self._kept_at
            )
        return self._reckoned[tag]

    def best(self, tag: str) -> Experiment | None:
        """Return the best of a tag: the sound kept one that is believed lowest, or None."""
        return self.reckoning(tag).best

    def base(self, tag: str) -> Experiment | None:
        """Return what the next proposal of a tag edits: the best, or what a person has pinned."""
        pinned = self.pins.get(tag)
        if pinned in self.of(tag):
            return self.reckoning(tag).grown_from(pinned, self._pinned_at.get(tag, 0.0))
        return self.best(tag)

    def noise(self, tag: str) -> Noise:
        """Return the spread of a tag: its prior, and all replicates."""
        return self.reckoning(tag).noise

    def with_status(self, tag: str, *statuses: Status) -> list[Experiment]:
        """Return the experiments of a tag that stand at one of `statuses`, oldest first."""
        if (tag, statuses) not in self._standing:  # asked for many times a second
            standing = [e for e in self.of(tag).values() if e.status in statuses]
            self._standing[tag, statuses] = standing
        return self._standing[tag, statuses]
