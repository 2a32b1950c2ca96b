"""Opens a night: which tag, which measuring setup, which baseline, on which rows.

A tag has one baseline and one setup. Starting it again continues it, with the trainer
files of its own baseline, whatever the working tree holds by now; anything that would
change the measure is refused with the line that starts a new tag from the best.
"""

import ast
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cockpit.core import guard
from cockpit.core.constants import ConstantsError, read, rewrite, with_ranges
from cockpit.core.experiment import Experiment, Proposal, Status
from cockpit.engine.devices import claim_devices
from cockpit.executors.base import Device
from cockpit.executors.host import cpu_device
from cockpit.lab import corpus as corpora
from cockpit.lab import measuring, presets, template
from cockpit.lab.corpus import Corpus
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.measuring import Setup
from cockpit.lab.presets import Preset
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rows import IMPORT, Tag
from cockpit.lab.settings import Settings
from cockpit.lab.tree import Tree
from cockpit.lab.writing import EngineJournal

DEFAULT_CORPUS = "stdlib"
DEFAULT_SEED = 1
GPU_BUDGET_SECONDS = 300.0
CPU_BUDGET_SECONDS = 60.0
GPU_GRACE_SECONDS = 600.0
"""What a run may take beside its budget before it counts as hung: compiling, evaluating."""
CPU_GRACE_SECONDS = 60.0
LOG_MEGABYTES = 20.0
MEMORY_SHARE = 0.9
"""Of the machine's memory: what takes more is ended before the kernel ends somebody else."""
DISK_GIGABYTES = 20.0
"""What a run directory may hold: checkpoint, log and compiled kernels."""
PROTOCOL = b"PROTOCOL = 2\n"
"""How the fixed trainer files and a supervisor talk to each other, as serving.py says it."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """All that a night rests on."""

    tag: str
    setup: Setup
    preset: Preset
    corpus: Corpus
    parent_commit: str
    """The commit that the baseline grows from; the fixed trainer files are its."""
    trainer: Path
    """Where those files are laid out for the runs."""
    seed: int
    wall_seconds: float
    """What a run may take in all before it counts as hung."""
    memory_bytes: int
    """Limit of a run's resident memory."""
    log_bytes: int
    """Limit of a run's log."""
    disk_bytes: int
    """Limit of a run directory."""

    def wall_seconds_at(self, budget_seconds: float) -> float:
        """Return what a run at another budget may take in all."""
        return self.wall_seconds + 2 * (budget_seconds - self.setup.budget_seconds)


def default_budget(device: str) -> float:
    """Return the budget of one run in seconds where none is given."""
    return CPU_BUDGET_SECONDS if device == "cpu" else GPU_BUDGET_SECONDS


def tag_of(settings: Settings, journal: EngineJournal) -> str:
    """Return the tag to work on: the one asked for, else the newest, else today's."""
    if settings.tag:
        return settings.tag
    tags = [tag for tag in journal.tags() if not tag.imported]
    return tags[-1].name if tags else time.strftime("%b%d").lower()


def open_night(
    lab: Lab,
    journal: EngineJournal,
    repo: Repo,
    tree: Tree,
    settings: Settings,
    devices: list[Device],
    say: Say,
) -> Opening:
    """Prepare everything a night needs; raises `LabError` with one line for a person."""
    name = tag_of(settings, journal)
    tag = journal.tag(name)
    if tag is None:
        return _new_tag(lab, journal, repo, tree, settings, devices[0], name, say)
    return _old_tag(lab, journal, repo, tree, settings, devices[0], tag, say)


def _new_tag(
    lab: Lab,
    journal: EngineJournal,
    repo: Repo,
    tree: Tree,
    settings: Settings,
    device: Device,
    name: str,
    say: Say,
) -> Opening:
    if blocked := repo.blocked_namespace(name):
        raise LabError(blocked)
    started = _started_from(tree, settings.start_from, say) if settings.start_from else None
    origin = started.commit if started and started.commit else _head(repo, say)
    files = _trainer_files(repo, origin)
    preset = _preset(files, settings, device)
    train_py = baseline_text(repo.read_text(origin, TRAIN_PY), preset)
    if refusal := guard.check(train_py):
        raise LabError(f"{TRAIN_PY} of {origin[:9]} can't be a baseline: {refusal}")
    budget = settings.budget_seconds or default_budget(device.kind)
    trainer = _lay_out(lab, files)
    source = settings.corpus or DEFAULT_CORPUS
    corpus = _prepare(trainer, source, preset, budget, settings, lab, say)
    _warn_of_small_corpus(corpus, preset, say)
    setup = measuring.make(
        corpus, budget, device.kind, device.name, device.threads, measuring.digest(files)
    )
    with journal.transaction():
        journal.add_tag(
            name,
            measuring.fields(setup),
            setup.hash,
            preset.name,
            {"parent_commit": origin, "corpus": source} | (_carried(tree, started)),
        )
        journal.add_experiment(
            name,
            None,
            Proposal(
                title="baseline",
                proposer="baseline",
                hypothesis=_origin_told(started),
                train_py=train_py,
            ),
        )
    tree.refresh()
    return _opening(name, setup, preset, corpus, origin, trainer, settings, device)


