"""The CPU as a device."""

import os

import pytest

from cockpit.executors.environment import reserved_cpus
from cockpit.executors.host import cpu_device, training_threads


@pytest.mark.parametrize(
    ("cores", "quotas", "threads"),
    [
        (1, [], 1),
        (2, [], 1),
        (8, ["max 100000"], 7),
        (64, ["400000 100000"], 3),
        (64, ["max 100000", "250000 100000"], 1),
        (64, ["50000 100000"], 1),
        (4, ["garbage", "", "1 0"], 3),
    ],
)
def test_one_core_is_left_for_everything_else(cores: int, quotas: list[str], threads: int) -> None:
    assert training_threads(cores, quotas) == threads


def test_the_cpu_is_a_device_with_the_last_core_in_reserve() -> None:
    device = cpu_device()
    assert (device.kind, device.uuid) == ("cpu", "cpu")
    assert device.name
    assert device.memory_bytes > 1 << 20
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        assert device.cpus == tuple(cores[:-1])
        assert reserved_cpus(device) == (tuple(cores[-1:]) if len(cores) > 1 else ())
