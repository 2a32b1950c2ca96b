"""Nights in which nothing is to be found: `python -m tests.bench.noop [--nights 5] [--budget 5s]`.

A proposer that only edits comments is given real nights on this machine, under `strict` (lower is
kept) and under `auto`. Every keep is noise that was taken for progress. Told for each night: how
many were kept, how far val_bpb fell by it, and how many runs were spent.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.nights import log, make_lab, status
from tests.engine.models import KEY, Researcher, night, write_settings
from tests.proposers.openai_server import Request, Step, answer, serving

MOST_KEPT = 1
"""Of `auto`, in one night."""
CONSTANT = "WARMDOWN"


class Commenter(Researcher):
    """Has ideas that change nothing."""

    def next_idea(self, request: Request) -> Step:
        """Say more about a constant."""
        return self.comment(request, f"Say it better, {self.ideas}")

    def small_change(self, request: Request, title: str) -> Step:
        """Do the same where something is to be mended, or carried over."""
        return self.comment(request, title)

    def comment(self, request: Request, title: str) -> Step:
        """Return the edit: a remark behind a constant that stays what it is."""
        line = request.edit(CONSTANT, 0)["search"]
        remark = {"search": line, "replace": f"{line}  # remark {request.number}"}
        return answer(title, edits=[remark])


def night_of(lab: Path, policy: str, budget: str, experiments: int, seed: int) -> dict[str, Any]:
    """Return what a night of no-ops kept under a policy."""
    with serving(Commenter()) as server:
        write_settings(lab, server, budget=budget, policy=policy, seed=seed)
        with night(lab, "--max-experiments", str(experiments), key=KEY) as under_way:
            if under_way.end(60 + 60 * experiments):
                raise SystemExit("".join(under_way.lines))
    told, found = status(lab), log(lab)
    changes = [one for one in found if one["parent"] is not None and one["val_bpb"] is not None]
    kept = [one for one in changes if one["status"] == "kept"]
    return {
        "policy": policy,
        "measured": len(changes),
        "kept": len(kept),
        "borderline": sum(one["status"] == "borderline" for one in changes),
        "claimed": round(sum(one["delta"] for one in kept), 4),
        "runs": sum(len(one["runs"]) for one in found),
        "sigma": round(told["noise"]["sigma"] or 0.0, 4),
    }


def main() -> int:
    """Run the nights and print a line for each; exit 1 where `auto` kept more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=5)
    parser.add_argument("--experiments", type=int, default=20)
    parser.add_argument("--budget", default="5s")
    parser.add_argument("--policy", choices=("strict", "auto", "both"), default="both")
    given = parser.parse_args()
    policies = ("strict", "auto") if given.policy == "both" else (given.policy,)
    worst = 0
    for number in range(1, given.nights + 1):
        for policy in policies:
            with tempfile.TemporaryDirectory() as place:
                lab = make_lab(Path(place) / "lab")
                told = night_of(lab, policy, given.budget, given.experiments, 1000 * number)
            print(json.dumps({"night": number, **told}), flush=True)
            worst = max(worst, told["kept"]) if policy == "auto" else worst
    return int(worst > MOST_KEPT)


if __name__ == "__main__":
    raise SystemExit(main())
