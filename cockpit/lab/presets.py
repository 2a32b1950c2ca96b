"""Presets: the baseline's constants and the shape of its rows for the machine found."""

import tomllib
from dataclasses import dataclass
from typing import Any

from cockpit.lab.lab import LabError

EVALUATION_SHARE = 0.1
"""Evaluation takes at most this share of the budget."""
MINIMUM_EVALUATION_ROWS = 16


@dataclass(frozen=True, slots=True)
class Preset:
    """One section of `trainer/presets.toml`."""

    name: str
    description: str
    device: str
    """`cuda`, `mps` or `cpu`."""
    memory_gb: float
    """Smallest device memory it is made for."""
    sequence_length: int
    vocab_size: int
    evaluation_tokens_per_second: float
    """A forward rate that the machine surely reaches."""
    maximum_evaluation_rows: int
    wants_tokens: int
    """A corpus with fewer training tokens than this earns a warning."""
    constants: dict[str, Any]
    """Constants of the baseline's train.py."""
    ranges: dict[str, str]
    """Search ranges, in brackets, for constants that move elsewhere on this machine."""

    def evaluation_rows(self, budget_seconds: float) -> int:
        """Return how many validation rows fit into the evaluation's share of the budget."""
        tokens = budget_seconds * EVALUATION_SHARE * self.evaluation_tokens_per_second
        rows = int(tokens / self.sequence_length)
        return max(MINIMUM_EVALUATION_ROWS, min(self.maximum_evaluation_rows, rows))


def read(text: str) -> dict[str, Preset]:
    """Read the presets of a `presets.toml`; raises `LabError` with one line."""
    try:
        return {
            name: Preset(
                name=name,
                description=str(section.get("description", name)),
                device=str(section["device"]),
                memory_gb=float(section.get("memory_gb", 0)),
                sequence_length=int(section["sequence_length"]),
                vocab_size=int(section["vocab_size"]),
                evaluation_tokens_per_second=float(section["evaluation_tokens_per_second"]),
                maximum_evaluation_rows=int(section["maximum_evaluation_rows"]),
                wants_tokens=int(section.get("wants_tokens", 0)),
                constants=dict(section.get("constants", {})),
                ranges=dict(section.get("ranges", {})),
            )
            for name, section in tomllib.loads(text).items()
        }
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise LabError(f"trainer/presets.toml can't be read: {error}") from error


def choose(presets: dict[str, Preset], device: str, memory_bytes: int | None) -> Preset:
    """Return the largest preset that fits the device; the smallest of its kind if none does."""
    fitting = sorted((p for p in presets.values() if p.device == device), key=lambda p: p.memory_gb)
    if not fitting:
        raise LabError(f"trainer/presets.toml has no preset for the device {device}")
    memory_gb = (memory_bytes or 0) / 1e9
    return next((p for p in reversed(fitting) if p.memory_gb <= memory_gb), fitting[0])
