"""The screen in a real terminal of 200x50: `python -m tests.bench.screen [--experiments 3000]`.

Measured: from exec to the first paint of the history pane, the bytes and the processor time
of a screen where nothing happens, of one with a run under way, and of one that shows an answer
being written as well, from a key to its paint,
the bytes of one cursor step, memory, and the time of `cockpit status --json`.
"""

import argparse
import fcntl
import json
import math
import os
import pty
import random
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import psutil

from cockpit.core.experiment import Event, Proposal, Run, Status, Verdict
from cockpit.core.ledger import SlotLedger
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab
from cockpit.lab.rows import EngineRow, Stream
from cockpit.lab.writing import EngineJournal
from tests.bench.journal import SETUP_HASH, TAG, fill, make_lab

SIZE = (50, 200)
SECONDS = 10.0
STEPS_PER_SECOND = 10
COMMAND = [sys.executable, "-m", "cockpit.cli"]


class Terminal:
    """A process in a terminal of its own."""

    def __init__(self, command: list[str], directory: Path) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        # An installed cockpit has its bytecode; so has this one, but for its very first start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, cwd=directory, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, env=environment,
        )  # fmt: skip
        os.close(slave)
        self.watched = psutil.Process(self.process.pid)

    def read(self, seconds: float, until: bytes | None = None) -> tuple[bytes, float | None]:
        """Return what came within `seconds`, and when `until` was in it."""
        content, end = b"", time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.master], [], [], left)[0]:
                content += os.read(self.master, 1 << 16)
                if until is not None and until in content:
                    return content, time.perf_counter()
        return content, None

    def cost(self, seconds: float) -> tuple[float, float]:
        """Return bytes a second and the share of one core."""
        before = sum(self.watched.cpu_times()[:2])
        content, _ = self.read(seconds)
        return len(content) / seconds, (sum(self.watched.cpu_times()[:2]) - before) / seconds

    def press(self, key: bytes) -> tuple[float, int]:
        """Return seconds from a key to its first paint, and all its bytes."""
        began = time.perf_counter()
        os.write(self.master, key)
        ready, _, _ = select.select([self.master], [], [], 1.0)
        painted = time.perf_counter() - began if ready else math.nan
        return painted, len(self.read(0.15)[0])

    def leave(self) -> None:
        """Leave by the key, or by force."""
        os.write(self.master, b"q")
        self.read(1.0, b"\x1b[?1049l")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


class FakeNight(threading.Thread):
    """Holds the engine's lock, beats, and feeds a run at ten steps a second.

    While `writing` is set somebody writes an answer too, a few words at every step.
    """

    def __init__(self, lab: Lab) -> None:
        super().__init__(daemon=True)
        self.lab, self.done = lab, threading.Event()
        self.writing = threading.Event()
        self.ready = threading.Event()

    def run(self) -> None:
        """Go on until `done`."""
        journal = EngineJournal(self.lab.journal)
        night = journal.begin_night(TAG, {"proposer": "llm", "max_experiments": 5000})
        base = max(e.id for e in journal.experiments().values() if e.status is Status.KEPT)
        number = journal.add_experiment(TAG, base, Proposal("x0 lambda 0.05", "llm"))
        journal.decide(number, Status.RUNNING, Verdict(Event.CLAIM, "slot 0"))
        journal.add_run(Run(number, 1, 1, SETUP_HASH, 0, "running", time.time()))
        began, step = time.monotonic(), 0
        with self.lab.locked(), self._metrics(base) as old, self._metrics(number) as new:
            old.writelines(_step(n, n / STEPS_PER_SECOND, 0.02) for n in range(600))
            old.flush()
            phase = {"kind": "phase", "phase": "training", "at": 0.0, "monotonic": 0.0}
            new.write(json.dumps(phase) + "\n")
            while not self.done.wait(1 / STEPS_PER_SECOND):
                step += 1
                new.write(_step(step, step / STEPS_PER_SECOND % 60, 0.0))
                new.flush()
                if self.writing.is_set():
                    said = "it should waste fewer steps at the end, " * step
                    journal.set_stream(Stream("llm", "proposing", said[-8000:], 0.0))
                if step % (2 * STEPS_PER_SECOND) == 1:
                    row = EngineRow(
                        1, "running", "training", None, 0.0, time.time(), time.monotonic(), "",
                        night,
                    )  # fmt: skip
                    journal.say(row)
                    journal.set_slot(0, "an invented processor", SlotLedger("training", began))
                self.ready.set()
        journal.close()

    def _metrics(self, number: int):  # type: ignore[no-untyped-def]
        directory = self.lab.run_directory(number, 1)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "spec.json").write_text(json.dumps({"budget_seconds": 60.0}))
        return (directory / "metrics.jsonl").open("w")


