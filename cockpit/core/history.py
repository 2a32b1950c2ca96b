"""What was tried, told in the room there is, the most useful first.

A tag may have thousands of experiments and a prompt holds a few hundred lines of them. In this
order they get their room: what is under way and the newest verdicts (always), what was kept, near
misses, crashes, and all the rest by area. Within a part an experiment is told whole (with its
diff, or the end of its log), else in a line, else it is only counted; and how many are only
counted is said.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from cockpit.core import telling
from cockpit.core.areas import areas_of
from cockpit.core.briefing import HistoryEntry
from cockpit.core.experiment import Status
from cockpit.core.judge import signed
from cockpit.core.past import FAILED, OPEN, Past, changes, near_misses, outcome
from cockpit.core.quoting import fenced, one_line, size

NEWEST = ((8, 240), (8, 0), (3, 0), (1, 0))
"""How many, and how long a hypothesis: tried in turn until they fit; the last in any case."""
MOST_OPEN = 16
MOST_KEPT = 60
WHOLE_KEPT = 24
"""So many of them with hypothesis and diff: the newest half, and of the others the largest."""
MOST_NEAR = 20
WHOLE_NEAR = 12
MOST_CRASHES = 6
MOST_LINES = 120
"""Of the rest, told in a line each."""
SHARES = {"kept": 0.5, "near": 0.4, "crashes": 0.35}
"""Of the room that is left when it is their turn."""
FRAME = 120
"""Bytes for a section's heading, its fence and its count."""
FEWER = (1.0, 0.5, 0.25, 0.1, 0.0)
"""Shares of `MOST_LINES`, tried in turn until they fit."""


def history(past: Past, base: int, room: int) -> list[str]:
    """Return the sections of a prompt on what has a verdict, of `room` bytes together."""
    ideas = changes(past.entries.values())
    in_base = past.line(base)
    closing = _newest(past, [e for e in reversed(ideas) if e.status not in OPEN], room)
    room -= size(closing)
    kept = [e for e in ideas if e.status == Status.KEPT]
    near = near_misses(ideas)[:MOST_NEAR]
    crashed = _different([e for e in ideas if e.status in FAILED])
    opening = [
        _fitted(_KEPT, past, _kept_first(kept), WHOLE_KEPT, MOST_KEPT, "kept", room, in_base)
    ]
    room -= size(opening[0])
    opening.append(_fitted(_NEAR, past, near, WHOLE_NEAR, MOST_NEAR, "near", room))
    room -= size(opening[1])
    opening.append(_fitted(_CRASHED, past, crashed, MOST_CRASHES, MOST_CRASHES, "crashes", room))
    room -= size(opening[2])
    told = {e.id for e in (*kept, *near, *crashed)}
    rest = [e for e in ideas if e.id not in told and e.status not in OPEN]
    opening.append(_by_area(past, rest, room))
    return [section for section in (*opening, closing) if section]


def under_way(past: Past) -> str:
    """Return what is queued or running, so that nobody proposes it again; empty for nothing."""
    waiting = [e for e in changes(past.entries.values()) if e.status in OPEN]
    lines = [
        f"#{e.id} {e.status} · {telling.who(e)} · {one_line(e.title, telling.TITLE)}"
        for e in waiting
    ]
    if len(lines) > MOST_OPEN:
        lines = [f"… {len(lines) - MOST_OPEN} older ones", *lines[-MOST_OPEN:]]
    told = "Their results are not there yet. Do not propose them again."
    return _section("Queued or running now", told, lines, level="#")


_KEPT = (
    "Kept",
    "Changes that were verified, each with its gain ± one standard error over its own parent. What "
    "is not marked 'in the base' is on another branch: its gain is not in train.py as you see it.",
)
_NEAR = (
    "Near misses",
    "They measured better than their parent, but not surely; what is borderline waits for a "
    "person. Candidates for combining, or for a stronger version.",
)
_CRASHED = (
    "Crashed or invalid",
    "With the end of the log. Do not make the same mistake.",
)
_REST = (
    "Everything else, by area",
    "For each area what came of all experiments in it, then some of its failures. A number is the "
    "change of val_bpb against the parent: positive is worse.",
)
_NEWEST = ("The newest verdicts", "Newest first.")


