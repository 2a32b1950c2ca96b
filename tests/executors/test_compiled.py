"""Compiled kernels: seeded from what was kept, and no letter from one run to the next."""

import os
from pathlib import Path
from typing import Any

from cockpit.executors.compiled import drop_cache, keep_cache

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
harness.result(seen=seen)
"""


def compiled(bench: Any, name: str) -> tuple[Path, list[str]]:
    run = bench.start(COMPILES.replace("NAME", repr(name)))
    assert bench.exit(run).reason == "finished", (run / "train.log").read_text()
    return run, bench.result(run)["seen"]


def test_a_run_starts_from_what_kept_runs_have_compiled_and_nothing_else(boxed: Any) -> None:
    first, seen = compiled(boxed, "first")
    assert seen == []
    keep_cache(first)
    assert not (first / "cache").exists()
    second, seen = compiled(boxed, "second")
    assert seen == ["ab/first"]
    drop_cache(second)
    _, seen = compiled(boxed, "third")
    assert seen == ["ab/first"]
    # What a run writes to its copy does not reach the store.
    store = boxed.state / "compiled" / "inductor"
    assert (store / "ab" / "first").read_text() == "kernel"


def test_a_run_that_failed_leaves_no_cache(bench: Any) -> None:
    run = bench.start("import os\nos.makedirs('cache/inductor')\nraise ValueError")
    assert bench.exit(run).reason == "crashed"
    assert not (run / "cache").exists()


def test_only_plain_files_are_kept_and_copied(tmp_path: Path) -> None:
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
    keep_cache(run)
    (tmp_path / "outside").write_text("changed later")
    kept = tmp_path / "compiled" / "triton"
    assert [path.name for path in kept.iterdir()] == ["kernel.so"]
    assert (kept / "kernel.so").read_text() == "code"
    assert os.access(kept / "kernel.so", os.X_OK)
    keep_cache(run)  # nothing left to keep
