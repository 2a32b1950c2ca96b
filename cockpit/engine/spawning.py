"""The engine as a process of its own, which no terminal can take along."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from cockpit.engine.daemon import Tell, run
from cockpit.engine.recovery import plain
from cockpit.lab.connection import JournalError
from cockpit.lab.lab import Lab, LabError, LockedError
from cockpit.lab.settings import Settings


def spawn(lab: Lab, settings: Settings, typed: Settings, progress: Tell) -> int:
    """Start the engine detached and return its pid once its night has begun.

    Raises `LockedError` where an engine runs or is being started, and `LabError` with the
    engine's own line when the night can't begin.
    """
    with lab.locked():
        pass  # the state directory is there, can be written, and nobody has it
    reading, writing = os.pipe()
    command = [
        sys.executable, "-m", "cockpit.engine.spawning", str(lab.root), str(writing),
        json.dumps([plain(settings), plain(typed)]),
    ]  # fmt: skip
    with lab.log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=lab.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(writing,),
        )
    os.close(writing)
    with open(reading, encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            if "progress" in told:
                progress(str(told["progress"]))
            elif "error" in told:
                process.wait()
                raise LabError(str(told["error"]))
            elif "locked" in told:
                process.wait()
                raise LockedError
            elif "ready" in told:
                return process.pid
    process.wait()
    raise LabError(f"the engine ended before its night began: see {lab.log}")


def main() -> int:
    """Be the detached engine: `LAB DESCRIPTOR OPTIONS`."""
    lab = Lab(Path(sys.argv[1]))
    settings, typed = (Settings(**given) for given in json.loads(sys.argv[3]))
    answer = _Answer(int(sys.argv[2]))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ending = run(
            lab,
            settings,
            typed,
            tell=lambda line: answer.write(progress=line),
            ready=answer.begun,
        )
    except LockedError:
        answer.write(locked=True)
        return 1
    except (LabError, JournalError) as error:
        answer.write(error=str(error))
        return 1
    return int(ending.failed)


class _Answer:
    """The pipe to whoever spawned this engine; it may be gone at any time."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def write(self, **told: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._file.write(json.dumps(told) + "\n")

    def begun(self) -> None:
        self.write(ready=True)
        with contextlib.suppress(BrokenPipeError):
            self._file.close()


if __name__ == "__main__":
    raise SystemExit(main())
