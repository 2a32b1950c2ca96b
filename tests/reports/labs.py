"""Labs with a journal of the engine's own hand, for tests of the report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.lab.lab import Lab
from cockpit.lab.rows import AuditRow, Call, EngineRow
from cockpit.lab.writing import EngineJournal

TAG = "nov21"
SETUP = {
    "corpus": "stdlib", "budget_seconds": 300.0, "device": "cuda", "device_name": "H100",
    "torch": "2.11.0", "sequence_length": 2048, "vocab_size": 8192, "evaluation_rows": 512,
}  # fmt: skip
HOSTILE = "<script>alert(1)</script> $\\frac{x}{ &amp; | `x` \x1b[31mred\x00 \u202egnp 🧪 </svg>"
EVENTS = {
    Status.KEPT: Event.KEEP,
    Status.DISCARDED: Event.DISCARD,
    Status.BORDERLINE: Event.ASK,
    Status.CRASHED: Event.CRASH,
    Status.INVALID: Event.REFUSE,
    Status.STOPPED: Event.STOP,
}
K, D, B, C = Status.KEPT, Status.DISCARDED, Status.BORDERLINE, Status.CRASHED
Row = tuple[int, int | None, str, Status, Sequence[float]]
NIGHT: tuple[Row, ...] = (
    (0, None, "baseline", K, (0.9979, 0.9985)),
    (1, 0, "halve the batch", K, (0.9860, 0.9864)),
    (2, 1, "5% warmup", D, (0.9990,)),
    (3, 1, "rope base 200k", C, ()),
    (4, 1, "window SSSSL", K, (0.9786, 0.9789)),
    (5, 4, "unembedding lr 0.006", B, (0.9779, 0.9782)),
    (6, 4, "reads the rows", Status.INVALID, ()),
    (7, 4, "momentum ramp", D, (7.31,)),
)


def make(root: Path, rows: Sequence[Row] = NIGHT, *, title: str | None = None) -> Lab:
    """Return a lab with a tag of these experiments; `title` stands for all but the baseline's."""
    lab = Lab(root)
    lab.state.mkdir(parents=True, exist_ok=True)
    journal = EngineJournal(lab.journal)
    with journal.transaction():
        journal.add_tag(TAG, SETUP, "s", "gpu", {})
        night = journal.begin_night(TAG, {"proposer": "llm"})
        for row in rows:
            _write(journal, row, title)
        for purpose in ("proposal", "repair"):
            journal.add_call(
                Call(0, 1.0, night, "llm", "a/model", purpose, 1, 5000, 700, 0.07, 3.0, "ok")
            )
        journal.add_call(Call(0, 2.0, night, "llm", "a/model", "probe", 1, 9, 0, None, 3.0, "429"))
        journal.set_slot(0, "H100", SlotLedger("other", 100.0, {"training": 3000.0, "audit": 60.0}))
        journal.say(EngineRow(1, "stopped", "", "done", 1.0, 2.0, 640.0, "", night))
        journal.change_night(night, ended_at=4000.0, reason="done", elapsed=3600.0, claimed=7)
    journal.close()
    return lab


def _write(journal: EngineJournal, row: Row, title: str | None) -> None:
    number, parent, name, status, scores = row
    if title is not None and parent is not None:
        name = title
    proposal = Proposal(name, "baseline" if parent is None else "llm", f"{name}: because")
    journal.add_experiment(TAG, parent, proposal, number=number, created_at=float(number))
    run = Run(number, 1, 1, "s", 0, "failed", 0.0, 330.0, reason="NameError: name 'x' is not")
    if not scores:
        journal.add_run(run)
    for place, score in enumerate(scores, 1):
        journal.add_run(
            replace(
                run, number=place, seed=place, state="finished", val_bpb=score, reason=None,
                training_seconds=300.0, evaluation_seconds=20.0, startup_seconds=5.0,
            )
        )  # fmt: skip
    if number and scores:
        journal.change_experiment(number, probability=0.9, gain=-0.003, gain_error=0.0005)
    if status is K:
        facts = {"sealed_bpb": scores[0] + 0.01}
        journal.add_audit(AuditRow(number, 1, 0.0, "passed", "sound", facts))
    journal.decide(number, status, Verdict(EVENTS[status], f"{name} {status}"), float(number))
