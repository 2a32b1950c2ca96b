"""Classical search over the constants of train.py: Optuna's TPE by ask and tell.

Each proposal moves one to three constants of the present base and leaves the rest, so that
early, random ones stay near something that works. What was measured is told with its
score; what crashed is told as infeasible, not as a bad score, which would bend the model
of the good region (FACTS of the design: a penalty poisons the search, a constraint does
not); what was stopped early is told as pruned, which is worse than any score; what is queued
or running is told as running, so that the sampler keeps away from it.

The answer depends on briefing and seed alone: the memory of the process only saves time.

Source of the method: Watanabe, "Tree-Structured Parzen Estimator", arXiv 2304.11127.
"""

import argparse
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import PartialFixedSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from cockpit.core.briefing import Briefing, HistoryEntry
from cockpit.core.constants import ConstantsError, Value, read
from cockpit.core.experiment import Proposal, Status
from cockpit.proposers.base import Answer, Hear, Order, ProposerError, serve
from cockpit.proposers.space import Knob, knobs, shown

STARTUP = 10
"""Results before the sampler believes its model; until then it draws at random."""
MOST_CHANGES = 3
"""Constants that one proposal moves, at most, while there are new combinations."""
TRIES = 64
"""Draws that may all be known before the space counts as exhausted."""
TRIES_A_WIDTH = 8
"""After so many known draws one more constant may move."""
INFEASIBLE = {"ran": 1.0}
"""A constraint above 0 is violated."""

