"""The terminal of `cockpit run`: lines for what happened, one rewritten line for what happens."""

import os
import shutil
import signal
import sys
import time
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from cockpit.lab.lab import Lab
from cockpit.lab.rundir import plain_text

if TYPE_CHECKING:
    from cockpit.engine.loop import Loop

REDRAW_SECONDS = 0.5


class Foreground:
    """Prints the night; plain lines when it is not on a terminal.

    When the terminal is closed (SIGHUP) the night goes on, and its lines go to engine.log.
    """

    def __init__(self, lab: Lab) -> None:
        self._log = lab.log
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn = 0.0
        self._line = ""
        self._hangup = False

    def __enter__(self) -> "Foreground":
        signal.signal(signal.SIGHUP, self._on_hangup)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def tell(self, text: str) -> None:
        """Print one line of news."""
        self._clear()
        stamp = time.strftime("%H:%M:%S")
        for line in text.splitlines():
            self._write(f"{stamp}  {plain_text(line)}\n")

    def watch(self, loop: "Loop") -> None:
        """Redraw the line of the run under way, a few times a second."""
        if self._hangup or not self._live or time.monotonic() - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = time.monotonic()
        told = []
        for slot in loop.slots:
            if slot.run is None:
                continue
            step = slot.step
            at = f" {step.progress:4.0%}" if step else ""
            loss = f"  loss {step.loss:.3f}" if step and step.loss is not None else ""
            rate = f"  {step.tokens_per_second:,.0f} tok/s" if step else ""
            told.append(f"#{slot.run.experiment} {slot.phase}{at}{loss}{rate}")
        width = shutil.get_terminal_size().columns - 1
        line = (" · ".join(told) or loop.activity)[:width]
        if line != self._line:
            self._clear()
            self._write(line)
            self._line = line

    def _clear(self) -> None:
        if self._line:
            self._write("\r\x1b[K")
            self._line = ""

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            self._go_on_without_a_terminal()

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self._go_on_without_a_terminal()

    def _go_on_without_a_terminal(self) -> None:
        """Let everything that is printed from now on go to engine.log."""
        self._hangup, self._line = True, ""
        descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        os.close(descriptor)
