"""`python trainer/train.py`: one run without the cockpit, with a progress line and the figures.

Chooses the device and its preset, prepares the corpus, writes the preset's constants into a copy
of train.py when it says `PRESET = "auto"`, and trains that copy just as a served run is trained.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import device as devices
import harness
import prepare
import torch
from sources import CorpusError

HERE = Path(__file__).resolve().parent
MINIMUM_EVALUATION_ROWS = 16


def main(script: Path) -> int:
    """The command line of train.py. Exit status 0, or 1 after one line that says what to do."""
    parser = argparse.ArgumentParser(description="Train once and print the figures.")
    parser.add_argument("--budget", type=seconds, help="training time, like 30s, 5m or 1h")
    parser.add_argument("--tokens", type=int, help="train this many tokens instead of a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--corpus", default="stdlib", help="stdlib or local:PATH")
    parser.add_argument("--preset", help="one of presets.toml; default: by the device")
    parser.add_argument("--threads", type=int, help="CPU threads; default: all cores but one")
    parser.add_argument("--out", type=Path, help="keep metrics, checkpoint and result here")
    options = parser.parse_args()
    temporary = None if options.out else Path(tempfile.mkdtemp(prefix="train-"))
    try:
        return _run(script, options, options.out or temporary)
    except (CorpusError, devices.DeviceError, PresetError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


class PresetError(Exception):
    """There is no such preset, or train.py does not take it; the message says which."""


def _run(script: Path, options: argparse.Namespace, directory: Path) -> int:
    device = devices.choose(options.device)
    text = script.read_text(encoding="utf-8")
    name, preset = choose_preset(device, options.preset or _written_preset(text, device))
    budget = options.budget or (60.0 if device.type == "cpu" else 300.0)
    corpus = prepare.prepare(
        options.corpus,
        preset["sequence_length"],
        preset["vocab_size"],
        evaluation_rows(preset, budget),
        report=prepare.Progress(),
        wants_tokens=preset["wants_tokens"],
    )
    for warning in [*corpus["warnings"], *_too_little(preset, corpus)]:
        print(f"warning: {warning}", file=sys.stderr)
    directory.mkdir(parents=True, exist_ok=True)
    for left in ("metrics.jsonl", "result.json"):
        (directory / left).unlink(missing_ok=True)
    (directory / "train.py").write_text(with_preset(text, name, preset), encoding="utf-8")
    spec = harness.Spec(
        seed=options.seed,
        device=device.type,
        cpus=None,
        threads=options.threads or max(1, (os.cpu_count() or 1) - 1),
        budget_seconds=budget,
        budget_tokens=options.tokens,
        sequence_length=preset["sequence_length"],
        vocab_size=preset["vocab_size"],
        evaluation_rows=corpus["evaluation_rows"],
    )
    devices.rehearse(device)
    watcher = Nobody(Path(corpus["directory"]))
    run = harness.Run(spec, directory, device, watcher, watch=ProgressLine())
    run.train()
    for figure in figures(run.result, device):
        print(figure)
    return 0


class Nobody:
    """By hand nobody watches: rows are opened and the checkpoint is hashed here."""

    def __init__(self, rows: Path) -> None:
        self._rows = rows

    def start_clock(self) -> int:
        """See `harness.Watcher`."""
        return os.open(self._rows / "train.bin", os.O_RDONLY)

    def hand_in(self, checkpoint: Path) -> harness.Handed:
        """See `harness.Watcher`."""
        return harness.Handed(
            os.open(self._rows / "val.bin", os.O_RDONLY),
            0,
            os.open(self._rows / "token_bytes.npy", os.O_RDONLY),
            harness.file_sha256(checkpoint),
        )


class ProgressLine:
    """Shows the metric stream on standard error: one line on a terminal, else a line now and then.

    Called with each record of metrics.jsonl.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._tenth = -1

    def __call__(self, record: dict[str, Any]) -> None:
        """Show a record, if it is time for a line."""
        if record["kind"] == "phase":
            self._print(record["phase"], rewrite=False)
        elif record["kind"] == "evaluation":
            self._print(f"evaluating {record['done_rows']}/{record['rows']} rows")
        elif self._terminal or int(record["progress"] * 10) > self._tenth:
            self._tenth = int(record["progress"] * 10)
            loss = "not finite" if record["loss"] is None else f"{record['loss']:.4f}"
            self._print(
                f"{record['progress']:4.0%}  step {record['step']}  loss {loss}  "
                f"{record['tokens_per_second']:,.0f} tok/s  {record['seconds']:.0f} s"
            )

    def _print(self, text: str, rewrite: bool = True) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}" + ("" if rewrite else "\n"))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()