def _old_tag(
    lab: Lab,
    journal: EngineJournal,
    repo: Repo,
    tree: Tree,
    settings: Settings,
    device: Device,
    tag: Tag,
    say: Say,
) -> Opening:
    if tag.imported:
        raise LabError(
            f"{tag.name} was imported from {tag.imported}: there is no train.py to go on from, and "
            "nobody knows how it was measured; begin another tag: cockpit start --tag NEW"
        )
    fields = journal.setup(tag.setup)
    baseline = tree.baseline(tag.name)
    if fields is None or baseline is None:
        raise LabError(f"the journal has lost the setup of {tag.name}: start a new --tag")
    if baseline.status is Status.INVALID:
        raise LabError(
            f"the baseline of {tag.name} does not count ({baseline.reason}): mend {TRAIN_PY}, "
            "commit it, and begin a new --tag"
        )
    if settings.start_from:
        raise LabError(f"{tag.name} exists already: --from begins a new --tag")
    if settings.preset not in (None, tag.preset):
        raise LabError(f"the preset of {tag.name} is {tag.preset}: another one needs a new --tag")
    if settings.corpus not in (None, tag.options.get("corpus")):
        raise LabError(
            f"{tag.name} is measured on {tag.options.get('corpus')}: another corpus needs a new "
            f"tag: cockpit start --tag NEW --corpus {settings.corpus}"
        )
    origin = baseline.commit or str(tag.options["parent_commit"])
    files = _trainer_files(repo, origin)
    preset = presets.read(files["presets.toml"].decode())[tag.preset]
    trainer = _lay_out(lab, files)
    source = settings.corpus or str(tag.options.get("corpus") or fields["corpus"])
    budget = settings.budget_seconds or float(fields["budget_seconds"])
    corpus = _prepare(trainer, source, preset, budget, settings, lab, say)
    setup = measuring.make(
        corpus, budget, device.kind, device.name, device.threads, measuring.digest(files)
    )
    if different := measuring.differences(fields, setup):
        best = f" --from {tag.name}@best" if tree.best(tag.name) else ""
        raise LabError(
            f"{tag.name} was measured otherwise ({', '.join(different)}), and scores are only "
            f"compared within one setup: cockpit start --tag NEW{best}"
        )
    return _opening(tag.name, setup, preset, corpus, origin, trainer, settings, device)


def prepare_only(lab: Lab, settings: Settings, say: Say) -> Corpus:
    """Prepare the corpus that a new tag with these settings would use, and nothing else."""
    with claim_devices(lab, settings, lock=False) as claimed:
        device = claimed.devices[0]
    Repo(lab.root).exclude(lab.state.name)
    files = {
        path.name: path.read_bytes()
        for path in lab.trainer.iterdir()
        if measuring.is_fixed(path.name)
    }
    preset = _preset(files, settings, device)
    budget = settings.budget_seconds or default_budget(device.kind)
    source = settings.corpus or DEFAULT_CORPUS
    trainer = _lay_out(lab, files)
    gently = lab.engine_lives()
    corpus = _prepare(trainer, source, preset, budget, settings, lab, say, gently=gently)
    _warn_of_small_corpus(corpus, preset, say)
    return corpus


def _opening(
    name: str,
    setup: Setup,
    preset: Preset,
    corpus: Corpus,
    origin: str,
    trainer: Path,
    settings: Settings,
    device: Device,
) -> Opening:
    limit_gb = settings.memory_limit_gb
    machine = cpu_device().memory_bytes
    return Opening(
        tag=name,
        setup=setup,
        preset=preset,
        corpus=corpus,
        parent_commit=origin,
        trainer=trainer,
        seed=settings.seed if settings.seed is not None else DEFAULT_SEED,
        wall_seconds=2 * setup.budget_seconds
        + (CPU_GRACE_SECONDS if device.kind == "cpu" else GPU_GRACE_SECONDS),
        memory_bytes=int(limit_gb * 1e9) if limit_gb else int(MEMORY_SHARE * machine),
        log_bytes=int((settings.log_limit_mb or LOG_MEGABYTES) * 1e6),
        disk_bytes=int((settings.disk_limit_gb or DISK_GIGABYTES) * 1e9),
    )


def _head(repo: Repo, say: Say) -> str:
    """Return the commit whose train.py is the base, and say which text that is."""
    commit, branch = repo.head()
    edited = repo.dirty(("trainer", "program.md"))
    where = f"{branch or 'a detached HEAD'} ({commit[:9]})"
    if edited:
        say(
            f"the base is {TRAIN_PY} as committed on {where}; your uncommitted edits of "
            f"{', '.join(edited)} stay as they are and are not part of it"
        )
    else:
        say(f"the base is {TRAIN_PY} on {where}")
    return commit


