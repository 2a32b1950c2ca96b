"""Which sandbox works here: each is tried, by a small program that attempts what must not be."""

import contextlib
import functools
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from cockpit.executors import bubblewrap, confinement, owners, places
from cockpit.executors.base import Device, ExecutorError
from cockpit.executors.environment import training_environment
from cockpit.executors.processes import LINUX
from cockpit.executors.sandbox import LEVELS, Sandbox, confine, release

Wanted = str
"""`auto`, or one of the levels."""
TRIAL_SECONDS = 60.0
"""CUDA's first start can take long; without a GPU a trial takes 50 ms."""

TRIAL = """
import ctypes, importlib, json, os, socket
given = json.loads(os.environ["COCKPIT_TRIAL"])
def can(attempt):
    try:
        attempt()
    except (OSError, ImportError):
        return False
    return True
can(lambda: open(given["elsewhere"], "w"))
def keep():
    for name in ("tmp/a", "b"):
        open(name, "w").close()
    os.rename("tmp/a", "b")
def ask_gpu():
    cuda = ctypes.CDLL("libcuda.so.1")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    for answer in (
        cuda.cuInit(0), cuda.cuDeviceGet(ctypes.byref(device), 0),
        cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
    ):
        if answer:
            raise OSError(f"CUDA error {answer}")
print(json.dumps({
    "read a secret file": can(lambda: open(given["secret"]).read()),
    "reach the network": can(lambda: socket.create_connection(("127.0.0.1", given["port"]), 5)),
    "write to its directory": can(keep),
    "use a file handed in": can(lambda: os.pread(given["descriptor"], 1, 0)),
    "use its GPU": not given["gpu"] or can(ask_gpu),
    "import " + ", ".join(given["modules"]):
        can(lambda: [importlib.import_module(name) for name in given["modules"]]),
}))
"""
MUST_NOT = ("read a secret file", "write elsewhere", "reach the network")


class TrialError(Exception):
    """A sandbox does not work here; the message says what failed, in a few words."""


def probe(
    state_directory: Path,
    device: Device,
    *,
    python: str = sys.executable,
    wanted: Wanted = "auto",
    hidden: tuple[Path, ...] = (),
    modules: tuple[str, ...] = (),
) -> Sandbox:
    """The best sandbox that works here, or the one that is wanted. Tried once a process.

    Run directories are below `state_directory`; it is out of sight, as are homes and `hidden`,
    such as the cache of corpora. With `modules` it is also tried whether Python can import these;
    what it can't do outside either is not held against a sandbox. Raises ExecutorError when a
    wanted one does not work, or there is none of that name.
    """
    if wanted not in ("auto", *LEVELS):
        raise ExecutorError(f"no sandbox {wanted!r}: there are auto, {', '.join(LEVELS)}")
    environ = tuple(sorted(os.environ.items()))
    return _probe(state_directory.resolve(), device, python, wanted, hidden, modules, environ)


@functools.lru_cache(maxsize=16)
def _probe(
    state: Path,
    device: Device,
    python: str,
    wanted: Wanted,
    hidden: tuple[Path, ...],
    modules: tuple[str, ...],
    environ: tuple[tuple[str, str], ...],
) -> Sandbox:
    refused: list[str] = []
    trial = Trial(state, device, modules)
    for made in _possible(state, device, python, wanted, hidden, dict(environ), refused):
        try:
            trial.of(made)
        except (TrialError, OSError) as error:
            refused.append(f"{made.level}: {error}")
        else:
            if made.level == "user" and not made.landlock:
                close_off(state, hidden)
            return replace(made, why=_reasons(refused))
    if wanted not in ("auto", "none"):
        raise ExecutorError(f"the sandbox {wanted} does not work here: {_reasons(refused)}")
    return Sandbox("none", python, "as you wished" if wanted == "none" else _reasons(refused))


def _reasons(refused: list[str]) -> str:
    """In one line; what stands in the way of bubblewrap does so in each of its ways."""
    return "; ".join(dict.fromkeys(refused))