def _step(step: int, seconds: float, shift: float) -> str:
    loss = 3.0 + 4.6 * math.exp(-seconds / 6) + shift + random.gauss(0, 0.05)
    record = {
        "kind": "step", "step": step, "seconds": seconds, "progress": seconds / 60,
        "tokens": step * 4096, "loss": loss, "tokens_per_second": 13_500.0, "lr_factor": 1.0,
        "grad_norm": 1.0, "mfu": 0.4, "memory_bytes": 812_000_000, "at": 0.0, "monotonic": 0.0,
    }  # fmt: skip
    return json.dumps(record) + "\n"


def first_paint(lab: Lab, title: bytes) -> float:
    """Return seconds from exec to the history pane's first rows."""
    terminal = Terminal(COMMAND, lab.root)
    _, at = terminal.read(20, title)
    terminal.leave()
    return at - terminal.began if at is not None else math.nan


def measure(lab: Lab) -> dict[str, float]:
    """Return the figures of one screen, after it has settled."""
    terminal = Terminal(COMMAND, lab.root)
    terminal.read(3)
    rate, share = terminal.cost(SECONDS)
    pressed = [terminal.press(key) for key in [b"\x1b[A"] * 12 + [b"\x1b[B"] * 12]
    times = sorted(seconds for seconds, _ in pressed if not math.isnan(seconds))
    memory = terminal.watched.memory_info().rss / 1e6
    terminal.leave()
    return {
        "bytes_per_second": round(rate),
        "cpu_share": round(share, 4),
        "key_to_paint_p50_ms": round(1e3 * times[len(times) // 2], 1) if times else math.nan,
        "key_to_paint_p90_ms": round(1e3 * times[int(len(times) * 0.9)], 1) if times else math.nan,
        "cursor_step_bytes": round(statistics.median(size for _, size in pressed)),
        "memory_mb": round(memory),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        lab = make_lab(Path(directory) / "lab")
        fill(lab, arguments.experiments)
        last = Journal(lab.journal, write=False).experiments()[arguments.experiments - 1]
        newest = f"#{last.id} {last.title}".encode()  # a row of the history, not a message
        first_paint(lab, newest)
        paints = [first_paint(lab, newest) for _ in range(arguments.repeat)]
        print(f"first paint s: {', '.join(f'{p:.3f}' for p in paints)}")
        told = []
        for _ in range(arguments.repeat):
            began = time.perf_counter()
            subprocess.run([*COMMAND, "status", "--json"], cwd=lab.root, capture_output=True)
            told.append(time.perf_counter() - began)
        print(f"status --json s: {', '.join(f'{t:.3f}' for t in told)}")
        print("idle:", json.dumps(measure(lab)))
        night = FakeNight(lab)
        night.start()
        night.ready.wait(30)
        print("a run under way:", json.dumps(measure(lab)))
        night.writing.set()
        print("an answer being written:", json.dumps(measure(lab)))
        night.done.set()
        night.join()


if __name__ == "__main__":
    main()
