"""A machine for an agent: the network and its own things, read-only otherwise; no lab, no GPU.

What is shown is a list, as for trainings (`executors.places`): the system, what names and
certificates need of /etc, the agent's program wherever it was installed. HOME has its usual path
and is empty but for the agent's own configuration, which it may write, because agents keep their
sessions and refresh their log-in there. What of that names programs for its next start is
read-only: that start may be outside. The processes are apart and die with ours.

Not closed off: the network, local servers and abstract Unix sockets included.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.executors import bubblewrap, places
from cockpit.executors.processes import LINUX
from cockpit.proposers.base import ProposerError
from cockpit.proposers.rooms import Rooms

INSIDE = Path("/cockpit/work")
"""The agent's working directory as it sees it: always the same, since some remember it."""
INSIDE_HOME = Path("/cockpit/home")
"""HOME, where the real one is no directory of its own."""
SETTINGS = (
    *places.SETTINGS,
    *(
        f"/etc/{name}"
        for name in (
            "passwd", "group", "hosts", "host.conf", "nsswitch.conf", "resolv.conf", "gai.conf",
            "services", "protocols", "mime.types", "os-release", "debian_version", "timezone",
            "terminfo", "ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "ca-certificates",
            "ca-certificates.conf", "pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem",
            "pki/tls/openssl.cnf", "crypto-policies",
        )
    ),
)  # fmt: skip
"""All of /etc that is shown: names, addresses and certificates, no passwords and no keys."""
TRIAL_SECONDS = 30.0
TRIAL = """
for path; do
    if [ -d "$path" ]; then [ -z "$(ls -A "$path")" ] || exit 7
    elif [ -s "$path" ]; then exit 7
    fi
done
(: > written && : > /tmp/written && : > "$HOME/written") || exit 8
(: > /usr/written) 2> /dev/null && exit 9
exit 0
"""
FAILED = {
    7: "what should be hidden can be seen",
    8: "its own directories can't be written",
    9: "the system can be written",
}


@dataclass(frozen=True, slots=True)
class Sight:
    """What an agent sees of the machine beside the system."""

    home: Path
    """The person's HOME."""
    programs: tuple[Path, ...] = ()
    """Shown where they are, with the links to them."""
    config: tuple[Path, ...] = ()
    """May be written; those that are there."""
    read_only: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    """Empty, wherever something else would show them."""

    @property
    def home_inside(self) -> Path:
        """Return HOME as the agent sees it."""
        real = self.home.resolve()
        system = any(real.is_relative_to(place) for place in places.SYSTEM)
        return INSIDE_HOME if real == Path("/") or system else real

    def inside(self, path: Path) -> Path:
        """Return where a path is for the agent; links on the way are as if they were not."""
        path = Path(os.path.abspath(path))
        for home in (self.home, self.home.resolve()):
            named = home != Path("/") or str(path).startswith("/.")
            if named and path.is_relative_to(home):
                return self.home_inside / path.relative_to(home)
        return path.parent.resolve() / path.name

    def hidden_inside(self) -> set[Path]:
        """Return wherever something hidden might be seen."""
        real = [path.resolve() for path in self.hidden]
        return {*real, *(self.inside(path) for path in real)} - {Path("/"), self.home_inside}


def command(way: Sequence[str], sight: Sight, rooms: Rooms) -> list[str]:
    """Return bubblewrap's command line up to the program that is to run inside."""
    system = _outermost(map(Path, (*places.SYSTEM, *SETTINGS, *places.MACHINE)))
    own = [sight.inside(path) for path in (*sight.config, *sight.read_only)]
    made = [*way, "--new-session", "--proc", "/proc", "--dev", "/dev"]
    made += ["--bind", str(rooms.memory), "/dev/shm"]  # noqa: S108 - a mount point, as the next
    for place in ("/tmp", "/var/tmp"):  # noqa: S108
        made += ["--bind", str(rooms.temporary), place]
    made += _shown(system)
    made += ["--bind", str(rooms.home), str(sight.home_inside)]
    for option, paths in (("--bind", sight.config), ("--ro-bind", sight.read_only)):
        for path in paths:
            made += [option, str(path.resolve()), str(sight.inside(path))]
    hidden = [path for path in sorted(sight.hidden_inside()) if _lies_in(path, [*system, *own])]
    folders = [path for path in hidden if path.is_dir()]
    for path in hidden:
        if path in folders:
            made += ["--tmpfs", str(path)]
        elif path.exists():
            made += ["--ro-bind", os.devnull, str(path)]
    programs = list(_programs(sight, system))
    made += [*_shown(programs), *_links(sight, [*system, *own, *programs])]
    made += ["--bind", str(rooms.work), str(INSIDE)]
    for place in ("/proc", "/dev", "/", *map(str, folders)):
        # Root owns the kernel's settings in /proc even without any power, and what bubblewrap
        # made to hold the rest is memory that nobody counts.
        made += ["--remount-ro", place]
    return [*made, "--chdir", str(INSIDE), "--"]


