"""How fast and how good the trainer is: `python -m tests.bench.trainer [--json]`.

Measured, each run in a process of its own on the cores that a training gets: tokens a second and
MFU (PaLM formula) against this machine's own matrix products, what the harness takes of a step,
the loader's rate, seconds to the first step with a cold and a warm compile cache, evaluation and
audit, and val_bpb of our train.py and of the references (`references.py`): mean and standard error
over seeds, the references at the best of four learning rates, chosen on one seed.

It needs torch, numpy and tiktoken (and, for the audit, cockpit): on another machine copy
`trainer/`, `tests/bench/` and prepared rows, which `--save-rows DIR` makes small enough to carry,
and run it with `--rows DIR`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
sys.path.insert(0, str(TRAINER))

ROWS_MEGABYTES = 50
PRODUCT_SIZES = {"cpu": 2048, "mps": 4096, "cuda": 8192}
PRODUCT_SECONDS = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rows", type=Path, help="prepared rows; default: stdlib, prepared here")
    parser.add_argument("--save-rows", type=Path, help="copy the rows there, cut, and leave")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--preset", help="one of presets.toml; default: by the device")
    parser.add_argument("--only", choices=("speed", "quality"))
    parser.add_argument("--budget", type=float, help="seconds a run (60, on a GPU 300)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--references", default="gpt2,adamw", help="which of them, or none")
    options = parser.parse_args()
    bench = Bench(options)
    if options.save_rows:
        print(save_rows(bench.rows, options.save_rows))
        return
    told = bench.machine()
    if options.only != "quality":
        told |= {"speed": bench.speed()}
    if options.only != "speed":
        told |= {"quality": bench.quality()}
    print(json.dumps(told) if options.json else json.dumps(told, indent=2))


class Bench:
    """One device, one preset, one set of rows."""

    def __init__(self, options: argparse.Namespace) -> None:
        import by_hand
        import device as devices
        import prepare

        self.options = options
        self.device = devices.choose(options.device)
        self.preset_name, self.preset = by_hand.choose_preset(self.device, options.preset)
        self.budget = options.budget or (60.0 if self.device.type == "cpu" else 300.0)
        self.evaluation_rows = by_hand.evaluation_rows(self.preset, self.budget)
        if options.rows:
            self.rows = options.rows.resolve()
        else:
            size = self.preset["sequence_length"], self.preset["vocab_size"], self.evaluation_rows
            self.rows = Path(prepare.prepare("stdlib", *size)["directory"])
        text = (TRAINER / "train.py").read_text(encoding="utf-8")
        self.ours = by_hand.with_preset(text, self.preset_name, self.preset)
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
        on_cpu = self.device.type == "cpu" and len(cores) > 1
        self.cpus = cores[:-1] if on_cpu else None
        self.threads = max(1, len(cores) - 1)

    def machine(self) -> dict[str, Any]:
        """What this was measured on."""
        import device as devices
        import torch

        return {
            "device": devices.name(self.device),
            "torch": torch.__version__,
            "preset": self.preset_name,
            "threads": self.threads,
            "budget_seconds": self.budget,
        }

    def run(self, text: str, seed: int, **spec: Any) -> dict[str, Any]:
        """Train a text in a process of its own; its result, and what was measured around it."""
        order = {
            "seed": seed,
            "device": self.device.type,
            "cpus": self.cpus,
            "threads": self.threads,
            "budget_seconds": self.budget,
            "budget_tokens": None,
            "sequence_length": self.preset["sequence_length"],
            "vocab_size": self.preset["vocab_size"],
            "evaluation_rows": self.evaluation_rows,
        } | spec
        place = Path(tempfile.mkdtemp(prefix="bench-"))
        directory = place / "run"  # an audit writes beside it
        directory.mkdir()
        cache = order.pop("cache", None) or directory / "cache"
        keep = order.pop("keep", False)
        (directory / "train.py").write_text(text, encoding="utf-8")
        (directory / "spec.json").write_text(json.dumps(order))
        environment = os.environ | {
            "OMP_NUM_THREADS": str(self.threads),
            "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
            "TRITON_CACHE_DIR": str(cache / "triton"),
        }
        began = time.time()
        command = [sys.executable, __file__, "--child", str(directory), str(self.rows)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"a run failed:\n{done.stdout}{done.stderr}")
            result = json.loads((directory / "result.json").read_text())
            measured = json.loads((directory / "bench.json").read_text())
            result |= measured | {"first_step_after": measured["first_step_at"] - began}
            return result | ({"directory": directory} if keep else {})
        finally:
            if not keep:
                shutil.rmtree(place, ignore_errors=True)

    def batch(self) -> dict[str, Any]:
        """The constants that say what a step takes, as the preset has them."""
        constants = self.preset["constants"]
        shared = ("TOTAL_BATCH_TOKENS", "DEVICE_BATCH_ROWS", "COMPILE")
        return {name: constants[name] for name in shared}

    def speed(self) -> dict[str, Any]:
        """Everything that is a rate or a time."""
        import references

        cache = Path(tempfile.mkdtemp(prefix="bench-cache-"))
        try:
            cold = self.run(self.ours, 1, cache=cache, budget_seconds=min(5.0, self.budget))
            warm = self.run(self.ours, 1, cache=cache, budget_seconds=min(20.0, self.budget))
            scored = self.run(self.ours, 1, cache=cache, keep=True, budget_seconds=5.0)
            audit = audit_seconds(scored["directory"], self)
        finally:
            shutil.rmtree(cache, ignore_errors=True)
        shutil.rmtree(scored["directory"].parent, ignore_errors=True)
        idle = self.run(references.with_constants(references.NOTHING, self.batch()), 1,
                        budget_seconds=3.0)  # fmt: skip
        rate, step = warm["tokens"] / warm["training_seconds"], _step_seconds(warm)
        products = product_flops(self.device, self.threads)
        return {
            "tokens_per_second": round(rate),
            "step_milliseconds": round(1e3 * step, 2),
            "flops_per_token": warm["flops_per_token"],
            "matrix_product_flops": products,
            "mfu_of_measured_products": round(rate * warm["flops_per_token"] / products, 4),
            "mfu": warm["mfu"],
            "harness_share_of_step": round(_step_seconds(idle) / step, 5),
            "loader_tokens_per_second": round(loader_rate(self)),
            "first_step_seconds_cold": round(cold["first_step_after"], 2),
            "first_step_seconds_warm": round(warm["first_step_after"], 2),
            "evaluation_seconds": round(scored["evaluation_seconds"], 2),
            "evaluation_rows": scored["evaluation_rows"],
            "audit_seconds": audit,
            "peak_memory_gb": round(warm["peak_memory_bytes"] / 1e9, 3),
            "parameters": warm["parameters"],
        }

    def quality(self) -> dict[str, Any]:
        """val_bpb of ours and of the references after the same time."""
        ours = self.scores(self.ours)
        told = {"ours": ours}
        for name in [n for n in self.options.references.split(",") if n and n != "none"]:
            import references

            tried = {}
            for lr in references.LEARNING_RATES[name]:
                text = self.reference(name, lr, ours["parameters"])
                tried[lr] = self.run(text, 1)["val_bpb"] or math.inf
            best = min(tried, key=tried.__getitem__)
            found = self.scores(self.reference(name, best, ours["parameters"]))
            told[name] = found | {"lr": best, "tried": tried, "above_ours": round(
                found["val_bpb"] - ours["val_bpb"], 4)}  # fmt: skip
        return told

    def reference(self, name: str, lr: float, parameters: int) -> str:
        """The text of a reference."""
        import references

        if name == "adamw":
            return references.under_adamw(self.ours, lr)
        sizes = self.preset["vocab_size"], self.preset["sequence_length"]
        depth = 4 if self.device.type == "cpu" else 12
        return references.with_constants(
            references.gpt2(lr, parameters, *sizes, depth), self.batch()
        )

    def scores(self, text: str) -> dict[str, Any]:
        """Mean and standard error over the seeds."""
        runs = [self.run(text, seed) for seed in range(1, self.options.seeds + 1)]
        values = [run["val_bpb"] for run in runs]
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
        return {
            "val_bpb": round(statistics.fmean(values), 4),
            "standard_error": None if error is None else round(error, 4),
            "each": [round(value, 4) for value in values],
            "parameters": runs[0]["parameters"],
            "tokens": round(statistics.fmean(run["tokens"] for run in runs)),
            "steps": round(statistics.fmean(run["steps"] for run in runs)),
        }


# --- around a run --------------------------------------------------------------------------------


def child(directory: Path, rows: Path) -> None:
    """Train in this process, as by hand, and write down what the result does not have."""
    import by_hand
    import device as devices
    import harness

    spec = harness.Spec.from_json((directory / "spec.json").read_text())
    device = devices.choose(spec.device)
    devices.rehearse(device)
    run = harness.Run(spec, directory, device, by_hand.Nobody(rows))
    run.train()
    steps = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    first = next(step["at"] for step in steps if step["kind"] == "step")
    measured = {"first_step_at": first, "flops_per_token": run.task.flops_per_token}
    (directory / "bench.json").write_text(json.dumps(measured))


def _step_seconds(result: dict[str, Any]) -> float:
    return result["training_seconds"] / result["steps"]


def product_flops(device: Any, threads: int) -> float:
    """The best rate of a bf16 (or fp32) matrix product here, FLOP/s."""
    import device as devices
    import torch

    torch.set_num_threads(threads)
    size, best = PRODUCT_SIZES[device.type], 0.0
    for dtype in (torch.bfloat16, torch.float32):
        if dtype is torch.bfloat16 and not devices.has_bf16(device):
            continue
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        a @ b
        devices.synchronize(device)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < PRODUCT_SECONDS:
            for _ in range(4):
                a @ b
            devices.synchronize(device)
            count += 4
        best = max(best, 2 * size**3 * count / (time.perf_counter() - began))
    return best


def loader_rate(bench: Bench) -> float:
    """Tokens a second that batches come at, on one core, and from memory that is warm."""
    import torch
    from batches import Batches

    torch.set_num_threads(1)
    length, rows = bench.preset["sequence_length"], bench.preset["constants"]["DEVICE_BATCH_ROWS"]
    batches = Batches(os.open(bench.rows / "train.bin", os.O_RDONLY), length, 1, bench.device)
    began, tokens = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < 2.0:
        batches.take(rows)
        tokens += rows * length
    return tokens / elapsed


def audit_seconds(directory: Path, bench: Bench) -> float | None:
    """What the audit of a run takes; None where cockpit is not installed or it does not pass."""
    try:
        from cockpit.executors.auditing import AuditOrder, start_audit
        from cockpit.executors.host import cpu_device
    except ImportError:
        return None
    if bench.device.type != "cpu":
        return None
    order = AuditOrder(
        run_directory=directory,
        checkpoint_sha256=json.loads((directory / "result.json").read_text())["checkpoint_sha256"],
        validation_rows=bench.rows / "val.bin",
        sealed_rows=bench.rows / "sealed.bin",
        token_bytes=bench.rows / "token_bytes.npy",
        evaluation_rows=bench.evaluation_rows,
        sequence_length=bench.preset["sequence_length"],
        vocab_size=bench.preset["vocab_size"],
        device=cpu_device(),
        python=sys.executable,
        trainer_directory=TRAINER,
    )
    began, process = time.perf_counter(), start_audit(order)
    while (audit := process.poll()) is None:
        time.sleep(0.05)
    if not audit.ok:
        raise SystemExit(f"the audit of an honest run says: {audit.says}")
    return round(time.perf_counter() - began, 2)


def save_rows(rows: Path, place: Path) -> str:
    """Copy rows, with training rows cut so that all of it stays under `ROWS_MEGABYTES`."""
    place.mkdir(parents=True, exist_ok=True)
    meta = json.loads((rows / "meta.json").read_text())
    row_bytes = 2 * (meta["sequence_length"] + 1)
    left = ROWS_MEGABYTES * 10**6
    for name in ("token_bytes.npy", "meta.json", "val.bin", "sealed.bin"):
        shutil.copyfile(rows / name, place / name)
        left -= (place / name).stat().st_size
    with open(rows / "train.bin", "rb") as source, open(place / "train.bin", "wb") as target:
        target.write(source.read(max(1, left // row_bytes) * row_bytes))
    return f"{place}: {sum(file.stat().st_size for file in place.iterdir()) / 1e6:.1f} MB"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.path.insert(0, str(Path(__file__).resolve().parent))
        main()
