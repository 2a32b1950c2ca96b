"""A lab's state directory, a stub harness in a trainer directory, and no process left behind."""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cockpit.executors.base import Assignment, Device, ExecutorError, Observation
from cockpit.executors.local import LocalExecutor, lab_processes, observe, reap_leftovers
from cockpit.executors.probing import probe
from cockpit.executors.sandbox import LEVELS, Sandbox
from cockpit.lab.rundir import RunDirectory, RunExit, SupervisorIdentity

STUB = Path(__file__).with_name("harness_stub.py")
TEST_DEVICE = Device("cpu", "test", "cpu", 1 << 30, 1)


class Bench:
    """One state directory with an executor; short words for what most tests do."""

    def __init__(self, root: Path, wait_until: Callable[..., object]) -> None:
        self.state = root / "state"
        self.trainer = root / "trainer"
        self.train_rows = root / "train.bin"
        self.rows = root / "val.bin"
        self.token_bytes = root / "token_bytes.npy"
        self.log = self.state / "engine.log"
        self.wait_until = wait_until
        self.runs = 0
        self.state.mkdir()
        self.trainer.mkdir()
        self.train_rows.write_bytes(b"train")
        self.rows.write_bytes(b"rows")
        self.token_bytes.write_bytes(b"bytes")
        shutil.copy(STUB, self.trainer / "harness.py")
        self.executor = self.new_executor()

    def new_executor(
        self, device: Device = TEST_DEVICE, python: str = sys.executable, level: str = "auto"
    ) -> LocalExecutor:
        sandbox = None if level == "auto" else self.sandbox(level)
        return LocalExecutor(device, python, self.trainer, self.state / "spares", self.log, sandbox)

    def sandbox(self, level: str) -> Sandbox:
        """The sandbox of that level; skips the test where there is none."""
        # The stub needs no more than a Python, and that of the tests may lie in root's home.
        python = "/usr/bin/python3" if level == "user" else sys.executable
        try:
            return probe(self.state, TEST_DEVICE, python=python, wanted=level)
        except ExecutorError as error:
            pytest.skip(str(error))

    def assignment(self, train_py: str, **changes: object) -> Assignment:
        self.runs += 1
        fields: dict[str, object] = {
            "run_directory": self.state / "runs" / str(self.runs) / "1",
            "train_py": train_py,
            "spec": {"format": 1, "run": self.runs},
            "train_rows": self.train_rows,
            "validation_rows": self.rows,
            "token_bytes": self.token_bytes,
            "wall_seconds": 30.0,
            "memory_bytes": None,
            "log_bytes": 1 << 20,
            "disk_bytes": None,
            "processes": None,
            "keep_checkpoint": False,
        }
        return Assignment(**(fields | changes))  # type: ignore[arg-type]

    def start(self, train_py: str, **changes: object) -> Path:
        assignment = self.assignment(train_py, **changes)
        self.executor.start(assignment)
        return assignment.run_directory

    def warm(self) -> None:
        self.executor.warm()
        self.wait_until(lambda: self.executor.spare_state.state == "ready", 20, "a warm spare")

    def spare(self) -> Path:
        """Directory of the one warm spare."""
        (spare,) = (path for path in (self.state / "spares").iterdir() if path.is_dir())
        return spare

    def over(self, run: Path) -> Observation:
        self.wait_until(lambda: observe(run).state != "alive", 20, f"the end of {run}")
        return observe(run)

    def exit(self, run: Path) -> RunExit:
        ended = self.over(run).exit
        assert ended is not None, self.log.read_text()
        return ended

    @staticmethod
    def result(run: Path) -> dict[str, Any]:
        return dict(json.loads((run / "result.json").read_text()))

    def wait_for_file(self, path: Path) -> str:
        self.wait_until(lambda: path.exists() and path.read_text(), 20, str(path))
        return path.read_text()

    def identity(self, run: Path) -> SupervisorIdentity:
        self.wait_until(lambda: observe(run).stage == "assigned", 20, "the assignment")
        identity = RunDirectory(run).read_supervisor()
        assert identity is not None
        return identity

    def child_of(self, run: Path) -> int:
        """The pid, outside, of the child that a run started with its token as an argument."""
        token = self.identity(run).token
        found: list[int] = self.wait_until(lambda: self.with_argument(token), 20, "the child")
        return found[0]

    @staticmethod
    def with_argument(text: str) -> list[int]:
        """Processes that have `text` among their arguments: pids differ inside and outside."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if text in process.cmdline():
                    found.append(process.pid)
        return found

    def wait_gone(self, pid: int) -> None:
        self.wait_until(lambda: is_gone(pid), 10, f"the end of process {pid}")


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def bench(tmp_path: Path, wait_until: Callable[..., object]) -> Iterator[Bench]:
    """A bench; afterwards every process of its lab must be gone by itself."""
    with bench_at(tmp_path, wait_until) as made:
        yield made


@pytest.fixture(params=LEVELS)
def boxed(
    request: pytest.FixtureRequest, tmp_path: Path, wait_until: Callable[..., object]
) -> Iterator[Bench]:
    """A bench in each sandbox that works here."""
    with contextlib.ExitStack() as stack:
        if request.param == "user":  # who can't look into the temporary directories of others
            open_place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cockpit-")))
            open_place.chmod(0o755)
            tmp_path = open_place
        made = stack.enter_context(bench_at(tmp_path, wait_until))
        made.executor = made.new_executor(level=request.param)
        yield made


@contextlib.contextmanager
def bench_at(root: Path, wait_until: Callable[..., object]) -> Iterator[Bench]:
    """A bench in a directory, with its clearing up."""
    made = Bench(root, wait_until)
    yield made
    made.executor.close()
    left = lab_processes(made.state)
    # A supervisor is there for a moment after it has released its lock.
    try:
        wait_until(lambda: not lab_processes(made.state), 5, f"no process to be left of {left}")
    finally:
        for pid in lab_processes(made.state):
            os.kill(pid, signal.SIGKILL)
        reap_leftovers(made.state)  # the control groups of those that were killed
