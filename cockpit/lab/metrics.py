"""The metric stream of a run: read metrics.jsonl while it is being written."""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cockpit.lab.record import open_regular

READ_BYTES = 4 << 20
"""At most this much is read at a time, about 15,000 lines: a flood costs the reader no memory."""
NAMED_METRICS = 16
"""More of them are passed over, so that a script can't fill a screen or a journal."""
LINE_BYTES = 1 << 16
"""No line of the harness is longer; what is longer is passed over."""
_NAME = re.compile(r"[A-Za-z_]\w{0,39}")


@dataclass(frozen=True, slots=True)
class Phase:
    """The run entered another phase."""

    phase: str
    """starting, warming, training, evaluating or done."""
    at: float
    """Unix seconds."""
    monotonic: float
    """Seconds on this boot's monotonic clock."""


@dataclass(frozen=True, slots=True)
class Step:
    """Figures of one optimizer step."""

    step: int
    """Optimizer steps taken, this one included."""
    seconds: float
    """Training seconds so far."""
    progress: float
    """Share of the budget used, 0 to 1."""
    tokens: int
    """Training tokens so far."""
    loss: float | None
    """Nats per token; None when it was not finite."""
    tokens_per_second: float
    """Since the line before."""
    lr_factor: float | None
    """Learning rate over its peak, 0 to 1."""
    grad_norm: float | None
    """Norm of the gradient."""
    mfu: float | None
    """Model FLOPs utilization, 0 to 1."""
    memory_bytes: int | None
    """Device memory in use, bytes."""
    at: float
    """Unix seconds."""
    monotonic: float
    """Seconds on this boot's monotonic clock."""
    named: Mapping[str, float] = field(default_factory=dict)
    """Metrics under names of train.py's own choice, at most `NAMED_METRICS`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How far the evaluation is."""

    done_rows: int
    """Validation rows scored."""
    rows: int
    """Validation rows to score."""


Metric = Step | Phase | Evaluation


class MetricsTail:
    """Reads metrics.jsonl as it grows; a torn last line waits, garbage is counted and passed."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        """Bytes read so far, always the beginning of a line."""
        self.skipped = 0
        """Lines that were no metric."""
        self._in_long_line = False

    def read_new(self) -> list[Metric]:
        """What was appended since the last call; nothing when there is no file yet."""
        try:
            with open_regular(self.path) as descriptor:
                # A shorter file was cut by the training; what it had said is known already.
                self.offset = min(self.offset, os.fstat(descriptor).st_size)
                content = os.pread(descriptor, READ_BYTES, self.offset)
        except OSError:
            return []
        end = content.rfind(b"\n") + 1
        lines = content[:end].split(b"\n")[:-1]
        if self._in_long_line and lines:
            del lines[0]  # the rest of a line that was given up before
            self._in_long_line = False
        if len(content) - end > LINE_BYTES:
            self.skipped += 0 if self._in_long_line else 1
            self._in_long_line = True
            end = len(content)
        self.offset += end
        return self._parse(lines)

    def _parse(self, lines: list[bytes]) -> list[Metric]:
        try:
            # One parse of all lines is twice as fast as a parse of each.
            records = json.loads(b"[" + b",".join(lines) + b"]", parse_constant=_refuse)
        except (ValueError, RecursionError):
            records = None
        if records is None or len(records) != len(lines):
            records = [_load(line) for line in lines]
        metrics = []
        for record in records:
            try:
                metrics.append(_READERS[record["kind"]](record))
            except (KeyError, TypeError, ValueError, OverflowError):
                self.skipped += 1
        return metrics


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number that the harness writes")


def _load(line: bytes) -> object:
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _number(value: object) -> float:
    if (type(value) is float or type(value) is int) and math.isfinite(value):
        return float(value)
    raise TypeError


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _count(value: object) -> int:
    if type(value) is int and value >= 0:
        return value
    raise TypeError


def _read_step(record: dict[str, object]) -> Step:
    memory_bytes = record.get("memory_bytes")
    return Step(
        _count(record["step"]),
        _number(record["seconds"]),
        _number(record["progress"]),
        _count(record["tokens"]),
        _number_or_none(record["loss"]),
        _number(record["tokens_per_second"]),
        _number_or_none(record.get("lr_factor")),
        _number_or_none(record.get("grad_norm")),
        _number_or_none(record.get("mfu")),
        None if memory_bytes is None else _count(memory_bytes),
        _number(record["at"]),
        _number(record["monotonic"]),
        named_metrics(record.get("named")),
    )


def named_metrics(given: object) -> dict[str, float]:
    """Return the first named metrics that have a name and a finite number; the rest is dropped."""
    if not isinstance(given, dict):
        return {}
    kept: dict[str, float] = {}
    for name, value in given.items():
        if len(kept) == NAMED_METRICS:
            break
        if _NAME.fullmatch(name) and isinstance(value, int | float) and math.isfinite(value):
            kept[name] = float(value)
    return kept


def _read_phase(record: dict[str, object]) -> Phase:
    phase = record["phase"]
    if not isinstance(phase, str):
        raise TypeError
    return Phase(phase, _number(record["at"]), _number(record["monotonic"]))


def _read_evaluation(record: dict[str, object]) -> Evaluation:
    return Evaluation(_count(record["done_rows"]), _count(record["rows"]))


_READERS: dict[str, Callable[[dict[str, object]], Metric]] = {
    "step": _read_step,
    "phase": _read_phase,
    "evaluation": _read_evaluation,
}
