"""What a person carries away of an experiment: `cockpit export ID DIR`.

    train.py, *.py, presets.toml    trains by hand, without cockpit
    tokenizer/                      of the corpus that it was measured on
    checkpoint.pt                   the weights of its first scored run, where they are left
    patches/                        one for each change from the baseline to it
    README.txt                      what this is, and how it is run

All of it is built beside the place and moved there when it is whole.
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.core.experiment import Experiment
from cockpit.core.patches import Change, file_name, mail, worth
from cockpit.core.quoting import one_line
from cockpit.core.setup import setup_line
from cockpit.core.tree import lineage
from cockpit.lab import corpus, measuring
from cockpit.lab.journal import Journal
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.record import RunDirectoryError, open_regular
from cockpit.lab.repo import TRAIN_PY, Repo
from cockpit.lab.rows import Tag
from cockpit.lab.rundir import RunDirectory

TOKENIZER_FILES = ("tokenizer.json", "token_bytes.npy", "meta.json")
CHECKPOINT = "checkpoint.pt"
PIECE_BYTES = 1 << 22
NEEDS = "torch>=2.9,<2.14, numpy, tiktoken, rustbpe"


@dataclass(frozen=True, slots=True)
class _Source:
    """All that is known of what is carried away."""

    lab: Lab
    repo: Repo
    path: tuple[Experiment, ...]
    """From the baseline to it."""
    tag: Tag
    setup: Mapping[str, Any]
    cache: Path | None
    """Where prepared corpora are, where it is not the usual place."""

    @property
    def own(self) -> Experiment:
        return self.path[-1]


def export(lab: Lab, number: int, directory: Path, cache: Path | None = None) -> str:
    """Write an experiment that has a commit into a new directory; return in words what is there.

    Raises `LabError` with one line, and then nothing is left behind.
    """
    source = _source(lab, number, cache)
    directory = directory.expanduser().absolute()
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise LabError(f"{directory} is there already: name a new directory, or an empty one")
    if not directory.parent.is_dir():
        raise LabError(f"there is no directory {directory.parent}")
    with _appearing(directory) as new:
        _write_trainer(source, new)
        tokenizer = _write_tokenizer(source, new / "tokenizer")
        checkpoint = _write_checkpoint(source, new / CHECKPOINT)
        patches, origin = _write_patches(source, new / "patches")
        text = _readme(source, tokenizer, checkpoint, patches, origin)
        (new / "README.txt").write_text(text, encoding="utf-8")
    parts = ["train.py, which runs by hand", tokenizer, checkpoint, patches]
    return "\n".join([f"#{number} is in {directory}", *(f"  {part}" for part in parts)])


def _source(lab: Lab, number: int, cache: Path | None) -> _Source:
    journal = Journal(lab.journal, write=False)
    try:
        path = lineage(journal.experiments(), number)
        tag = journal.tag(path[-1].tag)
        setup = journal.setup(tag.setup) if tag else None
    finally:
        journal.close()
    if tag is None or setup is None or any(own.commit is None for own in path):
        raise LabError(f"the journal has lost what #{number} was measured with")
    return _Source(lab, Repo(lab.root), tuple(path), tag, setup, cache)


@contextlib.contextmanager
def _appearing(directory: Path) -> Iterator[Path]:
    """Give a directory to write in that becomes `directory`, or is gone when something fails.

    An empty one that is there already is filled: a terminal may stand in it.
    """
    new = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    made: list[Path] = []
    try:
        yield new
        new.chmod(0o755)
        if not directory.exists():
            new.rename(directory)
            return
        for part in sorted(new.iterdir()):
            made.append(directory / part.name)
            part.rename(directory / part.name)
        made.clear()
    finally:
        for path in made:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(new, ignore_errors=True)


def _write_trainer(source: _Source, directory: Path) -> None:
    commit = source.own.commit or ""
    for name in source.repo.list_files(commit, "trainer"):
        if measuring.is_fixed(name) or f"trainer/{name}" == TRAIN_PY:
            content = source.repo.read_file(commit, f"trainer/{name}")
            (directory / name).write_bytes(content)


def _write_tokenizer(source: _Source, directory: Path) -> str:
    """Copy the tokenizer of the prepared corpus and return what is there of it."""
    found = corpus.find(source.cache or corpus.cache_directory(), source.setup)
    name = one_line(str(source.setup.get("corpus")), 80)
    if found is None:
        return f"no tokenizer: the corpus {name} is not prepared on this machine any more"
    directory.mkdir()
    for file in TOKENIZER_FILES:
        shutil.copyfile(found / file, directory / file)
    text = (directory / TOKENIZER_FILES[0]).read_bytes()
    if not hashlib.sha256(text).hexdigest().startswith(str(source.setup.get("tokenizer_hash"))):
        shutil.rmtree(directory)
        return f"no tokenizer: the one in {found} is another than it was trained with"
    return f"tokenizer/, of the corpus {name}"


def _write_checkpoint(source: _Source, path: Path) -> str:
    """Copy the checkpoint of the first scored run that has one and return what is there."""
    own, why = source.own, "it was removed to make room, or there never was one"
    for run in own.scored:
        directory = source.lab.run_directory(own.id, run.number)
        try:
            copied = _copied(directory / CHECKPOINT, path)
            told = RunDirectory(directory).read_exit()
        except FileNotFoundError:
            continue
        except RunDirectoryError as error:
            why = str(error)
            told = None
        if told is not None and told.checkpoint_sha256 == copied:
            return f"{CHECKPOINT}, of run {run.number} (seed {run.seed}, val_bpb {run.val_bpb:.4f})"
        path.unlink()
        why = f"the one of run {run.number} is not what was scored"
    return f"no checkpoint: {why}"


def _copied(source: Path, target: Path) -> str:
    """Copy what a training has left, if it is a regular file, and return its hash."""
    total = hashlib.sha256()
    with open_regular(source) as descriptor, target.open("wb") as file:
        while piece := os.read(descriptor, PIECE_BYTES):
            total.update(piece)
            file.write(piece)
    return total.hexdigest()


def _write_patches(source: _Source, directory: Path) -> tuple[str, str]:
    """Write the patches; return in words how many, and the commit that they apply to.

    What the baseline itself changes (the constants of its preset) is the patch 0000.
    """
    directory.mkdir()
    first, *later = source.path
    hashes = [first.commit or ""]
    commits = source.repo.commits(hashes)
    origin = next((p for c in commits.values() for p in c.parents), hashes[0])
    changes = [Change(first, None, source.repo.patch(hashes[0]))]
    for parent, own in zip(source.path, later, strict=False):
        changes.append(Change(own, parent, source.repo.patch(own.commit or "")))
    for number, change in enumerate(changes):
        if change.diff:
            name = file_name(number, change.experiment.title)
            (directory / name).write_bytes(mail(change, number, len(later)))
    told = f"patches/, {len(later)} of them from the baseline #{first.id} to it"
    if changes[0].diff:
        told += ", before which 0000 makes the baseline"
    return told, origin


def _readme(source: _Source, tokenizer: str, checkpoint: str, patches: str, origin: str) -> str:
    own = source.own
    parent = source.path[-2] if len(source.path) > 1 else None
    weights = ""
    if checkpoint.startswith(CHECKPOINT):
        weights = (
            "\nThe checkpoint is the state dict of what build_model(task) in train.py returns:\n"
            f'torch.load("{CHECKPOINT}", map_location="cpu", weights_only=True)\n'
        )
    lines = "\n".join(worth(own, parent))
    title = one_line(own.title, 300)
    hypothesis = f"\n{one_line(own.hypothesis, 2000)}\n" if own.hypothesis else ""
    return f"""\
