"""Fixtures shared by all tests: waiting for a condition, and a cache of their own."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(condition: Callable[[], T], seconds: float = 20.0, what: str = "condition") -> T:
    """Return the first truthy value of `condition`; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s for {what}")
        pause.wait(0.02)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., object]:
    """`wait_until(condition, seconds, what)`: tests wait for a condition, never for a time."""
    return wait_until


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared corpora of the tests go to a directory of their own, shared by one session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COCKPIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
