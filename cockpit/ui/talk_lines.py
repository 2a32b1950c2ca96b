"""Pure: what was said, and what is being written, as lines of the conversation."""

import time

from cockpit.lab.rows import Message, Stream
from cockpit.ui.text import Line, Span, clean, fit, wrap

INDENT = 6
"""Cells under which a message hangs: its time."""
MESSAGE_LINES = 60
"""A longer message is cut here; it stands in full in the journal."""
STREAM_LINES = 8
"""Of what is being written only the end is shown: the rest comes as a message."""
ROLE_KEYS = {
    "human": "yours",
    "question": "yours",
    "answer": "live",
    "proposer": "live",
    "engine": "muted",
    "offer": "yours",
}
ANSWER = "answer"
"""The speaker of an answer to a question."""


def message_lines(message: Message, width: int) -> list[Line]:
    """Return a message as lines: time and who, then the text, hanging below its time."""
    key = ROLE_KEYS.get(message.role, "")
    at = time.strftime("%H:%M", time.localtime(message.at))
    who = clean(message.author or message.role, 20)
    indent = _indent(width)
    text_key = "muted" if message.role == "engine" else ""
    lines: list[Line] = []
    paragraphs = message.text.split("\n")[:MESSAGE_LINES]
    about = f"#{message.experiment} " if message.experiment is not None else ""
    for number, paragraph in enumerate(paragraphs):
        lead = f"{who}  " if number == 0 else ""
        text = (about if number == 0 else "") + clean(paragraph)
        wrapped = wrap(lead + text, max(8, width - indent))
        for place, piece in enumerate(wrapped):
            first = number == 0 and place == 0
            spans: list[Span] = [(fit(at if first else "", indent), "muted")]
            if first and lead and piece.startswith(lead.rstrip()):
                spans += [(lead.rstrip(), key), (piece[len(lead.rstrip()) :], text_key)]
            else:
                spans.append((piece, text_key))
            lines.append(tuple(spans))
            if len(lines) >= MESSAGE_LINES:
                return [*lines, ((" " * indent + "…", "muted"),)]
    return lines


def stream_lines(stream: Stream, width: int) -> list[Line]:
    """Return who writes what at this moment, and the end of it."""
    indent = _indent(width)
    at = time.strftime("%H:%M", time.localtime(stream.started_at))
    who = "" if stream.speaker == ANSWER else f"{clean(stream.speaker, 20)} is "
    doing = f"{who}{clean(stream.about, 60) or 'writing'} …"
    head = ((fit(at, indent), "muted"), (fit(doing, max(8, width - indent)).rstrip(), "live"))
    room = max(8, width - indent)
    # Only the end is looked at: whatever came before has been seen going by.
    text = stream.text[-4 * STREAM_LINES * room :]
    shown: list[str] = []
    for paragraph in reversed(text.rstrip().split("\n")[-STREAM_LINES:]):
        shown[:0] = wrap(clean(paragraph), room)
    tail: list[Line] = [((" " * indent, ""), (line, "")) for line in shown[-STREAM_LINES:]]
    return [head, *(tail if text.strip() else [])]


def earlier_line(number: int, width: int) -> Line:
    """Return the line that stands for messages that are not shown any more."""
    are = "message is" if number == 1 else "messages are"
    return ((fit(f"{number} earlier {are} in the journal", width).rstrip(), "muted"),)


def _indent(width: int) -> int:
    return INDENT if width > 30 else 1
