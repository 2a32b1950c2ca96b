"""The one way in which cockpit calls git: a clean environment, no prompts, no hooks, no signing.

A lab is somebody's own repository, with their configuration, their hooks and perhaps a
half-finished rebase. Nothing of that may reach the engine's calls: variables that a
surrounding git sets (`GIT_DIR`, `GIT_INDEX_FILE`, …) are dropped, and options on the
command line win over any configuration file. GitPython runs the commands; it is imported
with the first of them, because the screen and most verbs never need it.
"""

import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cockpit.lab.lab import LabError

NAME = "cockpit"
EMAIL = "cockpit@localhost"
"""The engine's own identity; git asks for nobody else's."""

LOCK_MILLISECONDS = 3000
"""How long git waits for a lock that another command holds on a ref."""
STALE_LOCK_SECONDS = 30.0
"""A lock of this age on a ref that the engine alone writes was left by a killed command."""

_OPTIONS = tuple(
    part
    for option in (
        "commit.gpgSign=false",
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.quotePath=false",
        "core.safecrlf=false",
        f"core.filesRefLockTimeout={LOCK_MILLISECONDS}",
        f"core.packedRefsTimeout={LOCK_MILLISECONDS}",
        "gc.auto=0",
        "maintenance.auto=false",
        "init.defaultBranch=main",
        "advice.addEmbeddedRepo=false",
    )
    for part in ("-c", option)
)
_ENVIRONMENT = {
    "LC_ALL": "C",  # messages are read here
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",  # `status` would write the index else
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_AUTHOR_NAME": NAME,
    "GIT_AUTHOR_EMAIL": EMAIL,
    "GIT_COMMITTER_NAME": NAME,
    "GIT_COMMITTER_EMAIL": EMAIL,
}
_IDENTITY = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
_KEPT = {"GIT_EXEC_PATH", "GIT_PYTHON_REFRESH", "GIT_TEST_ASSUME_DIFFERENT_OWNER"}
"""Where git itself lies, and switches of GitPython and of git's own tests."""
_LOCK = re.compile(r"Unable to create '(?P<path>.+\.lock)': File exists")


class RepoError(LabError):
    """Git can't do what the lab needs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """A git command that is over."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Git:
    """Runs git in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def attempt(
        self, *arguments: str, data: bytes | None = None, own_identity: bool = True
    ) -> Done:
        """Run a git command that may fail; raises `RepoError` only when there is no git."""
        if not self.directory.is_dir():
            raise RepoError(f"{self.directory} does not exist")
        _forget_surrounding_git()
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # no git: told below, in one line
        import git

        with tempfile.TemporaryFile() as source:
            source.write(data or b"")
            source.seek(0)
            try:
                code, output, errors = git.Git(str(self.directory)).execute(
                    ["git", *_OPTIONS, *arguments],
                    istream=source,
                    env=environment(own_identity),
                    with_extended_output=True,
                    with_exceptions=False,
                    stdout_as_string=False,
                    strip_newline_in_stdout=False,
                )
            except git.GitCommandNotFound as error:
                raise RepoError("git is not installed (or not on PATH): install git") from error
        return Done(int(code or 0), bytes(output), errors.encode())

    def run(self, *arguments: str, data: bytes | None = None, own_identity: bool = True) -> bytes:
        """Run a git command and return its output; raises `RepoError` with git's own line.

        A lock that a killed command left behind on a ref of ours is taken away.
        """
        done = self.attempt(*arguments, data=data, own_identity=own_identity)
        if done.returncode and _take_stale_lock(done.stderr):
            done = self.attempt(*arguments, data=data, own_identity=own_identity)
        if done.returncode:
            raise RepoError(f"git {_verb(arguments)} in {self.directory}: {said(done.stderr)}")
        return done.stdout

    def text(self, *arguments: str) -> str:
        """Run a git command and return its output as text without the last line end."""
        return self.run(*arguments).decode("utf-8", "replace").rstrip("\n")


def environment(own_identity: bool = True) -> dict[str, str]:
    """Return what a git command's environment has besides ours."""
    return {
        name: value for name, value in _ENVIRONMENT.items() if own_identity or name not in _IDENTITY
    }


def _forget_surrounding_git() -> None:
    """Drop what a git around us (a hook, an alias) says about *its* repository.

    GitPython hands our environment on, so it is taken out of that.
    """
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        if not name.startswith("GIT_CONFIG_") and name not in _KEPT:
            del os.environ[name]
    os.environ.pop("GIT_CONFIG_PARAMETERS", None)


def said(errors: bytes) -> str:
    """Return the line of git's errors that matters: the first fatal one, else the last."""
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    fatal = next((line for line in lines if line.startswith(("fatal:", "error:"))), None)
    line = fatal or (lines[-1] if lines else "it failed without a word")
    return line.removeprefix("fatal: ").removeprefix("error: ")


def _verb(arguments: tuple[str, ...]) -> str:
    return next((a for a in arguments if not a.startswith("-")), "")


def _take_stale_lock(errors: bytes) -> bool:
    """Remove the lock that git complained of, if it is old and on a ref that we alone write."""
    found = _LOCK.search(errors.decode("utf-8", "replace"))
    if found is None:
        return False
    lock = Path(found["path"])
    ours = any(part in lock.as_posix() for part in ("/refs/cockpit/", "/refs/notes/cockpit.lock"))
    try:
        old = time.time() - lock.stat().st_mtime > STALE_LOCK_SECONDS
        if ours and old:
            lock.unlink()
            return True
    except FileNotFoundError:
        return True
    return False
