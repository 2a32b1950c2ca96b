"""Labs of any length for the tests of prompts: the same every time."""

import random
from collections.abc import Sequence
from dataclasses import replace

from cockpit.core.briefing import Briefing, Exchange, HistoryEntry
from cockpit.core.experiment import Hint, Status
from cockpit.core.noise import Noise, student_cdf

SIGMA = 0.0011
IDEAS = (
    ("Halve the batch to 2^17 tokens", "Steps are worth more than gradient noise at this size."),
    ("Windows that grow from a quarter", "Early steps learn short range and could be cheaper."),
    ("Replace ReLU² by SwiGLU at equal time", "A gate lets a feature be switched by another."),
    ("Muon with four orthogonalization steps", "The fifth step changes little and costs time."),
    ("Skip from layer 1 to the last", "Low features reach the output unmixed."),
    ("Average the last weights", "The average lies lower in the valley than its ends."),
    ("Cap the logits at 20", "Large logits cost gradients to everything else."),
    ("Embedding of hashed token pairs", "A cheap memory for what follows what."),
    ("Grouped heads for keys and values", "Fewer heads, and the time goes into a wider MLP."),
    ("Longer fall of the step sizes", "More of the run is spent where the loss is averaged."),
    ("Initial matrices at 0.8 of the scale", "Smaller weights turn faster under Muon."),
    ("Sort the rows by length at first", "Easier rows first, where gradients agree."),
)
KNOBS = (
    ("MATRIX_LR", 0.005, 0.08),
    ("EMBEDDING_LR", 0.01, 0.6),
    ("WARMDOWN", 0.2, 1.0),
    ("MOMENTUM", 0.8, 0.98),
    ("SOFTCAP", 5.0, 30.0),
    ("MATRIX_WEIGHT_DECAY", 0.0, 0.3),
    ("ROTARY_BASE", 500.0, 500000.0),
    ("INIT_SCALE", 0.3, 1.5),
)
CRASHES = (
    ("RuntimeError: mat1 and mat2 shapes cannot be multiplied (512x96 and 128x384)", "mlp"),
    ("NameError: name 'LOSS_CHUNKS' is not defined", "loss"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "forward"),
)
PROGRAM = "# Program\n\nLower `val_bpb`. Prefer changes of the architecture to new numbers.\n"
CONTRACT = (
    "task = harness.start()\nmodel = build_model(task)\nwhile not task.done:\n"
    "    inputs, targets = task.next_batch(rows)\ntask.finish(model)"
)
TRAIN_PY = '''\
"""A train.py as short as can be."""

import harness
from torch import nn

DEPTH = 2  # layers [1, 4]
MATRIX_LR = 0.03  # Muon step size [0.005, 0.08, log]


def build_model(task: harness.TaskInfo) -> nn.Module:
    return nn.Sequential(*(nn.Linear(64, 64) for _ in range(DEPTH)))


def main() -> None:
    task = harness.start()
    task.finish(build_model(task))
'''
SETUP = {
    "corpus": "climbmix", "corpus_hash": "c0", "tokenizer_hash": "t0", "sequence_length": 2048,
    "vocab_size": 8192, "evaluation_rows": 4096, "budget_seconds": 300.0, "device": "cuda",
    "device_name": "NVIDIA H100 80GB HBM3", "threads": 1, "torch": "2.11.0", "trainer": "f0",
}  # fmt: skip
DYNAMICS = (
    "loss by tenths of the budget: 4.812 3.710 3.402 3.288 3.201 3.144 3.090 3.041 2.998 2.967",
    "spikes of the loss: 1 (+0.41 at 12%)",
    "gradient norm: median 0.31, p90 0.48, largest 3.2",
    "tokens/s: median 1,655,000, a tenth below 1,600,000",
)


