"""The command line of bubblewrap: a machine with nothing in it but what a training needs.

Own mounts, processes, network, names and users. Everything that is shown is read-only, but for
the run directory, which is at INSIDE whatever its name outside: bind mounts follow the directory
and not its path, so that the engine may rename it under a warm spare. /tmp and /dev/shm lie in the
run directory as well: whatever a training writes is then counted in one place, and goes with it.
"""

import functools
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

INSIDE = Path("/cockpit/run")
"""The run directory as a training sees it."""
ENTRANCE = Path("/cockpit/confinement.py")
"""`confinement.py` as a training sees it."""
PROGRAM = "bwrap"

APART = (
    "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--hostname", "cockpit", "--die-with-parent", "--cap-drop", "ALL",
)  # fmt: skip
AS_NOBODY = ("--unshare-user", "--uid", "1000", "--gid", "1000")
WITHOUT_USERS = "--disable-userns"
"""No user namespaces inside: they open much of the kernel to whoever makes one."""


@functools.cache
def ways() -> tuple[tuple[str, ...], ...]:
    """Command beginnings to be tried, the strictest first; none where there is no bubblewrap."""
    program = shutil.which(PROGRAM)
    if program is None:
        return ()
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    strict = [(*AS_NOBODY, WITHOUT_USERS)] if WITHOUT_USERS in told.stdout else []
    # The last for a bubblewrap that is setuid, or run by root where user namespaces are off.
    return tuple((program, *APART, *way) for way in (*strict, AS_NOBODY, ()))


def command(
    way: Sequence[str],
    *,
    shown: Iterable[Path],
    links: Iterable[tuple[Path, str]],
    devices: Iterable[Path],
    run_directory: Path,
    entrance: Path,
) -> list[str]:
    """The whole command line up to the program that is to run inside.

    `shown` are real paths of which none holds another; `links` symbolic links on the way to them,
    left out where they are shown anyway. A relative `run_directory` is looked up when bubblewrap
    starts.
    """
    shown = list(shown)
    made = [*way, "--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm"):  # noqa: S108 - these are mount points, not our files
        made += ["--bind", str(run_directory / "tmp"), place]
    for path in shown:
        made += ["--ro-bind-try", str(path), str(path)]
    for link, target in links:
        if not any(path in (link, *link.parents) for path in shown):
            made += ["--symlink", target, str(link)]
    for device in devices:
        made += ["--dev-bind-try", str(device), str(device)]
    made += ["--ro-bind", str(entrance), str(ENTRANCE), "--bind", str(run_directory), str(INSIDE)]
    # What bubblewrap made to hold all this is memory that nobody counts; and root owns the kernel's
    # settings in /proc under whatever number, and without any power.
    for place in ("/proc", "/dev", "/"):
        made += ["--remount-ro", place]
    made += ["--chdir", str(INSIDE), "--"]
    return made
