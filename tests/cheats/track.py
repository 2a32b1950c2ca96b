"""A track on which a train.py runs as it does at night: supervised, timed, judged, audited."""

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cockpit.core import constants
from cockpit.core.clock import overtime
from cockpit.core.experiment import Run
from cockpit.engine.running import ended_run
from cockpit.executors.auditing import Audit, AuditOrder, start_audit
from cockpit.executors.base import Assignment, Device
from cockpit.executors.compiled import keep_cache
from cockpit.executors.local import LocalExecutor, lab_processes, observe
from cockpit.executors.processes import tokens_by_pid
from cockpit.executors.sandbox import Sandbox
from cockpit.lab.rundir import RunDirectory
from tests.conftest import wait_until

CHEATS = Path(__file__).parent
TRAINER = CHEATS.parents[1] / "trainer"
DEVICE = Device("cpu", "test", "cpu", 2 << 30, 1)
SEQUENCE_LENGTH, VOCAB_SIZE, EVALUATION_ROWS = 64, 300, 32
BUDGET_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    directory: Path
    state: str
    """finished, failed or invalid, as the journal would have it."""
    reason: str
    """Why it is not finished; the limit or the rule by its name."""
    val_bpb: float | None
    log: str
    """All it printed."""
    audit: Audit | None
    """Of a finished run, where one was asked for."""

    @property
    def says(self) -> str:
        """The verdict in one line."""
        if self.state != "finished" or self.audit is None:
            return f"{self.state}: {self.reason}" if self.reason else self.state
        return self.audit.says


class Track:
    """One lab in small: rows, an executor with a spare ahead, and one run after another."""

    def __init__(self, root: Path, sandbox: Sandbox) -> None:
        self.root = root
        self.state = root / "state"
        self.corpus = root / "corpus"
        self.log = self.state / "engine.log"
        self.sandbox = sandbox
        self.runs = 0
        self.state.mkdir(exist_ok=True)
        write_corpus(self.corpus)
        self.executor = LocalExecutor(
            DEVICE, sys.executable, TRAINER, self.state / "spares", self.log, sandbox
        )
        self.executor.warm()

    def run(self, text: str, *, audited: bool = True, **limits: object) -> Outcome:
        """Train it and, if it got a score in time, audit it."""
        directory = self._train(text, limits)
        observation = observe(directory)
        started = Run(self.runs, 1, 1, "setup", 0, "running", time.time())
        ended = ended_run(started, directory, observation, None)
        run = ended.run
        state, reason = run.state, run.reason or ""
        if state == "finished" and ended.clock_seconds is not None:
            late = overtime(ended.clock_seconds, BUDGET_SECONDS, ended.checkpoint_bytes)
            state, reason = ("invalid", late) if late else (state, reason)
        told = observation.exit
        audit = None
        if state == "finished" and audited and told is not None:
            audit = self._audit(directory, text, told.checkpoint_sha256 or "")
        log = (directory / "train.log").read_bytes()[:20000].decode("utf-8", "replace")
        return Outcome(directory, state, reason, run.val_bpb, log, audit)

    def keep(self, outcome: Outcome) -> None:
        """Pass on what a run may pass on, as after a good audit."""
        keep_cache(outcome.directory)

    def leftovers(self, outcome: Outcome) -> list[int]:
        """Processes of a run that is over."""
        identity = RunDirectory(outcome.directory).read_supervisor()
        assert identity is not None
        return [pid for pid, token in tokens_by_pid().items() if token == identity.token]

    def close(self) -> None:
        """End the spare; whatever is left then is a fault, and ended too."""
        self.executor.close()
        try:
            wait_until(lambda: not lab_processes(self.state), 5, "no process to be left")
        finally:
            for pid in lab_processes(self.state):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _is_warm(self) -> bool:
        self.executor.warm()
        return self.executor.spare_state.state == "ready"

    def _train(self, text: str, limits: dict[str, object]) -> Path:
        self.runs += 1
        assignment = {
            "run_directory": self.state / "runs" / str(self.runs) / "1",
            "train_py": text,
            "spec": {
                "format": 1, "experiment": self.runs, "run": 1, "seed": 11, "device": "cpu",
                "cpus": None, "threads": 1, "budget_seconds": BUDGET_SECONDS,
                "budget_tokens": None, "sequence_length": SEQUENCE_LENGTH,
                "vocab_size": VOCAB_SIZE, "evaluation_rows": EVALUATION_ROWS, "setup": "setup",
            },
            "train_rows": self.corpus / "train.bin",
            "validation_rows": self.corpus / "val.bin",
            "token_bytes": self.corpus / "token_bytes.npy",
            "wall_seconds": 30.0,
            "memory_bytes": 2 << 30,
            "log_bytes": 1 << 20,
            "disk_bytes": 64 << 20,
            "processes": 200,
            "keep_checkpoint": True,
        }  # fmt: skip
        wait_until(self._is_warm, 60, "a warm spare")
        self.executor.start(Assignment(**assignment | limits))  # type: ignore[arg-type]
        self.executor.warm()
        directory = self.state / "runs" / str(self.runs) / "1"
        wait_until(lambda: observe(directory).state != "alive", 60, "the end of the run")
        return directory

    def _audit(self, directory: Path, text: str, sha256: str) -> Audit:
        process = start_audit(
            AuditOrder(
                run_directory=directory,
                checkpoint_sha256=sha256,
                validation_rows=self.corpus / "val.bin",
                sealed_rows=self.corpus / "sealed.bin",
                token_bytes=self.corpus / "token_bytes.npy",
                evaluation_rows=EVALUATION_ROWS,
                sequence_length=SEQUENCE_LENGTH,
                vocab_size=VOCAB_SIZE,
                device=DEVICE,
                python=sys.executable,
                trainer_directory=TRAINER,
                train_py=text,
                sandbox=self.sandbox,
            )
        )
        try:
            found: Audit = wait_until(process.poll, 120, "the audit")
        finally:
            process.stop()
        return found


def write_corpus(folder: Path) -> None:
    """Rows of a random language in which a token says much about the next one."""
    folder.mkdir()
    chance = np.random.default_rng(7)
    follows = chance.dirichlet(np.full(VOCAB_SIZE - 1, 0.02), size=VOCAB_SIZE).cumsum(axis=1)
    for name, count in (("train", 512), ("val", EVALUATION_ROWS), ("sealed", EVALUATION_ROWS)):
        rows = np.zeros((count, SEQUENCE_LENGTH + 1), dtype=np.int64)  # each begins with token 0
        for t in range(SEQUENCE_LENGTH):
            dice = chance.random(count)
            rows[:, t + 1] = [
                1 + min(VOCAB_SIZE - 2, int(np.searchsorted(follows[token], share)))
                for token, share in zip(rows[:, t], dice, strict=True)
            ]
        rows.astype("<u2").tofile(folder / f"{name}.bin")
    lengths = chance.integers(1, 5, VOCAB_SIZE).astype(np.int32)
    lengths[0] = 0  # a special token
    np.save(folder / "token_bytes.npy", lengths)


def dishonest(name: str, **told: constants.Value) -> str:
    """The text of a dishonest train.py, its guesses replaced by the truth."""
    return constants.rewrite((CHEATS / "dishonest" / f"{name}.py").read_text(), told)


def honest(name: str) -> str:
    """The text of an honest one."""
    return (CHEATS / "honest" / f"{name}.py").read_text()
