"""What has to be there before an agent can be run: its program, a sandbox, a key or a log-in."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.executors.places import HOMES
from cockpit.proposers.agents import Agent, agent_of
from cockpit.proposers.base import ProposerError
from cockpit.proposers.confining import Sight, working_way
from cockpit.proposers.environment import certificates
from cockpit.proposers.locating import named, program_of, runtimes, surroundings

TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Options:
    """What an order carries for this proposer."""

    agent: str
    timeout_seconds: float
    unsafe: bool
    """Whether it runs without a sandbox where there is none."""
    keys: tuple[str, ...]
    """Names of further variables."""
    config: tuple[str, ...]
    hidden: tuple[Path, ...]
    trainer_files: Mapping[str, str]
    """Texts of the fixed trainer files by their names in `trainer/`."""
    keys_file: Path | None

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Options":
        """Return the options of an order."""
        keys_file = given.get("keys_file")
        hidden = [Path(path) for path in given.get("hidden") or ()]
        return cls(
            str(given.get("agent") or ""),
            float(given.get("timeout_seconds") or TIMEOUT_SECONDS),
            bool(given.get("unsafe")),
            tuple(given.get("keys") or ()),
            tuple(given.get("config") or ()),
            tuple(hidden + ([Path(keys_file)] if keys_file else [])),
            given.get("trainer_files") or {},
            Path(keys_file) if keys_file else None,
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """An agent that can be run."""

    agent: Agent
    options: Options
    program: Path
    way: tuple[str, ...] | None
    """How bubblewrap is begun; None: without a sandbox."""
    sight: Sight
    key: str
    """What it logs in with, in words."""

    @property
    def says(self) -> str:
        """One line for a person."""
        where = "in bubblewrap" if self.way else "WITHOUT A SANDBOX"
        return f"{self.agent.name} ({self.program}) {where}, {self.key}"


def ready(options: Options) -> Ready:
    """Return the agent with all that it needs; raises `ProposerError` for what is missing."""
    agent = agent_of(options.agent, options.keys, options.config)
    program = program_of(agent.argv)
    if program is None:
        raise ProposerError(f"{agent.argv[0]} is not installed (or not on PATH)")
    home = Path.home()
    key = _key_of(agent, home)
    way = _way(home, options)
    return Ready(agent, options, program, way, _sight(agent, program, home, options), key)


def _way(home: Path, options: Options) -> tuple[str, ...] | None:
    """Return how bubblewrap is begun; None where there is none and that is well."""
    try:
        return working_way(home, options.hidden)
    except ProposerError:
        if options.unsafe:
            return None
        raise


def _key_of(agent: Agent, home: Path) -> str:
    """Return what an agent logs in with; raises `ProposerError` where a known one has nothing."""
    found = [name for name in agent.keys if os.environ.get(name)]
    if found:
        return f"key {', '.join(found)}"
    logins = [path for path in agent.credentials if expanded(path, home).exists()]
    if logins:
        return f"log-in {logins[0]}"
    if agent.credentials:
        raise ProposerError(
            f"{agent.name} has neither a key nor a log-in: set {agent.keys[0]}, or log in with "
            f"`{agent.name}`",
            "key",
        )
    return "no key of its own"


def expanded(path: str, home: Path) -> Path:
    """Return a path with `~` for that very home."""
    return home / path[2:] if path[:2] in ("~", "~/") else Path(os.path.abspath(path))


def _check_narrow(config: Path, others: Iterable[Path]) -> None:
    """Raise `ProposerError` where a path holds more than an agent's configuration."""
    real = config.resolve()
    for other in others:
        if real in (other.resolve(), *other.resolve().parents):
            raise ProposerError(f"{config} is no configuration of an agent: {other} lies in it")


def _sight(agent: Agent, program: Path, home: Path, options: Options) -> Sight:
    """Return what the agent sees of the machine."""
    config = tuple(path for name in agent.config if (path := expanded(name, home)).exists())
    for path in config:
        _check_narrow(path, [home, *options.hidden])
    read_only = tuple(
        path
        for name in agent.read_only
        # A link in its own configuration may be of its own making, and lead anywhere.
        if (path := expanded(name, home)).exists() and not path.is_symlink()
    )
    homes = [home, *map(Path, HOMES)]
    shown = [*surroundings(program, homes, options.hidden), *runtimes(homes, options.hidden)]
    shown += [*named(agent.argv[1:], homes, options.hidden), *certificates(os.environ)]
    return Sight(home, tuple(shown), config, read_only, options.hidden)
