"""How good the rule for stopping early is: on a lab's own curves, and where the truth is known.

`python -m tests.bench.pruning LAB` asks the rule in hindsight of each first run of a lab, fitted
only to runs before it, and prints when it would have stopped it, how that run ended, the bound,
and from when on the rule would have been on. Curves that the journal lacks are read from the run
directories.

`python -m tests.bench.pruning` simulates nights with known truth, in several worlds: from curves
that tell the end well to changes that pay late and so mislead the rule. Of what is stopped while
the rule is on the simulation knows how it would have ended. The share of errors among it, over all
nights of a world, is to be at most 5 %: the exit status is 1 where so many can't be chance.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cockpit.core.bound import at_most
from cockpit.core.hindsight import MOST_WRONG, Case, Proof, cases, hindsight, proof
from cockpit.core.pruning import LOOKS, NATS_PER_BPB, SURE, Rule, drawn, limit_of
from cockpit.lab.journal import Journal
from cockpit.lab.lab import find
from cockpit.lab.pruning import read_course
from cockpit.lab.tree import Tree
from tests.bench.nights import percentile

SIGMA = 0.001

# ---- a lab -------------------------------------------------------------------------------------


def of_lab(root: Path, tag: str | None) -> int:
    """Print what the rule would have done to each run of a tag."""
    lab = find(root)
    journal = Journal(lab.journal, write=False)
    tree = Tree(journal)
    tree.refresh()
    tag = tag or journal.tags()[-1].name
    row = journal.tag(tag)
    setup = journal.setup(row.setup) if row else None
    sigma = tree.noise(tag).sigma
    if setup is None or sigma is None:
        print("nothing has been measured twice in this tag")
        return 1
    curves = dict(journal.curves(tag))
    for own in tree.of(tag).values():
        for run in own.scored:
            directory = lab.run_directory(own.id, run.number)
            course = read_course(directory, setup["budget_seconds"])
            if (own.id, run.number) not in curves and course is not None:
                curves[own.id, run.number] = course.ended()
    known = cases(tree.of(tag), journal.ordered(tag), curves, sigma)
    print(f"{root}, tag {tag}: noise ±{sigma:.4f}, {len(known)} first runs with a curve")
    print("   id  at   lead   P(not discarded)  change    status      checked wrong  bound")
    so_far, answers, saved, on_since = [], list(hindsight(known, sigma)), 0.0, None
    for place, answer in enumerate(answers):
        so_far.append(answer)
        proved, look = proof(so_far), answer.stopped_at
        if proved.on and on_since is None:
            on_since = place + 1
        if look is None:
            continue
        saved += (1 - LOOKS[look]) * setup["budget_seconds"]
        case, chance, lead = answer.case, answer.chances[look], answer.case.leads[look]
        status = tree.of(tag)[case.experiment].status
        print(
            f"{case.experiment:>5}  {LOOKS[look]:.0%}  {lead:+.3f}  {chance:>16.5f}  "
            f"{case.change:+.4f}  {status:<11} {proved.stopped:>7} {proved.wrong:>5}  "
            f"{proved.bound:.1%}"
        )
    last = proof(answers)
    worse = sum(case.change > case.limit for case in known)
    print(
        f"{last.stopped} of {len(known)} would have been stopped ({worse} were worse than the "
        f"margin), {last.wrong} of them wrongly: bound {last.bound:.1%}; the rule "
        + (f"is on from the run no. {on_since} on" if on_since else "stays off")
        + f"; {saved / 60:.1f} minutes of training of "
        f"{len(known) * setup['budget_seconds'] / 60:.1f}"
    )
    return 0


# ---- simulated nights --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class World:
    """How curves tell the end of a run."""

    name: str
    blur: float
    """Standard deviation of a lead around what the end makes of it, in units of the noise."""
    late: float = 0.0
    """Share of changes whose curve lies far above its base's, and that gain at the end."""
    tails: float = 0.0
    """Share of runs whose lead is off by ten times the blur."""
    far: float = 0.8
    """Share of the harmful changes that harm by some ten times the noise and more, as those of a
    random search do; of those of a good agent it is a fifth."""


WORLDS = (
    World("curves tell the end well", 1.0),
    World("curves tell the end badly", 4.0),
    World("heavy tails", 1.0, tails=0.05),
    World("1 % pay late", 1.0, late=0.01),
    World("3 % pay late", 1.0, late=0.03),
    World("10 % pay late", 1.0, late=0.10),
    World("few hopeless ones", 1.0, far=0.2),
)


