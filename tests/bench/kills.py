"""Kills at random moments: nothing is lost, doubled or left running.

`python -m tests.bench.kills [--kills 50] [--budget 2s] [--seed 1]` runs a loop and, at
random moments, sends SIGKILL to the engine, to the supervisor or to the training process
of the run under way (or of the warm spare). A killed engine is started again. Afterwards
every experiment has a verdict or is queued, git and journal agree, `git fsck` and
`PRAGMA integrity_check` are clean, and no process is left over.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from tests.bench.nights import cockpit, log, make_lab, status

VICTIMS = ("engine", "supervisor", "training")
TOKEN = "COCKPIT_RUN_TOKEN"
VERDICTS = {"kept", "discarded", "borderline", "crashed", "invalid", "stopped"}


def processes(lab: Path) -> dict[str, list[psutil.Process]]:
    """Return the living processes of a lab by what they are."""
    found: dict[str, list[psutil.Process]] = {name: [] for name in (*VICTIMS, "other")}
    state = str(lab / ".cockpit")
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            if "cockpit.engine.spawning" in words and str(lab) in words:
                found["engine"].append(process)
            elif any("cockpit.executors.supervisor" in word for word in words):
                if any(state in word for word in words) or process.cwd().startswith(state):
                    found["supervisor"].append(process)
            elif any("harness.serve" in word for word in words):
                if process.cwd().startswith(state):
                    found["training"].append(process)
            elif any("cockpit.proposers" in word for word in words) and process.cwd() == str(lab):
                found["other"].append(process)
        except (psutil.Error, OSError):
            continue
    return found


def kill_one(lab: Path, victim: str, choose: random.Random) -> bool:
    """Kill a process of a kind; tell whether there was one."""
    candidates = processes(lab)[victim]
    if not candidates:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        choose.choice(candidates).send_signal(signal.SIGKILL)
    return True


def faults(lab: Path) -> list[str]:
    """Return everything that is wrong with a lab after its night."""
    found = []
    experiments = log(lab)
    for told in experiments:
        if told["status"] not in VERDICTS | {"queued"}:
            found.append(f"#{told['id']} is {told['status']}")
    ids = [told["id"] for told in experiments]
    if len(set(ids)) != len(ids):
        found.append(f"doubled ids: {ids}")
    titles = Counter(told["title"] for told in experiments)
    found += [f"tried {n} times: {title}" for title, n in titles.items() if n > 1]
    tag = experiments[0]["tag"] if experiments else ""
    refs = _git(lab, "for-each-ref", "--format=%(refname) %(objectname)", "refs/cockpit/")
    by_id = {int(r.split()[0].rpartition("/")[2]): r.split()[1] for r in refs.splitlines()}
    for told in experiments:
        if told["commit"] and by_id.get(told["id"]) != told["commit"]:
            found.append(
                f"#{told['id']}: journal has {told['commit']}, git {by_id.get(told['id'])}"
            )
        if told["status"] in VERDICTS and told["commit"]:
            note = json.loads(_git(lab, "notes", "--ref", "cockpit", "show", told["commit"]))
            if note["status"] != told["status"]:
                found.append(f"#{told['id']}: note says {note['status']}, not {told['status']}")
    best = status(lab)["best"]["id"]
    if best is not None:
        branch = _git(lab, "rev-parse", f"refs/heads/cockpit/{tag}").strip()
        if branch != by_id[best]:
            found.append(f"the branch is at {branch}, the best is #{best} {by_id[best]}")
    fsck = _git(lab, "fsck", "--no-dangling", "--no-progress")
    found += [f"git fsck: {line}" for line in fsck.splitlines()]
    with contextlib.closing(sqlite3.connect(lab / ".cockpit" / "journal.db")) as journal:
        said = journal.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            found.append(f"integrity_check: {said}")
        going = journal.execute("SELECT count(*) FROM run WHERE state = 'running'").fetchone()[0]
        if going:
            found.append(f"{going} runs are called running")
    left = {kind: [p.pid for p in some] for kind, some in processes(lab).items() if some}
    if left:
        found.append(f"left over: {left}")
    return found


def _git(lab: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=lab, capture_output=True, text=True, check=False)
    return done.stdout + ("" if done.returncode == 0 else done.stderr)


def kill_loop(
    lab: Path, kills: int, budget: str, seed: int, limit_seconds: float
) -> dict[str, Any]:
    """Kill until `kills` processes have died, then let the night end; return what happened."""
    choose = random.Random(seed)
    killed: Counter[str] = Counter()
    began = time.monotonic()
    options = ("--budget", budget, "--device", "cpu")
    while sum(killed.values()) < kills and time.monotonic() - began < limit_seconds:
        started = cockpit(lab, "start", *options)
        if started.returncode:
            raise SystemExit(f"cockpit start failed: {started.stdout}{started.stderr}")
        time.sleep(choose.uniform(0.0, 3.0))
        victim = choose.choice(VICTIMS)
        killed[victim] += kill_one(lab, victim, choose)
    cockpit(lab, "start", *options)
    stopped = cockpit(lab, "stop", "--now")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(processes(lab).values()):
        time.sleep(0.1)
    experiments = log(lab)
    return {
        "kills": dict(killed),
        "seconds": round(time.monotonic() - began, 1),
        "experiments": dict(Counter(told["status"] for told in experiments)),
        "stop": (stopped.stdout + stopped.stderr).strip(),
        "faults": faults(lab),
    }


def main() -> int:
    """Run the benchmark; exit 1 where a fault was found or too few were killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--budget", default="2s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds")
    parser.add_argument("--lab", type=Path, help="keep the lab there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lab = make_lab(given.lab or Path(place) / "lab")
        os.chdir(lab)
        told = kill_loop(lab, given.kills, given.budget, given.seed, given.limit)
    print(json.dumps(told, indent=1))
    return int(bool(told["faults"]) or sum(told["kills"].values()) < given.kills)


if __name__ == "__main__":
    raise SystemExit(main())
