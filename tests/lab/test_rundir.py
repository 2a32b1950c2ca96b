"""Run directories: what a training wrote is checked once, at this border."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from cockpit.lab.rundir import (
    Evaluation,
    MetricsTail,
    Phase,
    RunDirectory,
    RunDirectoryError,
    RunExit,
    Step,
    plain_text,
)

RESULT: dict[str, Any] = {
    "format": 1,
    "val_bpb": 1.5,
    "training_seconds": 10.0,
    "total_seconds": 12,
    "startup_seconds": 0.5,
    "evaluation_seconds": 1.0,
    "peak_memory_bytes": 1000,
    "tokens": 4096,
    "steps": 16,
    "parameters": 10,
    "evaluation_rows": 16,
    "checkpoint_sha256": "ab",
    "loss_tenths": [3.0, None] + [1.0] * 8,
    "scored_at": 1.0,
    "monotonic": 1.0,
}
EXIT: dict[str, Any] = {
    "exit_code": 0,
    "signal": None,
    "reason": "finished",
    "stage": "assigned",
    "message": None,
    "checkpoint_sha256": None,
    "ended_at": 1.0,
    "monotonic": 1.0,
}


def step_line(step: int, /, **changes: object) -> str:
    record: dict[str, object] = {
        "kind": "step",
        "step": step,
        "seconds": 0.123456 * step,
        "progress": 0.5,
        "tokens": 4096 * step,
        "loss": 3.1415926,
        "tokens_per_second": 12345.678,
        "lr_factor": 0.75,
        "grad_norm": 1.2345,
        "mfu": None,
        "memory_bytes": 123456789,
        "at": 1795000000.123,
        "monotonic": 1234.567,
    }
    return json.dumps(record | changes) + "\n"


def write(directory: Path, name: str, values: object) -> RunDirectory:
    (directory / name).write_text(json.dumps(values))
    return RunDirectory(directory)


def test_an_empty_or_missing_directory_has_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        run = RunDirectory(path)
        assert run.read_spec() is None
        assert run.read_result() is None
        assert run.read_exit() is None
        assert run.read_supervisor() is None
        assert run.log_tail(10, 100) == []
        assert not run.is_held()


def test_a_result_is_read_whole(tmp_path: Path) -> None:
    result = write(tmp_path, "result.json", RESULT).read_result()
    assert result is not None
    assert (result.val_bpb, result.total_seconds, result.steps) == (1.5, 12.0, 16)
    assert result.loss_tenths[:3] == (3.0, None, 1.0)


def test_a_result_that_is_not_finite_is_none(tmp_path: Path) -> None:
    result = write(tmp_path, "result.json", RESULT | {"val_bpb": None}).read_result()
    assert result is not None
    assert result.val_bpb is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("val_bpb", "1.5"),
        ("val_bpb", float("nan")),
        ("val_bpb", float("inf")),
        ("val_bpb", -1.0),
        ("val_bpb", True),
        ("val_bpb", 10**400),
        ("steps", 1.5),
        ("tokens", None),
        ("loss_tenths", None),
        ("loss_tenths", [1.0] * 11),
        ("loss_tenths", [[]]),
        ("checkpoint_sha256", 7),
    ],
)
def test_a_wrong_figure_is_refused_with_its_name(tmp_path: Path, name: str, value: object) -> None:
    run = write(tmp_path, "result.json", RESULT | {name: value})
    with pytest.raises(RunDirectoryError, match=name) as refusal:
        run.read_result()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"0" * (2 << 20)]
)
def test_a_broken_file_is_refused_with_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"result\.json") as refusal:
        RunDirectory(tmp_path).read_result()
    assert "\n" not in str(refusal.value)


def test_a_pipe_or_a_link_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    (tmp_path / "exit.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "train.log")
    os.mkfifo(tmp_path / "metrics.jsonl")
    run = RunDirectory(tmp_path)
    with pytest.raises(RunDirectoryError):
        run.read_result()
    with pytest.raises(RunDirectoryError):
        run.read_exit()
    assert run.log_tail(5, 80) == []
    assert MetricsTail(tmp_path / "metrics.jsonl").read_new() == []


def test_an_exit_is_read_and_an_unknown_reason_refused(tmp_path: Path) -> None:
    ended = write(tmp_path, "exit.json", EXIT).read_exit()
    assert ended == RunExit(0, None, "finished", "assigned", None, None, 1.0, 1.0)
    with pytest.raises(RunDirectoryError, match="reason is 'bored', expected one of finished"):
        write(tmp_path, "exit.json", EXIT | {"reason": "bored"}).read_exit()


def test_the_lock_tells_whether_the_supervisor_lives(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    descriptor = os.open(run.supervisor_path, os.O_RDWR | os.O_CREAT)
    assert not run.is_held()
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert run.is_held()
    os.close(descriptor)
    assert not run.is_held()


def test_the_log_tail_is_safe_to_print(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(
        b"first\n10%\r50%\r100%\n\x1b[31mred\x1b[0m \x1b]0;title\x07\x00bell\x07\ttab\xff\n"
        b"\x1b]52;c;never ended\n" + b"x" * 500 + b"\n\n"
    )
    tail = RunDirectory(tmp_path).log_tail(4, 100)
    assert tail == ["100%", "red bell    tab\N{REPLACEMENT CHARACTER}", "", "x" * 100]


def test_plain_text_drops_direction_marks_and_controls() -> None:
    assert plain_text("a\u202eb\x9bc\u200bd é 中") == "abcd é 中"


def test_metrics_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = MetricsTail(path)
    assert tail.read_new() == []
    with path.open("a") as stream:
        stream.write('{"kind":"phase","phase":"training","at":5,"monotonic":6.5}\n')
        stream.write(step_line(1) + step_line(2)[:40])
        stream.flush()
        first = tail.read_new()
        stream.write(step_line(2)[40:] + '{"kind":"evaluation","done_rows":8,"rows":16}\n')
        stream.flush()
        second = tail.read_new()
    assert first[0] == Phase("training", 5.0, 6.5)
    assert isinstance(first[1], Step)
    assert (first[1].step, first[1].tokens, first[1].mfu) == (1, 4096, None)
    assert [type(metric) for metric in second] == [Step, Evaluation]
    assert tail.skipped == 0
    assert tail.read_new() == []
    assert MetricsTail(path, tail.offset).read_new() == []


@pytest.mark.parametrize(
    "garbage",
    [
        "garbage",
        "",
        "null",
        "{}",
        "1,2",
        '{"kind":"unknown"}',
        '{"kind":["step"]}',
        step_line(3, loss=float("nan")).rstrip(),
        step_line(3, seconds=None).rstrip(),
        step_line(3, step=True).rstrip(),
        step_line(3, tokens=-1).rstrip(),
        step_line(3, seconds=10**400).rstrip(),
        '{"kind":"step"' + " " * 1000,
    ],
)
def test_a_garbage_line_costs_only_itself(tmp_path: Path, garbage: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(step_line(1) + garbage + "\n" + step_line(2))
    tail = MetricsTail(path)
    assert [metric.step for metric in tail.read_new() if isinstance(metric, Step)] == [1, 2]
    assert tail.skipped >= 1


def test_a_flood_without_an_end_of_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(step_line(1).encode() + b"x" * (9 << 20))
    tail = MetricsTail(path)
    seen = tail.read_new()
    for _ in range(3):
        seen += tail.read_new()
    with path.open("a") as stream:
        stream.write("\n" + step_line(2))
    seen += tail.read_new()
    assert [metric.step for metric in seen if isinstance(metric, Step)] == [1, 2]
    assert tail.skipped == 1


def test_a_file_that_was_cut_goes_on_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(step_line(1) * 3)
    tail = MetricsTail(path)
    tail.read_new()
    path.write_text(step_line(1))
    assert tail.read_new() == []
    with path.open("a") as stream:
        stream.write(step_line(2))
    assert len(tail.read_new()) == 1


def test_five_thousand_lines_are_read_quickly(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(step_line(step) for step in range(5000)))

    def read() -> float:
        started = time.perf_counter()
        assert len(MetricsTail(path).read_new()) == 5000
        return time.perf_counter() - started

    # About 25 ms; the best of three, and room for a busy machine.
    assert min(read() for _ in range(3)) < 0.1
