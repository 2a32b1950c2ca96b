"""What must be right for a night: each line is ok, or says what to do."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from cockpit.engine.devices import claim_devices
from cockpit.engine.opening import DEFAULT_CORPUS, default_budget
from cockpit.engine.orders import about
from cockpit.executors.base import Device, ExecutorError
from cockpit.executors.probing import probe
from cockpit.executors.sandbox import Sandbox
from cockpit.lab import presets
from cockpit.lab.connection import JournalError
from cockpit.lab.git import RepoError
from cockpit.lab.lab import Lab, LabError
from cockpit.lab.presets import Preset
from cockpit.lab.repo import Repo
from cockpit.lab.settings import Settings
from cockpit.lab.writing import EngineJournal
from cockpit.proposers.keys import KeysError, keys_file, read_keys
from cockpit.ui.spent import dollars

NIGHT_SECONDS = 8 * 3600
RUN_BYTES = 3_000_000
"""Text, metrics and log of one run, rounded up."""
KEPT_SHARE = 0.15
"""Of the experiments of a good night this many keep their checkpoint."""
BYTES_PER_PARAMETER = 4
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "lustre", "ceph", "gpfs"}
)
TEXT_FILES = frozenset({".txt", ".md", ".jsonl", ".parquet"})
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "HF_TOKEN")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor."""

    name: str
    ok: bool
    says: str


def examine(lab: Lab, settings: Settings) -> list[Check]:
    """Examine the machine and the lab, slowest things last."""
    return [check for look in LOOKS for check in look(lab, settings)]


def _device(lab: Lab, settings: Settings) -> Iterator[Check]:
    try:
        with claim_devices(lab, settings, lock=False) as claimed:
            devices = claimed.devices
    except (LabError, ExecutorError) as error:
        yield Check("device", False, str(error))
        return
    for device in devices:
        yield Check("device", True, _device_words(device))
    yield Check("torch", True, metadata.version("torch"))
    yield _sandbox(lab, settings, devices[0])


def _sandbox(lab: Lab, settings: Settings, device: Device) -> Check:
    """What stands between a training and the rest of the machine; tried, and not assumed."""
    try:
        found = _probed(lab, settings, device)
    except ExecutorError as error:
        return Check("sandbox", False, str(error))
    wished = settings.sandbox == "none"
    ok = found.level != "none" or wished
    return Check("sandbox", ok, found.says if ok else f"{found.says}: install bubblewrap")


def _probed(lab: Lab, settings: Settings, device: Device) -> Sandbox:
    place = lab.state if lab.state.is_dir() else lab.root
    return probe(place, device, wanted=settings.sandbox or "auto", modules=("torch",))


def _device_words(device: Device) -> str:
    memory = f"{device.memory_bytes / 1e9:.0f} GB"
    if device.kind == "cpu":
        return f"CPU, {device.name}, trains on {device.threads} thread(s), {memory}"
    return f"{device.name}, {memory}, {device.uuid}"


def _disk(lab: Lab, settings: Settings) -> Iterator[Check]:
    free = shutil.disk_usage(lab.root).free
    need = forecast_bytes(lab, settings)
    says = f"{free / 1e9:.1f} GB free, a night of 8 h takes about {need / 1e9:.1f} GB"
    if free > 2 * need:
        yield Check("disk", True, says)
    else:
        yield Check("disk", False, f"{says}: make room, or move the state with --state-dir")


def forecast_bytes(lab: Lab, settings: Settings) -> int:
    """Return the bytes that a night of eight hours is expected to take on disk."""
    kind = settings.device or ("cpu" if not Path("/dev/nvidia0").exists() else "cuda")
    budget = settings.budget_seconds or default_budget(kind)
    runs = NIGHT_SECONDS / (budget * 1.15)
    parameters = 5e7 if kind == "cuda" else 2e6
    return int(runs * (RUN_BYTES + KEPT_SHARE * parameters * BYTES_PER_PARAMETER))


