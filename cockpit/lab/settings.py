"""What differs between machines and people: `cockpit.toml`, and the command line over it."""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.core import schedule as schedules
from cockpit.core.constraints import Constraint, ConstraintError
from cockpit.core.judge import Policy
from cockpit.lab.lab import SettingsError
from cockpit.lab.tags import valid_tag
from cockpit.proposers.keys import Redactor

MOST_REPAIRS, MOST_REPLICATES, MOST_CALIBRATING = 10, 20, 100
SANDBOXES = ("auto", "bubblewrap", "user", "landlock", "none")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a night; None means not given."""

    budget_seconds: float | None = None
    """Training time of one run."""
    max_experiments: int | None = None
    """End the night after so many, the first baseline not counted; 0: nothing new, only what
    somebody has asked for."""
    duration_seconds: float | None = None
    """Begin nothing new after this long."""
    proposer: str | None = None
    """Who has the ideas: a name, or a mix such as `llm:3,search:1`."""
    model: tuple[str, ...] | None = None
    """Models for `llm`, in litellm's names; the next one is taken where one fails."""
    api_base: str | None = None
    """Address of a server of one's own that speaks the OpenAI protocol."""
    max_cost: float | None = None
    """Dollars that a night may cost; at the limit it goes on with `search`."""
    model_prices: tuple[tuple[str, float, float], ...] | None = None
    """Model, dollars per million tokens read, dollars per million written."""
    prompt_tokens: int | None = None
    """Length of a prompt at most."""
    answer_tokens: int | None = None
    """Length of an answer at most."""
    silence_seconds: float | None = None
    """A model that says nothing for so long has failed."""
    think_ahead: bool | None = None
    """Propose while a run trains (the default); else only once its result is known."""
    repairs: int | None = None
    """How often an answer that can't be used goes back to the model."""
    agent: str | None = None
    """For `command`: a preset's name, or a command line."""
    agent_keys: tuple[str, ...] | None = None
    """Names of the variables that the agent may see beside its preset's."""
    agent_config: tuple[str, ...] | None = None
    """Paths of its configuration, beside its preset's."""
    agent_seconds: float | None = None
    """How long the agent may take for one proposal."""
    unsafe_agent: bool | None = None
    """Run the agent without a sandbox where there is none."""
    tag: str | None = None
    """The line of research to continue or begin."""
    start_from: str | None = None
    """`TAG@best` or an experiment's id: what a new tag starts from."""
    corpus: str | None = None
    """`stdlib` or `local:PATH`."""
    seed: int | None = None
    """Seed of the first run and of the search."""
    device: str | None = None
    """`cuda`, `mps` or `cpu`."""
    gpus: str | None = None
    """Indices or UUIDs of the GPUs, separated by commas: one slot each."""
    force_gpus: bool | None = None
    """Use GPUs that others use too."""
    preset: str | None = None
    """A section of `trainer/presets.toml`."""
    cache_dir: Path | None = None
    """Where prepared corpora are kept."""
    state_dir: Path | None = None
    """Where the lab's state is kept (a local disk)."""
    log_limit_mb: float | None = None
    """A training that logs more is ended."""
    memory_limit_gb: float | None = None
    """A training that takes more memory of the machine is ended."""
    disk_limit_gb: float | None = None
    """A training whose run directory grows larger is ended."""
    checkpoint_limit_gb: float | None = None
    """Checkpoints that nobody needs any more are kept up to this."""
    constraints: tuple[str, ...] | None = None
    """Limits such as `peak_memory_gb <= 20`: what breaks one is not kept."""
    policy: str | None = None
    """Who decides what is neither a clear win nor a clear loss: see `core.judge.Policy`."""
    replicates: int | None = None
    """Further runs that one challenger is worth at most."""
    calibrate: int | None = None
    """Runs of the baseline before anything is judged."""
    prune: bool | None = None
    """Stop early what would almost surely be discarded (the default), once that has proved right
    in this lab."""
    confirm_when_idle: bool | None = None
    """Let a slot that waits for an idea confirm the gain of the best (the default)."""
    sandbox: str | None = None
    """`auto`, `bubblewrap`, `user`, `landlock` or `none`: what confines a training."""

    def __post_init__(self) -> None:
        """Make paths of texts: settings cross a process border as JSON."""
        for name in ("cache_dir", "state_dir"):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, Path(value))
        for name in ("constraints", "model", "model_prices", "agent_keys", "agent_config"):
            value = getattr(self, name)
            if isinstance(value, list):
                tuples = tuple(tuple(v) if isinstance(v, list) else v for v in value)
                object.__setattr__(self, name, tuples)


