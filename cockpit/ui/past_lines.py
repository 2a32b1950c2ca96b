"""Pure: a night that is over becomes a block of the conversation."""

import time
from collections.abc import Iterable, Sequence

from cockpit.ui.hint_lines import hint_label, hint_word
from cockpit.ui.past import Kept, PastNight
from cockpit.ui.spent import dollars
from cockpit.ui.text import Line, bpb, clean, fit, signed, wrap
from cockpit.ui.words import status_word

KEPT_SHOWN = 6
"""Of what was kept, those with the largest gain."""
SAID_SHOWN = 12
"""Of hints, questions and crashes, the newest."""
LABEL_CELLS = 10


def past_lines(past: PastNight, width: int) -> list[Line]:
    """Return the block of a night that is over."""
    lines: list[Line] = [((line, "heading"),) for line in wrap(_head(past), max(8, width))]
    kept, more = _largest(past.kept)
    told = [f"#{k.id} {clean(k.title, 80)} {_gain(k)}" for k in kept]
    lines += _facts("kept", [*told, *_more(more)], width, "kept")
    crashed = ", ".join(f"#{number}" for number in past.crashed[-SAID_SHOWN:])
    crashes = [" ".join([crashed, *_more(len(past.crashed) - SAID_SHOWN)])] if crashed else []
    lines += _facts("crashed", crashes, width, "crashed")
    hints = [f"{hint_label(h)}  {clean(h.text, 200)}: {hint_word(h)}" for h in past.hints]
    lines += _facts("hints", _shown(hints), width, "yours")
    asked = [
        clean(question, 200) + (f" — {clean(answer, 160)}" if answer else "")
        for question, answer in past.exchanges
    ]
    lines += _facts("asked", _shown(asked), width, "yours")
    return lines + _facts("ended", [clean(past.reason, 300)] if past.reason else [], width, "muted")


def _head(past: PastNight) -> str:
    began = time.strftime("%a %d %b %H:%M", time.localtime(past.started_at))
    end = f" to {time.strftime('%H:%M', time.localtime(past.ended_at))}" if past.ended_at else ""
    ideas = f"{past.ideas} idea{'s' * (past.ideas != 1)}"
    counts = [f"{number} {status_word(status)}" for status, number in past.counts]
    best = f"best {bpb(past.best)}" if past.best is not None else ""
    cost = dollars(past.dollars) if past.dollars is not None else ""
    told = [f"{began}{end}", clean(past.tag, 30), ", ".join([ideas, *counts]), best, cost]
    return " · ".join(filter(None, told))


def _largest(kept: Sequence[Kept]) -> tuple[list[Kept], int]:
    """Return those with the largest gain in the order in which they came, and how many more."""
    by_gain = sorted(kept, key=lambda k: k.gain if k.gain is not None else 0.0)[:KEPT_SHOWN]
    return sorted(by_gain, key=lambda k: k.id), len(kept) - len(by_gain)


def _gain(kept: Kept) -> str:
    return signed(kept.gain) + (f" ±{kept.error:.4f}" if kept.error is not None else "")


def _shown(told: list[str]) -> list[str]:
    return [*told[-SAID_SHOWN:], *_more(len(told) - SAID_SHOWN)]


def _more(number: int) -> list[str]:
    return [f"and {number} more"] if number > 0 else []


def _facts(label: str, told: Iterable[str], width: int, key: str) -> list[Line]:
    """Return lines that hang below a label; none where nothing is told."""
    lines: list[Line] = []
    for text in told:
        for number, piece in enumerate(wrap(text, max(8, width - LABEL_CELLS - 1))):
            lead = fit(f" {label}" if not lines else "", LABEL_CELLS)
            hanging = " " if number else ""
            lines.append(((lead, key if not lines else ""), (hanging + piece, "muted")))
    return lines
