"""The contract of the harness: clock, batches, warm-up, metrics, result, and being served."""

import array
import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import by_hand
import device as devices
import harness
import numpy as np
import pytest
import task as task_module
import torch
from batches import Batches

from .conftest import TRAINER

SMALL = {"DEPTH": 2, "ASPECT_RATIO": 16, "HEAD_DIM": 16, "TOTAL_BATCH_TOKENS": 128}


def train_text(**constants: object) -> str:
    """The real train.py, made small."""
    text = (TRAINER / "train.py").read_text(encoding="utf-8")
    return by_hand.with_preset(text, "test", {"constants": {**SMALL, **constants}})


def spec_for(**fields: object) -> dict[str, object]:
    return {
        "format": 1,
        "seed": 5,
        "device": "cpu",
        "cpus": None,
        "threads": 1,
        "budget_seconds": 30.0,
        "budget_tokens": 128 * 12,
        "sequence_length": 32,
        "vocab_size": 320,
        "evaluation_rows": 16,
        **fields,
    }


def lines(directory: Path, kind: str) -> list[dict[str, object]]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    text = (directory / "metrics.jsonl").read_text()
    records = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    return [record for record in records if record["kind"] == kind]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Runs in this process change torch's threads; put them back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    sys.modules.pop("train", None)


def run_here(directory: Path, rows: Path, text: str, **fields: object) -> dict[str, object]:
    """Train in this process, examined by nobody; the result."""
    directory.mkdir(exist_ok=True)
    (directory / "train.py").write_text(text)
    spec = harness.Spec.from_json(json.dumps(spec_for(**fields)))
    run = harness.Run(spec, directory, torch.device("cpu"), by_hand.Nobody(rows))
    run.train()
    return run.result


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(
    rows: Path, tmp_path: Path
) -> None:
    found = {}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        note = f"open({str(tmp_path / name)!r} + '.losses', 'a').write(f'{{total.item()!r}}\\n')"
        program = train_text().replace("task.report(", f"{note}\n        task.report(")
        run_here(tmp_path / name, rows, program, seed=seed)
        found[name] = (tmp_path / f"{name}.losses").read_text().splitlines()
    assert len(found["a"]) == 12
    assert found["a"] == found["b"]
    assert found["a"] != found["c"]


def test_a_run_writes_every_figure_it_promises(rows: Path, tmp_path: Path) -> None:
    result = run_here(tmp_path, rows, train_text())
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert result["steps"] == 12
    assert result["tokens"] == 12 * 128
    assert result["evaluation_rows"] == 16
    assert 0 < result["val_bpb"] < 9
    assert len(result["loss_tenths"]) == 10
    assert result["checkpoint_sha256"] == harness.file_sha256(tmp_path / "checkpoint.pt")
    assert result["total_seconds"] >= result["training_seconds"] + result["evaluation_seconds"]
    assert result["peak_memory_bytes"] > 50e6
    phases = [line["phase"] for line in lines(tmp_path, "phase")]
    assert phases == ["starting", "training", "evaluating", "done"]
    steps = [line["step"] for line in lines(tmp_path, "step")]
    assert steps[0] == 1
    assert steps[-1] == 12
    assert np.load(tmp_path / "row_losses.npy").dtype == np.float32


def test_the_clock_honours_the_budget(rows: Path, tmp_path: Path) -> None:
    result = run_here(tmp_path, rows, train_text(), budget_seconds=0.7, budget_tokens=None)
    longest = result["training_seconds"] / result["steps"]
    assert 0.7 <= result["training_seconds"] < 0.7 + max(0.3, 4 * longest)
    assert lines(tmp_path, "step")[-1]["progress"] == 1.0
    assert len(lines(tmp_path, "step")) < 14


def dense_bits_per_byte(rows: Path, directory: Path) -> float:
    """The same figure the slow way: every target by hand, in float64."""
    import train

    spec = harness.Spec.from_json(json.dumps(spec_for()))
    run = harness.Run(spec, directory, torch.device("cpu"), by_hand.Nobody(rows))
    model = train.build_model(harness.Task(run))
    model.load_state_dict(torch.load(directory / "checkpoint.pt"))
    model.eval()
    validation = np.fromfile(rows / "val.bin", dtype="<u2").reshape(-1, 33)[:16].astype(np.int64)
    token_bytes = np.load(rows / "token_bytes.npy")
    nats, size = 0.0, 0
    for row in validation:
        with torch.no_grad():
            logits = model(torch.from_numpy(row[None, :-1]))[0].double()
        for position, target in enumerate(row[1:]):
            if token_bytes[target]:
                nats -= float(torch.log_softmax(logits[position], -1)[target])
                size += int(token_bytes[target])
    return nats / math.log(2) / size


