"""The measuring setup in words, for a prompt and for the head of the findings."""

from collections.abc import Mapping
from typing import Any

from cockpit.core.quoting import one_line

DEVICES = {"cuda": "GPU", "mps": "Apple GPU", "cpu": "CPU"}


def setup_line(setup: Mapping[str, Any]) -> str:
    """Return in one sentence how a tag measures; what a setup does not say is left out."""
    parts = []
    if budget := _number(setup, "budget_seconds"):
        parts.append(f"{budget:g} s of training a run")
    if setup.get("device"):
        device = DEVICES.get(str(setup["device"]), str(setup["device"]))
        threads = _number(setup, "threads")
        cores = f", {threads:g} thread{'s'[: threads != 1]}" if threads and device == "CPU" else ""
        name = one_line(str(setup.get("device_name") or device), 80)
        parts.append(f"on {name} ({device}{cores})")
    if setup.get("torch"):
        parts.append(f"with torch {one_line(str(setup['torch']), 30)}")
    if setup.get("corpus"):
        parts.append(f"corpus {one_line(str(setup['corpus']), 80)}")
    if length := _number(setup, "sequence_length"):
        parts.append(f"rows of {length:g} tokens")
    if vocabulary := _number(setup, "vocab_size"):
        parts.append(f"vocabulary {vocabulary:g}")
    if rows := _number(setup, "evaluation_rows"):
        parts.append(f"val_bpb on {rows:g} fixed rows")
    return _sentence(parts)


def _sentence(parts: list[str]) -> str:
    whole = ", ".join(parts)
    return whole[:1].upper() + whole[1:] + "." if whole else ""


def _number(setup: Mapping[str, Any], name: str) -> float | None:
    value = setup.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
