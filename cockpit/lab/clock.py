"""One clock for durations, comparable between the processes of one boot.

`time.monotonic` counts from the start of the machine on Linux and macOS alike and does
not jump when somebody sets the clock, so it is stored with the name of the boot it
belongs to. Only across a reboot is the wall clock asked, and never believed backwards.
"""

from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """Return a name for the present boot of this machine."""
    if _BOOT_ID.exists():
        return _BOOT_ID.read_text().strip()
    return f"{psutil.boot_time():.0f}"


def seconds_between(
    then_monotonic: float,
    then_wall: float,
    then_boot: str,
    now_monotonic: float,
    now_wall: float,
    now_boot: str,
) -> float:
    """Return the seconds that went by between two readings, 0 where the clock went backwards."""
    if then_boot == now_boot:
        return max(0.0, now_monotonic - then_monotonic)
    return max(0.0, now_wall - then_wall)