def figures(result: dict[str, Any], device: torch.device) -> list[str]:
    """The final figures, `name: value` a line, with the names karpathy/autoresearch prints."""
    memory = "peak_vram_mb" if device.type == "cuda" else "peak_memory_mb"
    mfu = result.get("mfu")
    values = {
        "val_bpb": _shown(result["val_bpb"], 6),
        "training_seconds": _shown(result["training_seconds"], 1),
        "total_seconds": _shown(result["total_seconds"], 1),
        memory: _shown(result["peak_memory_bytes"] / 2**20, 1),
        "mfu_percent": _shown(None if mfu is None else 100 * mfu, 2),
        "total_tokens_M": _shown(result["tokens"] / 1e6, 3),
        "num_steps": str(result["steps"]),
        "num_params_M": _shown(result["parameters"] / 1e6, 2),
    }
    return ["---", *(f"{name + ':':<18}{value}" for name, value in values.items())]


def _shown(value: float | None, digits: int) -> str:
    return "null" if value is None else f"{value:.{digits}f}"


def presets() -> dict[str, dict[str, Any]]:
    """presets.toml, by name."""
    return tomllib.loads((HERE / "presets.toml").read_text(encoding="utf-8"))


def choose_preset(device: torch.device, name: str | None = None) -> tuple[str, dict[str, Any]]:
    """The preset called `name`, or the largest that fits the device; the smallest if none does."""
    known = presets()
    if name is not None:
        if name not in known:
            raise PresetError(f"unknown preset {name!r}; choose from {', '.join(known)}")
        return name, known[name]
    memory = devices.memory_bytes(device) / 1e9
    made_for = {
        name: preset.get("memory_gb", 0)
        for name, preset in known.items()
        if preset["device"] == device.type
    }
    fitting = {name: needed for name, needed in made_for.items() if needed <= memory}
    if not fitting:
        name = min(made_for, key=made_for.__getitem__)
        return name, known[name]
    name = max(fitting, key=fitting.__getitem__)
    return name, known[name]


def evaluation_rows(preset: dict[str, Any], budget_seconds: float) -> int:
    """As many rows as a tenth of the budget can evaluate, within the preset's limit."""
    tokens = budget_seconds * 0.1 * preset["evaluation_tokens_per_second"]
    rows = int(tokens / preset["sequence_length"])
    return max(MINIMUM_EVALUATION_ROWS, min(preset["maximum_evaluation_rows"], rows))


def with_preset(text: str, name: str, preset: dict[str, Any]) -> str:
    """train.py's text with the preset's constants in it, if it says PRESET = "auto"."""
    values = _constants(text)
    if "PRESET" not in values or ast.unparse(values["PRESET"]) != "'auto'":
        return text
    lines = text.split("\n")  # as the parser counts them
    for constant, value in {**preset["constants"], "PRESET": name}.items():
        if constant not in values:
            raise PresetError(f"preset {name}: train.py has no constant {constant}")
        node = values[constant]
        line = lines[node.lineno - 1]
        shown = f'"{value}"' if isinstance(value, str) else repr(value)
        lines[node.lineno - 1] = line[: node.col_offset] + shown + line[node.end_col_offset :]
    for constant, span in preset.get("ranges", {}).items():
        number = values[constant].end_lineno - 1
        lines[number] = re.sub(r"\[[^]]*\]$", lambda _, span=span: span, lines[number])
    return "\n".join(lines)


def _constants(text: str) -> dict[str, ast.expr]:
    """The values of train.py's top-level names, as they are written. Raises PresetError."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise PresetError(f"train.py does not parse: {error}") from error
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _written_preset(text: str, device: torch.device) -> str | None:
    """The preset that the text says its constants come from, if it is one for this device."""
    value = _constants(text).get("PRESET")
    name = value.value if isinstance(value, ast.Constant) else None
    known = presets()
    return name if name in known and known[name]["device"] == device.type else None


def _too_little(preset: dict[str, Any], corpus: dict[str, Any]) -> list[str]:
    if corpus["train_tokens"] >= preset["wants_tokens"]:
        return []
    return [
        f"the corpus has {corpus['train_tokens'] / 1e6:.1f}M training tokens; "
        f"this preset wants {preset['wants_tokens'] / 1e6:.0f}M, rows will be repeated"
    ]


def seconds(text: str) -> float:
    """A duration such as 30s, 5m, 1h, or plain seconds."""
    units = {"s": 1, "m": 60, "h": 3600}
    unit = units.get(text[-1:], 1)
    try:
        value = float(text.rstrip("smh")) * unit
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 30s, 5m or 1h") from error
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("a duration is more than 0 seconds")
    return value


def probe() -> int:
    """`python trainer/harness.py --probe [--device D]`: the device as JSON, for the doctor."""
    parser = argparse.ArgumentParser(description="Describe the device that training would use.")
    parser.add_argument("--probe", action="store_true", required=True)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    print(json.dumps(devices.probe(parser.parse_args().device)))
    return 0
