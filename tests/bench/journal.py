"""Make a lab with a journal of thousands of experiments: `python -m tests.bench.journal DIR`.

The experiments are invented, the journal is a real one, written by the engine's own hand.
"""

import argparse
import random
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.lab import template
from cockpit.lab.lab import Lab
from cockpit.lab.rows import EngineRow
from cockpit.lab.writing import EngineJournal

SETUP = {
    "corpus": "stdlib",
    "corpus_hash": "0" * 12,
    "tokenizer_hash": "0" * 12,
    "sequence_length": 256,
    "vocab_size": 2048,
    "evaluation_rows": 512,
    "budget_seconds": 60.0,
    "device": "cpu",
    "device_name": "an invented processor",
    "threads": 1,
    "torch": "2.13.0",
    "trainer": "0" * 12,
}
SETUP_HASH = "invented0000"
TAG = "nov20"
IDEAS = (
    "halve the batch",
    "5% warmup",
    "depth 9, dim 640",
    "SwiGLU",
    "rope base 200k",
    "window SSSSL",
    "unembedding lr 0.006",
    "momentum ramp 150",
    "warmdown 0.75",
    "value-embed lr 1.5×",
    "x0 lambda 0.05",
    "EMBEDDING_LR 0.6 → 0.43",
)
EVENTS = {
    Status.KEPT: Event.KEEP,
    Status.DISCARDED: Event.DISCARD,
    Status.BORDERLINE: Event.ASK,
    Status.CRASHED: Event.CRASH,
    Status.INVALID: Event.REFUSE,
}


def make_lab(root: Path) -> Lab:
    """Return a new lab: a git repository with the brief and the trainer of this checkout."""
    source = template.directory()
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "program.md", root)
    shutil.copytree(source / "trainer", root / "trainer", dirs_exist_ok=True)
    if not (root / "trainer" / "train.py").exists():
        (root / "trainer" / "train.py").write_text("LR = 0.02\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    lab = Lab(root.resolve())
    lab.state.mkdir(exist_ok=True)
    return lab


def fill(lab: Lab, experiments: int, *, seed: int = 1, messages: int = 500) -> None:
    """Write a journal of `experiments` judged experiments, a tenth of them kept."""
    chance = random.Random(seed)
    journal = EngineJournal(lab.journal)
    now = time.time()
    with journal.transaction():
        journal.add_tag(TAG, SETUP, SETUP_HASH, "cpu", {})
        night = journal.begin_night(TAG, {"proposer": "search", "max_experiments": None})
        _write(journal, 0, None, Proposal("baseline", "baseline"), Status.KEPT, 2.14, now - 8e4)
        base, score = 0, 2.14
        for number in range(1, experiments):
            status = chance.choices(list(EVENTS), weights=(0.10, 0.78, 0.02, 0.08, 0.02))[0]
            own = score + {
                Status.KEPT: -abs(chance.gauss(0, 0.2 / experiments)),
                Status.DISCARDED: abs(chance.gauss(0, 0.01)),
            }.get(status, chance.gauss(0, 0.002))
            proposal = Proposal(
                f"{chance.choice(IDEAS)}",
                chance.choice(("search", "llm", "search", "somebody")),
                "It should waste fewer steps at the end.",
                {"MATRIX_LR": round(chance.uniform(0.01, 0.05), 4)},
            )
            at = now - 8e4 * (1 - number / experiments)
            measured = status not in {Status.CRASHED, Status.INVALID}
            _write(journal, number, base, proposal, status, own if measured else None, at)
            if status is Status.KEPT:
                base, score = number, own
            if number > experiments - messages:
                journal.add_message("engine", "engine", f"{status}: {proposal.title}", number)
        journal.say(
            EngineRow(1, "stopped", "", "max experiments reached", now - 8e4, now, 0.0, "", night)
        )
        journal.set_slot(0, "an invented processor", SlotLedger("other", 0.0, {"training": 7e4}))
        journal.change_night(
            night, ended_at=now, reason=f"{experiments} experiments", claimed=experiments - 1
        )
    journal.close()


def _write(
    journal: EngineJournal,
    number: int,
    parent: int | None,
    proposal: Proposal,
    status: Status,
    score: float | None,
    at: float,
) -> None:
    journal.add_experiment(TAG, parent, proposal, number=number, created_at=at)
    journal.change_experiment(number, commit_hash=f"{number:040x}")
    run = Run(number, 1, number, SETUP_HASH, 0, "failed", at, at + 70, reason="out of memory")
    if score is not None:
        run = replace(
            run,
            state="finished",
            reason=None,
            val_bpb=score,
            training_seconds=60.0,
            total_seconds=68.0,
            startup_seconds=2.0,
            evaluation_seconds=6.0,
            peak_memory_bytes=812_000_000,
            tokens=800_000,
            steps=195,
            parameters=1_400_000,
        )
    journal.add_run(run)
    if number == 0 and score is not None:
        journal.add_run(replace(run, number=2, seed=77, val_bpb=score + 0.0011))
    reason = "first" if number == 0 else f"{status} by the rule"
    journal.decide(number, status, Verdict(EVENTS[status], reason), at + 70)


def main() -> None:
    """Make the lab that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--experiments", type=int, default=3000)
    arguments = parser.parse_args()
    lab = make_lab(arguments.directory)
    fill(lab, arguments.experiments)
    print(f"{arguments.experiments} experiments in {lab.root}")


if __name__ == "__main__":
    main()
