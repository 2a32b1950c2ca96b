"""Audits of runs that are scored here, honestly or not."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cockpit.executors.auditing import (
    Audit,
    AuditOrder,
    audit_path,
    gains,
    read_audit,
    start_audit,
)
from cockpit.executors.base import Device
from cockpit.executors.local import lab_processes
from cockpit.executors.probing import probe
from cockpit.executors.sandbox import Sandbox

from .audited_models import (
    BROKEN,
    COPY,
    FUTURE,
    HALF,
    HINT,
    HONEST,
    MODEL,
    NOT_REPEATED,
    PEEK,
    UNLUCKY,
    seeing,
)

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
LENGTH, VOCABULARY = 64, 300
VALIDATION, SEALED = 120, 60
CPU = Device("cpu", "test", "cpu", 8 << 30, 1)
NUMBERS = (
    "training_seconds total_seconds startup_seconds evaluation_seconds tokens steps parameters"
    " scored_at monotonic"
)


@dataclass
class Lab:
    """Rows, and runs that are over."""

    root: Path
    sandbox: Sandbox
    wait_until: Callable[..., object]

    def score(self, name: str, change: str = "", scored: str | None = None) -> AuditOrder:
        """A run of MODEL with a change, its checkpoint and its result; the order to audit it.

        `scored` is the change in the model that was scored, where it is another one.
        """
        import torch

        run = self.root / "state" / "runs" / name / "1"
        run.mkdir(parents=True)
        text = MODEL.replace("\ndef build_model", change + "\ndef build_model")
        (run / "train.py").write_text(text)
        (run / "spec.json").write_text(json.dumps({"seed": 1}))
        torch.manual_seed(1)
        torch.save(self.model(text).state_dict(), run / "checkpoint.pt")
        if scored is not None:
            text = MODEL.replace("\ndef build_model", scored + "\ndef build_model")
        torch.manual_seed(1)
        model = self.model(text)
        weights = torch.load(run / "checkpoint.pt", weights_only=True)
        model.load_state_dict(weights, strict=scored is None)
        losses = self.losses(model)
        write_result(run, losses, self.bpb(losses))
        return AuditOrder(
            run_directory=run,
            checkpoint_sha256=hashlib.sha256((run / "checkpoint.pt").read_bytes()).hexdigest(),
            validation_rows=self.root / "val.bin",
            sealed_rows=self.root / "sealed.bin",
            token_bytes=self.root / "token_bytes.npy",
            evaluation_rows=VALIDATION,
            sequence_length=LENGTH,
            vocab_size=VOCABULARY,
            device=CPU,
            python=sys.executable,
            trainer_directory=TRAINER,
            train_py=(run / "train.py").read_text(),
            sandbox=self.sandbox,
            draw=1,
        )

    def model(self, text: str):  # type: ignore[no-untyped-def]
        import torch

        class Task:
            device, vocab_size, sequence_length = torch.device("cpu"), VOCABULARY, LENGTH

        module: dict[str, object] = {"__name__": "scored"}
        exec(text, module)
        return module["build_model"](Task()).eval()  # type: ignore[operator]

    def losses(self, model) -> np.ndarray:  # type: ignore[no-untyped-def]
        """As the harness computes them: in order, in batches of 32."""
        import torch

        rows = torch.from_numpy(self.rows("val.bin"))
        found = []
        try:
            with torch.no_grad():
                for batch in rows.split(32):
                    logits = model(batch[:, :-1]).float()
                    nats = torch.nn.functional.cross_entropy(
                        logits.transpose(1, 2), batch[:, 1:], reduction="none"
                    )
                    found.append((nats * (batch[:, 1:] < VOCABULARY - 4)).sum(1))
        except (ValueError, SystemExit, RuntimeError, KeyboardInterrupt):
            return np.full(len(rows), 300.0, dtype="<f4")
        losses = torch.cat(found).numpy().astype("<f4")
        return np.nan_to_num(losses, nan=300.0)

    def bpb(self, losses: np.ndarray) -> float:
        text_bytes = np.load(self.root / "token_bytes.npy")
        total = int(text_bytes[self.rows("val.bin")[:, 1:]].sum())
        return float(losses.astype(np.float64).sum() / np.log(2) / total)

    def rows(self, name: str) -> np.ndarray:
        rows = np.fromfile(self.root / name, dtype="<u2").reshape(-1, LENGTH + 1)
        return rows.astype(np.int64)

    def audit(self, order: AuditOrder) -> Audit:
        process = start_audit(order)
        self.wait_until(lambda: process.poll() is not None, 60, "the audit")
        found = process.poll()
        assert found is not None
        return found


def write_result(run: Path, losses: np.ndarray, bpb: float) -> None:
    """What the harness leaves: losses and result."""
    np.save(run / "row_losses.npy", losses)
    result: dict[str, object] = dict.fromkeys(NUMBERS.split(), 1)
    result |= {"val_bpb": bpb, "evaluation_rows": len(losses), "loss_tenths": []}
    (run / "result.json").write_text(json.dumps(result))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The best that works here."""
    return probe(tmp_path_factory.mktemp("probed"), CPU)