# ---- one reader a kind of value ---------------------------------------------------------------


def parse_duration(text: object) -> float:
    """Return the seconds of `90s`, `5m`, `1h30m` or a bare number of seconds.

    Raises `SettingsError` with one line.
    """
    wanted = "a time such as 90s, 5m or 1h30m"
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    else:
        found = _DURATION.fullmatch(str(text).strip().lower())
        if found is None or not any(found.groups()):
            raise SettingsError(f"{text!r} is not {wanted}")
        seconds = sum(float(n) * unit for n, unit in zip(found.groups(), _UNITS, strict=True) if n)
    if not 0 < seconds < math.inf:
        raise SettingsError(f"{text!r} is not {wanted}: it must be more than nothing")
    return seconds


_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(
    rf"(?:{_NUMBER}\s*d)?\s*(?:{_NUMBER}\s*h)?\s*(?:{_NUMBER}\s*m(?:in)?)?\s*(?:{_NUMBER}\s*s?)?"
)
_UNITS = (86400, 3600, 60, 1)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{value!r} is not a text")
    return value


def _no_secret(value: object) -> str:
    """Read a text that is written down and shown, so that no key may stand in it."""
    text = _text(value)
    if Redactor()(text) != text:
        raise SettingsError("there is a key in it: `cockpit key NAME` keeps keys")
    return text


def _tag(value: object) -> str:
    if not isinstance(value, str) or not valid_tag(value):
        raise SettingsError(
            f"{value!r} can't be a tag: use letters, digits, dots, - and _, and no .lock at the end"
        )
    return value


