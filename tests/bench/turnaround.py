"""How long a slot stands between two runs: last byte of a score to the next optimizer step.

`python -m tests.bench.turnaround [--runs 20] [--budget 10s]` runs one night on this machine
and reads the run directories: from the moment a result was written to the first finished
optimizer step of the next run, with the queue not empty. Runs after a kept result are
reported apart, because the base has moved and the branch with it. A second, shorter night
starts from step sizes that are far too small, so that some results are kept.
"""

import argparse
import itertools
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cockpit.core.constants import rewrite
from cockpit.lab import presets
from tests.bench.nights import cockpit, lines, log, make_lab, percentile

GOAL_SECONDS = 1.5
"""For the 90th percentile of the runs after a result that was not kept."""


def pauses(lab: Path) -> list[dict[str, Any]]:
    """Return the pause before each run but the first two, in the order of the runs."""
    status = {told["id"]: told["status"] for told in log(lab)}
    runs = []
    for result in (lab / ".cockpit" / "runs").glob("*/*/result.json"):
        told = json.loads(result.read_text())
        metrics = lines(result.with_name("metrics.jsonl"))
        steps = [m["monotonic"] for m in metrics if m["kind"] == "step"]
        clock = [m["monotonic"] for m in metrics if m.get("phase") == "training"]
        runs.append(
            {
                "experiment": int(result.parts[-3]),
                "clock": clock[0],
                "step": steps[0],
                "scored": told["monotonic"],
            }
        )
    runs.sort(key=lambda run: run["clock"])
    return [
        {
            "experiment": after["experiment"],
            "after_kept": status[before["experiment"]] == "kept",
            "to_first_step": after["step"] - before["scored"],
            "to_clock": after["clock"] - before["scored"],
        }
        for before, after in itertools.pairwise(runs)
        # The queue is empty until the baseline has been measured.
        if before["experiment"] != 0
    ]


def night(lab: Path, budget: str, experiments: int) -> list[dict[str, Any]]:
    """Run a night and return its pauses."""
    done = cockpit(
        lab, "run", "--budget", budget, "--max-experiments", str(experiments), "--device", "cpu"
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return pauses(lab)


def start_badly(lab: Path) -> None:
    """Commit a baseline that is easily beaten."""
    known = presets.read((lab / "trainer" / "presets.toml").read_text(encoding="utf-8"))
    path = lab / "trainer" / "train.py"
    changed = known["cpu"].constants | {
        "PRESET": "none", "MATRIX_LR": 0.005, "EMBEDDING_LR": 0.01, "UNEMBEDDING_LR": 0.001,
        "WARMDOWN": 1.0,
    }  # fmt: skip
    path.write_text(rewrite(path.read_text(encoding="utf-8"), changed), encoding="utf-8")
    subprocess.run(
        ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qam",
         "Start badly"],
        cwd=lab, check=True,
    )  # fmt: skip


def main() -> int:
    """Run the benchmark and print its figures; exit 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--budget", default="10s", help="longer than checks and a spare take")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        good, bad = make_lab(Path(place) / "good"), make_lab(Path(place) / "bad")
        measured = night(good, given.budget, given.runs + 1)
        start_badly(bad)
        measured_badly = night(bad, given.budget, given.runs // 2)
    plain = [p["to_first_step"] for p in measured if not p["after_kept"]]
    clock = [p["to_clock"] for p in measured if not p["after_kept"]]
    kept = [p["to_first_step"] for p in measured + measured_badly if p["after_kept"]]
    told = {
        "runs": len(plain),
        "p50_seconds": round(percentile(plain, 0.5), 3),
        "p90_seconds": round(percentile(plain, 0.9), 3),
        "worst_seconds": round(max(plain), 3),
        "p90_to_clock_seconds": round(percentile(clock, 0.9), 3),
        "after_kept_seconds": [round(seconds, 3) for seconds in kept],
        "goal_seconds": GOAL_SECONDS,
    }
    if given.json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            print(f"{name:<22} {value}")
    return int(told["p90_seconds"] > GOAL_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
