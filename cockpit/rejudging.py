"""What the keep rule makes of a tag that has its verdicts already, such as an imported table.

Nothing is changed by it. Every experiment is held against its own parent once more, with the noise
and the effects as the whole tag tells them; nothing can be run again, so that what is unclear is a
person's, and constraints are left out. Of a tag with one run an experiment the noise is only
assumed: `--sigma` says another one.
"""

from dataclasses import asdict, dataclass
from typing import Any

from cockpit.core.code_size import code_lines
from cockpit.core.effects import Effects
from cockpit.core.experiment import VERDICTS, Experiment, Status, after
from cockpit.core.judge import Policy, judge, signed
from cockpit.core.noise import NoisePrior
from cockpit.core.reckoning import Reckoning
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab, NoLabError
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rundir import plain_text
from cockpit.lab.tree import Tree

SURE = 1000.0
"""Degrees of freedom of a noise that a person has stated."""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One experiment, then and now."""

    id: int
    title: str
    before: str
    now: str
    delta: float | None
    gain: float | None
    """The honest one."""
    gain_error: float | None
    probability: float | None


def rejudge(
    lab: Lab, tag: str | None, policy: Policy, sigma: float | None
) -> tuple[str, Reckoning, list[Rejudged]]:
    """Return a tag's name, what the rule reckons with, and every measured change under `policy`.

    Raises `NoLabError` where there is no such tag.
    """
    journal = Journal(lab.journal, write=False)
    try:
        tree, tags = Tree(journal), journal.tags()
        tree.refresh()
        wanted = tag or journal.present_tag()
        known = next((t for t in tags if t.name == wanted), None)
        if known is None:
            raise NoLabError(f"there is no tag {tag} in this lab" if tag else "no tag here yet")
        reckoning = tree.reckoning(known.name)
    finally:
        journal.close()
    if sigma is not None:
        carried = Effects.from_json(known.options.get("effects"))
        reckoning = Reckoning(tree.of(known.name), NoisePrior(sigma, SURE), carried)
    lines = _sizes(lab, reckoning)
    found = [
        _rejudged(reckoning, own, policy, lines.get(own.id, 0))
        for own in reckoning.experiments.values()
        if own.parent is not None and own.scores and own.status in VERDICTS
    ]
    return known.name, reckoning, [one for one in found if one is not None]


def _sizes(lab: Lab, reckoning: Reckoning) -> dict[int, int]:
    """Return how many lines of code each experiment adds to its parent's, where git has both."""
    own = [e for e in reckoning.experiments.values() if e.commit is not None]
    if not own:
        return {}
    texts = Repo(lab.root).read_objects([f"{e.commit}:{TRAIN_PY}" for e in own])
    sizes = {
        e.id: code_lines(text.decode("utf-8", "replace")) if text is not None else None
        for e, text in zip(own, texts, strict=True)
    }
    return {
        e.id: size - base
        for e in own
        if (size := sizes[e.id]) is not None and (base := sizes.get(e.parent or 0)) is not None
    }


def _rejudged(reckoning: Reckoning, own: Experiment, policy: Policy, lines: int) -> Rejudged | None:
    base = reckoning.base_of(own)
    if base is None:
        return None
    spent = len(own.scores) - 1
    judged = judge(
        own.scores, base, reckoning.noise, reckoning.effects, policy=policy, replicates=0,
        spent=spent, lines=lines,
    )  # fmt: skip
    assert judged.verdict is not None
    found = judged.assessment
    return Rejudged(
        own.id,
        own.title,
        str(own.status),
        str(after(Status.RUNNING, judged.verdict.event)),
        judged.delta,
        found.gain if found else None,
        found.error if found else None,
        found.probability if found else None,
    )


def as_json(tag: str, reckoning: Reckoning, found: list[Rejudged]) -> dict[str, Any]:
    """Return what `cockpit rejudge --json` prints."""
    nothing, gain, harm = reckoning.effects.shares
    noise = reckoning.noise
    return {
        "tag": tag,
        "noise": {"sigma": noise.sigma, "runs": noise.runs},
        "effects": {"nothing": nothing, "gain": gain, "harm": harm},
        "experiments": [asdict(one) for one in found],
    }


def lines(tag: str, reckoning: Reckoning, found: list[Rejudged], policy: Policy) -> list[str]:
    """Return it for a person: how many, then a line for each one that is or was kept."""
    noise, kept = reckoning.noise, [one for one in found if one.before == Status.KEPT]
    if noise.sigma is None:
        return [f"{tag}: nothing is known of the noise; state it with --sigma"]
    basis = f"{noise.runs} runs" if noise.runs else "assumed: nothing ran twice"
    states = [one.now for one in kept]
    nothing, gain, harm = reckoning.effects.shares
    told = [
        f"{tag} under {policy}: {len(found)} measured changes, {len(kept)} were kept; of those it "
        f"keeps {states.count('kept')}, asks about {states.count('borderline')}, discards "
        f"{states.count('discarded')}",
        f"noise ±{noise.sigma:.4f} ({basis}); of the changes about {gain:.0%} gained, "
        f"{nothing:.0%} did nothing, {harm:.0%} harmed",
    ]
    claimed = sum(one.delta or 0.0 for one in kept)
    honest = sum(one.gain or 0.0 for one in kept)
    if kept and policy is not Policy.STRICT:
        told.append(f"they measured {signed(claimed)} together; honestly {signed(honest)}")
    return [*told, *(_line(one) for one in found if "kept" in (one.before, one.now))]


def _line(one: Rejudged) -> str:
    change = signed(one.delta) if one.delta is not None else ""
    honest = f"honest {signed(one.gain)} ±{one.gain_error:.4f}" if one.gain is not None else ""
    chance = f"P(better) {one.probability:.2f}" if one.probability is not None else ""
    now = f"{one.before} → {one.now}" if one.now != one.before else one.before
    return f"#{one.id:<4} {now:<21} {change:>8}  {honest:<23} {chance:<15} {plain_text(one.title)}"
