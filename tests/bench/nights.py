"""Labs and nights for the benchmarks, driven as a person would: by the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COCKPIT = (sys.executable, "-m", "cockpit")


def environment(cache: Path | None = None) -> dict[str, str]:
    """Return an environment in which an engine can start from this checkout."""
    changed = {"COCKPIT_CACHE": str(cache)} if cache else {}
    return os.environ | changed


def cockpit(lab: Path, *words: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one verb in a lab and return what it said."""
    return subprocess.run(
        [*COCKPIT, *words],
        cwd=lab,
        env=environment(cache),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def make_lab(directory: Path) -> Path:
    """Make a lab from this checkout's own brief and trainer."""
    directory.mkdir(parents=True, exist_ok=True)
    done = cockpit(directory, "init", str(directory))
    if done.returncode:
        raise SystemExit(f"cockpit init failed: {done.stderr}")
    return directory


def log(lab: Path) -> list[dict[str, Any]]:
    """Return the experiments of a lab, oldest first."""
    done = cockpit(lab, "log", "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def status(lab: Path) -> dict[str, Any]:
    """Return the status of a lab."""
    done = cockpit(lab, "status", "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines, without a torn last one."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of some values."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
