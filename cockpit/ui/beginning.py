"""Beginning a night from the screen: what it would be, and the start itself, off the keys."""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

from cockpit.ui.client import Client
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.spent import dollars
from cockpit.ui.text import budget, clean

Tell = Callable[[str], None]

REPEATED = {
    "--max-experiments": ("max_experiments",),
    "--duration": ("duration_seconds", "duration"),
    "--proposer": ("proposer",),
    "--model": ("model",),
    "--max-cost": ("max_cost",),
    "--agent": ("agent",),
    "--unsafe-agent": ("unsafe_agent",),
    "--seed": ("seed",),
    "--device": ("device",),
    "--gpus": ("gpus",),
    "--cache-dir": ("cache_dir",),
}
"""What a night takes over from the one before it, and under which names that one has it."""


def next_night(snapshot: Snapshot, given: Sequence[str]) -> list[str]:
    """Return the options of `start` for a night like the last; what was typed wins.

    A dead night is repaired as it was: only what was typed.
    """
    options = list(given)
    if snapshot.night is None or snapshot.engine.state in {"dead", "fresh"}:
        return options
    if "--tag" not in given:
        options += ["--tag", snapshot.night.tag]
    for flag, names in REPEATED.items():
        value = next((v for n in names if (v := snapshot.night.options.get(n)) is not None), None)
        if value is not None and value is not False and flag not in given:
            options += _typed(flag, value)
    return options


def _typed(flag: str, value: object) -> list[str]:
    """Return an option of a night as it is typed."""
    if value is True:
        return [flag]
    if flag == "--duration" and isinstance(value, int | float):
        return [flag, f"{value:g}s"]
    return [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]


def night_facts(snapshot: Snapshot, options: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return what a night with these options would be: labels and values."""
    typed = {a: b for a, b in pairwise(options) if a.startswith("--")}
    present = snapshot.tag if snapshot.tag and not snapshot.tag.imported else None
    tag = typed.get("--tag") or (present.name if present else "")
    same = snapshot.tag is not None and snapshot.tag.name == tag
    setup = (snapshot.setup or {}) if same else {}
    seconds, corpus = setup.get("budget_seconds"), setup.get("corpus")
    known = budget(seconds) if isinstance(seconds, int | float) else "as usual for the device"
    limits = [
        f"{typed['--max-experiments']} experiments" if "--max-experiments" in typed else "",
        _duration(typed["--duration"]) if "--duration" in typed else "",
    ]
    asked = [
        typed.get("--proposer", ""),
        typed.get("--model") or typed.get("--agent", ""),
        f"at most {_money(typed['--max-cost'])}" if "--max-cost" in typed else "",
    ]
    facts = (
        ("tag", tag or "a new one"),
        ("budget", f"{typed.get('--budget') or known} a run"),
        ("corpus", typed.get("--corpus") or (corpus if isinstance(corpus, str) else "stdlib")),
        ("ideas", " · ".join(filter(None, asked)) or "as cockpit.toml says, else search"),
        ("limits", ", ".join(filter(None, limits)) or "none: until you stop it"),
    )
    return tuple((label, clean(value, 200)) for label, value in facts)


def _duration(text: str) -> str:
    number = text.removesuffix("s")
    return budget(float(number)) if number.replace(".", "", 1).isdecimal() else text


def _money(text: str) -> str:
    number = text.removeprefix("$")
    return dollars(float(number)) if number.replace(".", "", 1).isdecimal() else text


class Beginning:
    """Starts nights in a thread that nobody waits for: who leaves meanwhile leaves at once."""

    def __init__(
        self,
        client: Client,
        call: Callable[[Callable[[], None]], None],
        progress: Tell,
        ended: Callable[[str | None], None],
    ) -> None:
        """`call` runs something in the app's thread; `ended` gets None or what went wrong."""
        self._client, self._call = client, call
        self._progress, self._ended = progress, ended

    def begin(self, options: Sequence[str]) -> None:
        """Begin (or repair) a night with these options."""
        threading.Thread(target=self._begin, args=(list(options),), daemon=True).start()

    def _begin(self, options: list[str]) -> None:
        error = self._client.start(options, lambda text: self._call(lambda: self._progress(text)))
        self._call(lambda: self._ended(error))