def _possible(
    state: Path,
    device: Device,
    python: str,
    wanted: Wanted,
    hidden: tuple[Path, ...],
    environ: Mapping[str, str],
    refused: list[str],
) -> Iterator[Sandbox]:
    """The sandboxes to be tried, best first; what can't be one adds its reason to `refused`."""
    if wanted == "none":
        return
    if not LINUX:
        refused.append(f"none is known on {sys.platform}")
        return
    kept = training_environment(environ, device, state, state, "trial")
    seen = [
        *map(Path, places.SYSTEM), *map(Path, places.SETTINGS), *map(Path, places.MACHINE),
        *places.of_libraries(kept), *places.of_python(python, kept),
    ]  # fmt: skip
    if device.kind == "cuda":
        seen += map(Path, places.GPU_MACHINE)
    unseen = [Path.home(), *map(Path, places.HOMES), state, *hidden]
    shown = tuple(str(path) for path in places.split(seen, unseen))
    links = tuple((str(link), target) for link, target in places.links(seen).items())
    landlock = confinement.landlock_abi() >= confinement.FIRST_ABI
    if wanted in ("auto", "bubblewrap"):
        for way in bubblewrap.ways():
            yield Sandbox("bubblewrap", python, "", way, shown, links, landlock)
        if not bubblewrap.ways():
            refused.append("bubblewrap: it is not installed")
    if wanted in ("auto", "user"):
        closed = _closed_to_others([state, *map(Path, shown)])
        if closed is not None:
            refused.append(f"user: another user can't reach {closed}")
        elif os.geteuid() == 0:
            yield Sandbox("user", python, "", (), shown, links, landlock)
        elif wanted == "user":
            refused.append("user: only root can become another")
    if wanted in ("auto", "landlock"):
        if landlock:
            yield Sandbox("landlock", python, "", (), shown, links, landlock)
        else:
            refused.append("landlock: this kernel has none, or it is too old")


def close_off(state: Path, hidden: Iterable[Path]) -> None:
    """Shut out the users of runs, who would see whatever is open to everybody.

    Run directories shut themselves; the way to them, and to the trainer, stays open. Of a cache
    only the corpora are closed: it may be a directory that others use.
    """
    ways = {state / name for name in ("runs", "spares", "trainer", "preflight")}
    ours = [path for path in state.iterdir() if path not in ways]
    owners.shut([*ours, *(path / "corpora" for path in hidden)])


def _closed_to_others(paths: Iterable[Path]) -> Path | None:
    """A directory on the way to one of `paths` that others may not enter; None: all are open."""
    for path in paths:
        for step in (path, *path.parents):
            if step.is_dir() and not step.stat().st_mode & 0o001:
                return step
    return None


class Trial:
    """A program that is run in every sandbox that may do, and once outside to compare."""

    def __init__(self, state_directory: Path, device: Device, modules: tuple[str, ...]) -> None:
        self._state_directory = state_directory
        self._device = device
        self._modules = modules
        self._outside: dict[str, bool] | None = None

    def of(self, sandbox: Sandbox) -> None:
        """Raise TrialError if the sandbox does not hold what it promises."""
        could = self._run(sandbox)
        failed = [f"it could {what}" for what in MUST_NOT if could.pop(what)]
        if not all(could.values()):
            if self._outside is None:
                self._outside = self._run(Sandbox("none", sandbox.python))
            failed += [
                f"it could not {what}"
                for what, done in could.items()
                if not done and self._outside[what]
            ]
        if failed:
            raise TrialError(", ".join(failed))

    def _run(self, sandbox: Sandbox) -> dict[str, bool]:
        """What the program could do, in the words of TRIAL and MUST_NOT."""
        with (
            tempfile.TemporaryDirectory(prefix="trial-", dir=self._state_directory) as scratch,
            socket.create_server(("127.0.0.1", 0)) as server,
            contextlib.ExitStack() as stack,
        ):
            place = Path(scratch)
            place.chmod(0o711)
            (place / "run").mkdir()
            stack.callback(release, place / "run")
            secret = os.open(place / "secret", os.O_RDWR | os.O_CREAT, 0o600)
            stack.callback(os.close, secret)
            os.write(secret, b"secret")
            given = {
                "secret": str(place / "secret"),
                "elsewhere": str(place / "elsewhere"),
                "port": server.getsockname()[1],
                "descriptor": secret,
                "gpu": self._device.kind == "cuda",
                "modules": self._modules,
            }
            could = self._answer(sandbox, place / "run", given, secret)
            # Inside, the same name may lead to a place of its own.
            return could | {"write elsewhere": (place / "elsewhere").exists()}

    def _answer(
        self, sandbox: Sandbox, run_directory: Path, given: dict[str, object], descriptor: int
    ) -> dict[str, bool]:
        confined = confine(
            TRIAL,
            sandbox=sandbox,
            run_directory=run_directory,
            trainer_directory=run_directory,
            device=self._device,
            token=secrets.token_hex(8),
            environ=os.environ,
        )
        try:
            tried = subprocess.run(
                confined.command,
                cwd=run_directory,
                env=confined.environment | {"COCKPIT_TRIAL": json.dumps(given)},
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TRIAL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise TrialError(str(error)) from error
        if tried.returncode:
            words = tried.stderr.strip().rpartition("\n")[2] or f"exit code {tried.returncode}"
            raise TrialError(words[:200])
        return dict(json.loads(tried.stdout))