@dataclass(slots=True)
class Tally:
    """What came of the nights of a world."""

    world: str
    nights_on: int = 0
    pruned: int = 0
    wrong: int = 0
    """Of the pruned ones, those that would have been kept or borderline."""
    saved: float = 0.0
    """Budgets."""
    budgets: float = 0.0
    on_from: tuple[int, ...] = ()


def simulate(world: World, nights: int, experiments: int, seed: int) -> Tally:
    """Let the rule live through nights of a world."""
    tally = Tally(world.name)
    for night in range(nights):
        _live(world, experiments, random.Random(f"{seed}:{night}"), tally)
    return tally


def _live(world: World, experiments: int, draw: random.Random, tally: Tally) -> None:
    rule, proved, began = Rule(SIGMA), Proof(), None
    for number in range(1, experiments + 1):
        case = _case(world, number, draw)
        tally.budgets += 1
        look = next((n for n in range(len(LOOKS)) if _sure(rule, case, n)), None)
        if look is not None and proved.on and not drawn(number + 1000 * draw.randrange(1000)):
            tally.pruned += 1
            tally.wrong += bool(case.wrong)
            tally.saved += 1 - LOOKS[look]
            continue
        if look is not None:
            proved = Proof(proved.stopped + 1, proved.wrong + bool(case.wrong))
            if proved.on and began is None:
                began = number
        rule.learn(case.leads, case.change)
    if began is not None:
        tally.nights_on += 1
        tally.on_from += (began,)


def _sure(rule: Rule, case: Case, look: int) -> bool:
    chance = rule.survives(look, case.leads[look], case.limit)
    return chance is not None and chance < SURE


def _case(world: World, number: int, draw: random.Random) -> Case:
    """Draw a change: 30 % gain up to 5 sigma, 35 % do nothing, 35 % harm, many of them much."""
    kind = draw.random()
    true = 0.0
    if kind < 0.3:
        true = -draw.uniform(0.2, 5.0)
    elif kind < 0.65:
        far = draw.random() < world.far
        true = draw.lognormvariate(3.0, 1.0) if far else draw.uniform(0.2, 5.0)
    late = draw.random() < world.late
    if late:
        true = -draw.uniform(1.0, 5.0)
    change = SIGMA * (true + draw.gauss(0.0, 2**0.5))
    base = [draw.gauss(0.0, world.blur)]
    leads = []
    for _ in LOOKS:
        base.append(0.7 * base[-1] + 0.7 * draw.gauss(0.0, world.blur))
        off = 10 * draw.gauss(0.0, world.blur) if draw.random() < world.tails else 0.0
        above = draw.uniform(10.0, 100.0) if late else 0.0
        leads.append(NATS_PER_BPB * (change + SIGMA * (base[-1] + off + above)))
    limit = limit_of(SIGMA, 2)
    # The judge sees a gain of about a sigma: what it does not discard.
    return Case(number, number, number + 0.5, tuple(leads), change, limit, change < -0.5 * SIGMA)


def simulated(nights: int, experiments: int, seed: int, as_json: bool) -> int:
    """Print the tally of each world; 1 where errors are more than they may be."""
    found = [simulate(world, nights, experiments, seed) for world in WORLDS]
    if as_json:
        print(json.dumps([asdict(tally) for tally in found]))
    else:
        print(f"{nights} nights of {experiments} experiments in each world")
        print(f"{'':<28} nights on  from run  pruned  wrongly        time saved")
        for tally in found:
            print(_line(tally, nights))
    return int(any(_too_many(tally) for tally in found))


def _too_many(tally: Tally) -> bool:
    """Tell whether a true share of `MOST_WRONG` would seldom make as many errors."""
    return tally.wrong > 0 and 1 - at_most(tally.wrong - 1, tally.pruned, MOST_WRONG) < 0.01


def _line(tally: Tally, nights: int) -> str:
    began: Sequence[float] = tally.on_from
    since = f"{percentile(began, 0.5):.0f}" if began else "—"
    share = f"{tally.wrong / tally.pruned:.2%}" if tally.pruned else "—"
    return (
        f"{tally.world:<28} {tally.nights_on / nights:>8.0%}  {since:>8}  {tally.pruned:>6}  "
        f"{tally.wrong:>5} {share:>8}  {tally.saved / tally.budgets:>9.1%}"
    )


def main() -> int:
    """Read the command line and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lab", nargs="?", type=Path)
    parser.add_argument("--tag")
    parser.add_argument("--nights", type=int, default=40)
    parser.add_argument("--experiments", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.lab is not None:
        return of_lab(given.lab, given.tag)
    return simulated(given.nights, given.experiments, given.seed, given.json)


if __name__ == "__main__":
    raise SystemExit(main())