#{own.id} of {source.tag.name}: {title}
{hypothesis}
{lines}
{setup_line(source.setup)}

To train it as it was measured, without cockpit:

    {_command(source)}

It prints its figures at the end; --help has the options. It needs
{NEEDS}; for corpora of the hub huggingface_hub and pyarrow.

What is here besides train.py and the trainer files of commit {(own.commit or "")[:12]}:

- {tokenizer}
- {checkpoint}
- {patches}
{weights}
The patches change trainer/train.py. In a clone of the lab, on the commit
{origin}:

    git am --keep-cr --keep-non-patch patches/*.patch
"""


def _command(source: _Source) -> str:
    """Return what is typed to train it once more, as far as this machine is like that one."""
    setup, words = source.setup, ["python", "train.py"]
    if setup.get("corpus"):
        words += ["--corpus", str(setup["corpus"])]
    if source.tag.preset:
        words += ["--preset", source.tag.preset]
    if isinstance(setup.get("budget_seconds"), int | float):
        words += ["--budget", f"{setup['budget_seconds']:g}s"]
    if source.own.runs:
        words += ["--seed", str(source.own.runs[0].seed)]
    place = f"COCKPIT_CACHE={shlex.quote(str(source.cache))} " if source.cache else ""
    return place + shlex.join(words)