def _shown(paths: Iterable[Path]) -> list[str]:
    return [word for path in paths for word in ("--ro-bind", str(path), str(path))]


def _programs(sight: Sight, system: Sequence[Path]) -> Iterator[Path]:
    """Yield what of the programs is to be shown beside the system, also over a configuration.

    An agent that lies in its own configuration could else write itself. Only what holds a
    configuration is shown with that.
    """
    hidden, config = sight.hidden_inside(), [sight.inside(path) for path in sight.config]
    for path in _outermost(sight.programs):
        is_seen = _lies_in(path, system) and not _lies_in(path, hidden)
        if not is_seen and not any(_lies_in(one, [path]) for one in config):
            yield path


def _links(sight: Sight, bound: Sequence[Path]) -> list[str]:
    """Return the symbolic links that lead to what is shown, where they are not shown with it."""
    made = []
    held = {parent for path in bound for parent in path.parents}
    named = (*map(Path, (*places.SYSTEM, *SETTINGS)), *sight.programs, sight.home)
    for link, target in places.links(named).items():
        if not _lies_in(link, bound) and link not in held:
            made += ["--symlink", target, str(link)]
    return made


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the real paths of those that are there, without what lies in another."""
    real = {path.resolve() for path in paths if path.exists()}
    return sorted(path for path in real if real.isdisjoint(path.parents))


def _lies_in(path: Path, holders: Iterable[Path]) -> bool:
    return any(holder == path or holder in path.parents for holder in holders)


# ---- which way of calling it works ------------------------------------------------------------


def ways() -> tuple[tuple[str, ...], ...]:
    """Return beginnings of bubblewrap's command line to be tried, the strictest first."""
    program = shutil.which(bubblewrap.PROGRAM)
    if program is None or not LINUX:
        return ()
    apart = tuple(option for option in bubblewrap.APART if option != "--unshare-net")
    # The agent keeps its user id: programs look up their user's name, and files are its own.
    user = ("--unshare-user", "--uid", str(os.geteuid()), "--gid", str(os.getegid()))
    # An older one knows no WITHOUT_USERS, one that is setuid or without users no `user`.
    return tuple((program, *apart, *more) for more in ((*user, bubblewrap.WITHOUT_USERS), user, ()))


@functools.lru_cache(maxsize=8)
def working_way(home: Path, hidden: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the way that a trial shows to work here; raises `ProposerError` where none does."""
    reasons: dict[str, None] = {}
    for way in ways():
        reason = _tried(way, Sight(home, hidden=hidden))
        if not reason:
            return way
        reasons[reason] = None
    why = (
        f"bubblewrap does not work here ({'; '.join(reasons)}): allow it"
        if reasons
        else "there is no bubblewrap here: install it"
    )
    raise ProposerError(
        f"an agent runs in a sandbox, and {why}, or pass --unsafe-agent to run it without one"
    )


def _tried(way: Sequence[str], sight: Sight) -> str:
    """Return why a way does not work, empty where it does."""
    with tempfile.TemporaryDirectory(prefix="cockpit-trial-") as root:
        rooms = Rooms(Path(root))
        rooms.make()
        rooms.work.mkdir(0o700)
        inside = command(way, sight, rooms)
        try:
            done = subprocess.run(
                [*inside, "/bin/sh", "-c", TRIAL, "trial", *map(str, sight.hidden_inside())],
                env={"PATH": os.defpath, "HOME": str(sight.home_inside)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TRIAL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)[:200]
        if done.returncode in FAILED:
            return FAILED[done.returncode]
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return (said or f"exit code {done.returncode}")[:200] if done.returncode else ""


def copy_into(home: Path, paths: Iterable[Path], sight: Sight, largest: int = 16 << 20) -> None:
    """Give a private HOME copies of files."""
    for path in paths:
        target = home / sight.inside(path).relative_to(sight.home_inside)
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size <= largest:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o600)
