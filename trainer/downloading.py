"""Fetch files of a dataset repository from the Hugging Face hub: to be resumed, and checked.

The addresses, the token and the requests are huggingface_hub's, so `HF_TOKEN`, `HF_ENDPOINT`,
`HF_HOME`, `HF_HUB_OFFLINE` and `HF_HUB_DOWNLOAD_TIMEOUT` do what they do elsewhere, and a file
that another program left in its cache is used. Its `hf_hub_download` is not: since 1.0 it forgets
what an interrupted call had already received. Here a file grows as `.NAME.TAG.part` beside its
place, over as many calls as it takes, is compared to the checksum the hub told, and only then
gets its name: a file that is there is a file that was checked.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx
from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    get_session,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, logging
from sources import CorpusError, Report

T = TypeVar("T")

CONNECTIONS = 4
PAUSES = (1.0, 2.0, 4.0)
"""Seconds before a request is made again; a file that has grown meanwhile starts over."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another attempt may change."""


class AbandonedError(Exception):
    """Another file has failed, so this one need not go on."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file as the hub describes it."""

    name: str
    url: str
    size: int | None
    checksum: str
    """SHA-256 for what is in large file storage, git's SHA-1 of a blob else."""


def download(
    repository: str, revision: str, names: list[str], folder: Path, report: Report
) -> None:
    """Bring `names` into `folder`; what arrives is kept for the next call when it fails.

    Raises CorpusError, with one line that says what to do, when the hub does not give them, and
    OSError when the disk does not take them.
    """
    logging.set_verbosity_error()
    _Download(repository, revision, folder, report).run(names)


