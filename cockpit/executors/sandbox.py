"""The sandbox: what a training, an audit's child or a preflight can reach of the machine.

Four levels, the best that a trial run proves to work:

- `bubblewrap`: a machine of its own. No network, no other processes, no other files than system,
  Python and trainer (read-only) and the run directory; of the devices its own GPU. Where the
  kernel has Landlock, that too: a file that was handed in could else be opened for writing.
- `user`: for an engine run by root. A user who owns nothing but the run directory, no sockets but
  Unix ones; Landlock where there is one.
- `landlock`: the same files as in bubblewrap, no TCP, no signals to others; other processes can be
  seen, though not looked into. No sockets but Unix ones.
- `none`: what the process is told. Keys are not in its environment, and limits hold.

A trial run decides, and not the version of anything: containers refuse bubblewrap in many ways,
and a driver may not answer inside.

How to start a child: `confine(code, ...)` gives a command and an environment; start that with
`cwd=run_directory` and, if you like, `pass_fds`. `release` it when all of it is dead.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cockpit.executors import bubblewrap, confinement, owners, places
from cockpit.executors.base import Device
from cockpit.executors.environment import training_environment

Level = Literal["bubblewrap", "user", "landlock", "none"]
LEVELS: tuple[Level, ...] = get_args(Level)

ENTRANCE = Path(confinement.__file__)
SAYS: dict[Level, str] = {
    "bubblewrap": "bubblewrap: no network, no files but its own, no other processes",
    "user": "a user of its own: no network, no files of yours that are not for everybody",
    "landlock": "Landlock: no network, no files but its own; it sees that other processes run",
    "none": "UNSANDBOXED: a training can read your files and use the network",
}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What was found to work here; the same for all runs of a night. Goes through JSON."""

    level: Level
    python: str
    """Interpreter of whatever is confined."""
    why: str = ""
    """Why it is not a better one; empty where there is none."""
    way: tuple[str, ...] = ()
    """How bubblewrap is begun."""
    shown: tuple[str, ...] = ()
    """Real paths that may be read."""
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links that lead to them."""
    landlock: bool = False
    """Whether Landlock is laid over it."""

    @property
    def says(self) -> str:
        """One line for a person: what holds, and why it is not more."""
        return SAYS[self.level] + (f" ({self.why})" if self.why else "")

    def encode(self) -> dict[str, Any]:
        """As a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def decode(cls, saved: Mapping[str, Any]) -> "Sandbox":
        """From what `encode` gave, perhaps through JSON."""
        tuples = {name: tuple(saved[name]) for name in ("way", "shown")}
        links = tuple((link, target) for link, target in saved["links"])
        return cls(**{**saved, **tuples, "links": links})


@dataclass(frozen=True, slots=True)
class Confined:
    """A child that is ready to be started."""

    command: list[str]
    environment: dict[str, str]
    """All of it. Add to it what you like, such as COCKPIT_CONTROL_FD."""


def confine(
    code: str,
    *,
    sandbox: Sandbox,
    run_directory: Path,
    trainer_directory: Path,
    device: Device,
    token: str,
    environ: Mapping[str, str],
    read_only: Sequence[Path] = (),
) -> Confined:
    """A child that runs the Python `code` and may write to `run_directory` only.

    Start it with `cwd=run_directory`. In bubblewrap the directory is at `bubblewrap.INSIDE`, in
    every mode it is the child's working directory, HOME, and holds TMPDIR. The child imports from
    `trainer_directory`; `read_only` files and directories it sees where they are. `token` marks
    all its processes.
    """
    (run_directory / "tmp").mkdir(exist_ok=True)
    trainer_directory = trainer_directory.absolute()
    seen = [trainer_directory, *read_only]
    inside = bubblewrap.INSIDE if sandbox.level == "bubblewrap" else run_directory.absolute()
    environment = training_environment(environ, device, inside, inside / "cache", token)
    environment["PYTHONPATH"] = str(trainer_directory)
    start = [sandbox.python, "-P"]
    if sandbox.level == "none":
        return Confined([*start, "-c", code], environment)
    if sandbox.level == "bubblewrap":
        order = _order_in_bubblewrap(sandbox)
        start = [*_bubblewrap(sandbox, device, seen), *start, str(bubblewrap.ENTRANCE)]
    else:
        order = _order_outside(sandbox, device, seen, token)
        if sandbox.level == "user":
            owners.lend(run_directory, owners.user_of(token))
        start.append(str(ENTRANCE))
    if sandbox.level == "landlock":
        # Semaphores, by which torch's compilers talk, live where every run can leave something.
        environment["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    return Confined([*start, json.dumps(order), code], environment)


def _bubblewrap(sandbox: Sandbox, device: Device, seen: Sequence[Path]) -> list[str]:
    shown = [Path(path) for path in sandbox.shown]
    shown += [path.resolve() for path in seen]
    return bubblewrap.command(
        sandbox.way,
        shown=shown,
        links=[(Path(link), target) for link, target in sandbox.links]
        + list(places.links(seen).items()),
        devices=places.of_device(device),
        run_directory=Path(),
        entrance=ENTRANCE,
    )


def _order_in_bubblewrap(sandbox: Sandbox) -> confinement.Order:
    order: confinement.Order = {"keep_apart": True}
    if sandbox.landlock:
        order["read"] = ["/"]
        order["devices"] = ["/dev"]
        order["write"] = [str(bubblewrap.INSIDE), "/tmp", "/dev/shm"]  # noqa: S108 - mounts
    return order


def _order_outside(
    sandbox: Sandbox, device: Device, seen: Sequence[Path], token: str
) -> confinement.Order:
    order: confinement.Order = {"keep_apart": True, "no_network": True}
    if sandbox.level == "user":
        order["user"] = owners.user_of(token)
    elif os.geteuid() == 0:
        order["powerless"] = True
    if sandbox.landlock:
        order["read"] = [*sandbox.shown, *map(str, seen), str(ENTRANCE), "/proc"]
        order["devices"] = [*places.PLAIN_DEVICES, *map(str, places.of_device(device))]
        order["write"] = ["."]
        if sandbox.level == "user":  # what it leaves there is told by its owner, and removed
            order["write"].append(str(owners.SHARED_MEMORY))
    return order


def release(run_directory: Path) -> None:
    """Make the run directory wholly ours again, once all that ran there is dead.

    Raises OSError.
    """
    owners.take_back(run_directory)
