"""What a tag has learnt so far, as Markdown: for the lab's state, the screen and program.md.

The text is made anew from the history after every verdict, so nothing in it can go stale. A
person may merge it into program.md, where it stands between two marker lines; the rest of the
file is theirs and stays as it is, byte for byte.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from cockpit.core.areas import areas_of
from cockpit.core.briefing import HistoryEntry
from cockpit.core.experiment import Hint, Status
from cockpit.core.judge import signed
from cockpit.core.noise import Noise
from cockpit.core.past import (
    FAILED,
    OPEN,
    Past,
    changes,
    is_near,
    judged,
    near_misses,
    outcome,
    own_reason,
)
from cockpit.core.quoting import one_line

MOST_KEPT = 16
MOST_PROMISING = 6
MOST_FAILED = 8
MOST_OPEN = 8
TITLE_CHARACTERS = 100
REASON_CHARACTERS = 80

BEGIN = "<!-- cockpit findings: begin (written by `cockpit findings --write`) -->"
END = "<!-- cockpit findings: end -->"
_BEGIN = re.compile(r"^[ \t]*<!-- cockpit findings: begin\b[^\n]*-->[ \t]*\r?$\n?", re.MULTILINE)
_END = re.compile(r"^[ \t]*<!-- cockpit findings: end -->[ \t]*\r?$\n?", re.MULTILINE)


class FindingsError(ValueError):
    """The markers in a program.md are damaged; the message says how to mend them."""


def findings(
    tag: str,
    setup_line: str,
    history: Sequence[HistoryEntry],
    noise: Noise,
    hints: Iterable[Hint] = (),
) -> str:
    """Return what a tag has learnt, in some 60 lines at most.

    `setup_line` says in a line how it was measured; `history` has all experiments of the tag.
    """
    past = Past.of(history, noise)
    ideas = judged(past.entries.values())
    sound = past.sound()
    kept = [e for e in ideas if e.status == Status.KEPT and e.id in sound]
    near = near_misses(ideas)
    failed = [e for e in ideas if e.status in (Status.DISCARDED, *FAILED) and not is_near(e)]
    waiting = [e for e in changes(past.entries.values()) if e.status in OPEN]
    undone = [e for e in ideas if e.status == Status.KEPT and e.id not in sound]
    parts = [
        f"# Findings of {_plain(tag)}\n\n{_plain(setup_line, 300)}\n{_standing(past, kept)}",
        _part("Kept", _kept(past, kept)),
        _part("Promising", [_line(past, e) for e in near[:MOST_PROMISING]], len(near)),
        _part("Failed", _failed(past, failed), len(failed) if failed else 0, MOST_FAILED),
        _part("Open", _open(waiting, undone, hints)),
    ]
    return "\n".join(part for part in parts if part)


def _standing(past: Past, kept: Sequence[HistoryEntry]) -> str:
    """Return how far the tag has come, in one or two lines."""
    noise = past.noise
    spread = (
        f"Noise between runs of the same code: ±{noise.sigma:.4f} ({noise.runs} runs)."
        if noise.sigma is not None
        else "The noise between runs of the same code is not known yet."
    )
    first = next((e for e in past.entries.values() if e.parent is None), None)
    if first is None or first.val_bpb is None:
        return spread + "\n"
    count = len(judged(past.entries.values()))
    told = f"Baseline #{first.id} {first.val_bpb:.4f}"
    scored = [(e.val_bpb, e.id) for e in kept if e.val_bpb is not None]
    if scored and min(scored)[0] < first.val_bpb:
        score, number = min(scored)
        told += f", best #{number} {score:.4f} ({signed(score - first.val_bpb)})"
    return f"{spread} {told}, {count} experiments judged.\n"


def _part(title: str, lines: Sequence[str], count: int = 0, most: int = 0) -> str:
    if not lines:
        return ""
    more = count - (most or len(lines))
    rest = [f"- … and {more} more"] if more > 0 else []
    return "\n".join([f"## {title}", "", *lines, *rest, ""])


def _line(past: Past, e: HistoryEntry) -> str:
    """Return one experiment as an item of a list."""
    gain = past.gain(e) or outcome(e)
    chance = f", P(better) {e.probability:.2f}" if e.probability is not None else ""
    state = f", {e.status}" if e.status != Status.KEPT and gain != e.status else ""
    why = f" ({_plain(own_reason(e), REASON_CHARACTERS)})" if own_reason(e) else ""
    return f"- #{e.id} {gain}{chance}{state}: {_plain(e.title)}{why}"


def _kept(past: Past, kept: Sequence[HistoryEntry]) -> list[str]:
    """Return the largest gains, in the order in which they came."""
    largest = sorted(kept, key=lambda e: (e.delta if e.delta is not None else 0.0, -e.id))
    shown = sorted(largest[:MOST_KEPT], key=lambda e: e.id)
    rest = [e.delta for e in largest[MOST_KEPT:] if e.delta is not None]
    lines = [_line(past, e) for e in shown]
    if rest:
        lines.append(f"- … and {len(rest)} smaller ones, together {signed(sum(rest))}")
    return lines


def _failed(past: Past, failed: Sequence[HistoryEntry]) -> list[str]:
    """Return what failed by area, then the newest of it."""
    if not failed:
        return []
    areas = Counter(areas_of(e)[0] for e in failed)
    crashes = sum(e.status in FAILED for e in failed)
    told = ", ".join(f"{area} {count}" for area, count in areas.most_common())
    head = f"- {len(failed)} in all ({crashes} crashed or invalid), by area: {told}"
    return [head, *(_line(past, e) for e in failed[: -MOST_FAILED - 1 : -1])]


def _open(
    waiting: Sequence[HistoryEntry], undone: Sequence[HistoryEntry], hints: Iterable[Hint]
) -> list[str]:
    lines = [f"- #{e.id} {e.status}: {_plain(e.title)}" for e in waiting]
    lines += [
        f"- #{e.id} was kept on a parent that no longer is: run it again on the present base "
        f"({_plain(e.title)})"
        for e in undone[-MOST_OPEN:]
    ]
    lines += [
        f"- hint {hint.id} not followed yet: {_plain(hint.text)}"
        + (f" (not now: {_plain(hint.why)})" if hint.why else "")
        for hint in hints
        if hint.open and hint.state != "applied"
    ]
    return lines[: 2 * MOST_OPEN]


def _plain(text: str, most: int = TITLE_CHARACTERS) -> str:
    """Return a text as one line that opens or closes no comment, and so no marker."""
    return one_line(text, most).replace("<!--", "<! --").replace("-->", "-- >")


# ---- in program.md ----------------------------------------------------------------------------


def merged(program_md: str, findings_md: str) -> str:
    """Return a program.md with the findings between their markers.

    An older section is replaced where it stands, else one is added at the end; everything else
    stays byte for byte. Raises `FindingsError` where a marker is missing, doubled or out of place.
    """
    section = _section(findings_md)
    if "\r\n" in program_md:
        section = section.replace("\n", "\r\n")
    place = _place(program_md)
    if place is not None:
        return program_md[: place[0]] + section + program_md[place[1] :]
    end = "\r\n" if "\r\n" in program_md else "\n"
    gap = "" if not program_md else end if program_md.endswith("\n") else 2 * end
    return program_md + gap + section


def divided(program_md: str) -> tuple[str, str]:
    """Return a program.md without its findings, and the findings; damaged markers divide nothing.

    What a person wrote is an instruction to a proposer, what was merged into it is not.
    """
    try:
        place = _place(program_md)
    except FindingsError:
        return program_md, ""
    if place is None:
        return program_md, ""
    inside = program_md[place[0] : place[1]]
    return (
        program_md[: place[0]] + program_md[place[1] :],
        _END.sub("", _BEGIN.sub("", inside)).strip("\r\n") + "\n",
    )


def _section(findings_md: str) -> str:
    """Return the marked section: headings are one level lower than in a file of their own."""
    if _BEGIN.search(findings_md) or _END.search(findings_md):
        raise FindingsError("the findings hold a marker of their own section")
    lowered = re.sub(r"^(?=#{1,5} )", "#", findings_md.strip("\n"), flags=re.MULTILINE)
    return f"{BEGIN}\n{lowered}\n{END}\n"


def _place(program_md: str) -> tuple[int, int] | None:
    """Return where the section begins and ends, None where there is none."""
    begins = [found.span() for found in _BEGIN.finditer(program_md)]
    ends = [found.span() for found in _END.finditer(program_md)]
    if not begins and not ends:
        return None
    if len(begins) == 1 and len(ends) == 1 and begins[0][1] <= ends[0][0]:
        return begins[0][0], ends[0][1]
    lines = ", ".join(
        f"{name} in line {program_md.count(chr(10), 0, start) + 1}"
        for name, spans in (("begin", begins), ("end", ends))
        for start, _ in spans
    )
    raise FindingsError(
        f"the markers of the findings in program.md are damaged ({lines}): there must be one "
        "begin and one end after it; take out the stray ones, or all of them"
    )