def _section(title: str, told: str, lines: Sequence[str], level: str = "##") -> str:
    return f"{level} {title}\n{told}\n" + fenced("\n".join(lines)) if lines else ""


# ---- parts ------------------------------------------------------------------------------------


def _newest(past: Past, newest: Sequence[HistoryEntry], room: int) -> str:
    section = ""
    for count, most in NEWEST:
        section = _section(*_NEWEST, [telling.told(past, e, most) for e in newest[:count]])
        if size(section) <= room:
            break
    return section


def _kept_first(kept: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """Return kept ones in the order in which they get room: the newest, then the largest."""
    newest = list(reversed(kept))[: WHOLE_KEPT // 2]
    others = [e for e in kept if e.id < newest[-1].id] if newest else []
    return newest + sorted(others, key=lambda e: (e.delta if e.delta is not None else 0.0, -e.id))


def _different(crashed: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """Return the newest crashes, one of each kind."""
    kinds: dict[str, HistoryEntry] = {}
    for e in reversed(crashed):
        kinds.setdefault(one_line(e.log[-1] if e.log else e.reason or "", 80), e)
        if len(kinds) == MOST_CRASHES:
            break
    return list(kinds.values())


def _fitted(
    what: tuple[str, str],
    past: Past,
    entries: Sequence[HistoryEntry],
    whole: int,
    most: int,
    share: str,
    room: int,
    in_base: frozenset[int] = frozenset(),
) -> str:
    """Return a section: the first entries whole, more in a line, the others counted."""
    room = int(room * SHARES[share]) - size("".join(what)) - FRAME
    lines: list[str] = []
    told = 0
    for place, e in enumerate(entries[:most]):
        text = telling.whole(past, e, in_base) if place < whole else telling.line(past, e, in_base)
        if size(text) >= room:
            text = telling.line(past, e, in_base)
        if size(text) >= room:
            break
        lines.append(text)
        room -= size(text) + 1
        told += 1
    if not lines:
        return _no_room(what[0], len(entries), room)
    if rest := entries[told:]:
        deltas = [e.delta for e in rest if e.delta is not None]
        together = f", together {signed(sum(deltas))}" if deltas else ""
        lines.append(f"… and {len(rest)} more{together}")
    return _section(*what, lines)


def _no_room(title: str, count: int, room: int) -> str:
    short = f"## {title}\n{count} of them, which there is no room to tell."
    return short if count and size(short) <= room else ""


def _by_area(past: Past, rest: Sequence[HistoryEntry], room: int) -> str:
    """Return what is left, a count for each area and below it as many lines as there is room."""
    groups: defaultdict[str, list[HistoryEntry]] = defaultdict(list)
    for e in rest:
        groups[areas_of(e)[0]].append(e)
    order = sorted(groups.items(), key=lambda group: -len(group[1]))
    for share in FEWER:
        lines: list[str] = []
        for area, entries in order:
            few = max(1, round(MOST_LINES * share / len(order))) if share else 0
            lines += _area(past, area, entries, few)
        section = _section(*_REST, lines)
        if size(section) <= room:
            return section
    return _no_room(_REST[0], len(rest), room)


def _area(past: Past, area: str, entries: Sequence[HistoryEntry], few: int) -> list[str]:
    """Return the lines of one area: the count, then its worst and its newest."""
    worst = sorted(entries, key=lambda e: -(e.delta if e.delta is not None else 0.0))[: few // 3]
    named = {e.id for e in worst}
    newest = [e for e in reversed(entries) if e.id not in named][: few - len(worst)]
    shown = sorted((*worst, *newest), key=lambda e: -e.id)
    left = len(entries) - len(shown)
    more = f"; {left} of them only counted" if left else ""
    return [f"{area}: {_count(entries)}{more}", *(f"  {telling.line(past, e)}" for e in shown)]


def _count(entries: Sequence[HistoryEntry]) -> str:
    """Return what came of some experiments, and which constants they moved most."""
    states = Counter(outcome(e) for e in entries)
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    deltas = [e.delta for e in entries if e.delta is not None]
    if deltas:
        told += f", from {signed(min(deltas))} to {signed(max(deltas))}"
    names = Counter(name for e in entries for name in e.constants or ())
    if names:
        told += f" ({_listed(names.most_common(4))})"
    return told


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{one_line(name, 40)} {count}" for name, count in counts)
