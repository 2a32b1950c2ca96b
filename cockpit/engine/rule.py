"""The keep rule, asked: an experiment of the journal goes in, a verdict or a further run comes out.

What `core.judge` needs to know beside the scores comes together here: what was spent on a
challenger already, how much code it adds, which constraints it has to keep.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cockpit.core import ablating
from cockpit.core.code_size import code_lines
from cockpit.core.constraints import Constraint
from cockpit.core.disturbance import DISTURBED, slowed_down
from cockpit.core.experiment import BY_RULE, Event, Experiment, Status, Verdict
from cockpit.core.judge import REPLICATES, Judgement, Policy, judge
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

BASELINE_RUNS = 2
"""Runs of the baseline before anything is judged: the least from which a spread can be had."""
CALIBRATE = "calibrate"
"""Why further runs of a baseline are wanted."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rule says of an experiment as it stands."""

    verdict: Verdict | None
    """None: another run is due first."""
    again: Literal["own", "base", "waits"] | None = None
    """Whose; `waits`: a run of its base has been asked for and is not there yet."""
    judgement: Judgement | None = None


def wish_for(number: int) -> str:
    """Return why a run of a base is wanted: the challenger that it is for."""
    return f"for #{number}"


class Rule:
    """Asks the judge."""

    def __init__(
        self,
        journal: EngineJournal,
        repo: Repo,
        tree: Tree,
        constraints: Callable[[], Sequence[Constraint]] = list,
        policy: Policy = Policy.AUTO,
        replicates: int = REPLICATES,
        baseline_runs: int = BASELINE_RUNS,
    ) -> None:
        """`constraints` returns those of the moment.

        `replicates` is how many further runs a challenger is worth at most.
        """
        self._journal = journal
        self._repo = repo
        self._tree = tree
        self._constraints = constraints
        self._policy = policy
        self._replicates = replicates
        self.baseline_runs = max(BASELINE_RUNS, baseline_runs)
        self._sizes: dict[str, int | None] = {}
        self._rulings: tuple[int, dict[int, Ruling]] = (-1, {})

    def of(self, own: Experiment, *, last: bool = False) -> Ruling:
        """Return what the rule says of an experiment that has a score.

        `last`: nothing will run again, so that what is unclear is a person's.
        """
        if last and own.parent is not None:
            return self._against(own, replicates=0)
        revision, known = self._rulings
        if revision != self._tree.revision:
            self._rulings = self._tree.revision, (known := {})
        if own.id not in known:
            known[own.id] = (
                self._baseline(own) if own.parent is None else self._against(own, self._worth(own))
            )
        return known[own.id]

    def ask_for_base(self, own: Experiment) -> None:
        """Ask for the run of its base that an experiment's ruling wants."""
        if own.parent is not None:
            self._journal.want(own.parent, "verdict", wish_for(own.id), BY_RULE)

    def take_back(self, number: int) -> None:
        """Take back the runs of its base that an experiment with a verdict needs no more."""
        for wish in self._journal.wishes(wish_for(number)):
            if wish.run is None:
                self._journal.unwant(wish.id)

    def calibrate(self, tag: str) -> None:
        """Ask for the runs that a baseline with a verdict still lacks to what is wanted of it."""
        baseline = self._tree.baseline(tag)
        if baseline is None or baseline.status is not Status.KEPT:
            return
        coming = sum(wish.run is None for wish in self._journal.wishes(CALIBRATE))
        for _ in range(self.baseline_runs - len(baseline.scores) - coming):
            self._journal.want(baseline.id, "verdict", CALIBRATE, BY_RULE)

    def _baseline(self, own: Experiment) -> Ruling:
        if len(own.scores) < self.baseline_runs:
            return Ruling(None, "own")
        noise = self._tree.noise(own.tag)
        assert noise.sigma is not None
        told = f"mean of {len(own.scores)} runs, noise ±{noise.sigma:.4f}"
        return Ruling(Verdict(Event.KEEP, told))

    def _left_out(self, own: Experiment, ablates: int) -> Ruling:
        """Return what is said of an experiment that leaves a kept change out: see `ablating`."""
        best = self._tree.experiments[own.parent] if own.parent is not None else own
        verdict = ablating.verdict(own, best, self._tree.noise(own.tag), ablates)
        return Ruling(verdict, None if verdict is not None else "own")

    def _worth(self, own: Experiment) -> int:
        """Return how many further runs an experiment is worth.

        What a person has had run again is decided or left to them, and not run once more.
        """
        return 0 if own.status is Status.BORDERLINE else self._replicates

    def _against(self, own: Experiment, replicates: int) -> Ruling:
        if own.proposer == ablating.PROPOSER:
            ablates = self._journal.proposal(own.id).ablates
            if ablates is not None:
                return self._left_out(own, ablates[0])
        reckoning = self._tree.reckoning(own.tag)
        base = reckoning.base_of(own)
        if base is None:
            return Ruling(Verdict(Event.ASK, f"its base #{own.parent} has no score"))
        wishes = self._journal.wishes(wish_for(own.id))
        spent = len(own.scores) - 1 + len(wishes)
        judged = judge(
            own.scores,
            base,
            reckoning.noise,
            reckoning.effects,
            policy=self._policy,
            replicates=replicates,
            spent=spent,
            lines=self._lines(own),
        )
        if judged.verdict is None:
            waits = judged.again == "base" and self._is_on_its_way(own)
            return Ruling(None, "waits" if waits else judged.again, judged)
        if judged.verdict.event is Event.DISCARD and replicates and self._needs_a_twin(own):
            return Ruling(None, "own", judged)
        return Ruling(self._constrained(own, judged.verdict), None, judged)

    def _needs_a_twin(self, own: Experiment) -> bool:
        """Tell whether all that was measured is a run that something else may have slowed down."""
        base = self._tree.experiments[own.parent].scored if own.parent is not None else ()
        again = any(run.state == DISTURBED for run in own.runs)
        return len(own.scored) == 1 and not again and slowed_down(own.scored[0], base)

    def _is_on_its_way(self, own: Experiment) -> bool:
        """Tell whether a run of its base has still to come or to end, whoever asked for it."""
        base = self._tree.experiments[own.parent] if own.parent is not None else own
        if any(run.state == "running" and run.purpose == "verdict" for run in base.runs):
            return True
        return any(
            wish.experiment == base.id and wish.author == BY_RULE and wish.purpose == "verdict"
            for wish in self._journal.wanted()
        )

    def _constrained(self, own: Experiment, verdict: Verdict) -> Verdict:
        """Return the verdict, or that what would be kept breaks a constraint."""
        if verdict.event not in (Event.KEEP, Event.ASK):
            return verdict
        for constraint in self._constraints():
            if broken := constraint.broken_by(own.scored):
                told = f"it breaks a constraint: {broken}"
                return replace(verdict, event=Event.DISCARD, reason=told)
        return verdict

    def _lines(self, own: Experiment) -> int:
        """Return how many lines of code an experiment adds to its parent's."""
        parent = self._tree.experiments[own.parent] if own.parent is not None else None
        if own.commit is None or parent is None or parent.commit is None:
            return 0
        own_size, base_size = self._size(own.commit), self._size(parent.commit)
        return own_size - base_size if own_size is not None and base_size is not None else 0

    def _size(self, commit: str) -> int | None:
        if commit not in self._sizes:
            self._sizes[commit] = code_lines(self._repo.read_text(commit, TRAIN_PY))
        return self._sizes[commit]
