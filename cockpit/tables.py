"""Results tables in and out: `cockpit import FILE.tsv` and `cockpit export FILE.tsv`.

What is imported becomes a tag of its own, with a setup that says so: nobody knows how it was
measured, so it is never compared with what was measured here. Its experiments have no commit:
git knows nothing of them, a journal that is rebuilt from git is without them, and the file has
to be imported again.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.core.experiment import VERDICTS, Event, Experiment, Proposal, Run, Status, Verdict
from cockpit.core.results_table import Problem, Row, Table, TableError, read_table, write_table
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab, LabError, LockedError, NoLabError
from cockpit.lab.repo import Repo
from cockpit.lab.rows import IMPORT
from cockpit.lab.tags import LONGEST_TAG, valid_tag
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

FILE_BYTES = 64_000_000
"""A larger file is no table of experiments."""
GIB = 2**30
"""Upstream's `memory_gb` is its `peak_vram_mb` / 1024."""
PAUSE = 0.001
"""Seconds between two rows: a table says in which order, not when."""
SHORT_HASH = 7
OTHER_CELLS = 60
"""So many further cells of a row are kept in its hypothesis."""

_EVENTS = {
    Status.KEPT: Event.KEEP,
    Status.DISCARDED: Event.DISCARD,
    Status.CRASHED: Event.CRASH,
    Status.BORDERLINE: Event.ASK,
    Status.INVALID: Event.REFUSE,
    Status.STOPPED: Event.STOP,
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a file."""

    tag: str
    experiments: int
    kept: int
    best: float
    """The lowest val_bpb of a kept row."""
    problems: tuple[Problem, ...]


# ---- in ----------------------------------------------------------------------------------------


def import_table(lab: Lab, path: Path, tag: str | None = None) -> Imported:
    """Make a tag of a results table; raises `LabError` with one line, and then nothing is kept."""
    content = _content(path)
    try:
        table = read_table(content)
    except TableError as error:
        raise LabError(f"{path}: {error}") from error
    name = tag or tag_for(path)
    if not valid_tag(name):
        raise LabError(f"{name!r} can't be a tag: choose one with --tag")
    try:
        with lab.locked():
            _write(lab, name, path.name, content, table)
    except LockedError as error:
        raise LabError(
            f"an engine runs in {lab.root}, and while it does nobody else writes its journal: "
            "import when the night is over (`cockpit stop` ends it)"
        ) from error
    scores = [r.val_bpb for r in table.rows if r.status is Status.KEPT and r.val_bpb is not None]
    return Imported(name, len(table.rows), len(scores), min(scores), table.problems)


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise LabError(f"{path} is {'no file' if path.exists() else 'not there'}")
    with path.open("rb") as file:
        content = file.read(FILE_BYTES + 1)
    if len(content) > FILE_BYTES:
        raise LabError(f"{path} is larger than {FILE_BYTES // 1_000_000} MB: it is no such table")
    return content


def tag_for(path: Path) -> str:
    """Return the name of the tag that a file becomes: the file's own, as far as a tag may be
    called so.
    """
    name = re.sub(r"[^\w.-]+|\.{2,}", "-", path.stem).removesuffix(".lock").strip("-.")
    return name.encode()[:LONGEST_TAG].decode("utf-8", "ignore") or "imported"


def _write(lab: Lab, tag: str, file: str, content: bytes, table: Table) -> None:
    repo = Repo(lab.root)
    repo.exclude(lab.state.name)
    journal = EngineJournal(lab.journal)
    try:
        if journal.tag(tag) is not None:
            raise LabError(f"there is a tag {tag} already: choose another one with --tag")
        if not journal.tags() and repo.experiment_refs():
            raise LabError(
                "the journal of this lab was lost: `cockpit start` rebuilds it; import after that"
            )
        about = {"imported": file, "table": hashlib.sha256(content).hexdigest()[:12]}
        setup = hashlib.sha256(json.dumps([tag, about]).encode()).hexdigest()[:12]
        with journal.transaction():
            journal.add_tag(tag, about, setup, "", {IMPORT: file})
            _add_rows(journal, tag, setup, file, table.rows)
    finally:
        journal.close()


def _add_rows(journal: EngineJournal, tag: str, setup: str, file: str, rows: Sequence[Row]) -> None:
    """Write the rows: each one's parent is the last kept one above it."""
    began = time.time() - PAUSE * len(rows)
    base: int | None = None
    for count, row in enumerate(rows):
        at = began + PAUSE * count
        title = row.description or "(no description)"
        proposal = Proposal(title=title, proposer=IMPORT, hypothesis=_hypothesis(row))
        number = journal.add_experiment(tag, base, proposal, created_at=at)
        journal.add_run(_run(number, setup, row, at))
        commit = f", commit {row.commit}" if row.commit else ""
        reason = f"as line {row.line} of {file} says{commit}"
        facts = {"line": row.line, "commit": row.commit, "description": row.description}
        verdict = Verdict(_EVENTS[row.status], reason, IMPORT, facts)
        journal.decide(number, row.status, verdict, at)
        if row.status is Status.KEPT:
            base = number


def _run(number: int, setup: str, row: Row, at: float) -> Run:
    crashed = row.status is Status.CRASHED
    return Run(
        experiment=number,
        number=1,
        seed=0,
        setup=setup,
        slot=0,
        state="failed" if crashed else "finished",
        started_at=at,
        ended_at=at,
        val_bpb=row.val_bpb,
        peak_memory_bytes=round(row.memory_gb * GIB) if row.memory_gb is not None else None,
        reason="the table calls it a crash" if crashed else None,
    )


def _hypothesis(row: Row) -> str:
    """Return what the table says of a row in further columns."""
    return "\n".join(f"{name}: {value}" for name, value in row.others[:OTHER_CELLS])


def told(done: Imported, path: Path) -> str:
    """Return in words what came of a file, and each line that was left out."""
    lines = [
        f"{done.experiments} experiments of {path.name} are the tag {done.tag} now, {done.kept} of "
        f"them kept, best {done.best:.6f}: cockpit log --tag {done.tag}"
    ]
    if done.problems:
        count = len(done.problems)
        lines.append(f"not imported: {count} line{'s' * (count != 1)}")
        lines += [f"line {problem.line}: {problem.says}" for problem in done.problems]
    return "\n".join(lines)


# ---- out ---------------------------------------------------------------------------------------


def export_table(lab: Lab, tag: str | None = None) -> tuple[str, str, int]:
    """Return the table of a tag, the tag's name, and how many experiments are in it.

    Without a name: of the present tag. Raises `NoLabError` where there is none.
    """
    journal = Journal(lab.journal, write=False)
    try:
        name = tag or journal.present_tag()
        if name is None or journal.tag(name) is None:
            raise NoLabError(f"there is no tag {name} in this lab" if name else "nothing to export")
        tree = Tree(journal)
        tree.refresh()
        decided = [own for own in tree.of(name).values() if own.status in VERDICTS]
        rows = [_row(journal, own) for own in decided]
    finally:
        journal.close()
    return write_table(rows), name, len(rows)


def _row(journal: Journal, own: Experiment) -> Row:
    commit, description = (own.commit or "")[:SHORT_HASH], own.title
    if own.proposer == IMPORT:
        facts = journal.verdicts(own.id)[0].facts
        commit, description = str(facts.get("commit", "")), str(facts.get("description", ""))
    memory = _most(run.peak_memory_bytes for run in own.runs)
    return Row(
        line=0,
        commit=commit,
        val_bpb=own.val_bpb,
        memory_gb=memory / GIB if memory is not None else None,
        status=own.status,
        description=description,
    )


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def write_file(path: Path, text: str, *, force: bool = False) -> None:
    """Write a file at once or not at all; raises `LabError` where there is one already."""
    if path.exists() and not force:
        raise LabError(f"{path} is there already: remove it, or use --force")
    if not path.parent.is_dir():
        raise LabError(f"there is no directory {path.parent}")
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