def _whole(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SettingsError(f"{value!r} is not a whole number")
    return value


def _count(value: object) -> int:
    number = _whole(value)
    if number < 1:
        raise SettingsError(f"{value!r} is not a whole number of 1 or more")
    return number


def _count_or_none(value: object) -> int:
    number = _whole(value)
    if number < 0:
        raise SettingsError(f"{value!r} is not a whole number of 0 or more")
    return number


def _positive(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise SettingsError(f"{value!r} is not a number above 0")
    return float(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{value!r} is neither true nor false")
    return value


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip():
        raise SettingsError(f"{value!r} is not a path")
    return Path(value).expanduser()


def _constraints(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    try:
        return tuple(str(Constraint.parse(str(text))) for text in given)
    except ConstraintError as error:
        raise SettingsError(str(error)) from None


def _names(value: object) -> tuple[str, ...]:
    """Read a list of texts, or one with commas."""
    given = value if isinstance(value, list) else str(value).split(",")
    names = tuple(str(name).strip() for name in given if str(name).strip())
    if not names or any(not isinstance(name, str) for name in given):
        raise SettingsError(f"{value!r} is no list of names")
    return names


def _prices(value: object) -> tuple[tuple[str, float, float], ...]:
    wanted = 'a table such as {"openai/my-model" = [0.15, 0.60]} (dollars per million tokens)'
    if not isinstance(value, dict):
        raise SettingsError(f"{value!r} is not {wanted}")
    prices = []
    for model, pair in value.items():
        numbers = pair if isinstance(pair, list) else []
        if len(numbers) != 2 or any(
            isinstance(n, bool) or not isinstance(n, int | float) or not 0 <= n < math.inf
            for n in numbers
        ):
            raise SettingsError(f"{model}: {pair!r} is not {wanted}")
        prices.append((str(model), float(numbers[0]), float(numbers[1])))
    return tuple(prices)


def _dollars(value: object) -> float:
    """Read a limit of money; `10` and `$10` are the same, 0 spends nothing."""
    text = str(value).strip().removeprefix("$") if isinstance(value, str) else value
    try:
        dollars = float(text)  # type: ignore[arg-type]  # what is no number is refused
    except (TypeError, ValueError):
        dollars = -1.0
    if isinstance(value, bool) or not 0 <= dollars < math.inf:
        raise SettingsError(f"{value!r} is no amount of dollars such as 10 or 2.50")
    return dollars


def _few(least: int, most: int) -> Callable[[object], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(value: object) -> int:
        number = _whole(value)
        if not least <= number <= most:
            raise SettingsError(f"{value!r} is not a whole number from {least} to {most}")
        return number

    return read


def _policy(value: object) -> str:
    if value not in list(Policy):
        raise SettingsError(f"{value!r} is no policy: choose from {', '.join(Policy)}")
    return str(value)


def _proposer(value: object) -> str:
    try:
        return str(schedules.parse(_text(value)))
    except schedules.ScheduleError as error:
        raise SettingsError(str(error)) from None


def _sandbox(value: object) -> str:
    if value not in SANDBOXES:
        raise SettingsError(f"{value!r} is no sandbox: choose from {', '.join(SANDBOXES)}")
    return str(value)


def _gpus(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    if not parts or any(isinstance(p, bool) or not isinstance(p, int | str) for p in parts):
        raise SettingsError(f'{value!r} is no list of GPUs such as "2,3"')
    return ",".join(str(part).strip() for part in parts)


_READERS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "budget": ("budget_seconds", parse_duration),
    "max_experiments": ("max_experiments", _count_or_none),
    "duration": ("duration_seconds", parse_duration),
    "proposer": ("proposer", _proposer),
    "model": ("model", _names),
    "api_base": ("api_base", _no_secret),
    "max_cost": ("max_cost", _dollars),
    "model_prices": ("model_prices", _prices),
    "prompt_tokens": ("prompt_tokens", _count),
    "answer_tokens": ("answer_tokens", _count),
    "silence": ("silence_seconds", parse_duration),
    "think_ahead": ("think_ahead", _truth),
    "repairs": ("repairs", _few(0, MOST_REPAIRS)),
    "agent": ("agent", _no_secret),
    "agent_keys": ("agent_keys", _names),
    "agent_config": ("agent_config", _names),
    "agent_timeout": ("agent_seconds", parse_duration),
    "unsafe_agent": ("unsafe_agent", _truth),
    "tag": ("tag", _tag),
    "start_from": ("start_from", _text),
    "corpus": ("corpus", _text),
    "seed": ("seed", _whole),
    "device": ("device", _text),
    "gpus": ("gpus", _gpus),
    "force_gpus": ("force_gpus", _truth),
    "preset": ("preset", _text),
    "cache_dir": ("cache_dir", _path),
    "state_dir": ("state_dir", _path),
    "log_limit_mb": ("log_limit_mb", _positive),
    "memory_limit_gb": ("memory_limit_gb", _positive),
    "disk_limit_gb": ("disk_limit_gb", _positive),
    "checkpoint_limit_gb": ("checkpoint_limit_gb", _positive),
    "constraints": ("constraints", _constraints),
    "policy": ("policy", _policy),
    "replicates": ("replicates", _few(0, MOST_REPLICATES)),
    "calibrate": ("calibrate", _few(2, MOST_CALIBRATING)),
    "prune": ("prune", _truth),
    "confirm_when_idle": ("confirm_when_idle", _truth),
    "sandbox": ("sandbox", _sandbox),
}
"""By the name in `cockpit.toml` and on the command line: the field, and how it is read."""


# ---- the file and the command line ------------------------------------------------------------


def load(path: Path | None, options: Mapping[str, object]) -> Settings:
    """Return the settings of an optional `cockpit.toml` with `options` over them.

    Without a path they are what was typed alone. An option that is None was not given.
    Relative paths of the file begin at its directory.
    Raises `SettingsError` with one line that names file (or option) and key.
    """
    fields: dict[str, Any] = {}
    for key, value in (_from_file(path) if path else {}).items():
        if key not in _READERS:
            raise SettingsError(f"{path}: unknown setting {key}{_nearest(key)}")
        field, read = _READERS[key]
        try:
            fields[field] = read(value)
        except SettingsError as error:
            raise SettingsError(f"{path}: {key}: {error}") from None
    for field in ("cache_dir", "state_dir"):
        if path and field in fields:
            fields[field] = path.parent / fields[field]
    for key, value in options.items():
        if key not in _READERS:
            raise SettingsError(f"unknown option {key}{_nearest(key)}")
        field, read = _READERS[key]
        if value is None:
            continue
        try:
            fields[field] = read(value)
        except SettingsError as error:
            flag = "--from" if key == "start_from" else "--" + key.replace("_", "-")
            raise SettingsError(f"{flag}: {error}") from None
    return Settings(**fields)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        place = f"{path}:{line[1]}" if line else str(path)
        raise SettingsError(f"{place}: this is no TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: this is not UTF-8: {error}") from error
    except OSError as error:
        raise SettingsError(f"can't read {path}: {error.strerror}") from error


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key.replace("-", "_"), _READERS, n=1, cutoff=0.5)
    return f": did you mean {close[0]}?" if close else f" (there are {', '.join(_READERS)})"


assert {field for field, _ in _READERS.values()} == {f.name for f in dataclasses.fields(Settings)}
