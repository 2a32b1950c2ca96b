"""Makes a lab: what is missing is copied from the template and committed."""

import shutil
from pathlib import Path

from cockpit.lab.git import Git, RepoError, said
from cockpit.lab.template import PARTS

IGNORED = "__pycache__/\n*.pyc\n"
"""The `.gitignore` of a lab that has none."""


def init_lab(directory: Path, template: Path) -> list[str]:
    """Make `directory` a lab and return the top-level names that were added to its repository.

    Copies what is missing of `program.md`, `trainer/` and `themes/`, never over a file, and
    commits what of it was not committed, on the present branch (`main` where there was no
    repository) and with the person's identity where git knows one. Other edits stay as they
    are, also staged ones. Raises `RepoError` with one line.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        wanted = _copy_missing(directory, template)
    except OSError as error:
        raise RepoError(f"can't make a lab in {directory}: {error}") from error
    git = Git(directory)
    if not (directory / ".git").exists():
        git.run("init", "--quiet", "--initial-branch=main")
    tracked = git.run("ls-files", "-z", "--", *wanted).decode("utf-8", "replace").split("\0")
    staged_only = git.run(
        "diff-index", "-z", "--cached", "--name-only", "--diff-filter=A", _head(git),
        "--", *wanted,
    ).decode("utf-8", "replace").split("\0")  # fmt: skip
    committed = set(tracked) - set(staged_only)
    added = [path for path in wanted if path not in committed]
    if not added and not git.attempt("rev-parse", "--verify", "--quiet", "HEAD").returncode:
        return []
    git.run("add", "--force", "--", *added)
    done = git.attempt(
        "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--only",
        "-m", "Begin a lab", "-m", "The brief, the trainer and the themes that cockpit ships.",
        "--", *added, own_identity=not _knows_person(git),
    )  # fmt: skip
    if done.returncode:
        raise RepoError(f"{directory} has the files, but they can't be committed: "
                        f"{said(done.stderr)}")  # fmt: skip
    return sorted({path.partition("/")[0] for path in added})


def _copy_missing(directory: Path, template: Path) -> list[str]:
    """Copy what is missing and return the paths of all that belongs to a lab."""
    wanted = []
    for part in PARTS:
        source = template / part
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in files:
            if file.is_dir() or "__pycache__" in file.parts or file.name.startswith("."):
                continue
            path = file.relative_to(template)
            wanted.append(path.as_posix())
            if not (directory / path).exists():
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, directory / path)
    ignored = directory / ".gitignore"
    if not ignored.exists():
        ignored.write_text(IGNORED)
    return [*wanted, ".gitignore"]


def _head(git: Git) -> str:
    """Return HEAD's commit, or the empty tree where there is no commit yet."""
    found = git.attempt("rev-parse", "--verify", "--quiet", "HEAD")
    return found.stdout.decode().strip() or git.text("hash-object", "-t", "tree", "/dev/null")


def _knows_person(git: Git) -> bool:
    asked = (git.attempt("config", key, own_identity=False) for key in ("user.name", "user.email"))
    return all(answer.stdout.strip() for answer in asked)
