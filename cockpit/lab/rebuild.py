"""The journal's picture in git: what a note says, and a journal made from notes and refs.

Experiments, runs, verdicts, tags and setups can be had back from git alone. Nights, hints,
the conversation and proposals that no slot had claimed can't. No sealed score is ever in a
note: proposers may read them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from cockpit.core.edits import difference
from cockpit.core.experiment import (
    BY_RULE,
    VERDICTS,
    Event,
    Experiment,
    Proposal,
    Run,
    Status,
    Verdict,
)
from cockpit.lab.commits import Commit
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.writing import EngineJournal

FORMAT = 1

_BY_RULE = {
    Status.KEPT: Event.KEEP,
    Status.DISCARDED: Event.DISCARD,
    Status.BORDERLINE: Event.ASK,
    Status.CRASHED: Event.CRASH,
    Status.INVALID: Event.REFUSE,
    Status.STOPPED: Event.STOP,
}
_BY_HAND = {Status.KEPT: Event.ACCEPT, Status.DISCARDED: Event.REJECT}
_PROPOSAL_FIELDS = (
    "constants",
    "predicted",
    "program",
    "model",
    "repair_of",
    "order",
    "reapplies",
    "ablates",
)
"""What a note says of a proposal beside title and reason."""
_LATER = ("named", "purpose", "spared")
"""Fields of a run that older notes do not have."""
_RUN_FIELDS = tuple(one.name for one in fields(Run) if one.name not in _LATER)


_FIGURES = ("probability", "gain", "gain_error")
"""What the rule said of it, which older notes do not have."""
_CARRIED = ("from", "effects")
"""Options of a tag that its baseline's note keeps: what it was begun from, and with."""


class NoteError(ValueError):
    """A note is none of ours, or incomplete; the message says what is missing."""


