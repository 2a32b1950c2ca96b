"""Audits one run: `python -m cockpit.executors.auditor`, the order on standard input.

Trusted, and without torch: it never loads train.py. Two witnesses do, confined, and see no more
than rows of tokens. The first is shown whole rows in random order and other company than when
they were scored; the second, which knows nothing of the first, is shown some of them again and
others cut and filled up with other text, half of them where the first did suspiciously well. From
their logits the losses are computed here, and `cockpit.core.audit` says what they prove.

Both are started at once, because most of an audit is importing torch, but asked in turn. They
share nothing that either may write: each has a directory of its own, and the checkpoint comes as
a sealed copy, hashed here.
"""

import contextlib
import dataclasses
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cockpit.core import audit as rules
from cockpit.executors import memfile
from cockpit.executors.answers import AnswerError, Answers, Nats, Tokens
from cockpit.executors.atomic import write_atomically
from cockpit.executors.auditing import (
    Audit,
    AuditOrder,
    audit_cpus,
    audit_path,
    audit_threads,
    sealed_path,
    state_directory,
)
from cockpit.executors.base import ExecutorError
from cockpit.executors.host import cpu_device
from cockpit.executors.probing import probe
from cockpit.executors.processes import LINUX, RUN_TOKEN
from cockpit.executors.shown import (
    Again,
    Shown,
    choose_again,
    cut_rows,
    surprisals,
    whole_rows,
)
from cockpit.executors.training import become_subreaper
from cockpit.executors.witness import (
    KilledError,
    LateError,
    NobodyWaitsError,
    Place,
    TooLargeError,
    Witness,
    WitnessError,
    end_all,
    said,
)
from cockpit.lab.losses import ROW_LOSSES, read_losses
from cockpit.lab.record import RunDirectoryError, open_regular
from cockpit.lab.rundir import RunDirectory

ANSWER = "import answering; answering.main()"
TRAIN_BYTES = 1 << 20
MEMORY_SHARE = 0.75
"""Of the machine's memory, what both witnesses together may take."""
OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "MemoryError")
"""How CUDA, the CPU's allocator and Python tell of it."""


class RefusedError(RuntimeError):
    """The score is not to be believed; the message is the reason."""


class UnauditableError(RuntimeError):
    """The audit can't be carried out, whatever the script did; the message says why."""


