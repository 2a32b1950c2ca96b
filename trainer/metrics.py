"""The metric stream: what a run says of itself while it trains."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Metrics:
    """metrics.jsonl: one JSON object a line, flushed line by line; never NaN, always null."""

    def __init__(self, path: Path, watch: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - lives as long
        self._watch = watch

    def write(self, kind: str, **fields: Any) -> None:
        """Write one line with both clocks in it, and show it to whoever watches."""
        record = {"kind": kind, **fields, "at": time.time(), "monotonic": time.monotonic()}
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        if self._watch is not None:
            self._watch(record)


class Step:
    """A reported step whose figures may still be on their way from the device."""

    def __init__(
        self,
        number: int,
        tokens: int,
        progress: float,
        lr_factor: float | None,
        values: dict[str, torch.Tensor | float | None],
        device: torch.device,
    ) -> None:
        self.number, self.tokens, self.progress = number, tokens, progress
        self.lr_factor = lr_factor
        self._values = dict(values)
        self._names = [name for name, value in values.items() if isinstance(value, torch.Tensor)]
        self._host: torch.Tensor | None = None
        self._copied: torch.cuda.Event | None = None
        if self._names:
            stacked = torch.stack(
                [values[name].detach().float().reshape(()) for name in self._names]
            )
            if device.type == "cuda":
                self._host = torch.empty(len(self._names), pin_memory=True)
                self._host.copy_(stacked, non_blocking=True)
                self._copied = torch.cuda.Event()
                self._copied.record()
            else:
                self._host = stacked
        self.is_read = device.type == "cpu" or not self._names

    def read(self) -> dict[str, float | None]:
        """All figures as finite floats or None; waits for the device if need be."""
        if self._host is not None:
            if self._copied is not None:
                self._copied.synchronize()
            self._values.update(zip(self._names, self._host.tolist(), strict=True))
        return {name: finite(value) for name, value in self._values.items()}


def finite(value: float | None) -> float | None:
    """`value` as a float, or None when it is missing or not finite."""
    return float(value) if value is not None and math.isfinite(value) else None