@pytest.fixture
def lab(tmp_path: Path, sandbox: Sandbox, wait_until: Callable[..., object]) -> Iterator[Lab]:
    """Rows of random text; afterwards no process of the lab may be left."""
    draw = np.random.default_rng(0)
    for name, count in (("val.bin", VALIDATION), ("sealed.bin", SEALED)):
        draw.integers(VOCABULARY, size=(count, LENGTH + 1), dtype="<u2").tofile(tmp_path / name)
    text_bytes = draw.integers(1, 7, size=VOCABULARY)
    text_bytes[-4:] = 0
    np.save(tmp_path / "token_bytes.npy", text_bytes)
    (tmp_path / "state").mkdir()
    yield Lab(tmp_path, sandbox, wait_until)
    wait_until(lambda: not lab_processes(tmp_path / "state"), 10, "no process to be left")


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_score_passes(lab: Lab, name: str) -> None:
    order = lab.score(name, HONEST[name])
    found = lab.audit(order)
    assert found.ok, found.says
    assert (found.rows, found.sealed_rows) == (85, SEALED)
    assert found.validation_bpb == pytest.approx(
        lab.bpb(np.load(order.run_directory / "row_losses.npy"))
    )
    assert found.says.startswith("audit passed: 85 rows")
    assert read_audit(order.run_directory) == found


def test_an_audit_works_without_a_sandbox_too(lab: Lab) -> None:
    order = lab.score("unsandboxed")
    found = lab.audit(replace(order, sandbox=Sandbox("none", sys.executable)))
    assert found.ok, found.says


@pytest.mark.parametrize("name", FUTURE)
def test_a_model_that_sees_the_future_is_refused(lab: Lab, name: str) -> None:
    found = lab.audit(lab.score(name, seeing(FUTURE[name])))
    assert found.ok is False
    assert found.says.startswith("audit: the future is visible"), found.says


def test_a_hint_of_half_a_thousandth_of_a_nat_is_found(lab: Lab) -> None:
    found = lab.audit(lab.score("hint", HINT))
    assert "nats better when what follows is shown (38 cuts)" in found.says
    assert found.future == pytest.approx(5e-4, rel=0.05)


@pytest.mark.parametrize("draw", [1, 2])
def test_a_model_that_peeks_at_one_position_in_fifty_is_found(lab: Lab, draw: int) -> None:
    order = replace(lab.score("peek", PEEK), draw=draw)
    found = lab.audit(order)
    assert found.ok is False
    assert found.says.startswith("audit: the future is visible"), found.says
    assert lab.audit(order).says == found.says


def test_a_model_that_copies_with_confidence_from_what_it_has_seen_passes(lab: Lab) -> None:
    for name in ("val.bin", "sealed.bin"):
        rows = lab.rows(name)
        rows[:, 32:] = rows[:, : LENGTH - 31].copy()
        rows.astype("<u2").tofile(lab.root / name)
    found = lab.audit(lab.score("copy", COPY))
    assert found.ok, found.says


@pytest.mark.parametrize("name", NOT_REPEATED)
def test_a_loss_that_depends_on_more_than_its_row_is_refused(lab: Lab, name: str) -> None:
    found = lab.audit(lab.score(name, seeing(NOT_REPEATED[name])))
    assert found.ok is False
    assert "does not depend on the row alone" in found.says


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_does_not_answer_is_refused_in_words(lab: Lab, name: str) -> None:
    found = lab.audit(lab.score(name, seeing(BROKEN[name][0]), scored=""))
    assert found.ok is False
    assert found.says.startswith("audit: the model can't be asked: ")
    assert BROKEN[name][1] in found.says


@pytest.mark.parametrize("name", UNLUCKY)
def test_a_fault_that_may_be_the_machines_decides_nothing(lab: Lab, name: str) -> None:
    found = lab.audit(lab.score(name, seeing(UNLUCKY[name][0]), scored=""))
    assert found.ok is None
    assert UNLUCKY[name][1] in found.says


