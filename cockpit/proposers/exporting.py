"""A fresh repository for an agent, and what it has left there.

The agent gets texts and not a clone: nothing in its repository leads to the lab, and whatever it
does there is done to copies. Afterwards its directory is looked at as somebody else's: no link
is followed, nothing is read that is no regular file or too large, no git runs where it may have
left hooks or configuration. Only `trainer/train.py` and `PROPOSAL.md` are taken.
"""

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from cockpit.lab.git import EMAIL, NAME
from cockpit.lab.repo import TRAIN_PY
from cockpit.lab.rundir import plain_text
from cockpit.proposers.base import ProposerError

PROMPT, PROPOSAL = "PROMPT.md", "PROPOSAL.md"
"""The task, and where the agent says what it did."""
LARGEST_BYTES = 256 << 10
"""Nothing larger is a train.py or a proposal."""
MARK = "exported"
"""A file in .git that another repository in its place does not have: inodes are used again."""
GIT_SECONDS = 60.0
LOOKED_AT = 5_000
"""So many files are looked at for changes, and so many folders deep none."""
NAMED = 6
"""So many changes are named."""
OURS = frozenset({PROMPT, PROPOSAL, TRAIN_PY})
LEFT_BY_TOOLS = frozenset({"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"})


class TakenError(Exception):
    """A file of the agent's can't be taken; the message says why, to the agent."""


class Export:
    """A repository of one commit, for one agent and one proposal."""

    def __init__(self, directory: Path, files: Mapping[str, str], prompt: str) -> None:
        """Make it in `directory`, which must not exist, with `files` by their paths.

        Raises `ProposerError`.
        """
        self.directory = directory
        self._files = {path: text.encode() for path, text in files.items()}
        try:
            self._write()
            _git(directory, "init", "--quiet", "--template=", "--initial-branch=main")
            _git(directory, "add", "--all", "--force")
            _git(directory, "commit", "--quiet", "--no-verify", "-m", "The base")
            exclude = directory / ".git/info/exclude"
            exclude.parent.mkdir(exist_ok=True)
            exclude.write_text("".join(f"/{name}\n" for name in (PROMPT, PROPOSAL)))
            (directory / PROMPT).write_text(prompt, encoding="utf-8")
            (directory / ".git" / MARK).touch()
            self._git_config = (directory / ".git/config").read_bytes()
        except OSError as error:
            raise ProposerError(f"can't make a repository for the agent: {error}", "fault") from (
                error
            )

    def _write(self) -> None:
        self.directory.mkdir(0o700)
        for path, content in self._files.items():
            place = self.directory / path
            if ".." in place.parts or not place.is_relative_to(self.directory):
                raise ProposerError(f"{path} is no path of a trainer file")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    # ---- what it has left ---------------------------------------------------------------------

    def taken(self, path: str) -> str | None:
        """Return the text of a file as the agent left it, None where there is none.

        Raises `TakenError` where it is no plain text file.
        """
        try:
            content = read_regular(self.directory, path, LARGEST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            why = f"can't be read: {error.strerror}" if error.errno else error.strerror
            raise TakenError(f"{path} {why}") from error
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise TakenError(f"{path} is not UTF-8 at byte {error.start}") from error

    def other_changes(self) -> list[str]:
        """Return what else the agent has changed, in words, the first few by name."""
        changes = list(self._changes())
        named = [plain_text(change)[:120] for change in changes[:NAMED]]
        more = len(changes) - len(named)
        return named + ([f"and {more} more"] if more > 0 else [])

    def _changes(self) -> Iterator[str]:
        yield from self._of_git()
        for path, content in self._files.items():
            if path == TRAIN_PY:
                continue
            try:
                if read_regular(self.directory, path, len(content)) != content:
                    yield f"changed {path}"
            except FileNotFoundError:
                yield f"deleted {path}"
            except OSError:
                yield f"changed {path}"
        for path in _found(self.directory):
            if path not in self._files and path not in OURS:
                yield f"added {path}"

    def _of_git(self) -> Iterator[str]:
        """Yield what became of .git. Commits of its own are its own affair."""
        if not os.path.lexists(self.directory / ".git"):
            yield "deleted .git"
            return
        try:
            read_regular(self.directory, f".git/{MARK}", 0)
        except OSError:
            yield "replaced .git"
            return
        try:
            config = read_regular(self.directory, ".git/config", len(self._git_config))
        except OSError:
            config = b""
        if config != self._git_config:
            yield "changed .git/config"
        if os.path.lexists(self.directory / ".git/hooks"):
            yield "added .git/hooks"


def read_regular(directory: Path, path: str, limit: int) -> bytes:
    """Return the content of a regular file below a directory, following no link on the way.

    Raises OSError, also for one that is larger than `limit`.
    """
    with contextlib.ExitStack() as stack:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        here = os.open(directory, flags | os.O_DIRECTORY)
        stack.callback(os.close, here)
        *folders, name = path.split("/")
        for folder in folders:
            here = os.open(folder, flags | os.O_DIRECTORY, dir_fd=here)
            stack.callback(os.close, here)
        if stat.S_ISLNK(os.lstat(name, dir_fd=here).st_mode):
            raise OSError(0, "is a link: it must be a file")
        # Not waiting: a pipe would wait for its other end.
        file = os.open(name, flags | os.O_NONBLOCK, dir_fd=here)
        stack.callback(os.close, file)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "is no regular file")
        if found.st_size > limit:
            raise OSError(0, f"is larger than {limit} bytes")
        pieces = []
        while piece := os.read(file, 1 << 20):
            pieces.append(piece)
            if sum(map(len, pieces)) > limit:
                raise OSError(0, f"is larger than {limit} bytes")
        return b"".join(pieces)


def _found(directory: Path) -> Iterator[str]:
    """Yield the paths of all that is there and no folder, .git and what tools leave aside."""
    looked_at = 0
    for place, folders, names in os.walk(directory):  # follows no links
        folders[:] = sorted(
            folder
            for folder in folders
            if folder not in LEFT_BY_TOOLS and not (folder == ".git" and place == str(directory))
        )
        inside = [folder for folder in folders if os.path.islink(os.path.join(place, folder))]
        for name in (*inside, *sorted(names)):
            path = os.path.relpath(os.path.join(place, name), directory)
            looked_at += 1
            if looked_at > LOOKED_AT:
                return
            if path != ".git":
                yield path.encode("utf-8", "replace").decode()


def _git(directory: Path, *arguments: str) -> None:
    """Run git where nobody else has been yet; raises `ProposerError`."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory.parent),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CEILING_DIRECTORIES": str(directory.parent),
    }
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": NAME, f"GIT_{who}_EMAIL": EMAIL}
    options = ("commit.gpgSign=false", "core.hooksPath=/dev/null", "core.autocrlf=false",
               "gc.auto=0", "maintenance.auto=false")  # fmt: skip
    command = ["git", *(part for option in options for part in ("-c", option)), *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise ProposerError("git is not installed (or not on PATH): install git") from error
    except subprocess.TimeoutExpired as error:
        raise ProposerError("git takes too long to make a repository", "fault") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ProposerError(f"can't make a repository for the agent: git: {said}", "fault")


def remove(directory: Path) -> None:
    """Remove a directory with all that an agent may have done to it; what can't be stays."""
    for place, folders, _ in os.walk(directory):
        for folder in folders:
            path = os.path.join(place, folder)
            with contextlib.suppress(OSError):
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
    shutil.rmtree(directory, ignore_errors=True)
