"""Compiled kernels: seeded from what was kept, and no letter from one run to the next."""

import os
from pathlib import Path
from typing import Any

import pytest

from cockpit.executors.compiled import drop_cache, keep_cache, snapshot_path, take_snapshot

COMPILES = """
import os
from pathlib import Path
place = Path(os.environ['TORCHINDUCTOR_CACHE_DIR'])
seen = sorted(str(path.relative_to(place)) for path in place.rglob('*') if path.is_file())
place.mkdir(parents=True, exist_ok=True)
for path in place.rglob('*'):
    if path.is_file(): path.write_text('changed')
(place / 'ab').mkdir(exist_ok=True)
(place / 'ab' / NAME).write_text('kernel')
harness.start_clock()
(place / 'ab' / ('late-' + NAME)).write_text('learnt')
(place / 'ab' / NAME).write_text('learnt')
harness.checkpoint()
harness.result(seen=seen)
"""


def compiled(bench: Any, name: str) -> tuple[Path, list[str]]:
    """Let a run compile something: its directory, and what it found."""
    run = bench.start(COMPILES.replace("NAME", repr(name)))
    assert bench.exit(run).reason == "finished", (run / "train.log").read_text()
    return run, bench.result(run)["seen"]


def test_a_run_starts_from_what_kept_runs_compiled_before_their_clock_and_nothing_else(
    boxed: Any,
) -> None:
    first, seen = compiled(boxed, "first")
    assert seen == []
    assert not (first / "cache").exists()
    assert snapshot_path(first).stat().st_mode & 0o077 == 0
    keep_cache(first)
    assert not snapshot_path(first).exists()
    second, seen = compiled(boxed, "second")
    assert seen == ["ab/first"]
    drop_cache(second)
    assert not snapshot_path(second).exists()
    _, seen = compiled(boxed, "third")
    assert seen == ["ab/first"]
    # What a run writes to its copy does not reach the store.
    store = boxed.state / "compiled" / "inductor"
    assert (store / "ab" / "first").read_text() == "kernel"


def test_without_a_clock_nothing_is_passed_on(bench: Any) -> None:
    run = bench.start(
        "import os\nos.makedirs('cache/inductor')\nopen('cache/inductor/x', 'w').close()\n"
        "harness.checkpoint()\nharness.say(event='clock')\nharness.result()"
    )
    assert bench.exit(run).reason == "finished"
    assert not (run / "cache").exists()
    assert not snapshot_path(run).exists()


def test_a_run_that_failed_leaves_nothing_compiled(bench: Any) -> None:
    run = bench.start(
        "import os\nos.makedirs('cache/inductor')\nopen('cache/inductor/x', 'w').close()\n"
        "harness.start_clock()\nassert os.path.exists('cache')\nraise ValueError"
    )
    ended = bench.exit(run)
    assert (ended.reason, ended.message) == ("crashed", "ValueError")
    assert not (run / "cache").exists()
    assert not snapshot_path(run).exists()


def test_a_run_cannot_see_its_own_snapshot(boxed: Any) -> None:
    if boxed.executor.sandbox.level == "none":
        pytest.skip("no sandbox")
    run = boxed.start(
        "import os\nfrom pathlib import Path\nos.makedirs('cache/triton')\n"
        "Path('cache/triton/x').write_text('kernel')\nharness.start_clock()\n"
        "place = Path(go['run_directory'] + '.compiled') / 'triton' / 'x'\ntold = []\n"
        "for attempt in (place.read_text, lambda: place.write_text('learnt')):\n"
        "    try: told.append(str(attempt()))\n"
        "    except OSError as error: told.append(type(error).__name__)\n"
        "harness.checkpoint()\nharness.result(told=told)"
    )
    assert boxed.exit(run).reason == "finished", (run / "train.log").read_text()
    assert all(word.endswith("Error") for word in boxed.result(run)["told"])
    assert (snapshot_path(run) / "triton" / "x").read_text() == "kernel"


def test_only_plain_files_are_copied_and_kept(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "1" / "1"
    cache = run / "cache" / "triton"
    cache.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (cache / "link").symlink_to(tmp_path / "secret")
    (cache / "folder").symlink_to(tmp_path)
    os.mkfifo(cache / "pipe")
    (cache / "kernel.so").write_text("code")
    (cache / "kernel.so").chmod(0o755)
    os.link(cache / "kernel.so", tmp_path / "outside")
    snap(run)
    (tmp_path / "outside").write_text("changed later")
    keep_cache(run)
    kept = tmp_path / "compiled" / "triton"
    assert [path.name for path in kept.iterdir()] == ["kernel.so"]
    assert (kept / "kernel.so").read_text() == "code"
    assert os.access(kept / "kernel.so", os.X_OK)
    keep_cache(run)  # nothing left to keep


def test_a_cache_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "1" / "1"
    run.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret").write_text("secret")
    (run / "cache").symlink_to(tmp_path / "home")
    snap(run)
    assert not snapshot_path(run).exists()


def test_a_snapshot_is_bounded_and_holds_only_what_is_new(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "1" / "1"
    (run / "cache" / "a").mkdir(parents=True)
    (tmp_path / "compiled").mkdir()
    for place in (run / "cache", tmp_path / "compiled"):
        (place / "known").write_text("known")
    for name in ("large", "small"):
        (run / "cache" / name).write_text("x" * (20 if name == "large" else 8))
    (run / "cache" / "a" / "too much").write_text("xxx")
    snap(run, 10)
    assert [path.name for path in snapshot_path(run).iterdir()] == ["small"]


def snap(run: Path, most_bytes: int = 1000) -> None:
    take_snapshot(run.parents[2] / "compiled", run / "cache", snapshot_path(run), most_bytes)