@pytest.mark.slow
def test_a_model_that_never_answers_is_given_up_undecided(lab: Lab) -> None:
    order = lab.score("hang", seeing("while True: pass"), scored="")
    found = lab.audit(replace(order, deadline_seconds=25.0))
    assert found.ok is None
    assert "did not answer within" in found.says


@pytest.mark.parametrize("level", ["best", "none"])
def test_an_audit_that_is_stopped_leaves_nothing(lab: Lab, level: str) -> None:
    body = "open('seen', 'w'); import os, time; os.fork() or os.setsid(); time.sleep(600)"
    order = lab.score("hang", seeing(body), scored="")
    sandbox = order.sandbox if level == "best" else Sandbox("none", sys.executable)
    process = start_audit(replace(order, sandbox=sandbox))
    seen = partial(order.run_directory.glob, "audit-*/first/seen")
    lab.wait_until(lambda: list(seen()), 30, "the model to be asked")
    process.stop()
    lab.wait_until(lambda: not lab_processes(lab.root / "state"), 10, "the end of all of it")
    assert not list(order.run_directory.glob("audit-*"))
    assert read_audit(order.run_directory) is None


def test_an_audit_ends_with_the_engine_that_ordered_it(lab: Lab) -> None:
    order = lab.score("orphan", seeing("import time; time.sleep(600)"), scored="")
    code = (
        "import sys; from cockpit.executors.auditing import *; import os\n"
        "start_audit(AuditOrder.decode(sys.argv[1])[0]); os.kill(os.getpid(), 9)"
    )
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code, order.encode(0)]) == -9
    lab.wait_until(lambda: not lab_processes(lab.root / "state"), 20, "the end of the audit")


def test_another_checkpoint_than_the_noted_one_is_refused(lab: Lab) -> None:
    order = lab.score("swapped")
    with open(order.run_directory / "checkpoint.pt", "ab") as file:
        file.write(b"more")
    assert "checkpoint.pt was changed" in lab.audit(order).says


def test_a_checkpoint_that_is_gone_is_not_the_scripts_fault(lab: Lab) -> None:
    order = lab.score("gone")
    (order.run_directory / "checkpoint.pt").unlink()
    assert (found := lab.audit(order)).ok is None
    assert "could not be carried out: checkpoint.pt" in found.says


def test_losses_of_another_model_than_the_checkpoint_are_refused(lab: Lab) -> None:
    found = lab.audit(lab.score("other", scored=HALF))
    assert found.ok is False
    assert "the recorded losses are not the checkpoint's" in found.says


def test_a_reported_score_that_its_rows_do_not_make_is_refused(lab: Lab) -> None:
    order = lab.score("reported")
    losses = np.load(order.run_directory / "row_losses.npy")
    write_result(order.run_directory, losses, lab.bpb(losses) - 0.001)
    assert "but the recorded row losses make" in lab.audit(order).says


def test_a_few_rows_made_much_better_are_found_by_their_gain_over_the_base(lab: Lab) -> None:
    base, order = lab.score("base"), lab.score("forged")
    losses = np.load(order.run_directory / "row_losses.npy")
    losses[[17, 90]] *= 0.9
    write_result(order.run_directory, losses, lab.bpb(losses))
    found = lab.audit(replace(order, base_directory=base.run_directory))
    assert "(2 rows by more" in found.says


def test_a_link_in_place_of_the_losses_is_refused(lab: Lab) -> None:
    order = lab.score("link")
    losses = order.run_directory / "row_losses.npy"
    os.rename(losses, lab.root / "elsewhere.npy")
    losses.symlink_to(lab.root / "elsewhere.npy")
    assert "row_losses.npy can't be read" in lab.audit(order).says


def test_a_forged_verdict_is_not_taken_for_the_audits(lab: Lab) -> None:
    order = lab.score("forger", seeing("import os; os._exit(3)"), scored="")
    forged = {"ok": True, "reason": None, "seconds": 1.0, "rows": 85, "cuts": 75}
    audit_path(order.run_directory).write_text(json.dumps(forged))
    assert lab.audit(order).ok is False


def test_gains_over_the_base_are_paired_on_validation_and_sealed_rows(lab: Lab) -> None:
    base = lab.score("base")
    own = replace(lab.score("own", HALF), draw=2)
    assert lab.audit(base).ok
    assert lab.audit(own).ok
    found = gains(own.run_directory, base.run_directory)
    assert found is not None
    assert found.validation is not None and found.sealed is not None  # noqa: PT018 - both or none
    assert found.validation.bpb == pytest.approx(found.sealed.bpb, abs=5 * found.sealed.error)
    assert found.validation.bpb > 10 * found.validation.error > 0