class Auditor:
    """One audit, in the run directory."""

    def __init__(self, order: AuditOrder, work: Path, deadline: float) -> None:
        self._order = order
        self._work = work
        self._deadline = deadline
        self._random = np.random.default_rng(order.draw)  # None: from the system
        self.found: dict[str, float | int | None] = {}
        """Figures, as far as it has come."""

    def run(self) -> None:
        """Audit. Raises RefusedError with what is wrong, or UnauditableError."""
        order = self._order
        counted, text_bytes = self._token_bytes()
        validation = self._rows(order.validation_rows, order.evaluation_rows)
        recorded = self._recorded(validation, text_bytes)
        available = os.stat(order.sealed_rows).st_size // (2 * validation.shape[1])
        plan = rules.plan(
            order.device.kind,
            order.sequence_length,
            order.vocab_size,
            len(validation),
            available,
        )
        sealed = self._rows(order.sealed_rows, plan.sealed)
        compared = self._choose(recorded, plan.validation)
        rows = np.concatenate([validation[compared], sealed])  # [N, T + 1]
        first, second = self._witnesses(plan)
        with contextlib.closing(first), contextlib.closing(second):
            whole = first.ask(whole_rows(rows), self._random)
            first.close()
            losses = np.stack(whole)  # [N, T]
            sums = (losses * counted[rows[:, 1:]]).sum(axis=1)
            self._score_sealed(sums[len(compared) :], text_bytes[sealed[:, 1:]].sum())
            targets = rows[:, 1:]
            suspicion = surprisals(validation[:, 1:], order.vocab_size)[targets] - losses
            again = choose_again(suspicion, counted[targets], plan.repeated, plan.cut, self._random)
            shown = cut_rows(rows, again, order.vocab_size, self._random)
            parts = second.ask(shown, self._random)
        changes = [losses[n, : len(part)] - part for n, part in zip(again.rows, parts, strict=True)]
        self._judge(recorded[compared], sums[: len(compared)], changes, again)

    def _judge(self, recorded: Nats, audited: Nats, changes: Sequence[Nats], again: Again) -> None:
        """Hold what was answered against what was recorded, and against itself."""
        tokens = self._order.sequence_length
        apart = (audited - recorded) / tokens
        noise = np.concatenate(changes[: again.whole])
        cuts = changes[again.whole :]
        # A loss that is lower with the whole row shown is a log-probability that fell by the cut.
        falls = [-float(change[-1]) for change in cuts]
        seams, suspects = falls[: again.anywhere], falls[again.anywhere :]
        before = [-float(change.mean()) for change in cuts]
        moved = [float(np.abs(change).mean()) for change in cuts]
        self.found |= {
            "rows": len(recorded),
            "worst": float(apart[np.abs(apart).argmax()]),
            "mean": float(apart.mean()),
            "noise": float(np.abs(noise).mean()),
            "cuts": len(cuts),
            "future": float(np.mean(seams)),
        }
        wrong = (
            rules.not_repeated(noise.tolist(), [0.0] * len(noise))
            or rules.not_recorded(recorded.tolist(), audited.tolist(), tokens)
            or rules.visible_future(seams, before, moved, noise.tolist())
            or rules.peeked(suspects, noise.tolist())
        )
        if wrong:
            raise RefusedError(wrong)

    def _recorded(self, validation: Tokens, text_bytes: Tokens) -> Nats:
        """The losses that the harness recorded, whose sum is the reported score."""
        try:
            losses = np.array(read_losses(Path(ROW_LOSSES)), dtype=np.float64)
            result = RunDirectory(Path()).read_result()
        except RunDirectoryError as error:
            raise RefusedError(str(error)) from error
        if result is None:
            raise RefusedError("result.json is missing")
        if len(losses) != len(validation):
            raise RefusedError(f"{len(losses)} rows were scored, not {len(validation)}")
        total = int(text_bytes[validation[:, 1:]].sum())
        nats = float(losses.sum())
        if wrong := rules.wrong_score(result.val_bpb, nats, total):
            raise RefusedError(wrong)
        self.found |= {
            "validation_bpb": rules.bits_per_byte(nats, total),
            "validation_bytes": total,
        }
        return losses

    def _choose(self, recorded: Nats, count: int) -> npt.NDArray[np.int64]:
        """Rows to be compared: half by their gain over the base, the rest at random."""
        suspects = np.empty(0, dtype=np.int64)
        base = self._order.base_directory
        with contextlib.suppress(RunDirectoryError):
            if base is not None and count < len(recorded):
                theirs = np.array(read_losses(base / ROW_LOSSES), dtype=np.float64)
                if len(theirs) == len(recorded):
                    suspects = np.argsort(recorded - theirs)[: count // 2]
        others = np.setdiff1d(np.arange(len(recorded)), suspects)
        drawn = self._random.choice(others, count - len(suspects), replace=False)
        return np.concatenate([suspects, drawn])

    def _score_sealed(self, nats: Nats, text_bytes: int) -> None:
        place = sealed_path(self._order.run_directory)
        new = place.with_name(f"{place.name}.{secrets.token_hex(8)}")
        with open(new, "xb") as file:
            np.save(file, nats.astype("<f8"))
        os.replace(new, place)
        self.found |= {
            "sealed_bpb": rules.bits_per_byte(float(nats.sum()), int(text_bytes)),
            "sealed_bytes": int(text_bytes),
            "sealed_rows": len(nats),
        }

    def _rows(self, path: Path, count: int) -> Tokens:
        """The first `count` rows of a file, [count, T + 1]."""
        width = self._order.sequence_length + 1
        rows = np.fromfile(path, dtype="<u2", count=count * width).astype(np.int64)
        if len(rows) != count * width or not count:
            raise UnauditableError(f"{path.name} has no {count} rows of {width} tokens")
        return rows.reshape(count, width)

    def _token_bytes(self) -> tuple[Nats, Tokens]:
        """By token: 1 where it counts, and the bytes of text it stands for."""
        text_bytes = np.load(self._order.token_bytes, allow_pickle=False).astype(np.int64)
        return (text_bytes > 0).astype(np.float64), text_bytes

    def _witnesses(self, plan: rules.Plan) -> "tuple[Questioning, Questioning]":
        """Start both, and have both load the checkpoint."""
        order = self._order
        try:
            checkpoint, sha256 = memfile.hashed_copy(
                Path("checkpoint.pt"), order.device.memory_bytes // 2, self._deadline
            )
        except memfile.MemoryFileError as error:
            raise UnauditableError(str(error)) from error
        if sha256 != order.checkpoint_sha256:
            raise RefusedError("checkpoint.pt was changed after the validation rows were handed in")
        text = order.train_py if order.train_py is not None else _train_py()
        sandbox = order.sandbox or probe(
            state_directory(order.run_directory), order.device, python=order.python
        )
        made = []
        for name in ("first", "second"):
            directory = self._work / name
            directory.mkdir()
            (directory / "train.py").write_text(text, encoding="utf-8")
            place = Place(
                directory,
                sandbox,
                order.trainer_directory,
                order.device,
                f"{os.environ[RUN_TOKEN]}-{name}",
                int(MEMORY_SHARE * cpu_device().memory_bytes),
            )
            made.append(Witness(place, ANSWER))
        seed = (RunDirectory(Path()).read_spec() or {}).get("seed")
        task = {
            "event": "load",
            "seed": seed if isinstance(seed, int) else 0,
            "device": order.device.kind,
            "cpus": audit_cpus(order.device),
            "threads": audit_threads(order.device),
            "sequence_length": order.sequence_length,
            "vocab_size": order.vocab_size,
        }
        first, second = (Questioning(one, order, plan.batch, self._deadline) for one in made)
        for one in (first, second):
            one.load(task, checkpoint)
        return first, second


class Questioning:
    """One witness, the memory in which it answers, and what it may be asked."""

    def __init__(self, witness: Witness, order: AuditOrder, batch: int, deadline: float) -> None:
        self._witness = witness
        self._batch = batch
        self._deadline = deadline
        self._answers = Answers(
            batch, order.sequence_length, order.vocab_size, audit_threads(order.device)
        )
        self._is_open = True

    def load(self, task: dict[str, object], checkpoint: int) -> None:
        """Hand in the checkpoint. What came of it is heard with the first answer."""
        self._witness.tell(task, [checkpoint, self._answers.descriptor])

    def ask(self, shown: Shown, random: np.random.Generator) -> list[Nats]:
        """The losses of each row's first positions, asked in random order and company."""
        self._hear("started")
        self._hear("loaded")
        found: dict[int, Nats] = {}
        order = random.permutation(len(shown.tokens))
        for start in range(0, len(order), self._batch):
            batch = order[start : start + self._batch]
            self._answers.put(shown.tokens[batch, :-1])
            self._witness.tell({"event": "rows", "rows": len(batch)})
            self._hear("answered")
            try:
                losses = self._answers.losses(shown.targets[batch], shown.positions[batch].tolist())
            except AnswerError as error:
                raise RefusedError(f"the model can't be asked: {error}") from error
            found |= dict(zip(batch.tolist(), losses, strict=True))
        return [found[row] for row in range(len(order))]

    def close(self) -> None:
        """End the witness and give its memory back."""
        if self._is_open:
            self._is_open = False
            self._witness.end()
            self._answers.close()

    def _hear(self, event: str) -> None:
        """Wait for an event; where something else comes, say whose fault it is."""
        try:
            message = self._witness.hear(self._deadline)
            told = None if message.get("event") == event else said(message, "message")
        except (LateError, KilledError, TooLargeError) as error:
            # A busy or small machine does as much to an honest model.
            raise UnauditableError(f"the model gave no answer: {error}") from error
        except WitnessError as error:
            told = str(error)
        if told is None:
            return
        if event == "started" or any(words in told for words in OUT_OF_MEMORY):
            raise UnauditableError(told)
        raise RefusedError(f"the model can't be asked: {told}")


def _train_py() -> str:
    try:
        with open_regular(Path("train.py")) as descriptor:
            return os.read(descriptor, TRAIN_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise UnauditableError(f"train.py can't be read: {error.strerror or error}") from error


def main() -> None:
    """Audit as ordered, write down what was found, and leave nothing running."""
    began = time.monotonic()
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    become_subreaper()
    order, deadline = AuditOrder.decode(sys.stdin.readline())
    if LINUX and (cpus := audit_cpus(order.device)):
        with contextlib.suppress(OSError):  # a container's set of cores may have changed
            os.sched_setaffinity(0, cpus)
    for left in Path().glob("audit-*"):  # of an audit that was killed
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="audit-", dir=Path.cwd()))
    work.chmod(0o711)  # a witness may be another user
    auditor = Auditor(order, work, deadline)
    ok: bool | None = True
    reason = None
    try:
        auditor.run()
    except RefusedError as error:
        ok, reason = False, str(error)
    except (UnauditableError, ExecutorError, OSError) as error:
        ok, reason = None, str(error)
    except NobodyWaitsError:
        return
    finally:
        end_all()
        shutil.rmtree(work, ignore_errors=True)
    seconds = time.monotonic() - began
    found = Audit(ok, reason, seconds, **auditor.found)  # type: ignore[arg-type] # by name
    write_atomically(str(audit_path(order.run_directory)), dataclasses.asdict(found))


if __name__ == "__main__":
    main()
