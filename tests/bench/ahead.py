"""Does a slot wait for ideas? `python -m tests.bench.ahead [--runs 10] [--budget 20s]`.

A model that takes 0.8 of a run's length to answer proposes for two nights on this machine:
one that thinks ahead, while a run trains, and one in the order of an agent in a shell: think,
then train. What the slot's ledger says is told by experiment, from the first one's training on:
seconds without an idea, and seconds of all that is neither training nor evaluation nor audit.
"""

import argparse
import json
import tempfile
from pathlib import Path

from tests.bench.nights import cockpit, make_lab, status
from tests.conftest import wait_until
from tests.engine.models import KEY, Researcher, night, write_settings
from tests.proposers.openai_server import Request, Step, delay, serving

GOAL_SECONDS = 1.5
SHARE = 0.8
"""Of a run's length that the model takes."""
WORK = ("training", "evaluation", "audit")


def night_of(lab: Path, budget: float, runs: int, *, ahead: bool) -> dict[str, float]:
    """Return the ledger's seconds by category, of one experiment in the mean.

    The baseline is measured in a night before: no model is asked for it.
    """
    done = cockpit(
        lab, "run", "--budget", f"{budget}s", "--max-experiments", "1", "--proposer", "search"
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    researcher = Researcher()

    def script(request: Request) -> Step:
        return delay(SHARE * budget, researcher(request))

    with serving(script) as server:
        write_settings(
            lab, server, budget=f"{budget}s", silence=f"{4 * budget}s", think_ahead=ahead
        )
        with night(lab, "--max-experiments", str(runs), key=KEY) as under_way:
            # Nothing can be ahead of the first idea: what counts begins with its run.
            before = wait_until(lambda: _of_a_run_under_way(lab), 4 * budget + 60, "a run")
            if under_way.end(60 + 6 * runs * budget):
                raise SystemExit("".join(under_way.lines))
    after = status(lab)["ledger"]
    return {name: (seconds - before.get(name, 0.0)) / runs for name, seconds in after.items()}


def _of_a_run_under_way(lab: Path) -> dict[str, float] | None:
    told = status(lab)
    trains = any(run["phase"] == "training" for run in told["current"])
    return dict(told["ledger"]) if trains else None


def main() -> int:
    """Run the benchmark and print its figures; exit 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of training a run")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    told: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, ahead in (("ahead", True), ("think then train", False)):
            lab = make_lab(Path(place) / name.replace(" ", "-"))
            seconds = night_of(lab, given.budget, given.runs, ahead=ahead)
            idle = sum(value for key, value in seconds.items() if key not in WORK)
            told[name] = {
                "without_an_idea": round(seconds["proposing"], 2),
                "without_work": round(idle, 2),
                "a_run": round(sum(seconds.values()), 2),
            }
    told["goal_seconds"] = {"without_work": GOAL_SECONDS}
    print(json.dumps(told) if given.json else json.dumps(told, indent=2))
    return int(told["ahead"]["without_work"] > GOAL_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
