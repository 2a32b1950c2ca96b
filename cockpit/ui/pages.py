"""Pages to read: the findings, all hints, the scoreboard. What is on them, and as which lines."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cockpit.ui.client import Client
from cockpit.ui.findings_lines import findings_lines
from cockpit.ui.hint_lines import all_hint_lines
from cockpit.ui.score_lines import score_lines
from cockpit.ui.text import Line


@dataclass(frozen=True, slots=True)
class Page:
    """A page; what was read is compared before it is laid out again."""

    title: str
    read: Callable[[Client], Any]
    """May block: it is called in a thread."""
    lines: Callable[[Any, int], list[Line]]


PAGES = {
    "findings": Page("Findings", Client.findings, findings_lines),
    "hints": Page("Hints", Client.hints, all_hint_lines),
    "score": Page("Scoreboard", Client.scores, score_lines),
}