SCORED = (Status.KEPT, Status.DISCARDED, Status.BORDERLINE)
FAILED = (Status.CRASHED, Status.INVALID)
OPEN = (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Told:
    """One experiment as the sampler is told of it."""

    values: tuple[Value, ...]
    """In the sampler's terms, in the order of the knobs."""
    score: float | None
    """None: infeasible, or stopped early."""
    pruned: bool = False


class Search:
    """Proposes for one tag at a time; remembers what it has told the sampler."""

    def __init__(self) -> None:
        self._space: tuple[str, str] | None = None
        self._told: list[Told] = []
        self._study = optuna.create_study(direction="minimize")
        self._knobs: dict[str, Knob] = {}
        self._distributions: dict[str, BaseDistribution] = {}

    def propose(self, briefing: Briefing) -> Proposal:
        """Return new values for a few constants of the base.

        Raises `ProposerError` when a text does not parse, has nothing to move, or every
        combination tried is known.
        """
        try:
            own, first = read(briefing.base_train_py), read(briefing.baseline_train_py)
        except ConstantsError as error:
            raise ProposerError(f"trainer/train.py can't be searched: {error}") from error
        self._enter(briefing.tag, briefing.baseline_train_py, knobs(first.values()))
        base = {name: own[name].value for name in own}
        movable = [name for name, knob in self._knobs.items() if knob.suits(own.get(name))]
        if not movable:
            raise ProposerError("train.py has no constant that a search may move")
        start = {name: constant.value for name, constant in first.items()}
        known = _assignments(briefing.history, start, briefing.base, base)
        finished = [told for e in briefing.history if (told := self._as_told(e, known))]
        self._tell(finished)
        return self._ask(briefing, base, movable, known)

    # ---- telling --------------------------------------------------------------------------

    def _enter(self, tag: str, baseline: str, found: dict[str, Knob]) -> None:
        """Begin anew when the space is another one."""
        if self._space != (tag, baseline):
            self._space, self._knobs = (tag, baseline), found
            self._distributions = {name: _distribution(knob) for name, knob in found.items()}
            self._forget()

    def _forget(self) -> None:
        self._study, self._told = optuna.create_study(direction="minimize"), []

    def _as_told(
        self, entry: HistoryEntry, known: Mapping[int, Mapping[str, Value]]
    ) -> Told | None:
        """Return what the sampler is told of an experiment that is over, None where nothing."""
        status, values = Status(entry.status), known.get(entry.id)
        if values is None or (entry.constants is None and entry.parent is not None):
            return None
        if status in FAILED:
            return Told(self._inner(values), None)
        if status in SCORED and entry.val_bpb is not None:
            return Told(self._inner(values), entry.val_bpb)
        if status in SCORED:
            return Told(self._inner(values), None, pruned=True)
        return None

    def _inner(self, values: Mapping[str, Value]) -> tuple[Value, ...]:
        return tuple(
            knob.inner(values[name]) if type(values.get(name)) in _types(knob) else _middle(knob)
            for name, knob in self._knobs.items()
        )

    def _tell(self, finished: list[Told]) -> None:
        """Tell what is new; all of it again where the past has changed."""
        if self._told != finished[: len(self._told)]:
            self._forget()
        for told in finished[len(self._told) :]:
            state = TrialState.PRUNED if told.pruned else TrialState.COMPLETE
            self._study.add_trial(self._trial(told, state))
        self._told = finished

    def _trial(self, told: Told, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
        complete = state is TrialState.COMPLETE
        infeasible = complete and told.score is None
        return create_trial(
            state=state,
            # The sampler sorts infeasible ones apart and never looks at their score.
            value=(float("inf") if infeasible else told.score) if complete else None,
            params=dict(zip(self._knobs, told.values, strict=True)),
            distributions=self._distributions,
            constraints=INFEASIBLE if infeasible else None,
        )

    # ---- asking ---------------------------------------------------------------------------

    def _ask(
        self,
        briefing: Briefing,
        base: dict[str, Value],
        movable: Sequence[str],
        known: Mapping[int, Mapping[str, Value]],
    ) -> Proposal:
        tried = {_key(values) for values in (*known.values(), base)}
        running = [
            self._open(self._inner(known[e.id]))
            for e in briefing.history
            if e.status in OPEN and e.id in known
        ]
        try:
            for attempt in range(TRIES):
                place = f"{briefing.seed}:{len(briefing.history)}:{attempt}"
                generator = random.Random(place)  # noqa: S311 it only has to be the same again
                most = min(MOST_CHANGES + attempt // TRIES_A_WIDTH, len(movable))
                names = generator.sample(movable, generator.randint(1, most))
                drawn, number = self._draw(base, names, generator.getrandbits(32))
                running.append(number)
                changes = {n: v for n, v in drawn.items() if v != base[n]}
                if changes and _key(base | changes) not in tried:
                    return _proposal(base, changes, len(self._told))
        finally:
            for number in running:  # a failed trial is as good as none
                self._study.tell(number, state=TrialState.FAIL)
        raise ProposerError(
            f"search space exhausted: {TRIES} draws were all tried before; widen the ranges in "
            "the comments of train.py"
        )

    def _open(self, values: tuple[Value, ...]) -> int:
        """Tell of an experiment that is queued or running; return its number in the study."""
        self._study.add_trial(self._trial(Told(values, None), TrialState.RUNNING))
        return len(self._study.get_trials(deepcopy=False)) - 1

    def _draw(
        self, base: Mapping[str, Value], names: Sequence[str], seed: int
    ) -> tuple[dict[str, Value], int]:
        """Draw values for a few knobs, the others held; return them and the trial's number."""
        sampler = TPESampler(
            n_startup_trials=STARTUP, multivariate=True, constant_liar=True, seed=seed
        )
        held = {
            name: value
            for name, value in zip(self._knobs, self._inner(base), strict=True)
            if name not in names
        }
        with warnings.catch_warnings():
            # PartialFixedSampler is marked experimental since 2.4.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = PartialFixedSampler(held, sampler)
        trial = self._study.ask(self._distributions)
        return {name: self._knobs[name].outer(trial.params[name]) for name in names}, trial.number


def _assignments(
    history: Sequence[HistoryEntry],
    start: dict[str, Value],
    base: int,
    base_values: dict[str, Value],
) -> dict[int, dict[str, Value]]:
    """Return all constants of every experiment: its parent's, and what it changed.

    A parent is always older. What a whole train.py changed is known of the base only.
    """
    known: dict[int, dict[str, Value]] = {}
    for entry in sorted(history, key=lambda e: e.id):
        parent = start if entry.parent is None else known.get(entry.parent, start)
        own = base_values if entry.id == base else parent | (entry.constants or {})
        known[entry.id] = own
    return known


def _key(values: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(values.items()))


def _types(knob: Knob) -> tuple[type, ...]:
    if knob.kind == "choice":
        return (type(knob.choices[0]),)
    return (float, int) if knob.kind == "float" else (int,)


def _middle(knob: Knob) -> Value:
    """Return a stand-in for a constant that a train.py does not have."""
    return knob.choices[0] if knob.kind == "choice" else knob.inner(knob.low)


def _distribution(knob: Knob) -> BaseDistribution:
    if knob.kind == "choice":
        return CategoricalDistribution(knob.choices)
    if knob.kind == "float":
        return FloatDistribution(knob.low, knob.high, log=knob.log)
    return IntDistribution(int(knob.low), int(knob.high), log=knob.log)


def _proposal(base: Mapping[str, Value], changes: Mapping[str, Value], results: int) -> Proposal:
    names = [name for name in base if name in changes]
    title = ", ".join(f"{n} {shown(base[n])} → {shown(changes[n])}" for n in names)
    if results < STARTUP:
        why = f"a random step from the base: {results} of {STARTUP} results for a model are there"
    else:
        why = f"where the better of {results} results are denser than the others (TPE)"
    return Proposal(
        title=title,
        proposer="search",
        hypothesis=why,
        constants={name: changes[name] for name in names},
    )


def main() -> None:
    """Be the proposer's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpus", default="", help="cores it may use")
    cpus = [int(cpu) for cpu in parser.parse_args().cpus.split(",") if cpu]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = Search()

    def handle(order: Order, _: Hear) -> Answer:
        # It needs nothing to answer: `probe` and `about` are answered by being there.
        return Answer(search.propose(order.briefing) if order.briefing else None)

    serve(handle, cpus)


if __name__ == "__main__":
    main()
