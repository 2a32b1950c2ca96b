"""Where an agent's program and all that it needs to start lie, wherever it was installed.

A home is out of an agent's sight, but programs are installed there: by npm, nvm, bun and pnpm as
links into `node_modules`, by pip, pipx and uv as scripts of a Python that lies elsewhere, by cargo
and by installers of their own as single files, by mise, asdf, pyenv and volta behind shims. So
every link is followed, the interpreter of a script is found as well, and of a directory that
looks like an installation's prefix the parts are shown that hold programs and libraries.
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

PROGRAM_DIRECTORIES = ("bin", "sbin", "libexec")
PARTS_OF_A_PREFIX = (*PROGRAM_DIRECTORIES, "lib", "lib64", "pyvenv.cfg")
PARTS_OF_HOMEBREW = ("Cellar", "opt")
RUNTIMES = ("node", "bun", "python3", "git", "bash")
"""What a wrapper that is a shell script starts without saying where it is."""
SCRIPTS = frozenset({".py", ".sh", ".js", ".mjs", ".cjs", ".ts"})
NEVER_WHOLE = (
    "/", "/etc", "/home", "/media", "/mnt", "/opt", "/run", "/srv", "/sys", "/tmp", "/var",  # noqa: S108
)  # fmt: skip
"""Directories that hold all sorts of things."""
FIRST_BYTES = 512
DEEPEST = 6
"""Scripts of scripts of scripts: further than that nobody is followed."""
_EXEC = re.compile(r"""^'*exec' *['"]?(/[^\s'"]+)""", re.MULTILINE)
"""How pip and uv name an interpreter whose path is too long for `#!`."""


def program_of(words: Sequence[str]) -> Path | None:
    """Return the program of a command line, None where there is none."""
    found = shutil.which(os.path.expanduser(words[0]))
    return Path(os.path.abspath(found)) if found else None


def named(words: Iterable[str], homes: Sequence[Path], hidden: Sequence[Path]) -> list[Path]:
    """Return what the arguments of a command line name by absolute paths, as far as it is there.

    Relative ones are meant for the directory that the agent works in. A script may need what
    lies around it; anything else is shown alone.
    """
    found = []
    for word in words:
        path = Path(os.path.expanduser(word))
        if path.is_absolute() and path.exists():
            around = surroundings(path, homes, hidden)
            found += around if path.suffix in SCRIPTS else [p for p in around if p == path]
    return found


def surroundings(program: Path, homes: Iterable[Path], hidden: Iterable[Path]) -> list[Path]:
    """Return what has to be seen for a program to start; the program itself among it.

    Never a home or something hidden as a whole, nor what holds one, even where a program lies
    there; and within something hidden, such as a lab, only files and what was installed.
    """
    closed = {path.resolve() for path in hidden}
    whole = closed | {path.resolve() for path in homes} | set(map(Path, NEVER_WHOLE))
    whole |= {parent for path in whole for parent in path.parents}
    found: dict[Path, None] = {}
    for path in _needed(Path(os.path.abspath(program)), 0, set()):
        if not path.exists() or (real := path.resolve()) in whole:
            continue
        if real.is_relative_to("/dev") or real.is_relative_to("/proc"):
            continue
        if closed.isdisjoint(real.parents) or real.is_file() or _is_installed(real):
            found[path] = None
    return list(found)


def _is_installed(path: Path) -> bool:
    return "node_modules" in path.parts or (path.parent / "pyvenv.cfg").is_file()


def runtimes(homes: Sequence[Path], hidden: Sequence[Path]) -> list[Path]:
    """Return what has to be seen of the usual interpreters, where they are on the path."""
    programs = (shutil.which(name) for name in RUNTIMES)
    return [
        place for found in programs if found for place in surroundings(Path(found), homes, hidden)
    ]


def _needed(program: Path, depth: int, known: set[Path]) -> Iterator[Path]:
    """Yield a program, its real file, and the places around both."""
    if program in known or depth > DEEPEST:
        return
    known.add(program)
    yield program
    real = program.resolve()
    for step in dict.fromkeys((program, real)):
        yield step
        yield from _around(step)
    for step in dict.fromkeys((program, real)):
        python = step.parent.parent / "bin/python"
        if (step.parent.parent / "pyvenv.cfg").is_file() and python.exists():
            yield from _needed(python, depth + 1, known)
    interpreter = interpreter_of(real)
    if interpreter is not None:
        yield from _needed(interpreter, depth + 1, known)


def _around(program: Path) -> Iterator[Path]:
    directory = program.parent
    yield directory
    modules = [place for place in program.parents if place.name == "node_modules"]
    yield from modules[-1:]  # the outermost: packages lie beside each other
    if directory.name == "shims":
        yield directory.parent
    if directory.name in PROGRAM_DIRECTORIES:
        prefix = directory.parent
        parts = PARTS_OF_A_PREFIX + (PARTS_OF_HOMEBREW if (prefix / "Cellar").is_dir() else ())
        yield from (prefix / part for part in parts)
        if program.name.endswith("-shim"):  # volta's
            yield prefix


def interpreter_of(script: Path) -> Path | None:
    """Return the interpreter that a script names in its first line, None for other programs."""
    try:
        with script.open("rb") as file:
            beginning = file.read(FIRST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    if not beginning.startswith("#!"):
        return None
    try:
        words = shlex.split(beginning[2:].split("\n")[0])
    except ValueError:
        return None
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    elif elsewhere := _EXEC.search(beginning):
        words = [elsewhere[1]]
    found = shutil.which(words[0]) if words else None
    return Path(found) if found else None
