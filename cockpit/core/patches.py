"""An experiment's change as a mail that `git am` takes: what was tried, and what it is worth.

The text is written by others, and git reads a mail line by line: a line that begins like a
header, a diff or the next mail would end the message early. Such lines get a space in front.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.utils import format_datetime

from cockpit.core.experiment import Experiment
from cockpit.core.judge import signed
from cockpit.core.quoting import clean, one_line

AUTHOR = "cockpit <cockpit@localhost>"
TITLE_CHARACTERS = 120
NAME_CHARACTERS = 52
_TAKEN = re.compile(
    r"-|>|diff |Index:|From |\[PATCH|(?:from|subject|date|author|cc|to|content-[a-z-]+):", re.I
)


@dataclass(frozen=True, slots=True)
class Change:
    """One experiment on the way from the baseline."""

    experiment: Experiment
    parent: Experiment | None
    diff: bytes
    """Statistics and patch, as git writes them."""


def file_name(number: int, title: str) -> str:
    """Return what git would call the patch: `0001-halve-the-batch.patch`."""
    words = re.sub(r"[^A-Za-z0-9_]+", "-", title).strip("-")[:NAME_CHARACTERS].strip("-")
    return f"{number:04d}-{words or 'untitled'}.patch"


def mail(change: Change, number: int, count: int) -> bytes:
    """Return the patch `number` of `count` as a mail."""
    own = change.experiment
    at = datetime.fromtimestamp(own.decided_at or own.created_at, UTC)
    title = one_line(own.title, TITLE_CHARACTERS) or "Untitled"
    head = [
        # The date is git's own mark of a patch, the same in all of them.
        f"From {own.commit} Mon Sep 17 00:00:00 2001",
        f"From: {AUTHOR}",
        f"Date: {format_datetime(at)}",
        _subject(f"Subject: [PATCH {number}/{count}]", title),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    text = "\n".join([*head, "", _body(change), "---", ""])
    return text.encode("utf-8", "replace") + change.diff + b"-- \ncockpit\n\n"


def _subject(lead: str, title: str) -> str:
    if title.isascii():
        return f"{lead} {title}"
    charset = Charset("utf-8")
    charset.header_encoding = QP  # as git does: one can still read it
    return f"{lead} {Header(title, charset, header_name=lead).encode(linesep=chr(10))}"


def _body(change: Change) -> str:
    own = change.experiment
    proposer = f"Proposer: {one_line(own.proposer, 60)}"
    trailers = [f"Cockpit-Experiment: {own.id}", f"Cockpit-Tag: {own.tag}", proposer]
    parts = [_safe(own.hypothesis), _safe("\n".join(worth(own, change.parent)))]
    return "\n\n".join([*filter(None, parts), "\n".join(trailers)])


def worth(own: Experiment, parent: Experiment | None) -> list[str]:
    """Return in lines what an experiment has gained, honestly and as measured, and its verdict."""
    lines = []
    if own.gain is not None:
        error = f" ± {own.gain_error:.4f}" if own.gain_error is not None else ""
        chance = f", P(better) {own.probability:.2f}" if own.probability is not None else ""
        lines.append(f"Honest gain: {signed(own.gain)}{error} val_bpb{chance}")
    elif parent is not None:
        lines.append("Honest gain: not known")
    if own.val_bpb is not None:
        runs = len(own.scores)
        line = f"Measured: val_bpb {own.val_bpb:.4f} in {runs} run{'s' * (runs != 1)}"
        if parent is not None and parent.val_bpb is not None:
            line += f", {signed(own.val_bpb - parent.val_bpb)} against #{parent.id}"
        lines.append(line)
    by = f" by {one_line(own.decided_by, 60)}" if own.decided_by else ""
    why = f": {one_line(own.reason, 300)}" if own.reason else ""
    lines.append(f"{own.status.capitalize()}{by}{why}")
    return lines


def _safe(text: str) -> str:
    """Return a text none of whose lines means anything to git."""
    lines = [line.rstrip() for line in clean(text).strip().split("\n")]
    return "\n".join(f" {line}" if _TAKEN.match(line) else line for line in lines)
