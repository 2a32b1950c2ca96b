"""One experiment of the past in words: in a line, in two, or whole. All of it is material."""

from cockpit.core.briefing import HistoryEntry
from cockpit.core.judge import signed
from cockpit.core.past import FAILED, Past, outcome, own_reason
from cockpit.core.quoting import kept_lines, last_lines, one_line

DIFF_LINES = 16
TITLE = 140
HYPOTHESIS = 400


def who(e: HistoryEntry) -> str:
    """Return who had the idea."""
    return one_line(e.proposer, 40)


def line(past: Past, e: HistoryEntry, in_base: frozenset[int] = frozenset()) -> str:
    """Return an experiment in a line."""
    parts = [f"#{e.id} {outcome(e)} {past.gain(e)}".rstrip()]
    if e.id in in_base:
        parts.append("in the base")
    parts.append(who(e))
    if e.predicted is not None:
        parts.append(f"predicted {signed(e.predicted)}")
    parts.append(one_line(e.title, TITLE))
    if reason := own_reason(e):
        parts.append(one_line(reason))
    return " · ".join(parts)


def told(past: Past, e: HistoryEntry, most: int, in_base: frozenset[int] = frozenset()) -> str:
    """Return an experiment in a line, and its hypothesis in another."""
    why = one_line(e.hypothesis, most) if most and e.proposer != "search" else ""
    return line(past, e, in_base) + (f"\n    why: {why}" if why else "")


def whole(past: Past, e: HistoryEntry, in_base: frozenset[int]) -> str:
    """Return an experiment with its figures, its hypothesis, and its diff or its log."""
    lines = [told(past, e, HYPOTHESIS, in_base)]
    if e.val_bpb is not None:
        chance = f", P(better) {e.probability:.2f}" if e.probability is not None else ""
        honest = f", honest gain {signed(e.gain)}" if e.gain is not None else ""
        runs = f"{e.runs} run{'s'[: e.runs != 1]}"
        lines.append(f"    val_bpb {e.val_bpb:.4f} over {runs}{honest}{chance}, parent #{e.parent}")
    lines += [f"    {row}" for row in kept_lines(e.diff, DIFF_LINES)]
    if e.status in FAILED:
        lines += [f"    | {row}" for row in last_lines(e.log)]
    return "\n".join(lines)
