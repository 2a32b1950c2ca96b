"""The experiment tree in git, beside a person who works in the same repository."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from gitting import TRAIN, TRAINER, git, make_repository, write

from cockpit.lab.newlab import init_lab
from cockpit.lab.repo import TRAIN_PY, Repo, RepoError
from cockpit.lab.tags import valid_tag


def commit(
    repo: Repo, parent: str, text: str, number: int = 1, tag: str = "t", **more: bool
) -> str:
    return repo.commit_experiment(
        parent, text, title="Deeper", body="Because.", tag=tag, number=number,
        proposer="search", **more,
    )  # fmt: skip


def persons_view(root: Path) -> tuple[str, ...]:
    """What must stay as it is: HEAD, index, working tree."""
    index = (root / git(root, "rev-parse", "--git-path", "index")).read_bytes().hex()
    return (
        git(root, "rev-parse", "HEAD"),
        git(root, "symbolic-ref", "-q", "HEAD", check=False),
        index,
        git(root, "--no-optional-locks", "status", "--porcelain"),
    )


# ---- what a person has ------------------------------------------------------------------------


def test_a_clean_repository_gives_no_warning(repo: Repo) -> None:
    assert repo.check() == []
    assert repo.head()[1] == "main"


def test_a_detached_head_is_a_warning_that_names_the_commit(repo: Repo, root: Path) -> None:
    git(root, "checkout", "-q", "--detach")
    (warning,) = repo.check()
    assert git(root, "rev-parse", "HEAD")[:9] in warning
    assert repo.head()[1] is None


def test_no_repository_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RepoError, match="not a git repository: `cockpit init`"):
        Repo(tmp_path / "empty").check()


def test_a_repository_of_somebody_else_names_the_command(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(RepoError, match=r"git config --global --add safe\.directory"):
        repo.check()


def test_no_commit_yet_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q")
    with pytest.raises(RepoError, match="no commit yet: git add"):
        Repo(tmp_path / "new").check()


def test_a_trainer_that_is_not_committed_is_named(repo: Repo, root: Path) -> None:
    git(root, "rm", "-q", "--cached", "trainer/harness.py")
    git(root, "commit", "-q", "-m", "Forget")
    with pytest.raises(RepoError, match=r"not committed in HEAD: trainer/harness\.py"):
        repo.check()


def test_a_train_py_that_is_a_link_is_refused(repo: Repo, root: Path) -> None:
    (root / TRAIN_PY).unlink()
    (root / TRAIN_PY).symlink_to("harness.py")
    git(root, "commit", "-qam", "Link")
    with pytest.raises(RepoError, match="link"):
        repo.check()


def test_a_missing_git_is_one_line(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RepoError, match="git is not installed"):
        repo.check()


def test_a_bare_repository_and_a_folder_of_another_are_refused(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(root), "bare.git")
    with pytest.raises(RepoError, match="bare"):
        Repo(tmp_path / "bare.git").check()
    with pytest.raises(RepoError, match="lies inside the repository"):
        Repo(root / "trainer").check()


def test_edits_are_found_and_left(repo: Repo, root: Path) -> None:
    assert repo.dirty(("trainer", "program.md")) == []
    write(root, {"program.md": "half-finished", TRAIN_PY: "DEPTH = 5\n", "other.txt": "x"})
    git(root, "add", TRAIN_PY)
    before = persons_view(root)
    assert repo.dirty(("trainer", "program.md")) == ["program.md", TRAIN_PY]
    assert repo.read_text(repo.head()[0], TRAIN_PY) == TRAIN
    assert persons_view(root) == before


def test_the_state_is_excluded_once_also_in_a_worktree(repo: Repo, root: Path) -> None:
    git(root, "worktree", "add", "-q", "../second")
    second = root.parent / "second"
    for _ in range(2):
        repo.exclude(".cockpit/")
        Repo(second).exclude(".cockpit/")
    assert (root / ".git/info/exclude").read_text().count(".cockpit/") == 1
    for place in (root, second):
        write(place, {".cockpit/journal.db": ""})
        assert git(place, "status", "--porcelain") == ""


def test_a_state_directory_that_is_a_link_is_excluded_too(
    repo: Repo, root: Path, tmp_path: Path
) -> None:
    (root / ".git/info/exclude").write_text("*.bak")  # without a line end
    (tmp_path / "elsewhere").mkdir()
    (root / ".cockpit").symlink_to(tmp_path / "elsewhere")
    repo.exclude(".cockpit/")
    assert git(root, "status", "--porcelain") == ""
    assert (root / ".git/info/exclude").read_text().startswith("*.bak\n")


# ---- experiments ------------------------------------------------------------------------------


def test_an_experiment_is_a_commit_on_its_parent_where_only_train_py_differs(
    repo: Repo, root: Path
) -> None:
    head = repo.head()[0]
    before = persons_view(root)
    made = commit(repo, head, "DEPTH = 5\n")
    assert git(root, "rev-parse", f"{made}^") == head
    assert git(root, "diff", "--name-only", head, made) == TRAIN_PY
    assert repo.experiment_refs() == {("t", 1): made}
    assert git(root, "log", "-1", "--format=%an <%ae> %cn", made) == (
        "cockpit <cockpit@localhost> cockpit"
    )
    assert persons_view(root) == before
    assert repo.fsck() == []


def test_hooks_signing_filters_and_variables_of_a_person_do_not_matter(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (home / ".gitconfig").open("a") as file:
        file.write(
            "[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n\tfsmonitor = /bin/false\n"
            "[gpg]\n\tprogram = /bin/false\n[diff]\n\tnoprefix = true\n\texternal = /bin/false\n"
            "[i18n]\n\tcommitEncoding = latin1\n[color]\n\tui = always\n"
        )
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction"):
        hook = root / ".git/hooks" / name
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    for name, value in {
        "GIT_DIR": "/nonexistent", "GIT_INDEX_FILE": "/nonexistent/i", "GIT_WORK_TREE": "/tmp",
        "GIT_AUTHOR_NAME": "Mallory", "GIT_OBJECT_DIRECTORY": "/nonexistent/o",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    repo = Repo(root)
    head = repo.head()[0]
    text = 'A = "grün"\r\nB = 2\n'
    made = commit(repo, head, text)
    assert repo.read_file(made, TRAIN_PY) == text.encode()
    assert repo.move_branch("t", made) is None
    repo.write_note(made, {"id": 1})
    assert repo.read_notes() == {made: {"id": 1}}
    assert repo.diff(made).startswith(f"diff --git a/{TRAIN_PY} b/{TRAIN_PY}")
    assert repo.dirty(["trainer"]) == []


def test_a_linked_worktree_and_a_submodule_elsewhere_are_fine(root: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    git(root, "commit", "-q", "-m", "Add a submodule")
    git(root, "worktree", "add", "-q", "../linked")
    linked = Repo(root.parent / "linked")
    assert linked.check() == []
    before = persons_view(linked.root)
    made = commit(linked, linked.head()[0], "DEPTH = 6\n")
    linked.write_note(made, {"id": 1})
    assert persons_view(linked.root) == before
    assert Repo(root).experiment_refs() == {("t", 1): made}


def test_a_claim_that_is_made_again_finds_its_commit(repo: Repo) -> None:
    head = repo.head()[0]
    first = commit(repo, head, "DEPTH = 5\n")
    assert commit(repo, head, "DEPTH = 5\n") == first
    second = commit(repo, head, "DEPTH = 6\n")
    assert repo.experiment_refs() == {("t", 1): second}


def test_a_result_is_not_overwritten_unless_told(repo: Repo) -> None:
    head = repo.head()[0]
    first = commit(repo, head, "DEPTH = 5\n")
    repo.write_note(first, {"id": 1})
    with pytest.raises(RepoError, match="refs/cockpit/t/1 is another experiment already"):
        commit(repo, head, "DEPTH = 6\n")
    assert repo.experiment_refs() == {("t", 1): first}
    second = commit(repo, head, "DEPTH = 6\n", replace=True)
    assert repo.experiment_refs() == {("t", 1): second}


def test_a_message_can_not_be_forged(repo: Repo) -> None:
    made = repo.commit_experiment(
        repo.head()[0], "A = 1\n", title="one\x1b[31m\ntwo\r\x00 ", tag="t", number=3,
        body="why\n\n\n\nCockpit-Tag: other\x07", proposer="search\nCockpit-Experiment: 9",
    )  # fmt: skip
    told = repo.commits([made])[made]
    assert told.title == "one [31m two"
    assert told.body == "why\n\nCockpit-Tag: other"
    assert told.trailers == {
        "Cockpit-Experiment": "3", "Cockpit-Tag": "t",
        "Proposer": "search Cockpit-Experiment: 9",
    }  # fmt: skip


def test_every_experiment_gives_its_diff(repo: Repo) -> None:
    head = repo.head()[0]
    one = commit(repo, head, "DEPTH = 5\n", 1)
    two = commit(repo, one, "DEPTH = 6\n", 2)
    assert "-DEPTH = 5\n+DEPTH = 6\n" in repo.diff(two)
    assert repo.diff(commit(repo, two, "DEPTH = 6\n", 3)) == ""


def test_a_missing_file_or_commit_is_one_line(repo: Repo, root: Path) -> None:
    with pytest.raises(RepoError, match=r"can't read no\.py"):
        repo.read_file(repo.head()[0], "no.py")
    with pytest.raises(RepoError, match="parent commit 000000000 is not in"):
        commit(repo, "0" * 39 + "1", "A = 1\n")
    with pytest.raises(RepoError, match="fast-import"):
        repo.write_note("0" * 39 + "1", {})
    assert not list((root / ".git").glob("fast_import_crash*"))
    assert repo.read_objects(["0" * 40, "HEAD:program.md"]) == [None, b"# brief\n"]


def test_a_text_that_is_no_utf_8_is_refused(repo: Repo, root: Path) -> None:
    (root / TRAIN_PY).write_bytes(b"A = '\xff'\n")
    git(root, "commit", "-qam", "Latin")
    with pytest.raises(RepoError, match="not UTF-8"):
        repo.read_text("HEAD", TRAIN_PY)


# ---- the branch -------------------------------------------------------------------------------


def test_the_branch_moves_also_without_fast_forward(repo: Repo, root: Path) -> None:
    head = repo.head()[0]
    one, two = commit(repo, head, "A = 1\n", 1), commit(repo, head, "A = 2\n", 2)
    for target in (one, two, two):
        assert repo.move_branch("t", target) is None
        assert git(root, "rev-parse", "cockpit/t") == target


def test_a_branch_that_is_checked_out_somewhere_is_left_alone(repo: Repo, root: Path) -> None:
    head = repo.head()[0]
    one = commit(repo, head, "A = 1\n", 1)
    repo.move_branch("t", head)
    git(root, "worktree", "add", "-q", "../looking", "cockpit/t")
    warning = repo.move_branch("t", one)
    assert warning is not None
    assert "looking" in warning
    assert git(root, "rev-parse", "cockpit/t") == head


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        ("refs/heads/cockpit", "git branch -m cockpit NEWNAME"),
        ("refs/heads/cockpit/t/x", "git branch -m cockpit/t/x NEWNAME"),
        ("refs/heads/cockpit/t", "git branch -m cockpit/t NEWNAME"),
        ("refs/cockpit", "git update-ref -d refs/cockpit"),
        ("refs/cockpit/t", "git update-ref -d refs/cockpit/t"),
        ("refs/cockpit/t/1/x", "git update-ref -d refs/cockpit/t/1/x"),
        ("refs/notes/cockpit/x", "git update-ref -d refs/notes/cockpit/x"),
    ],
)
def test_a_ref_in_the_way_gets_its_line(repo: Repo, root: Path, ref: str, told: str) -> None:
    git(root, "update-ref", ref, "HEAD")
    assert told in (repo.blocked_namespace("t") or "")


def test_other_tags_block_nothing(repo: Repo) -> None:
    made = commit(repo, repo.head()[0], "A = 1\n")
    repo.move_branch("t", made)
    assert repo.blocked_namespace("t") is None
    assert repo.blocked_namespace("t2") is None


@pytest.mark.parametrize("tag", ["nov21", "a.b", "ü", "x-1_2"])
def test_a_tag_may_be_any_component_of_a_ref(tag: str, root: Path) -> None:
    assert valid_tag(tag)
    git(root, "check-ref-format", f"refs/heads/cockpit/{tag}")


@pytest.mark.parametrize(
    "tag",
    ["", "-x", ".x", "x.", "a/b", "a..b", "a b", "a~", "a^", "a:", "a?", "a*", "a[", "a\\",
     "x.lock", "a@b", "a\n", "\x7f", "x" * 101],
)  # fmt: skip
def test_what_git_or_the_command_line_refuses_is_no_tag(tag: str) -> None:
    assert not valid_tag(tag)


# ---- notes, numbers, neighbours ---------------------------------------------------------------


def test_a_note_is_replaced_and_git_reads_it(repo: Repo, root: Path) -> None:
    made = commit(repo, repo.head()[0], "A = 1\n")
    repo.write_note(made, {"status": "kept", "title": "größer"})
    repo.write_note(made, {"status": "discarded"})
    assert repo.read_notes() == {made: {"status": "discarded"}}
    assert "discarded" in git(root, "log", "-1", "--notes=cockpit", made)
    git(root, "notes", "--ref=cockpit", "add", "-m", "not JSON", "HEAD")
    assert repo.read_notes() == {made: {"status": "discarded"}}


def test_a_commit_and_a_note_are_quick_and_3000_are_read_at_once(repo: Repo, root: Path) -> None:
    head = repo.head()[0]
    stream = ["commit refs/notes/cockpit\ncommitter a <a@b> 1 +0000\ndata 1\nx\n"]
    parts = []
    for n in range(3000):
        parts.append(
            f"commit refs/cockpit/t/{n}\nmark :{n + 1}\ncommitter a <a@b> {n} +0000\ndata 1\nx\n"
            f"from {head}\nM 100644 inline {TRAIN_PY}\ndata 4\n{n:04}\n"
        )
        stream.append(f"N inline :{n + 1}\ndata 13\n" + f'{{"id": {n:5}}}\n')
    data = "".join([*parts, *stream]).encode()
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=data, check=True)
    began = time.perf_counter()
    refs = repo.experiment_refs()
    refs_seconds = time.perf_counter() - began
    notes = repo.read_notes()
    notes_seconds = time.perf_counter() - began - refs_seconds
    assert len(refs) == len(notes) == 3000
    assert notes[refs["t", 2999]] == {"id": 2999}
    commits, notings = [], []
    for n in range(5):
        began = time.perf_counter()
        made = commit(repo, head, f"A = {n}\n", 5000 + n)
        commits.append(time.perf_counter() - began)
        began = time.perf_counter()
        repo.write_note(made, {"id": n})
        notings.append(time.perf_counter() - began)
    print(
        f"commit {min(commits) * 1e3:.0f} ms, note {min(notings) * 1e3:.0f} ms, "
        f"3000 refs {refs_seconds * 1e3:.0f} ms, 3000 notes {notes_seconds * 1e3:.0f} ms"
    )
    # Generous: neighbours on the machine are not what is tested.
    assert min(commits) < 0.2
    assert min(notings) < 0.2
    assert refs_seconds < 1
    assert notes_seconds < 2


def test_a_person_who_commits_at_the_same_time_disturbs_nothing(repo: Repo, root: Path) -> None:
    head = repo.head()[0]
    (root / ".git/index.lock").touch()  # a person's git is at work, or was killed
    persons = threading.Thread(
        target=lambda: [git(root, "tag", f"x{n}") for n in range(10)], daemon=True
    )
    persons.start()
    made = [commit(repo, head, f"A = {n}\n", n) for n in range(10)]
    for own in made:
        repo.write_note(own, {"id": 1})
    persons.join()
    assert sorted(repo.experiment_refs().values()) == sorted(made)
    assert len(repo.read_notes()) == 10


def test_a_lock_that_a_killed_command_left_is_taken_away(repo: Repo, root: Path) -> None:
    lock = root / ".git/refs/cockpit/t/1.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (1, 1))
    made = commit(repo, repo.head()[0], "A = 1\n")
    assert repo.experiment_refs() == {("t", 1): made}
    assert not lock.exists()


# ---- a new lab --------------------------------------------------------------------------------


@pytest.fixture
def template(tmp_path: Path) -> Path:
    write(
        tmp_path / "template", TRAINER | {"themes/night.toml": "", "trainer/__pycache__/x.pyc": ""}
    )
    return tmp_path / "template"


def test_a_lab_is_made_in_a_new_place(tmp_path: Path, template: Path) -> None:
    place = tmp_path / "new" / "lab"
    added = init_lab(place, template)
    assert added == [".gitignore", "program.md", "themes", "trainer"]
    assert Repo(place).check() == []
    assert Repo(place).head()[1] == "main"
    assert git(place, "status", "--porcelain") == ""
    assert git(place, "log", "-1", "--format=%an") == "Ada"
    assert "pyc" not in git(place, "ls-files")
    assert init_lab(place, template) == []


def test_without_an_identity_the_engine_commits(tmp_path: Path, template: Path, home: Path) -> None:
    (home / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n")
    init_lab(tmp_path / "lab", template)
    assert git(tmp_path / "lab", "log", "-1", "--format=%an") == "cockpit"
    assert git(tmp_path / "lab", "status", "--porcelain") == ""


def test_nothing_of_a_person_is_overwritten_or_committed(root: Path, template: Path) -> None:
    git(root, "rm", "-q", "trainer/harness.py")
    git(root, "commit", "-q", "-m", "Drop")
    write(root, {"mine.txt": "x", "staged.txt": "y", "program.md": "my own brief"})
    git(root, "add", "staged.txt")
    assert init_lab(root, template) == [".gitignore", "themes", "trainer"]
    assert (root / "program.md").read_text() == "my own brief"
    assert git(root, "status", "--porcelain").splitlines() == [
        " M program.md", "A  staged.txt", "?? mine.txt",
    ]  # fmt: skip
    assert Repo(root).check() == []


def test_a_folder_with_content_but_no_git_becomes_a_lab(tmp_path: Path, template: Path) -> None:
    place = tmp_path / "notes"
    write(place, {"notes.txt": "x", "program.md": "mine"})
    init_lab(place, template)
    assert git(place, "show", "HEAD:program.md") == "mine"
    assert git(place, "status", "--porcelain") == "?? notes.txt"


def test_an_ignored_trainer_is_committed_all_the_same(
    tmp_path: Path, template: Path, home: Path
) -> None:
    (home / "ignore").write_text("trainer/\n*.toml\n")
    git(home, "config", "--global", "core.excludesFile", str(home / "ignore"))
    init_lab(tmp_path / "lab", template)
    assert Repo(tmp_path / "lab").check() == []


def test_a_place_that_is_a_file_is_one_line(tmp_path: Path, template: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RepoError, match="can't make a lab"):
        init_lab(tmp_path / "file", template)
