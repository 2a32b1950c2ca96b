"""Keys of model providers: where they are kept, and how they are kept out of everything else.

They come from the environment, and from one file of `NAME=value` lines that only its owner
may read. The file counts for more and is read again before every call, so that a night goes
on with a new key and nobody restarts it.

Whatever a process with keys says to anybody is passed through a `Redactor` first. It knows
the values of all variables that look like keys, old ones of the same night included, and
the shapes that keys have: a provider that refuses one likes to repeat it, half of it behind
asterisks.
"""

import contextlib
import os
import re
import secrets as randomness
import stat
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from cockpit.lab.lab import LabError

FILE = "keys.env"
SECRET_CHARACTERS = 8
"""Shorter values are no keys, and would be found in every other word."""
REDACTED = "[key]"


class KeysError(LabError):
    """The file of keys can't be used; the message says why and never what is in it."""


# ---- the file ---------------------------------------------------------------------------------


def keys_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the file of keys is for a user of this environment."""
    configured = environment.get("XDG_CONFIG_HOME", "")
    home = Path(environment.get("HOME") or Path.home())
    place = Path(configured) if configured.startswith("/") else home / ".config"
    return place / "cockpit" / FILE


def read_keys(path: Path) -> dict[str, str]:
    """Return the keys in a file by their names; none where there is no file.

    Raises `KeysError` where others than its owner may read it, or a line is not NAME=value.
    """
    parsed = (_parsed(line, path) for line in _lines(path))
    return {name: value for name, value in parsed if name and value}


def write_key(path: Path, name: str, value: str | None) -> None:
    """Put a key into a file, or with None take it out; the other lines stay as they are.

    The file is replaced at once, readable for its owner alone. Raises `KeysError`.
    """
    if not _NAME.fullmatch(name):
        raise KeysError(f"{name!r} is no name of an environment variable")
    if value is not None and not _VALUE.fullmatch(value):
        raise KeysError(f"what was given for {name} is no key: it has spaces, quotes or line ends")
    path = path.resolve()  # a link of somebody's dotfiles stays a link
    kept = [line for line in _lines(path) if _parsed(line, path)[0] != name]
    if value is not None:
        kept.append(f"{name}={value}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, "".join(f"{line}\n" for line in kept))
    except OSError as error:
        raise KeysError(f"can't write {path}: {error.strerror}") from error


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE = re.compile(r"[!#-&(-~]+")  # printable ASCII without spaces and quotes
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*")


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise KeysError(f"{path} is open to others: chmod 600 {path}")
            return file.read().splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise KeysError(f"{path} is not UTF-8") from None
    except OSError as error:
        raise KeysError(f"can't read {path}: {error.strerror}") from error


def _parsed(line: str, path: Path) -> tuple[str, str]:
    """Return name and value of a line; both are empty for a comment or an empty line."""
    if not line.strip() or line.lstrip().startswith("#"):
        return "", ""
    found = _LINE.fullmatch(line)
    if found is None:
        raise KeysError(f"{path}: each line must be NAME=value")
    value = found["value"]
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return found["name"], value


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{randomness.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


# ---- out of sight -----------------------------------------------------------------------------

_PARTS = frozenset({"KEY", "KEYS", "APIKEY", "TOKEN", "SECRET", "PASSWORD", "PASSPHRASE"})


def secrets(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the values of the variables that look like keys by their name."""
    named = (
        value.strip()  # a line end that came along is not what a library repeats
        for name, value in environment.items()
        if _PARTS & set(name.upper().split("_"))
    )
    return frozenset(value for value in named if len(value) >= SECRET_CHARACTERS)


_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-(?=[A-Za-z_-]{0,60}\d)[A-Za-z0-9_-]{16,}"
    r"|(?:gsk_|xai-|hf_|gh[pousr]_|r8_)[A-Za-z0-9]{20,}|AIza[\w-]{30,}|AKIA[A-Z0-9]{16})"
    r"|(?<=Bearer )[\w.~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s:@]+(?=@)"  # who asks a proxy for leave, and by which word
)
_CUT = re.compile(
    r"(?<![A-Za-z0-9_-])(?P<head>[A-Za-z0-9_-]{2,})(?P<gap>\*{3,}|\.{3}|…)[A-Za-z0-9_-]*"
)
_BEGINNING = re.compile(r"sk-|gsk_|xai-|hf_|gh[pousr]_|r8_|AIza|AKIA")


class Redactor:
    """Replaces keys in a text by `[key]`; it never forgets one that it was told of."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Know some values that nobody may see."""
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.remember(values)

    def remember(self, values: Iterable[str]) -> None:
        """Know these values too."""
        new = {value for value in values if len(value) >= SECRET_CHARACTERS} - self._known
        if new:
            self._known |= new
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """Return a text without keys."""
        if self._pattern is not None:
            text = self._pattern.sub(REDACTED, text)
        return _CUT.sub(self._of_cut, _SHAPES.sub(REDACTED, text))

    def everything(self, given: Any) -> Any:
        """Return what JSON can hold with all its texts without keys."""
        if isinstance(given, str):
            return self(given)
        if isinstance(given, Mapping):
            return {name: self.everything(value) for name, value in given.items()}
        if isinstance(given, list | tuple):
            return type(given)(self.everything(value) for value in given)
        return given

    def _of_cut(self, found: re.Match[str]) -> str:
        """Return what stands for the beginning of a word and an ellipsis: both, or no key."""
        head = found["head"]
        shaped = found["gap"].startswith("*") and _BEGINNING.match(head)
        begins = len(head) >= 4 and any(value.startswith(head) for value in self._known)
        return REDACTED if shaped or begins else found[0]


class KeyRing:
    """An environment with the file of keys over it, and the redactor that knows both."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Take the environment as it is now for what counts without the file."""
        self._environment = environment
        self._without: dict[str, str | None] = {}
        self.present = secrets(environment)
        """The values of all keys that count now."""
        self.redact = Redactor(self.present)

    def refresh(self, path: Path) -> None:
        """Make the environment what file and environment say now; raises `KeysError`."""
        keys = read_keys(path)
        for name in self._without.keys() - keys.keys():
            self._set(name, self._without.pop(name))
        for name, value in keys.items():
            self._without.setdefault(name, self._environment.get(name))
            self._set(name, value)
        # Whatever their names: they are in the file of keys.
        self.present = frozenset(keys.values()) | secrets(self._environment)
        self.redact.remember(self.present)

    def _set(self, name: str, value: str | None) -> None:
        if value is None:
            self._environment.pop(name, None)
        else:
            self._environment[name] = value
