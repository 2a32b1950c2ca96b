"""What is promised of a download: resumed, checked, and one line when it cannot be."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hub
import pytest

from .conftest import TRAINER, Run, place
from .hub_server import SHARDS, Hub

ONE = SHARDS[0]
FETCH = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import hub, sources
try:
    hub.fetch(hub.find_dataset(sys.argv[2]), Path(sys.argv[3]), lambda *told: print(*told))
except sources.CorpusError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def fetch(environment: dict[str, str], tmp_path: Path) -> Run:
    """Fetch a dataset's files as preparing does: `fetch("climbmix:1", VARIABLE=...)`."""

    def run(source: str = "climbmix:1", **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", FETCH, str(TRAINER), source, str(tmp_path / "cache")],
            env=environment | changed,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def arrived(tmp_path: Path) -> set[str]:
    return {path.name for path in place(tmp_path).iterdir()}


def told(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal."""
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_files_arrive_checked_and_the_token_goes_to_the_hub_alone(
    fetch: Run, server: Hub, shards: dict[str, bytes], tmp_path: Path
) -> None:
    server.token = "hf_secret"
    assert fetch("climbmix:2", HF_TOKEN="hf_secret").returncode == 0
    for name in SHARDS:
        assert (place(tmp_path) / name).read_bytes() == shards[name]
    assert arrived(tmp_path) == set(SHARDS)
    for _, path, headers in server.asked:
        stored = path.startswith("/storage/")
        assert stored or "/resolve/" in path  # and nothing is told about this machine
        assert headers.get("authorization") == (None if stored else "Bearer hf_secret")


@pytest.mark.parametrize("fault", ["break", "reset", "stall"])
def test_a_broken_download_goes_on_where_it_broke(
    fetch: Run, server: Hub, shards: dict[str, bytes], tmp_path: Path, fault: str
) -> None:
    server.faults[ONE] = [fault, fault]
    assert fetch().returncode == 0
    assert (place(tmp_path) / ONE).read_bytes() == shards[ONE]
    first, second, third = server.ranges(ONE)
    assert first is None
    assert 0 < int(second[6:-1]) < int(third[6:-1]) < len(shards[ONE])


def test_the_next_call_goes_on_where_a_failed_one_ended(
    fetch: Run, server: Hub, shards: dict[str, bytes], tmp_path: Path
) -> None:
    server.faults[ONE] = ["break", "404"]
    line = told(fetch())
    assert "no such file" in line
    assert ONE not in arrived(tmp_path)
    assert fetch().returncode == 0
    assert server.ranges(ONE)[-1] not in (None, "bytes=0-")
    assert (place(tmp_path) / ONE).read_bytes() == shards[ONE]


def test_a_killed_download_is_resumed(
    server: Hub,
    fetch: Run,
    shards: dict[str, bytes],
    environment: dict[str, str],
    tmp_path: Path,
    wait_until: Callable[..., object],
) -> None:
    server.faults[ONE] = ["stall"]
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, str(TRAINER), "climbmix:1", str(tmp_path / "cache")],
        env=environment | {"HF_HUB_DOWNLOAD_TIMEOUT": "60"},
        stdout=subprocess.DEVNULL,
    )
    half = len(shards[ONE]) // 2
    folder = place(tmp_path)
    wait_until(
        lambda: [p for p in folder.glob(f".{ONE}.*.part") if p.stat().st_size == half],
        what="half a file",
    )
    process.kill()
    process.wait()
    assert fetch().returncode == 0
    assert server.ranges(ONE) == [None, f"bytes={half}-"]
    assert (folder / ONE).read_bytes() == shards[ONE]


def test_a_server_that_knows_no_ranges_gives_the_file_anew(
    fetch: Run, server: Hub, shards: dict[str, bytes], tmp_path: Path
) -> None:
    server.faults[ONE] = ["break", "whole"]
    assert fetch().returncode == 0
    assert (place(tmp_path) / ONE).read_bytes() == shards[ONE]


def test_wrong_bytes_are_thrown_away_and_fetched_again(
    fetch: Run, server: Hub, shards: dict[str, bytes], tmp_path: Path
) -> None:
    server.faults[ONE] = ["wrong"]
    assert fetch().returncode == 0
    assert server.ranges(ONE) == [None, None]
    assert (place(tmp_path) / ONE).read_bytes() == shards[ONE]


def test_wrong_bytes_twice_are_refused_and_not_kept(
    fetch: Run, server: Hub, tmp_path: Path
) -> None:
    server.faults[ONE] = ["wrong", "wrong"]
    line = told(fetch())
    assert f"{ONE} came with wrong bytes twice" in line
    assert "check HF_ENDPOINT" in line
    assert ONE not in arrived(tmp_path)
    assert not [p for p in place(tmp_path).glob(f".{ONE}*") if p.stat().st_size]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(fetch: Run, server: Hub) -> None:
    server.answers = [503, 302, 429]
    server.faults[ONE] = ["503"]
    assert fetch().returncode == 0


@pytest.mark.slow
def test_a_server_that_stays_busy_gets_one_line(fetch: Run, server: Hub) -> None:
    server.answers = [503] * 20
    assert "answers 503: try again later" in told(fetch())


def test_without_a_token_that_is_needed_one_line_says_so(fetch: Run, server: Hub) -> None:
    server.token = "hf_secret"
    line = told(fetch())
    assert "refuses access (401)" in line
    assert "set HF_TOKEN" in line
    assert "refuses access (401)" in told(fetch(HF_TOKEN="hf_other"))


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:9", "cannot be reached"),
        ("nowhere", "is no address: check HF_ENDPOINT"),
    ],
)
def test_a_hub_that_is_not_there_gets_one_line(fetch: Run, endpoint: str, words: str) -> None:
    line = told(fetch(HF_ENDPOINT=endpoint))
    assert words in line
    assert "or use stdlib or local:PATH" in line


def test_an_endpoint_that_is_no_hub_gets_one_line(fetch: Run, server: Hub) -> None:
    server.is_hub = False
    assert "does not answer as a Hugging Face hub: check HF_ENDPOINT" in told(fetch())


def test_offline_mode_gets_one_line(fetch: Run, server: Hub) -> None:
    assert "HF_HUB_OFFLINE is set: unset it" in told(fetch(HF_HUB_OFFLINE="1"))
    assert not server.asked


def test_a_file_that_the_hub_has_not_gets_one_line(fetch: Run, server: Hub) -> None:
    del server.files[ONE]
    assert "no such file at 915333b4f8b8 (404)" in told(fetch())


def test_a_full_disk_gets_one_line_and_keeps_what_arrived(
    prepare: Run, server: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    import resource

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = subprocess.run(
        [
            *(sys.executable, str(TRAINER / "prepare.py"), "--source", "climbmix:1"),
            *("--cache", str(tmp_path / "cache")),
        ],
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=small_files_only,
    )
    assert result.returncode == 1
    assert "no space left for the prepared corpus" in result.stderr.splitlines()[-1]
    assert {p.stat().st_size for p in place(tmp_path).glob(f".{ONE}.*")} == {20_000}
    assert prepare("climbmix:1").returncode == 0


def test_what_another_program_downloaded_is_used(
    fetch: Run, server: Hub, shards: dict[str, bytes], environment: dict[str, str], tmp_path: Path
) -> None:
    dataset = hub.find_dataset("climbmix:1")
    assert dataset
    program = (
        "import sys; from huggingface_hub import hf_hub_download as get;"
        "[get(sys.argv[1], name, repo_type='dataset', revision=sys.argv[2])"
        " for name in sys.argv[3:]]"
    )
    names = (*dataset.training, *dataset.held_out)
    # The server's commit is not the pinned one, so the library's cache is asked for by link.
    subprocess.run(
        [sys.executable, "-c", program, dataset.repository, "main", *names],
        env=environment,
        check=True,
    )
    snapshots = next((tmp_path / "huggingface" / "hub").glob("datasets--*")) / "snapshots"
    next(snapshots.iterdir()).rename(snapshots / dataset.revision)
    asked = len(server.asked)
    assert fetch(HF_HUB_OFFLINE="1").returncode == 0
    assert len(server.asked) == asked
    assert (place(tmp_path) / ONE).read_bytes() == shards[ONE]


def test_two_processes_share_one_download(
    server: Hub, environment: dict[str, str], shards: dict[str, bytes], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", FETCH, str(TRAINER), "climbmix:2", str(tmp_path / "cache")]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert arrived(tmp_path) - set(SHARDS) == set()
    assert all((place(tmp_path) / name).read_bytes() == shards[name] for name in SHARDS)