class _Download:
    """One call: its files share the connections, the progress and the first failure."""

    def __init__(self, repository: str, revision: str, folder: Path, report: Report) -> None:
        self._repository = repository
        self._revision = revision
        self._folder = folder
        self._report = report
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._stage = "asking the hub"
        self._received = 0
        self._total = 0

    def run(self, names: list[str]) -> None:
        """Bring all of them; the first failure ends the others."""
        self._report(self._stage, 0.0)
        remotes = self._all(self._describe, [name for name in names if not self._found(name)])
        if not remotes:
            return
        self._total = sum(remote.size or 0 for remote in remotes)
        self._received = sum(_size(self._partial(remote)) for remote in remotes)
        self._expect_room()
        files = "1 file" if len(remotes) == 1 else f"{len(remotes)} files"
        self._stage = f"downloading {files}, {self._total / 1e6:.0f} MB"
        self._count(0)
        self._all(self._fetch, remotes)
        self._report(self._stage, 1.0)

    def _all(self, work: Callable[[Any], T], items: list[Any]) -> list[T]:
        pool = ThreadPoolExecutor(CONNECTIONS)
        try:
            futures = [pool.submit(work, item) for item in items]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for failed in done:
                failed.result()
            return [future.result() for future in futures]
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)
            self._stop.clear()

    # --- what there is ---------------------------------------------------------------------

    def _found(self, name: str) -> bool:
        """Whether another program's download can be used; its cache names files by checksum."""
        found = try_to_load_from_cache(
            self._repository, name, revision=self._revision, repo_type="dataset"
        )
        if not isinstance(found, str):
            return False
        path = Path(found).resolve()
        if not re.fullmatch("[0-9a-f]{64}", path.name) or _sha256(path) != path.name:
            return False
        place = self._folder / name
        place.unlink(missing_ok=True)
        place.symlink_to(path)
        return True

    def _describe(self, name: str) -> Remote:
        """Ask the hub for size and checksum."""
        url = hf_hub_url(self._repository, name, repo_type="dataset", revision=self._revision)

        def ask() -> Remote:
            told = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
            if told.commit_hash is None or told.etag is None:
                raise CorpusError(
                    f"{constants.ENDPOINT} does not answer as a Hugging Face hub: check HF_ENDPOINT"
                )
            return Remote(name, url, told.size, told.etag)

        return self._patiently(name, ask, lambda: 0)

    # --- bringing it -----------------------------------------------------------------------

    def _fetch(self, remote: Remote) -> None:
        place = self._folder / remote.name
        with open(self._partial(remote), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another process may bring the same file
            if place.exists():
                Path(file.name).unlink(missing_ok=True)
                return
            for _ in range(2):
                self._patiently(
                    remote.name,
                    lambda: self._receive(remote, file),
                    lambda: os.fstat(file.fileno()).st_size,
                )
                if _is_right(Path(file.name), remote):
                    os.replace(file.name, place)
                    return
                self._empty(file)
        raise CorpusError(
            f"{remote.name} came with wrong bytes twice, by the checksum that {constants.ENDPOINT} "
            "tells: a proxy or a mirror changes it; check HF_ENDPOINT and the network"
        )

    def _receive(self, remote: Remote, file: BinaryIO) -> None:
        """Go on where the file ends."""
        size = file.seek(0, os.SEEK_END)
        if size and (remote.size is None or size > remote.size):
            size = self._empty(file)
        if size and size == remote.size:
            return
        headers = build_hf_headers() | {"Accept-Encoding": "identity"}
        if size:
            headers["Range"] = f"bytes={size}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", remote.url, headers=headers, timeout=timeout) as answer:
            hf_raise_for_status(answer)
            if size and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                size = self._empty(file)
            for data in answer.iter_bytes():
                if self._stop.is_set():
                    raise AbandonedError
                file.write(data)
                file.flush()
                size += len(data)
                self._count(len(data))
        if remote.size is not None and size < remote.size:
            raise httpx.RemoteProtocolError(f"the answer ended after {size} bytes")

    def _empty(self, file: BinaryIO) -> int:
        self._count(-os.fstat(file.fileno()).st_size)
        return file.truncate(0)

    def _patiently(self, name: str, work: Callable[[], T], size: Callable[[], int]) -> T:
        """Do `work`, again and again while the trouble may pass and while `size` grows."""
        tries = 0
        while True:
            before = size()
            try:
                return work()
            except OfflineModeIsEnabled as error:
                raise self._refused(name, "HF_HUB_OFFLINE is set", "unset it") from error
            except HfHubHTTPError as error:
                if error.response.status_code not in PASSING:
                    raise self._answered(name, error.response.status_code) from error
                trouble: Exception = error
            except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise self._refused(
                    name, f"{constants.ENDPOINT} is no address", "check HF_ENDPOINT"
                ) from error
            except httpx.RequestError as error:
                trouble = error
            tries = 1 if size() > before else tries + 1
            at_once = isinstance(trouble, httpx.ConnectError) and not size()
            if at_once or tries > len(PAUSES):
                raise self._lost(name, trouble) from trouble
            if self._stop.wait(PAUSES[tries - 1]):
                raise AbandonedError

    def _partial(self, remote: Remote) -> Path:
        tag = hashlib.sha256(remote.checksum.encode()).hexdigest()[:16]
        return self._folder / f".{remote.name}.{tag}.part"

    def _expect_room(self) -> None:
        needed = self._total - self._received
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise CorpusError(
                f"{self._repository} needs {needed / 1e6:.0f} MB in {self._folder}, which has "
                f"{free / 1e6:.0f} MB left; free some, or set COCKPIT_CACHE to a place with more"
            )

    def _count(self, received: int) -> None:
        with self._lock:
            self._received += received
            self._report(self._stage, min(0.99, self._received / max(1, self._total)))

    # --- what to say -----------------------------------------------------------------------

    def _refused(self, name: str, finding: str, remedy: str) -> CorpusError:
        return CorpusError(
            f"{name} of {self._repository} is not on this machine and {finding}: {remedy}, or use "
            "stdlib or local:PATH"
        )

    def _answered(self, name: str, status: int) -> CorpusError:
        if status in (401, 403):
            return self._refused(
                name,
                f"{constants.ENDPOINT} refuses access ({status})",
                "set HF_TOKEN to a token that may read it",
            )
        if status == 404:
            return self._refused(
                name,
                f"{constants.ENDPOINT} has no such file at {self._revision[:12]} (404)",
                "check HF_ENDPOINT",
            )
        return self._refused(name, f"{constants.ENDPOINT} answers {status}", "check HF_ENDPOINT")

    def _lost(self, name: str, trouble: Exception) -> CorpusError:
        if isinstance(trouble, HfHubHTTPError):
            return self._refused(
                name,
                f"{constants.ENDPOINT} answers {trouble.response.status_code}",
                "try again later; what has arrived is kept",
            )
        words = (str(trouble) or type(trouble).__name__).splitlines()[0][:100]
        return self._refused(
            name,
            f"{constants.ENDPOINT} cannot be reached ({words})",
            "check the network and try again; what has arrived is kept",
        )


def _is_right(path: Path, remote: Remote) -> bool:
    """Whether size and checksum are those the hub told; a checksum of another kind is passed."""
    size = _size(path)
    if remote.size is not None and size != remote.size:
        return False
    if re.fullmatch("[0-9a-f]{64}", remote.checksum):
        return _sha256(path) == remote.checksum
    if re.fullmatch("[0-9a-f]{40}", remote.checksum):
        git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        return _digest(path, git) == remote.checksum
    return True


def _sha256(path: Path) -> str:
    return _digest(path, hashlib.sha256())


def _digest(path: Path, digest: Any) -> str:
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
