"""What each kept change is worth today: the best without it.

A change was kept on the base of its day. Since then others have come, which may do the same by
other means, or need it; and some of what is kept was luck. Both are dead weight: code that a
person reads and a later idea trips over, for nothing. The field's remedy is the leave-one-out
ablation: train the best with one change taken out, for each change, and see what is lost.

Taking out is a merge (`core.merging`) of what the later changes have made of the text with the
change undone. Where later changes have rewritten its lines it can't be taken out by itself: that
is said, and the change passed over. So is one whose removal makes no valid train.py.

What is lost is measured like anything else, against the noise: cost = mean without it - mean of
the best, with the error sigma * sqrt(1/n + 1/m) and Student's t for its posterior (under a flat
prior: the runs by which the change was kept are no witnesses in its own case). What cannot be seen
is no reason to keep code, so the question is not "is it nothing?" but

    p = P(taking it out costs more than half a sigma)

*dead weight* below `DEAD_BELOW`, *carries its weight* from `CARRIES_FROM` on. Between the two the
variant runs again with another seed, `MOST_RUNS` times at most, and then it stays: who removes
something has the burden of proof. The best itself runs until it has `BEST_RUNS`, because all
comparisons lean on it. Simulated: 50 % of changes that do nothing are called dead weight, 14 % of
those worth 1 sigma, 2 % of those worth 2, at 1.1 to 2 runs each (with five runs of the best 54, 14
and 1.5 %, with a single one 43, 16 and 3.6 %).

No variant is ever kept: of a dozen near-equal ones the lowest would only be the luckiest. What is
dead weight goes out together in one *lean* train.py, an experiment like any other, that fresh runs
and the keep rule decide on (less code for an equal score is kept as simpler).

Sources: Meyes et al., "Ablation Studies in Artificial Neural Networks", arXiv 1901.08644; Lipton
and Steinhardt, "Troubling Trends in Machine Learning Scholarship", 2018, on gains that nobody took
apart.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cockpit.core import guard
from cockpit.core.experiment import Event, Experiment, Proposal, Status, Verdict
from cockpit.core.judge import signed
from cockpit.core.merging import merge
from cockpit.core.noise import Noise, student_cdf
from cockpit.core.schedule import ABLATE

PROPOSER = ABLATE
"""Who proposes the variants and the lean text."""
SEEN_FROM = 0.5
"""Sigmas that a change has to be worth."""
DEAD_BELOW = 0.2
CARRIES_FROM = 0.8
MOST_RUNS = 3
BEST_RUNS = 3
"""Every comparison leans on the best: where it has fewer runs, it runs again first."""

Finding = Literal["carries its weight", "dead weight", "unclear"]


@dataclass(frozen=True, slots=True)
class Change:
    """A kept change, with the texts before and after it."""

    experiment: int
    title: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Without:
    """The best without a change."""

    change: Change
    train_py: str | None
    """None where it can't be."""
    problem: str | None
    """Why it can't, one line."""


@dataclass(frozen=True, slots=True)
class Lean:
    """The best without all that is dead weight."""

    train_py: str
    removed: tuple[int, ...]
    """Experiments whose changes are out of it."""
    stuck: tuple[int, ...]
    """Those whose changes could not be taken out together with the others."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a kept change is worth in the text that has come of it."""

    experiment: int
    """Whose change it is."""
    variant: int
    """The experiment without it."""
    of: int
    """The experiment it was taken out of."""
    gain: float | None
    """val_bpb with it minus without it: negative is better. None while nothing is measured."""
    error: float | None
    """Standard deviation of that."""
    probability: float | None
    """Of being worth more than half a sigma."""
    finding: Finding | None
    """None while it is measured, and where it could not be."""


def leave_one_out(line: Sequence[Change], best_train_py: str) -> list[Without]:
    """Return the best without each change of its line, in the order of the line."""
    return [_without(change, best_train_py) for change in line]


def _without(change: Change, best_train_py: str) -> Without:
    text = merge(change.after, best_train_py, change.before)
    if text is None:
        return Without(change, None, "later changes have rewritten its lines")
    if text == best_train_py:
        return Without(change, None, "nothing is left of it in the best")
    if refusal := guard.check(text):
        problem = refusal.partition("\n")[0]
        return Without(change, None, f"what is left without it is no train.py: {problem}")
    return Without(change, text, None)


