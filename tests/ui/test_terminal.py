"""The screen in a real terminal: what it leaves behind, and that it leaves."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyte
import pytest

from cockpit.ui.launch import SSH_SETTINGS, be_a_good_guest, last_word

PROGRAM = """
import sys
from pathlib import Path
from cockpit.lab.lab import Lab
from cockpit.ui.launch import run_screen
facts = lambda: [("device", "cpu", "")]
sys.exit(run_screen(Lab(Path(sys.argv[1])), [], facts))
"""
RESTORED = b"\x1b[?1049l"
"""What brings the shell's own screen back."""


class Terminal:
    """A terminal in memory with the screen running in it."""

    def __init__(self, root: Any, environment: dict[str, str] | None = None) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(root)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=variables,
        )
        self.bytes = b""
        self._screen = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self._screen)
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._closed.is_set():
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if not ready:
                continue
            try:
                content = os.read(self.master, 65536)
            except OSError:
                return
            self.bytes += content
            # pyte does not know the questions to the terminal that Textual asks.
            self._stream.feed(content.replace(b"\x1b[>29u", b"").replace(b"\x1b[<u", b""))

    @property
    def shown(self) -> str:
        """What a person would see."""
        return "\n".join(self._screen.display)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def hang_up(self) -> None:
        """Take the terminal away, as a lost connection does."""
        self._closed.set()
        self._reader.join()
        os.close(self.slave)
        os.close(self.master)
        self.slave = self.master = -1
        # The kernel sends this to the session's leader when its terminal goes.
        self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """End whatever is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._closed.set()
        self._reader.join()
        for descriptor in (self.master, self.slave):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def terminal(night: Any) -> Iterator[Callable[..., Terminal]]:
    """`terminal()`: the screen on the lab of `night`, in a terminal of its own."""
    opened: list[Terminal] = []

    def make(**environment: str) -> Terminal:
        opened.append(Terminal(night.lab.root, environment))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_leaving_restores_the_terminal_and_says_that_the_night_goes_on(
    night: Any, terminal: Callable[..., Terminal], wait_until: Callable[..., Any]
) -> None:
    night.a_few()
    with night.alive():
        shown = terminal()
        wait_until(lambda: "halve the batch" in shown.shown, 20, "the history")
        assert b"\x1b[?1003h" not in shown.bytes
        shown.type("q")
        wait_until(lambda: shown.process.poll() is not None, 10, "the end")
        wait_until(lambda: b"the night goes on" in shown.bytes, 5, "the last word")
    assert shown.process.returncode == 0
    assert RESTORED in shown.bytes
    assert shown.bytes.index(RESTORED) < shown.bytes.index(b"the night goes on")
    assert b"Traceback" not in shown.bytes
    assert termios.tcgetattr(shown.slave)[:4] == shown.before[:4]


def test_an_editor_has_the_terminal_and_the_screen_has_it_back(
    night: Any, tmp_path: Any, terminal: Callable[..., Terminal], wait_until: Callable[..., Any]
) -> None:
    night.a_few()
    night.write_metrics(1, 1, [])
    (night.lab.run_directory(1, 1) / "train.py").write_text("LR = 0.02\n")
    editor = tmp_path / "editor.sh"
    # What an editor does: it takes the terminal as it finds it, and asks it something.
    editor.write_text(
        '#!/bin/sh\nstty -a > "$0.stty"\nprintf "EDITING "\nread line\n'
        'sed -i "s/0.02/$line/" "$1"\n'
    )
    editor.chmod(0o755)
    with night.alive():
        shown = terminal(EDITOR=str(editor))
        wait_until(lambda: "halve the batch" in shown.shown, 20, "the history")
        shown.type("e")
        wait_until(lambda: "EDITING" in shown.shown, 10, "the editor")
        shown.type("0.05\n")
        wait_until(lambda: "What does your change of #1 do?" in shown.shown, 10, "the question")
        assert " icanon" in editor.with_name("editor.sh.stty").read_text()
        assert "LR 0.02 → 0.05" in shown.shown
        assert "halve the batch" in shown.shown, "the panes are drawn again"
        shown.type("\r")
        wait_until(night.journal.waiting_commands, 10, "the command")
        (command,) = night.journal.waiting_commands()
        assert command.verb == "experiment"
        assert command.arguments == {
            "title": "LR 0.02 → 0.05",
            "train_py": "LR = 0.05\n",
            "base": 1,
        }
        told = "guard: line 1: this is no Python, and there is more to be said than one line holds"
        night.journal.answer(command.id, "refused", told)
        wait_until(lambda: "! guard: line 1" in shown.shown, 10, "the outcome")
        where = re.compile(r"your\s+text\s+is\s+in\s+(\S+)\)")
        kept = wait_until(lambda: where.search(shown.shown), 10, "where the text is")
        assert Path(kept[1]).read_text() == "LR = 0.05\n"
        Path(kept[1]).unlink()
        shown.type("q")
        wait_until(lambda: shown.process.poll() is not None, 10, "the end")
    assert termios.tcgetattr(shown.slave)[:4] == shown.before[:4]


def test_sigterm_restores_the_terminal(
    night: Any, terminal: Callable[..., Terminal], wait_until: Callable[..., Any]
) -> None:
    night.a_few()
    night.beat("stopped")
    shown = terminal()
    wait_until(lambda: "halve the batch" in shown.shown, 20, "the history")
    shown.process.send_signal(signal.SIGTERM)
    wait_until(lambda: shown.process.poll() is not None, 10, "the end")
    wait_until(lambda: RESTORED in shown.bytes, 5, "the shell's screen")
    assert b"\x1b[?25h" in shown.bytes[shown.bytes.index(RESTORED) - 200 :]
    assert termios.tcgetattr(shown.slave)[:4] == shown.before[:4]


@pytest.mark.parametrize("how", ["hang up", "signal"])
def test_a_lost_terminal_ends_the_screen_without_a_spin(
    night: Any, terminal: Callable[..., Terminal], wait_until: Callable[..., Any], how: str
) -> None:
    night.a_few()
    with night.alive():
        shown = terminal()
        wait_until(lambda: "halve the batch" in shown.shown, 20, "the history")
        process = psutil.Process(shown.process.pid)
        before = sum(process.cpu_times()[:2])
        if how == "signal":
            shown.process.send_signal(signal.SIGHUP)
        else:
            shown.hang_up()
        spent = [before]

        def ended() -> bool:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                spent.append(sum(process.cpu_times()[:2]))
            return shown.process.poll() is not None

        wait_until(ended, 10, "the end of the screen")
        assert spent[-1] - before < 1.0


def test_the_card_of_a_fresh_lab_is_shown_first(
    night: Any, terminal: Callable[..., Terminal], wait_until: Callable[..., Any]
) -> None:
    shown = terminal()
    wait_until(lambda: "Enter begins the night" in shown.shown, 20, "the card")
    shown.type("q")
    wait_until(lambda: shown.process.poll() is not None, 10, "the end")
    wait_until(lambda: b"nothing runs" in shown.bytes, 5, "the last word")


def test_no_color_sends_no_colour_codes(
    night: Any, terminal: Callable[..., Terminal], wait_until: Callable[..., Any]
) -> None:
    night.a_few()
    night.beat("stopped")
    shown = terminal(NO_COLOR="1")
    wait_until(lambda: "halve the batch" in shown.shown, 20, "the history")
    for code in (b"38;2;", b"48;2;", b"38;5;", b"48;5;", b"[31m", b"[32m"):
        assert code not in shown.bytes


def test_ssh_is_spared_and_a_setting_of_ones_own_wins() -> None:
    environment = {"SSH_CONNECTION": "1.2.3.4", "TEXTUAL_FPS": "30"}
    be_a_good_guest(environment)
    assert environment["TEXTUAL_FPS"] == "30"
    assert environment["TEXTUAL_ANIMATIONS"] == SSH_SETTINGS["TEXTUAL_ANIMATIONS"]
    at_home: dict[str, str] = {}
    be_a_good_guest(at_home)
    assert at_home == {}


@pytest.mark.parametrize(
    ("state", "said"),
    [("running", "goes on"), ("paused", "paused"), ("dead", "repairs"), ("stopped", "begins")],
)
def test_the_last_word(state: str, said: str) -> None:
    assert said in last_word(state)
