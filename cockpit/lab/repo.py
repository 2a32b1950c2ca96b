"""The experiment tree in git: one experiment is one commit on its research parent.

Every experiment keeps its ref `refs/cockpit/<tag>/<id>`, the branch `cockpit/<tag>` points
at the present base, and results are JSON notes under `refs/notes/cockpit`. HEAD, the index
and the working tree belong to the person: commits and notes are made by `git fast-import`,
which writes objects and one ref in a single process (5 ms) and touches none of the three.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cockpit.lab import commits
from cockpit.lab.commits import Commit
from cockpit.lab.git import EMAIL, NAME, Git, RepoError, said
from cockpit.lab.tags import valid_tag

TRAIN_PY = "trainer/train.py"
TRAINER_FILES = (TRAIN_PY, "trainer/harness.py", "trainer/prepare.py", "trainer/presets.toml")
"""Without these in a commit nothing can be measured from it."""
NOTES = "refs/notes/cockpit"
NOTE_FIRST = ("id", "status", "val_bpb", "delta", "decided_by", "reason")
"""What the first line of a note says."""
REGULAR_MODES = ("100644", "100755")


class Repo:
    """The repository of a lab; use one object from one thread at a time."""

    def __init__(self, root: Path) -> None:
        """Remember the top of the working tree; nothing is run until something is asked."""
        self.root = root
        self._git = Git(root)

    # ---- what a person has ----------------------------------------------------------------

    def check(self) -> list[str]:
        """Return warnings; raises `RepoError` with one line where no night can begin."""
        found = self._git.attempt("rev-parse", "--show-toplevel", "--show-object-format")
        if found.returncode:
            raise RepoError(_why_not(found.stderr, self.root))
        top, object_format = found.stdout.decode("utf-8", "surrogateescape").splitlines()[:2]
        if os.path.realpath(top) != os.path.realpath(self.root):
            raise RepoError(
                f"{self.root} lies inside the repository {top}: a lab is the top of its own"
            )
        if object_format != "sha1":
            raise RepoError(f"{self.root} uses {object_format} object names: only sha1 works")
        commit, branch = self.head()
        self._check_trainer()
        if branch is None:
            return [f"HEAD is detached: a new baseline grows from the commit {commit[:9]}"]
        return []

    def _check_trainer(self) -> None:
        listed = self._git.run("ls-tree", "-z", "HEAD", "--", *TRAINER_FILES).split(b"\0")
        modes = {}
        for line in filter(None, listed):
            about, _, path = line.partition(b"\t")
            modes[path.decode("utf-8", "replace")] = about.split()[0].decode()
        missing = [path for path in TRAINER_FILES if path not in modes]
        if missing:
            raise RepoError(
                f"not committed in HEAD: {', '.join(missing)}; what is measured comes from a "
                "commit: git add trainer && git commit -m 'Add the trainer'"
            )
        if modes[TRAIN_PY] not in REGULAR_MODES:
            raise RepoError(f"{TRAIN_PY} is a link in HEAD: it must be a file")

    def head(self) -> tuple[str, str | None]:
        """Return HEAD's commit and its branch, None when it is detached.

        Raises `RepoError` when there is no commit yet.
        """
        commit = self._commit_of("HEAD")
        if commit is None:
            raise RepoError(
                f"{self.root} has no commit yet: git add -A && git commit -m 'Begin', then start"
            )
        branch = self._git.attempt("symbolic-ref", "--quiet", "--short", "HEAD")
        return commit, branch.stdout.decode("utf-8", "replace").strip() or None

    def dirty(self, paths: Iterable[str]) -> list[str]:
        """Return the tracked files under `paths` that differ from HEAD, staged or not."""
        out = self._git.run(
            "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no",
            "--ignore-submodules=all", "--", *paths,
        )  # fmt: skip
        return [entry[3:].decode("utf-8", "replace") for entry in out.split(b"\0") if entry]

    def exclude(self, pattern: str) -> None:
        """Add a pattern to the repository's `info/exclude`, once (for every worktree of it)."""
        path = self.root / self._git.text("rev-parse", "--git-path", "info/exclude")
        wanted = [pattern]
        if pattern.endswith("/") and (self.root / pattern.rstrip("/")).is_symlink():
            wanted.append(pattern.rstrip("/"))  # with a slash git means directories only
        try:
            present = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            added = [line for line in wanted if line not in present.splitlines()]
            if added:
                path.parent.mkdir(parents=True, exist_ok=True)
                begin = "\n" if present and not present.endswith("\n") else ""
                with path.open("a", encoding="utf-8") as file:
                    file.write(begin + "".join(f"{line}\n" for line in added))
        except OSError as error:
            raise RepoError(f"can't write {path}: {error.strerror}") from error

    def blocked_namespace(self, tag: str) -> str | None:
        """Return the line that says which of a person's refs is in the way of a new tag."""
        if not valid_tag(tag):
            return f"{tag!r} can't be a tag: use letters, digits, dots, - and _"
        branch, place = f"refs/heads/cockpit/{tag}", f"refs/cockpit/{tag}"
        patterns = ("refs/heads/cockpit", "refs/cockpit", NOTES)
        refs = sorted(self._git.text("for-each-ref", "--format=%(refname)", *patterns).split("\n"))
        if "refs/heads/cockpit" in refs:
            return (
                "your branch `cockpit` is in the way of the branches cockpit/TAG: "
                "git branch -m cockpit NEWNAME"
            )
        begun = any(ref.startswith(f"{place}/") for ref in refs)
        for ref in refs:
            name = ref.removeprefix("refs/heads/")
            if ref.startswith(f"{branch}/") or (ref == branch and not begun):
                return (
                    f"your branch `{name}` is in the way of the branch cockpit/{tag}: "
                    f"git branch -m {name} NEWNAME, or choose another --tag"
                )
            strange = ref.startswith(f"{place}/") and _own(ref) is None
            if ref in ("refs/cockpit", place) or strange or ref.startswith(f"{NOTES}/"):
                return f"the ref {ref} is in the way of the lab's: git update-ref -d {ref}"
        return None

    # ---- reading --------------------------------------------------------------------------

    def list_files(self, commit: str, directory: str) -> list[str]:
        """Return the names of the files that lie directly in a directory of a commit."""
        out = self._git.run("ls-tree", "-z", f"{commit}:{directory}").decode("utf-8", "replace")
        entries = (entry.partition("\t") for entry in out.split("\0") if entry)
        return [name for about, _, name in entries if about.split()[0] in REGULAR_MODES]

    def read_file(self, commit: str, path: str) -> bytes:
        """Return the bytes of a file in a commit; raises `RepoError` where it has none."""
        done = self._git.attempt("cat-file", "blob", f"{commit}:{path}")
        if done.returncode:
            raise RepoError(f"can't read {path} in the commit {commit[:9]}: {said(done.stderr)}")
        return done.stdout

    def read_text(self, commit: str, path: str) -> str:
        """Return the text of a file in a commit; raises `RepoError` when it is no UTF-8."""
        try:
            return self.read_file(commit, path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise RepoError(f"{path} in the commit {commit[:9]} is not UTF-8: {error}") from error

    def read_objects(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the contents of many objects (`hash` or `commit:path`), None where missing."""
        if not names:
            return []
        out = self._git.run("cat-file", "--batch", data="".join(f"{n}\n" for n in names).encode())
        contents: list[bytes | None] = []
        at = 0
        for _ in names:
            end = out.index(b"\n", at)
            header, at = out[at:end], end + 1
            if header.endswith((b" missing", b" ambiguous")):
                contents.append(None)
                continue
            size = int(header.rpartition(b" ")[2])
            contents.append(out[at : at + size])
            at += size + 1
        return contents

    def object_names(self, names: Sequence[str]) -> list[str | None]:
        """Return the hashes of many objects (`hash` or `commit:path`), None where missing."""
        if not names:
            return []
        data = "".join(f"{name}\n" for name in names).encode()
        out = self._git.run("cat-file", "--batch-check=%(objectname)", data=data).decode()
        return [None if " " in line else line for line in out.splitlines()]

    def commits(self, hashes: Sequence[str]) -> dict[str, Commit]:
        """Return the commits of these hashes that exist."""
        found = zip(hashes, self.read_objects(hashes), strict=True)
        return {name: commits.parse(name, raw) for name, raw in found if raw is not None}

    def experiment_refs(self) -> dict[tuple[str, int], str]:
        """Return the commit of every experiment by tag and id."""
        out = self._git.text("for-each-ref", "--format=%(objectname) %(refname)", "refs/cockpit")
        refs: dict[tuple[str, int], str] = {}
        for line in out.splitlines():
            commit, _, ref = line.partition(" ")
            if own := _own(ref):
                refs[own] = commit
        return refs

    def read_notes(self) -> dict[str, dict[str, Any]]:
        """Return the notes that are JSON objects, by commit."""
        listed = self._git.attempt("ls-tree", "-r", "-z", NOTES)
        places = {}
        for line in filter(None, listed.stdout.split(b"\0")):
            about, _, path = line.decode("utf-8", "replace").partition("\t")
            places[path.replace("/", "")] = about.split()[2]
        contents = self.read_objects(list(places.values()))
        notes = {}
        for commit, content in zip(places, contents, strict=True):
            note = _json_object(content or b"")
            if note is not None:
                notes[commit] = note
        return notes

    def diff(self, commit: str) -> str:
        """Return the change of train.py that a commit makes to its first parent."""
        return self._git.run(
            "diff-tree", "-p", "-r", "--no-color", "--no-ext-diff", "--no-textconv",
            "--no-renames", "--root", "--no-commit-id", commit, "--", TRAIN_PY,
        ).decode("utf-8", "replace")  # fmt: skip

    def patch(self, commit: str) -> bytes:
        """Return the same change as `git am` takes it, statistics first; empty where it is none."""
        return self._git.run(
            "diff-tree", "--patch-with-stat", "--full-index", "-r", "--no-color",
            "--no-ext-diff", "--no-textconv", "--no-renames", "--no-commit-id",
            "--src-prefix=a/", "--dst-prefix=b/", commit, "--", TRAIN_PY,
        )  # fmt: skip

    def fsck(self) -> list[str]:
        """Return what git finds wrong with the repository; dangling objects are not."""
        done = self._git.attempt("fsck", "--no-dangling", "--no-progress")
        lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
        return [line for line in lines if not line.startswith("notice:")]

    # ---- writing --------------------------------------------------------------------------

    def commit_experiment(
        self,
        parent: str,
        train_py: str,
        *,
        title: str,
        body: str,
        tag: str,
        number: int,
        proposer: str,
        replace: bool = False,
    ) -> str:
        """Make the commit of an experiment on its parent, and its ref; return the hash.

        Asked again for the same parent and text it returns the commit that is there. Another
        commit under the same id, from a claim that was cut off, is replaced, but one that has
        a note (a result) only with `replace`: else `RepoError` is raised, because then the
        journal has forgotten an experiment that git knows.
        """
        ref = f"refs/cockpit/{tag}/{number}"
        existing = self._commit_of(ref)
        if existing is not None:
            if self._is_same(existing, parent, train_py):
                return existing
            if not replace and self._has_note(existing):
                raise RepoError(
                    f"{ref} is another experiment already ({existing[:9]}), with a result that "
                    "the journal does not know: start a new --tag"
                )
        trailers = {"Cockpit-Experiment": str(number), "Cockpit-Tag": tag, "Proposer": proposer}
        text = commits.message(title, body, trailers)
        stream = (
            f"feature get-mark\ncommit {ref}\nmark :1\n{_signature()}{_data(text)}"
            f"from {parent}\nM {self._mode(parent)} inline {TRAIN_PY}\n{_data(train_py)}"
            "get-mark :1\ndone\n"
        )
        return self._import(stream, *(("--force",) if existing else ())).strip()

    def _commit_of(self, ref: str) -> str | None:
        found = self._git.attempt("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return None if found.returncode else found.stdout.decode().strip()

    def _is_same(self, commit: str, parent: str, train_py: str) -> bool:
        text, about = self.read_objects([f"{commit}:{TRAIN_PY}", commit])
        if text is None or about is None:
            return False
        return text == train_py.encode() and commits.parse(commit, about).parents == (parent,)

    def _has_note(self, commit: str) -> bool:
        return self._git.attempt("notes", "--ref", NOTES, "list", commit).returncode == 0

    def _mode(self, parent: str) -> str:
        done = self._git.attempt("ls-tree", parent, "--", TRAIN_PY)
        if done.returncode:
            raise RepoError(f"the parent commit {parent[:9]} is not in {self.root}")
        mode = done.stdout.partition(b" ")[0].decode()
        return mode if mode in REGULAR_MODES else REGULAR_MODES[0]

    def write_note(self, commit: str, note: Mapping[str, Any]) -> None:
        """Write the note of a commit, over the one that is there."""
        known = self._git.attempt("rev-parse", "--verify", "--quiet", NOTES)
        onto = "" if known.returncode else f"from {NOTES}^0\n"
        text = _as_text(note)
        self._import(
            f"commit {NOTES}\n{_signature()}{_data('Note a result')}{onto}"
            f"N inline {commit}\n{_data(text)}done\n"
        )

    def _import(self, stream: str, *options: str) -> str:
        """Feed `git fast-import`; a report that it leaves behind when it fails is removed."""
        try:
            out = self._git.run(
                "fast-import", "--quiet", "--done", "--date-format=raw", *options,
                data=stream.encode("utf-8", "backslashreplace"),
            )  # fmt: skip
        except RepoError:
            git_directory = self.root / self._git.text("rev-parse", "--git-dir")
            for report in git_directory.glob("fast_import_crash_*"):
                report.unlink(missing_ok=True)
            raise
        return out.decode()

    def move_branch(self, tag: str, commit: str) -> str | None:
        """Point the branch `cockpit/<tag>` at a commit; return a warning when it can't be.

        A branch that is checked out in some worktree is left alone: moving it would make
        that person's files look edited.
        """
        branch = f"refs/heads/cockpit/{tag}"
        about = self._git.text("for-each-ref", "--format=%(objectname) %(worktreepath)", branch)
        present, _, worktree = about.partition("\n")[0].partition(" ")
        if present == commit:
            return None
        if worktree:
            return (
                f"the branch cockpit/{tag} is checked out in {worktree} and stays at "
                f"{present[:9]}; the base is {commit[:9]}"
            )
        try:
            self._git.run("update-ref", "-m", "cockpit: the base has moved", branch, commit)
        except RepoError:
            blocked = self.blocked_namespace(tag)
            if blocked is None:
                raise
            return blocked
        return None


_REF = re.compile(r"refs/cockpit/(?P<tag>[^/]+)/(?P<number>[0-9]+)")


def _own(ref: str) -> tuple[str, int] | None:
    """Return tag and id of an experiment's ref, None for any other ref."""
    found = _REF.fullmatch(ref)
    return (found["tag"], int(found["number"])) if found else None


def _why_not(errors: bytes, root: Path) -> str:
    text = errors.decode("utf-8", "replace")
    if "dubious ownership" in text:
        command = next((s.strip() for s in text.splitlines() if "safe.directory" in s), None)
        command = command or f"git config --global --add safe.directory {root}"
        return f"git calls {root} dubious, because it belongs to somebody else: {command}"
    if "must be run in a work tree" in text:
        return f"{root} is a bare repository: a lab needs a working tree (git clone it)"
    if "not a git repository" in text:
        return f"{root} is not a git repository: `cockpit init` makes it one"
    return f"git can't use {root}: {said(errors)}"


def _signature() -> str:
    return f"committer {NAME} <{EMAIL}> {int(time.time())} +0000\n"


def _data(text: str) -> str:
    return f"data {len(text.encode('utf-8', 'backslashreplace'))}\n{text}\n"


def _as_text(note: Mapping[str, Any]) -> str:
    """Return a note as JSON in two lines: what a person looks for, and the rest.

    `git log --notes=cockpit` prints it under every experiment.
    """
    first = {name: note[name] for name in NOTE_FIRST if name in note}
    rest = {name: value for name, value in note.items() if name not in first}
    lines = [
        json.dumps(part, ensure_ascii=False, allow_nan=False)[1:-1]
        for part in (first, rest)
        if part
    ]
    return "{" + ",\n ".join(lines) + "}"


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