def _started_from(tree: Tree, given: str, say: Say) -> Experiment:
    """Return the experiment that a new tag starts from; raises `LabError`."""
    name, _, best = given.partition("@")
    own: Experiment | None
    if best == "best":
        own = tree.best(name)
    elif given.isdigit():
        own = tree.experiments.get(int(given))
    else:
        raise LabError(f"--from takes TAG@best or the id of an experiment, not {given}")
    if own is not None and own.proposer == IMPORT:
        raise LabError(f"#{own.id} was imported from a table: there is no train.py to start from")
    if own is None or own.commit is None:
        raise LabError(f"there is no experiment {given} to start from: see `cockpit log`")
    say(f"the base is #{own.id} {own.title} ({own.commit[:9]}) of {own.tag}: it is measured anew")
    return own


def _carried(tree: Tree, started: Experiment | None) -> dict[str, object]:
    """Return what a new tag takes along from the one that it starts from.

    Scores can't be compared between setups; what changes do there, in units of the noise, and
    what was learnt, are a better start than nothing.
    """
    if started is None:
        return {}
    return {"from": started.id, "effects": list(tree.reckoning(started.tag).effects.learned)}


def _origin_told(started: Experiment | None) -> str:
    if started is None:
        return ""
    score = f", where it measured {started.val_bpb:.4f}" if started.val_bpb is not None else ""
    return f"#{started.id} {started.title} of {started.tag}{score}"


def _trainer_files(repo: Repo, commit: str) -> dict[str, bytes]:
    """Return the fixed trainer files of a commit by name: everything beside train.py."""
    files = {
        name: repo.read_file(commit, f"trainer/{name}")
        for name in repo.list_files(commit, "trainer")
        if measuring.is_fixed(name)
    }
    if PROTOCOL not in files.get("serving.py", b""):
        raise LabError(
            f"the trainer files of {commit[:9]} are of another cockpit than this one: copy the "
            f"files of {template.directory() / 'trainer'} but train.py over them, commit, and "
            "begin a new --tag"
        )
    return files


def _lay_out(lab: Lab, files: dict[str, bytes]) -> Path:
    directory = lab.fixed_trainer(measuring.digest(files))
    measuring.lay_out(files, directory)
    return directory


def _preset(files: dict[str, bytes], settings: Settings, device: Device) -> Preset:
    known = presets.read(files["presets.toml"].decode())
    if settings.preset is None:
        return presets.choose(known, device.kind, device.memory_bytes)
    if settings.preset not in known:
        raise LabError(f"no preset {settings.preset}: there are {', '.join(known)}")
    return known[settings.preset]


def baseline_text(train_py: str, preset: Preset) -> str:
    """Return the baseline: the committed text, with the preset's constants where it asks for them.

    Raises `LabError` when it is no Python, or lacks a constant of the preset.
    """
    try:
        ast.parse(train_py)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise LabError(f"{TRAIN_PY}:{line or '?'} does not parse: {error}") from error
    chosen = read(train_py).get("PRESET")
    if chosen is None or chosen.value != "auto":
        return train_py
    try:
        chosen_py = rewrite(train_py, preset.constants | {"PRESET": preset.name})
        return with_ranges(chosen_py, preset.ranges)
    except ConstantsError as error:
        raise LabError(
            f"the preset {preset.name} does not fit {TRAIN_PY}: {error}; "
            'set PRESET to "none" there to keep its own constants'
        ) from error


def _prepare(
    trainer: Path,
    source: str,
    preset: Preset,
    budget_seconds: float,
    settings: Settings,
    lab: Lab,
    say: Say,
    *,
    gently: bool = False,
) -> Corpus:
    kind, _, path = source.partition(":")
    if kind == "local" and not Path(path).expanduser().is_absolute():
        source = f"local:{(lab.root / path).resolve()}"
    return corpora.prepare(
        trainer,
        source,
        sequence_length=preset.sequence_length,
        vocab_size=preset.vocab_size,
        evaluation_rows=preset.evaluation_rows(budget_seconds),
        wants_tokens=preset.wants_tokens,
        cache=settings.cache_dir,
        gently=gently,
        progress=say,
    )


def _warn_of_small_corpus(corpus: Corpus, preset: Preset, say: Say) -> None:
    for warning in corpus.warnings:
        say(warning)
    if corpus.train_tokens < preset.wants_tokens:
        times = preset.wants_tokens / max(1, corpus.train_tokens)
        say(
            f"the corpus {corpus.corpus} has {corpus.train_tokens / 1e6:.1f}M training tokens; "
            f"the preset {preset.name} goes through about {preset.wants_tokens / 1e6:.0f}M in a "
            f"run, so every row will be seen about {times:.0f} times: a larger corpus "
            "(--corpus climbmix, tinystories or local:PATH) tells more"
        )
