"""What a report knows, as plain frozen data: every writer tells the same, from this and no more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.core.experiment import Status
from cockpit.core.failures import Crashes
from cockpit.core.families import Family
from cockpit.core.pairs import Pair
from cockpit.core.progress import Progress
from cockpit.core.scoreboard import Score
from cockpit.lab.honest import Ablation, Honest
from cockpit.lab.pruning import PruningState
from cockpit.lab.rows import Remark


@dataclass(frozen=True, slots=True)
class Estimate:
    """A change of val_bpb (negative is better) and how sure it is."""

    value: float
    error: float | None
    """Standard deviation; None where it is not known."""
    how: str
    """`honest` (by the rule, shrunk) or `measured` (as it came)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One experiment, as a line of the report."""

    id: int
    parent: int | None
    title: str
    hypothesis: str
    proposer: str
    model: str | None
    status: Status
    val_bpb: float | None
    runs: int
    """That have a score."""
    raw: float | None
    """Measured change against the parent."""
    raw_error: float | None
    gain: float | None
    """Honest change, None where the rule has given none."""
    gain_error: float | None
    probability: float | None
    sound: bool
    decided_by: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Headline:
    """How far the tag has come, and what that took."""

    baseline: Change | None
    best: Change | None
    pinned: int | None
    """The base that a person has chosen."""
    gain: Estimate | None
    """Of the best over the baseline; None while the baseline is the best."""
    sigma: float | None
    sigma_runs: int
    """That it rests on; 0: it is what such machines usually have."""
    ideas: int
    kept: int
    waiting: int
    runs: int
    nights: int
    seconds: float
    """Of all nights of the tag."""
    dollars: float
    unpriced: int
    """Answered calls whose price is not known."""


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What one model has taken for one proposer."""

    proposer: str
    model: str
    calls: int
    unanswered: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float
    unpriced: int


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """Where the time went."""

    ledger: Mapping[str, float]
    """Seconds of all slots of the tag's last night by category; empty where there is none."""
    slots: int
    in_runs: Mapping[str, float]
    """Seconds of all runs of the tag, of every night: training, evaluation, startup."""
    runs: int
    pruning: PruningState | None
    """Whether runs are stopped early, and what that has saved; None of an imported tag."""
    ideas_an_hour: float | None
    runs_an_hour: float | None

    @property
    def busy(self) -> float | None:
        """Return the share of the slots' time spent training and evaluating."""
        whole = sum(self.ledger.values())
        work = self.ledger.get("training", 0.0) + self.ledger.get("evaluation", 0.0)
        return work / whole if whole >= 1.0 else None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has decided, and what the rule had said before."""

    experiment: int
    at: float
    by: str
    event: str
    status: str
    reason: str
    ruled: str | None
    """The status that the rule had given; None where it had not spoken."""


@dataclass(frozen=True, slots=True)
class NightReport:
    """All of it."""

    lab: str
    tag: str | None
    """None in a lab where nothing was started."""
    setup: str
    """How the tag measures, in a sentence."""
    made_at: float
    under_way: bool
    """Whether an engine is at work on it."""
    headline: Headline
    honest: Honest | None
    """How good the best truly is: fresh pairs, other budgets, sealed rows."""
    ablation: Ablation
    """What leaving kept changes out of the best has shown."""
    progress: Progress
    kept: tuple[Change, ...]
    """In the order in which they were proposed, unsound ones included."""
    waiting: tuple[Change, ...]
    """Sound borderline ones, the most valuable first: see `core.awaiting`."""
    crashes: tuple[Crashes, ...]
    worse: tuple[Change, ...]
    """Worse than their parent beyond doubt, the worst first."""
    invalid: tuple[Change, ...]
    families: tuple[Family, ...]
    pairs: tuple[Pair, ...]
    proposers: tuple[Score, ...]
    models: tuple[ModelCost, ...]
    time: TimeSpent
    decisions: tuple[Decision, ...]
    remarks: tuple[Remark, ...]

    @property
    def titles(self) -> dict[int, str]:
        """Return the title of every experiment with a verdict, by id."""
        return {point.id: point.title for point in self.progress.points}

    def as_json(self) -> dict[str, Any]:
        """Return it for other programs."""
        from dataclasses import asdict

        return asdict(self)