def lean(line: Sequence[Change], best_train_py: str, dead: Iterable[int]) -> Lean | None:
    """Return the best without the changes of these experiments; None where none comes out.

    The newest goes first: what it was built on is then free of it.
    """
    wanted, text = set(dead), best_train_py
    removed, stuck = [], []
    for change in reversed(line):
        if change.experiment not in wanted:
            continue
        one = _without(change, text)
        if one.train_py is None:
            stuck.append(change.experiment)
        else:
            text = one.train_py
            removed.append(change.experiment)
    if not removed:
        return None
    return Lean(text, tuple(sorted(removed)), tuple(sorted(stuck)))


# ---- the rule ---------------------------------------------------------------------------------


def worth(number: int, variant: Experiment, best: Experiment, noise: Noise) -> Worth:
    """Return what the change of experiment `number` is worth; `variant` is `best` without it."""
    unknown = Worth(number, variant.id, best.id, None, None, None, None)
    if variant.val_bpb is None or best.val_bpb is None or noise.sigma is None:
        return unknown
    gain = best.val_bpb - variant.val_bpb
    error = noise.sigma * math.sqrt(1 / len(variant.scores) + 1 / len(best.scores))
    least = SEEN_FROM * noise.sigma
    chance = student_cdf((-gain - least) / error, max(1, int(noise.degrees)))
    finding: Finding | None = None
    if chance < DEAD_BELOW:
        finding = "dead weight"
    elif chance >= CARRIES_FROM:
        finding = "carries its weight"
    elif len(variant.scores) >= MOST_RUNS:
        finding = "unclear"
    return Worth(number, variant.id, best.id, gain, error, chance, finding)


def verdict(variant: Experiment, best: Experiment, noise: Noise, ablates: int) -> Verdict | None:
    """Return the verdict on a measured variant, which says what is worth; None: once more first.

    It is discarded whatever it scores; its figures are those of every verdict.
    """
    found = worth(ablates, variant, best, noise)
    if found.gain is None or found.error is None:
        return Verdict(Event.DISCARD, f"#{ablates}: nothing can be said, the noise is not known")
    if found.finding is None:
        return None
    better = student_cdf(found.gain / found.error, max(1, int(noise.degrees)))
    facts = {
        "probability": round(better, 4),
        "gain": -found.gain,
        "gain_error": found.error,
        "ablates": ablates,
        "finding": found.finding,
    }
    return Verdict(Event.DISCARD, told(found), facts=facts)


def table(
    experiments: Mapping[int, Experiment], proposals: Mapping[int, Proposal], noise: Noise
) -> list[Worth]:
    """Return what the newest variants of a tag say of each change, in the order of the changes."""
    newest: dict[int, Experiment] = {}
    for number, own in sorted(experiments.items()):
        ablated = proposals[number].ablates if number in proposals else None
        if ablated and own.parent in experiments and own.status is not Status.STOPPED:
            newest[ablated[0]] = own
    return [
        worth(number, own, experiments[own.parent], noise)
        for number, own in sorted(newest.items())
        if own.parent is not None
    ]


# ---- in words ---------------------------------------------------------------------------------


def told(one: Worth) -> str:
    """Return in a line what a change is worth."""
    name = f"#{one.experiment}"
    if one.gain is None or one.error is None:
        return f"{name}: not measured without it yet"
    figures = f"{signed(one.gain)} ±{one.error:.4f}"
    chance = f"P(worth more than half a sigma) {one.probability:.2f}"
    match one.finding:
        case "dead weight":
            return f"dead weight: {name} is worth {figures}, {chance}"
        case "carries its weight":
            return f"{name} is worth {figures}: it carries its weight"
        case "unclear":
            return f"{name} is worth {figures}: unclear after {MOST_RUNS} runs, it stays ({chance})"
    return f"{name} is worth {figures} so far, {chance}"


def variant_title(change: Change) -> str:
    """Return the title of the experiment that leaves a change out."""
    return f"without #{change.experiment} {change.title}"


def lean_title(found: Lean) -> str:
    """Return the title of the experiment that leaves all dead weight out."""
    return f"lean: without {', '.join(f'#{number}' for number in found.removed)}"
