"""What went wrong, sorted: crashes by kind, and changes that were clearly worse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cockpit.core.experiment import Experiment, Status
from cockpit.core.noise import Noise
from cockpit.core.tree import delta

CLEARLY = 2.0
"""Standard errors above its parent from which a change was worse beyond doubt."""
UNLIKELY = 0.05
"""The same, as probability of being better, where the rule gave one."""
EXAMPLES = 3
_MEMORY = re.compile(r"out of memory|outofmemory|\boom\b|memory limit|too much memory", re.I)
_FINITE = re.compile(r"not (?:a )?finite|\bnan\b|diverged", re.I)
_TIME = re.compile(r"wall|time limit|timed out|too long", re.I)
_ERROR = re.compile(r"\b([A-Z][A-Za-z]*(?:Error|Exception|Interrupt|Exit))\b")
_SIGNAL = re.compile(r"\b(SIG[A-Z]{3,})\b|\bsignal (\d+)\b")


@dataclass(frozen=True, slots=True)
class Crashes:
    """The crashes of one kind."""

    kind: str
    count: int
    examples: tuple[int, ...]
    """The newest experiments that ended so, at most three."""


def crash_kind(reason: str) -> str:
    """Return what a crash was, in a word or two."""
    if _MEMORY.search(reason):
        return "out of memory"
    if found := _ERROR.search(reason):
        return found[1]
    if _FINITE.search(reason):
        return "loss not finite"
    if _TIME.search(reason):
        return "too slow"
    if found := _SIGNAL.search(reason):
        return found[1] or f"signal {found[2]}"
    return "other"


def crashes(experiments: Mapping[int, Experiment]) -> tuple[Crashes, ...]:
    """Return the crashed experiments by kind, the most frequent first."""
    kinds: dict[str, list[int]] = {}
    for number in sorted(experiments):
        own = experiments[number]
        if own.status is Status.CRASHED:
            kinds.setdefault(crash_kind(why_of(own)), []).append(number)
    found = [Crashes(kind, len(n), tuple(n[: -EXAMPLES - 1 : -1])) for kind, n in kinds.items()]
    return tuple(sorted(found, key=lambda crash: (-crash.count, crash.kind)))


def why_of(own: Experiment) -> str:
    """Return why an experiment ended so: the verdict's reason, and what its last run said."""
    said = [run.reason for run in own.runs if run.reason]
    return " · ".join(dict.fromkeys([*([own.reason] if own.reason else []), *said[-1:]]))


def clearly_worse(experiments: Mapping[int, Experiment], noise: Noise) -> tuple[int, ...]:
    """Return the discarded experiments that were worse beyond doubt, the worst first."""
    found = []
    for own in experiments.values():
        change = delta(experiments, own)
        if own.status is not Status.DISCARDED or change is None or change <= 0:
            continue
        parent = experiments[own.parent] if own.parent is not None else own
        error = raw_error(own, parent, noise)
        by_figures = error is not None and change > CLEARLY * error
        if own.probability < UNLIKELY if own.probability is not None else by_figures:
            found.append((-change, own.id))
    return tuple(number for _, number in sorted(found))


def raw_error(own: Experiment, parent: Experiment, noise: Noise) -> float | None:
    """Return the standard error of a measured difference, None while the noise is not known."""
    if noise.sigma is None or not own.scores or not parent.scores:
        return None
    return noise.sigma * float((1 / len(own.scores) + 1 / len(parent.scores)) ** 0.5)