def lab(count: int, seed: int = 4) -> Briefing:
    """Return the briefing of a tag with `count` experiments that have a verdict, and two more."""
    entries = [HistoryEntry(0, None, "kept", 0.9979, None, "baseline", None, None, "baseline", "",
                            2)]  # fmt: skip
    draw, base = random.Random(seed), entries[0]
    for number in range(1, count + 1):
        made = _entry(number, base, draw)
        entries.append(made)
        if made.status == Status.KEPT:
            base = made
    if count:
        entries.append(_waiting(count + 1, base, "running", IDEAS[0], "llm"))
        entries.append(_waiting(count + 2, base, "queued", (_moved(draw)[1], ""), "search"))
    recent = count - 60
    return Briefing(
        tag="nov21",
        base=base.id,
        base_train_py=TRAIN_PY,
        baseline_train_py=TRAIN_PY,
        history=tuple(
            e if e.id > recent or e.status == Status.KEPT else replace(e, diff=(), log=())
            for e in entries
        ),
        program=PROGRAM,
        contract=CONTRACT,
        setup=SETUP,
        noise=Noise(SIGMA, 2 + count // 8, 1 + count // 16),
        dynamics=DYNAMICS,
        dynamics_of=count,
    )


def steered(briefing: Briefing) -> Briefing:
    """Return a briefing with hints, a limit, and a question that was answered."""
    return replace(
        briefing,
        hints=(
            Hint(3, "Try fewer, wider layers.", "anna", 0.0, "queued"),
            Hint(5, "No new dependencies on CUDA graphs.\nThey broke last night.", "anna", 0.0,
                 "applied", 12, once=True),
        ),
        constraints=("peak_memory_gb <= 70",),
        conversation=(Exchange("Why not a larger vocabulary?", "It belongs to the corpus."),),
    )  # fmt: skip


def entries_of(*statuses: str, proposer: str = "llm") -> list[HistoryEntry]:
    """Return a baseline and experiments on it with these statuses, titled by number."""
    made = [HistoryEntry(0, None, "kept", 1.0, None, "baseline", None, runs=2)]
    for number, status in enumerate(statuses, 1):
        scored = status in ("kept", "discarded", "borderline")
        delta = {"kept": -0.01, "borderline": -0.002}.get(status, 0.004) if scored else None
        made.append(
            HistoryEntry(
                number, 0, status, 1.0 + delta if delta is not None else None, None,
                f"{IDEAS[number % len(IDEAS)][0]} ({number})", None, delta, proposer,
                runs=2 if status == "kept" else int(scored),
            )
        )  # fmt: skip
    return made


def _entry(number: int, base: HistoryEntry, draw: random.Random) -> HistoryEntry:
    by_search = draw.random() < 0.3
    title, why = draw.choice(IDEAS)
    constants, moved = _moved(draw)
    true = draw.choice((0.0, 0.0, 0.0, 0.003, 0.006, 0.012, -0.001, -0.003))
    runs = 2 if true < 0 else 1
    delta = round(true / (1 + number / 400) + draw.gauss(0, SIGMA / runs**0.5), 6)
    chance = student_cdf(-delta / (SIGMA * (1 / base.runs + 1 / runs) ** 0.5), 12)
    status = "kept" if chance >= 0.95 and runs > 1 else "borderline" if chance >= 0.8 else None
    crash = draw.choice(CRASHES) if not by_search and draw.random() < 0.08 else None
    predicted = round(-draw.uniform(0.001, 0.012), 4)
    made = HistoryEntry(
        id=number,
        parent=base.id,
        status=status or "discarded",
        val_bpb=round((base.val_bpb or 0.0) + delta, 6),
        constants=constants if by_search else None,
        title=moved if by_search else f"{title}, variant {number}",
        reason=f"{delta:+.4f} with noise ±{SIGMA} (4 runs): P(better) {chance:.2f}",
        delta=delta,
        proposer="search" if by_search else "llm",
        hypothesis="where the better results are denser (TPE)" if by_search else why,
        runs=runs,
        probability=chance,
        predicted=None if by_search else predicted,
        diff=("-DEPTH = 2  # layers [1, 4]", "+DEPTH = 3  # layers [1, 4]"),
    )
    return _crashed(made, *crash) if crash else made


def _crashed(made: HistoryEntry, error: str, place: str) -> HistoryEntry:
    log = ("Traceback (most recent call last):", f'  File "train.py", line 88, in {place}', error)
    return replace(made, status="crashed", val_bpb=None, delta=None, probability=None, runs=0,
                   reason=f"run 1 failed: {error[:60]}", log=log)  # fmt: skip


def _moved(draw: random.Random) -> tuple[dict[str, float], str]:
    chosen: Sequence[tuple[str, float, float]] = draw.sample(KNOBS, draw.randint(1, 3))
    values = {name: float(f"{draw.uniform(low, high):.3g}") for name, low, high in chosen}
    return values, ", ".join(f"{name} 0.1 → {value:g}" for name, value in values.items())


def _waiting(
    number: int, base: HistoryEntry, status: str, idea: tuple[str, str], proposer: str
) -> HistoryEntry:
    return HistoryEntry(number, base.id, status, None, None, idea[0], None, None, proposer, idea[1])
