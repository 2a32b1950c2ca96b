"""What a screen costs the training: `python -m tests.bench.attached LAB [--pairs 5]`.

Begins a night in LAB (a lab that is ready to train) by the command line, and compares tokens a
second with a screen attached and without, in pairs that lie close together in time: each pair
is two neighbouring stretches of one and the same night, in an order that alternates. Reported
is the ratio with its 95 % interval (Student's t over the pairs' log ratios).
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from cockpit.lab.lab import find
from cockpit.lab.metrics import MetricsTail, Step
from tests.bench.screen import Terminal

COMMAND = [sys.executable, "-m", "cockpit.cli"]
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Two-sided 95 % quantiles of Student's t, by number of pairs."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lab", type=Path)
    parser.add_argument("--pairs", type=int, default=5, choices=sorted(T_95))
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a stretch")
    parser.add_argument("--settle", type=float, default=3.0, help="left out before each stretch")
    arguments = parser.parse_args()
    root = find(arguments.lab).root
    stretches = 2 * arguments.pairs
    budget = math.ceil(stretches * (arguments.seconds + arguments.settle + 6) + 30)
    start = ["start", "--budget", f"{budget}s", "--tag", f"bench{int(time.time())}"]
    subprocess.run([*COMMAND, *start], cwd=root, check=True)
    try:
        tail = _training(root)
        logs = []
        for pair in range(arguments.pairs):
            order = (True, False) if pair % 2 else (False, True)
            rates = {on: _stretch(root, tail, on, arguments) for on in order}
            logs.append(math.log(rates[True] / rates[False]))
            print(f"pair {pair + 1}: with {rates[True]:.0f}, without {rates[False]:.0f} tok/s")
    finally:
        subprocess.run([*COMMAND, "stop", "--now"], cwd=root, check=False)
    mean, spread = statistics.mean(logs), statistics.stdev(logs)
    half = T_95[len(logs)] * spread / math.sqrt(len(logs))
    low, high = math.exp(mean - half), math.exp(mean + half)
    print(f"ratio {math.exp(mean):.4f}, 95 % interval {low:.4f} to {high:.4f}")


def _training(root: Path) -> MetricsTail:
    """Wait until the first run trains and return its metrics."""
    pause = threading.Event()
    while True:
        told = subprocess.run(
            [*COMMAND, "status", "--json"], cwd=root, check=True, capture_output=True
        )
        for run in json.loads(told.stdout)["current"]:
            if run["phase"] == "training":
                directory = find(root).run_directory(run["experiment"], run["run"])
                return MetricsTail(directory / "metrics.jsonl")
        pause.wait(1.0)


def _stretch(root: Path, tail: MetricsTail, attached: bool, given: argparse.Namespace) -> float:
    """Return tokens a second of one stretch, by the training's own clock."""
    terminal = Terminal(COMMAND, root) if attached else None
    try:
        _pass(terminal, given.settle)
        tail.read_new()
        _pass(terminal, given.seconds)
        steps = [metric for metric in tail.read_new() if isinstance(metric, Step)]
    finally:
        if terminal is not None:
            terminal.leave()
    if len(steps) < 2:
        sys.exit("the run ended too early: is another budget at work?")
    return (steps[-1].tokens - steps[0].tokens) / (steps[-1].seconds - steps[0].seconds)


def _pass(terminal: Terminal | None, seconds: float) -> None:
    if terminal is not None:
        terminal.read(seconds)
    else:
        threading.Event().wait(seconds)


if __name__ == "__main__":
    main()