def _git(lab: Lab, settings: Settings) -> Iterator[Check]:
    try:
        repo = Repo(lab.root)
        warnings = repo.check()
        repo.exclude(lab.state.name)
    except RepoError as error:
        yield Check("git", False, str(error))
        return
    version = subprocess.run(
        [shutil.which("git") or "git", "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    yield Check("git", True, "; ".join([version, *warnings]))


def _keys(lab: Lab, settings: Settings) -> Iterator[Check]:
    try:
        kept = read_keys(keys_file())
    except KeysError as error:
        yield Check("keys", False, str(error))
        return
    found = [name for name in KEYS if os.environ.get(name) and name not in kept]
    told = f"{', '.join([*found, *sorted(kept)])} found" if found or kept else "none found"
    yield Check("keys", True, f"{told}; the proposer `search` needs none, `cockpit key` keeps one")


def _proposer(lab: Lab, settings: Settings) -> Iterator[Check]:
    lab.state.mkdir(
        parents=True, exist_ok=True
    )  # what a proposer writes by mistake is logged there
    told = list(about(lab, settings))
    for kind, says in told:
        yield Check("proposer", isinstance(says, str), f"{kind}: {says}")
    if not told:
        yield Check("proposer", True, proposer_words(settings))


def proposer_words(settings: Settings) -> str:
    """Return who will have the ideas, as far as the settings say it."""
    with_what = {
        "llm": ", ".join(settings.model or ()),
        "command": settings.agent or "",
    }
    told = settings.proposer or ("llm, else search" if settings.model else "search")
    used = [what for name, what in with_what.items() if what and name in told]
    limit = settings.max_cost
    at_most = f"at most {dollars(limit)} a night" if limit is not None else ""
    return "; ".join(filter(None, [told, *used, at_most]))


def _file_system(lab: Lab, settings: Settings) -> Iterator[Check]:
    began = time.monotonic()
    try:
        lab.state.mkdir(parents=True, exist_ok=True)
        kind = _file_system_kind(lab.state.resolve())
        with tempfile.TemporaryDirectory(dir=lab.state, prefix="probe-") as scratch:
            journal = EngineJournal(Path(scratch) / "journal.db")
            journal.probe_write()
            journal.close()
    except (JournalError, OSError) as error:
        yield Check("file system", False, f"{lab.state}: {error}")
        return
    took = f"a write takes {1000 * (time.monotonic() - began):.0f} ms"
    if kind in NETWORK_FILE_SYSTEMS:
        yield Check(
            "file system",
            False,
            f"{lab.state} lies on {kind}, a network file system, where the journal can break: "
            "name a local directory with --state-dir",
        )
    else:
        yield Check("file system", True, f"{kind or 'local'}, {took}")


def _file_system_kind(path: Path) -> str:
    """Return the type of the file system that holds `path`, or an empty text."""
    mounts = [(Path(part.mountpoint), part.fstype) for part in psutil.disk_partitions(all=True)]
    holding = [(len(m.parts), kind) for m, kind in mounts if path.is_relative_to(m)]
    return max(holding)[1] if holding else ""


def _corpus(lab: Lab, settings: Settings) -> Iterator[Check]:
    source = settings.corpus or DEFAULT_CORPUS
    kind, _, path = source.partition(":")
    if kind != "local":
        what = "the text of Python's own library" if kind == DEFAULT_CORPUS else "from the hub"
        yield Check("corpus", True, f"{source}: {what}")
        return
    place = lab.root / Path(path).expanduser()
    if place.is_file():
        yield Check("corpus", True, f"{place}, {place.stat().st_size / 1e6:.1f} MB")
        return
    files = [f for f in place.rglob("*") if f.suffix in TEXT_FILES] if place.is_dir() else []
    if files:
        size = sum(f.stat().st_size for f in files)
        yield Check("corpus", True, f"{place}, {len(files)} files, {size / 1e6:.1f} MB")
    else:
        wanted = ", ".join(sorted(TEXT_FILES))
        yield Check("corpus", False, f"{place} is no file, and no folder with {wanted} in it")


LOOKS: tuple[Callable[[Lab, Settings], Iterator[Check]], ...] = (
    _git, _file_system, _disk, _corpus, _device, _keys, _proposer,
)  # fmt: skip


# ---- the card of a fresh lab ---------------------------------------------------------------


def card(lab: Lab, settings: Settings) -> list[tuple[str, str, str]]:
    """Return what a first night would be: label, value and warning of each line.

    Raises `LabError` where no device can be used.
    """
    with claim_devices(lab, settings, lock=False) as claimed:
        devices = claimed.devices
    device = devices[0]
    try:
        sandbox = _probed(lab, settings, device)
    except ExecutorError as error:
        raise LabError(str(error)) from error
    preset = _preset_of(lab, settings, device)
    budget = settings.budget_seconds or default_budget(device.kind)
    own = settings.budget_seconds is None and device.kind == "cpu"
    source = settings.corpus or DEFAULT_CORPUS
    small = source == DEFAULT_CORPUS and device.kind != "cpu"
    limits = [
        f"{settings.max_experiments} experiments" if settings.max_experiments is not None else "",
        f"{settings.duration_seconds / 3600:.1f} h" if settings.duration_seconds else "",
    ]
    return [
        ("device", "; ".join(_device_words(d) for d in devices), ""),
        ("preset", f"{preset.name}: {preset.description}", ""),
        (
            "corpus",
            source,
            "small for this device: --corpus local:PATH tells more" if small else "",
        ),
        ("budget", f"{budget:.0f} s a run", "one minute, because there is no GPU" if own else ""),
        ("proposer", proposer_words(settings), ""),
        ("sandbox", sandbox.says, "unsandboxed" if sandbox.level == "none" else ""),
        ("limits", ", ".join(filter(None, limits)) or "none: until you stop it", ""),
    ]


def _preset_of(lab: Lab, settings: Settings, device: Device) -> Preset:
    known = presets.read((lab.trainer / "presets.toml").read_text(encoding="utf-8"))
    if settings.preset in known:
        return known[settings.preset]
    return presets.choose(known, device.kind, device.memory_bytes)