def note_of(
    experiment: Experiment,
    delta: float | None,
    *,
    setup_fields: Mapping[str, Any] | None = None,
    preset: str | None = None,
    proposal: Proposal,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the note of an experiment; `setup_fields` and the tag's `options` for a baseline."""
    finished = [run.setup for run in experiment.runs if run.purpose != "horizon"]
    note: dict[str, Any] = {
        "format": FORMAT,
        "id": experiment.id,
        "tag": experiment.tag,
        "parent": experiment.parent,
        "title": experiment.title,
        "hypothesis": experiment.hypothesis,
        "proposer": experiment.proposer,
        # What it changed in the text is in the commit.
        "proposal": {name: getattr(proposal, name) for name in _PROPOSAL_FIELDS},
        "status": str(experiment.status),
        "decided_by": experiment.decided_by,
        "reason": experiment.reason,
        "val_bpb": experiment.val_bpb,
        "delta": delta,
        **{name: getattr(experiment, name) for name in _FIGURES},
        "runs": [asdict(run) for run in experiment.runs],
        "setup": finished[-1] if finished else None,
        "preset": preset,
        "created_at": experiment.created_at,
        "claimed_at": experiment.claimed_at,
        "decided_at": experiment.decided_at,
    }
    if setup_fields:
        note["setup_fields"] = dict(setup_fields)
        note["carried"] = {n: v for n, v in (options or {}).items() if n in _CARRIED}
    return note


@dataclass(frozen=True, slots=True)
class Noted:
    """What a note says, in our own terms."""

    experiment: Experiment
    proposal: Proposal
    setup: str | None
    setup_fields: dict[str, Any] | None
    preset: str | None
    carried: Mapping[str, Any] = field(default_factory=dict)


def from_note(note: Mapping[str, Any], commit: str, train_py: str) -> Noted:
    """Return what a note of ours says of the experiment in `commit`.

    Raises `NoteError` where it can't be understood.
    """
    if note.get("format") != FORMAT:
        raise NoteError(f"the note's format is {note.get('format')!r}, not {FORMAT}")
    try:
        runs = tuple(
            Run(
                **{name: run[name] for name in _RUN_FIELDS},
                **{name: run[name] for name in _LATER if name in run},
            )
            for run in note["runs"]
        )
        given = dict(note["proposal"])
        said: dict[str, Any] = {name: given.get(name) for name in _PROPOSAL_FIELDS}
        said["ablates"] = tuple(said["ablates"]) if said["ablates"] is not None else None
        parent = note["parent"]
        experiment = Experiment(
            id=int(note["id"]),
            tag=str(note["tag"]),
            parent=None if parent is None else int(parent),
            title=str(note["title"]),
            proposer=str(note["proposer"]),
            status=Status(note["status"]),
            created_at=float(note["created_at"]),
            commit=commit,
            hypothesis=str(note["hypothesis"]),
            decided_by=note["decided_by"],
            reason=note["reason"],
            claimed_at=note["claimed_at"],
            decided_at=note["decided_at"],
            **{name: note.get(name) for name in _FIGURES},
            runs=runs,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NoteError(f"the note lacks or mistells {error}") from error
    proposal = Proposal(
        title=experiment.title,
        proposer=experiment.proposer,
        hypothesis=experiment.hypothesis,
        train_py=train_py if said["constants"] is None else None,
        **said,
    )
    return Noted(experiment, proposal, note.get("setup"), note.get("setup_fields"),
                 note.get("preset"), note.get("carried") or {})  # fmt: skip


def from_commit(commit: Commit, tag: str, number: int, parent: int | None, train_py: str) -> Noted:
    """Return an experiment that was claimed and never judged: it is queued again."""
    title, proposer = commit.title, commit.trailers.get("Proposer", "unknown")
    experiment = Experiment(
        number, tag, parent, title, proposer, Status.QUEUED, commit.at, commit.hash, commit.body,
        reason="rebuilt from git, where it has no verdict",
    )  # fmt: skip
    proposal = Proposal(title, proposer, commit.body, train_py=train_py)
    return Noted(experiment, proposal, None, None, None)


# ---- a whole journal --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of a rebuild."""

    experiments: int
    warnings: tuple[str, ...]
    """What could not be had back, a line each."""


def rebuild(repo: Repo, journal: EngineJournal) -> Rebuilt:
    """Fill an empty journal from the refs and notes of a repository, all or nothing.

    Raises `ValueError` when the journal already has experiments.
    """
    if journal.experiments():
        raise ValueError(f"{journal.path} has experiments already: nothing is rebuilt over it")
    warnings: list[str] = []
    noted = _read(repo, warnings)
    measured = {
        tag: one for tag, one in _baselines(noted).items() if one.setup and one.setup_fields
    }
    noted, left = _split(noted, measured)
    warnings += [f"{tag} is left out: its baseline has no result" for tag in left]
    with journal.transaction():
        for tag, baseline in measured.items():
            hashes = [baseline.experiment.commit or ""]
            parents = [p for commit in repo.commits(hashes).values() for p in commit.parents]
            known = baseline.setup_fields or {}
            options = {"parent_commit": (parents or hashes)[0], "corpus": known["corpus"]}
            options |= baseline.carried
            journal.add_tag(tag, known, baseline.setup or "", baseline.preset or "", options)
        for one in noted:
            _write(journal, one)
    return Rebuilt(len(noted), tuple(warnings))


def _read(repo: Repo, warnings: list[str]) -> list[Noted]:
    """Return every experiment that git knows, ascending by id, parents before children."""
    refs = sorted(repo.experiment_refs().items(), key=lambda item: item[0][1])
    hashes = [commit for _, commit in refs]
    commits, notes = repo.commits(hashes), repo.read_notes()
    texts = repo.read_objects([f"{commit}:{TRAIN_PY}" for commit in hashes])
    by_commit: dict[str, int] = {}
    found: dict[int, Noted] = {}
    found_texts: dict[int, str] = {}
    for ((tag, number), commit), text in zip(refs, texts, strict=True):
        what = f"refs/cockpit/{tag}/{number}"
        if text is None or commit not in commits or number in found:
            why = "its id is taken" if number in found else f"no {TRAIN_PY} in its commit"
            warnings.append(f"{what} is left out: {why}")
            continue
        train_py = text.decode("utf-8", "replace")
        parent = next((by_commit[p] for p in commits[commit].parents if p in by_commit), None)
        if parent is not None and found[parent].experiment.tag != tag:
            parent = None  # a baseline that grows from another tag's experiment
        one = from_commit(commits[commit], tag, number, parent, train_py)
        if commit in notes:
            try:
                one = from_note(notes[commit], commit, train_py)
            except NoteError as error:
                warnings.append(f"{what} is queued again: {error}")
        if parent is not None and one.proposal.train_py is not None:
            edits = difference(found_texts[parent], train_py)
            one = replace(one, proposal=replace(one.proposal, train_py=None, edits=edits))
        if (one.experiment.id, one.experiment.tag) != (number, tag):
            warnings.append(f"{what} is left out: its note is of #{one.experiment.id}")
            continue
        if one.experiment.parent is not None and one.experiment.parent not in found:
            warnings.append(f"{what} is left out: its parent #{one.experiment.parent} is gone")
            continue
        found[number], by_commit[commit], found_texts[number] = one, number, train_py
    return list(found.values())


def _baselines(noted: list[Noted]) -> dict[str, Noted]:
    firsts = [one for one in noted if one.experiment.parent is None]
    return {one.experiment.tag: one for one in reversed(firsts)}


def _split(noted: list[Noted], measured: Mapping[str, Noted]) -> tuple[list[Noted], list[str]]:
    """Return the experiments of measured tags, and the other tags by name."""
    left = sorted({one.experiment.tag for one in noted} - set(measured))
    return [one for one in noted if one.experiment.tag in measured], left


def _write(journal: EngineJournal, one: Noted) -> None:
    own = one.experiment
    journal.add_experiment(
        own.tag, own.parent, one.proposal, number=own.id, created_at=own.created_at
    )
    for run in own.runs:
        lost = run.state == "running"
        journal.add_run(replace(run, state="lost", reason="the journal was lost") if lost else run)
    journal.change_experiment(own.id, commit_hash=own.commit)
    if own.status in VERDICTS:
        by_rule = own.decided_by in (None, BY_RULE)
        event = _BY_RULE[own.status] if by_rule else _BY_HAND.get(own.status, Event.STOP)
        verdict = Verdict(event, own.reason or "", own.decided_by or BY_RULE)
        journal.decide(own.id, own.status, verdict, own.decided_at)
    figures = {name: getattr(own, name) for name in _FIGURES}
    journal.change_experiment(own.id, claimed_at=own.claimed_at, **figures)