def test_the_score_agrees_with_a_computation_by_hand(rows: Path, tmp_path: Path) -> None:
    result = run_here(tmp_path, rows, train_text(PRECISION="float32"))
    assert result["val_bpb"] == pytest.approx(dense_bits_per_byte(rows, tmp_path), rel=1e-5)
    nats = np.load(tmp_path / "row_losses.npy").sum()
    validation = np.fromfile(rows / "val.bin", dtype="<u2").reshape(-1, 33)[:16]
    size = np.load(rows / "token_bytes.npy")[validation[:, 1:]].sum()
    assert result["val_bpb"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)


def test_a_loss_that_is_not_finite_is_null_and_training_goes_on(rows: Path, tmp_path: Path) -> None:
    text = train_text().replace("task.report(loss=total,", "task.report(loss=total * math.nan,")
    text = text.replace(
        "task.finish(model)",
        "model.unembedding.weight.data.fill_(math.nan)\n    task.finish(model)",
    )
    result = run_here(tmp_path, rows, text)
    assert result["val_bpb"] is None
    assert result["steps"] == 12
    assert {line["loss"] for line in lines(tmp_path, "step")} == {None}
    assert result["loss_tenths"] == [None] * 10


def test_warm_up_leaves_no_trace(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(train_text())
    spec = harness.Spec.from_json(json.dumps(spec_for()))
    run = harness.Run(spec, tmp_path, torch.device("cpu"), by_hand.Nobody(rows))
    train = harness.load_train(tmp_path / "train.py")
    task = harness.Task(run)
    model = train.build_model(task)
    optimizers = train.build_optimizers(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    groups = json.dumps([o.state_dict()["param_groups"] for o in optimizers])
    draw = torch.get_rng_state(), np.random.get_state()[1].copy()
    calls = []

    def step() -> None:
        inputs, targets = task.next_batch(2)
        calls.append(inputs.shape)
        logits = model(inputs)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 9.0
            optimizer.step()
        np.random.rand()
        task.report(loss=0.0)

    with pytest.raises(harness.HarnessError, match=r"report\(\) came before the first batch"):
        task.report(loss=0.0)
    task.warm_up(step, model, optimizers, compiled=True)
    assert len(calls) == task_module.WARM_UP_STEPS
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert json.dumps([o.state_dict()["param_groups"] for o in optimizers]) == groups
    assert all(not optimizer.state for optimizer in optimizers)
    assert torch.equal(torch.get_rng_state(), draw[0])
    assert (np.random.get_state()[1] == draw[1]).all()
    assert task.progress == 0
    assert not lines(tmp_path, "step")
    train_rows = np.fromfile(rows / "train.bin", dtype="<u2").reshape(-1, 33)
    first = np.random.default_rng([5, 0]).permutation(len(train_rows))[:2]
    assert (task.next_batch(2)[0].numpy() == train_rows[first, :-1]).all()


def test_a_warm_up_with_larger_batches_than_training_has_is_refused(
    rows: Path, tmp_path: Path
) -> None:
    text = train_text().replace(
        "    task.warm_up(step, model, optimizers, compiled=compiled)",
        "    task.warm_up(lambda: task.next_batch(64), model, optimizers)",
    )
    with pytest.raises(harness.HarnessError, match="batches of 64 rows, training at most 4"):
        run_here(tmp_path, rows, text)


def test_an_optimizer_step_before_the_clock_is_refused(rows: Path, tmp_path: Path) -> None:
    loop = "    while not task.done:"
    text = train_text().replace(loop, "    optimizers[-1].step()\n" + loop)
    with pytest.raises(harness.HarnessError, match="an optimizer step before the first batch"):
        run_here(tmp_path, rows, text)


def test_no_batch_comes_once_a_step_has_ended_after_the_budget(rows: Path, tmp_path: Path) -> None:
    text = train_text().replace("while not task.done:", "while True:")
    with pytest.raises(harness.HarnessError, match="a batch was asked for after the budget"):
        run_here(tmp_path, rows, text)


def test_rows_come_in_the_order_that_a_script_asks_for(tmp_path: Path) -> None:
    data = np.arange(10 * 9, dtype="<u2").reshape(10, 9)
    data.tofile(tmp_path / "train.bin")
    descriptor = os.open(tmp_path / "train.bin", os.O_RDONLY)
    batches = Batches(descriptor, 8, 3, torch.device("cpu"))
    inputs, targets = batches.take(3, np.array([7, 0, 7]))
    assert inputs[:, 0].tolist() == [63, 0, 63]
    assert (inputs + 1 == targets).all()
    with pytest.raises(IndexError):
        batches.take(1, np.array([10]))
    assert sorted(torch.cat([batches.take(5)[0][:, 0] for _ in range(2)]).tolist()) == list(
        range(0, 90, 9)
    )


def test_every_row_comes_once_in_an_epoch_and_then_in_another_order(tmp_path: Path) -> None:
    data = np.arange(10 * 9, dtype="<u2").reshape(10, 9)
    data.tofile(tmp_path / "train.bin")
    descriptor = os.open(tmp_path / "train.bin", os.O_RDONLY)
    batches = Batches(descriptor, 8, 3, torch.device("cpu"))
    seen = [batches.take(4) for _ in range(5)]
    firsts = torch.cat([inputs[:, 0] for inputs, _ in seen]).tolist()
    assert sorted(firsts[:10]) == sorted(firsts[10:]) == list(range(0, 90, 9))
    assert firsts[:10] != firsts[10:]
    assert all((inputs + 1 == targets).all() for inputs, targets in seen)
    assert batches.epoch == 1


@pytest.mark.parametrize("value", ["low", "high"])
def test_every_value_in_the_ranges_of_train_py_gives_a_working_model(
    rows: Path, tmp_path: Path, value: str
) -> None:
    import ast
    import re

    text = (TRAINER / "train.py").read_text()
    extremes = {}
    for name, written in re.findall(r"^([A-Z_0-9]+) = .*\[(.+)\]$", text, re.MULTILINE):
        if "|" in written:
            extremes[name] = written.split("|")[0 if value == "low" else -1]
        else:
            low, high = map(ast.literal_eval, written.split(", ")[:2])
            extremes[name] = low if value == "low" else high
    assert len(extremes) > 15
    for heavy in ("TOTAL_BATCH_TOKENS", "DEPTH"):  # the test has seconds
        extremes[heavy] = min(extremes[heavy], {"TOTAL_BATCH_TOKENS": 1024, "DEPTH": 3}[heavy])
    extremes["ASPECT_RATIO"] = min(extremes["ASPECT_RATIO"], 40)
    result = run_here(tmp_path, rows, train_text(**extremes), budget_tokens=2048)
    assert result["val_bpb"] is not None


def test_the_model_cannot_see_the_future(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(train_text(WINDOW_PATTERN="SL", SHORT_WINDOW=0.25))
    spec = harness.Spec.from_json(json.dumps(spec_for()))
    run = harness.Run(spec, tmp_path, torch.device("cpu"), by_hand.Nobody(rows))
    model = harness.load_train(tmp_path / "train.py").build_model(harness.Task(run))
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.in_bf16 = False
    idx = torch.randint(320, (2, 32))
    whole = model(idx)
    for cut in (1, 7, 20):
        assert torch.allclose(model(idx[:, :cut]), whole[:, :cut], atol=1e-4)


# --- served ------------------------------------------------------------------------------------


class FakeSupervisor:
    """Speaks the supervisor's half of the control channel to a real training process."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.settimeout(60)
        self.socket, self._received = ours, b""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": str(TRAINER),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "COCKPIT_CONTROL_FD": str(theirs.fileno()),
            "COCKPIT_DEVICE": "cpu",
        }
        with open(directory / "train.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", "import harness; harness.serve()"],
                cwd=directory,
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        theirs.close()

    def receive(self) -> dict[str, object]:
        while b"\n" not in self._received:
            data = self.socket.recv(4096)
            assert data, (self.directory / "train.log").read_text()
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)

    def send(self, message: dict[str, object], *descriptors: int) -> None:
        rights = []
        if descriptors:
            data = array.array("i", descriptors)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, data)]
        self.socket.sendmsg([json.dumps(message).encode() + b"\n"], rights)

    def assign(self, rows: Path, text: str, directory: Path) -> None:
        (self.directory / "train.py").write_text(text)
        (self.directory / "spec.json").write_text(json.dumps(spec_for()))
        self.directory.rename(directory)
        self.directory = directory
        self.send({"event": "go", "run_directory": str(directory)})


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[FakeSupervisor]:
    """A warm spare under a fake supervisor."""
    supervisor = FakeSupervisor(tmp_path / "spare")
    yield supervisor
    supervisor.socket.close()
    supervisor.process.kill()
    supervisor.process.wait()


def test_a_spare_gets_ready_trains_hands_over_and_leaves(
    supervisor: FakeSupervisor, rows: Path, tmp_path: Path
) -> None:
    assert supervisor.receive() == {"event": "ready"}
    directory = tmp_path / "run"
    supervisor.assign(rows, train_text(), directory)
    assert supervisor.receive() == {"event": "clock"}
    assert not (directory / "checkpoint.pt").exists()
    with open(rows / "train.bin", "rb") as training:
        supervisor.send({"event": "rows"}, training.fileno())
    assert supervisor.receive() == {"event": "checkpoint", "path": "checkpoint.pt"}
    assert not (directory / "result.json").exists()
    digest = harness.file_sha256(directory / "checkpoint.pt")
    with open(rows / "val.bin", "rb") as validation, open(rows / "token_bytes.npy", "rb") as size:
        answer = {"event": "validation", "checkpoint_sha256": digest, "rows_offset": 0}
        supervisor.send(answer, validation.fileno(), size.fileno())
    assert supervisor.process.wait(60) == 0
    result = json.loads((directory / "result.json").read_text())
    assert result["checkpoint_sha256"] == digest
    assert result["steps"] == 12
    assert sorted(path.name for path in directory.iterdir()) == [
        "checkpoint.pt",
        "metrics.jsonl",
        "result.json",
        "row_losses.npy",
        "spec.json",
        "train.log",
        "train.py",
    ]


def test_a_crash_leaves_a_traceback_of_the_text_under_test(
    supervisor: FakeSupervisor, rows: Path, tmp_path: Path
) -> None:
    assert supervisor.receive() == {"event": "ready"}
    text = train_text().replace("    while not task.done:", "    while not tusk.done:")
    supervisor.assign(rows, text, tmp_path / "run")
    assert supervisor.process.wait(60) == 1
    log = (tmp_path / "run" / "train.log").read_text()
    assert "while not tusk.done:" in log
    assert log.strip().splitlines()[-1].startswith("NameError: name 'tusk'")


def test_a_spare_that_is_not_needed_leaves_quietly(supervisor: FakeSupervisor) -> None:
    assert supervisor.receive() == {"event": "ready"}
    supervisor.socket.shutdown(socket.SHUT_RDWR)
    assert supervisor.process.wait(60) == 0


# --- by hand and the device --------------------------------------------------------------------


def test_by_hand_it_prepares_trains_and_prints_the_figures(tmp_path: Path) -> None:
    cpu = by_hand.presets()["cpu"]
    assert cpu["device"] == "cpu"
    command = [sys.executable, str(TRAINER / "train.py"), "--corpus", "stdlib", "--device", "cpu"]
    command += ["--tokens", "4096", "--budget", "1s", "--out", str(tmp_path / "out")]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    figures = dict(line.split(":") for line in result.stdout.splitlines()[1:])
    assert list(figures) == [
        "val_bpb",
        "training_seconds",
        "total_seconds",
        "peak_memory_mb",
        "mfu_percent",
        "total_tokens_M",
        "num_steps",
        "num_params_M",
    ]
    assert 1 < float(figures["val_bpb"]) < 5
    assert 'PRESET = "cpu"' in (tmp_path / "out" / "train.py").read_text()
    assert "100%" in result.stderr
    assert "\r" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--corpus", "local:/nowhere"], "check the path"),
        (["--preset", "tpu"], "unknown preset 'tpu'; choose from h100"),
        (["--device", "cuda"], "no NVIDIA device found; use --device cpu"),
    ],
)
def test_by_hand_bad_input_gets_one_line(arguments: list[str], line: str) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = subprocess.run(
        [sys.executable, str(TRAINER / "train.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert line in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_preset_fits_every_device_size() -> None:
    name, preset = by_hand.choose_preset(torch.device("cpu"))
    assert name == "cpu"
    assert by_hand.evaluation_rows(preset, 0.1) == 16
    assert by_hand.evaluation_rows(preset, 1e9) == preset["maximum_evaluation_rows"]
    text = (TRAINER / "train.py").read_text()
    for name, preset in by_hand.presets().items():
        changed = by_hand.with_preset(text, name, preset)
        compile(changed, name, "exec")
        assert by_hand.with_preset(changed, "other", preset) == changed


def test_an_nvidia_device_that_torch_cannot_use_is_named_with_what_to_do() -> None:
    text = devices.unusable("550.54", "2.13.0+cpu", None, None)
    assert "driver 550.54" in text
    assert "2.13.0+cpu" in text
    assert "pip install" in text
    assert "CUDA 13.0" in devices.unusable("470.1", "2.13.0", "13.0", None)
    assert "unset it" in devices.unusable("550.54", "2.13.0", "13.0", "")


def test_the_probe_describes_the_device_as_json() -> None:
    result = subprocess.run(
        [sys.executable, str(TRAINER / "harness.py"), "--probe", "--device", "cpu"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(result.stdout)
    assert found["device"] == "cpu"
    assert found["error"] is None
    assert found["memory_bytes"] > 1e8
    assert set(found) == {"torch", "cuda_build", "device", "name", "memory_bytes", "bf16", "error"}
