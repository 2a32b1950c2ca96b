"""Pure: the scoreboard as lines: what each proposer brought, and what it cost."""

from collections.abc import Sequence

from cockpit.core.scoreboard import UNKNOWN, Score
from cockpit.lab.looking import Scores
from cockpit.ui.spent import Spent, dollars, spent_word
from cockpit.ui.text import NOTHING, Line, clean, count, fit, signed

NAME_CELLS = 14
COLUMNS = (
    ("ideas", 7, 0),
    ("kept", 6, 0),
    ("gain", 10, 0),
    ("cost", 10, 48),
    ("yours", 7, 72),
    ("failed", 8, 72),
    ("predicted", 12, 84),
)
"""Heading, cells, and from which width on it is shown."""


def score_lines(scored: tuple[Scores | None, Spent], width: int) -> list[Line]:
    """Return the tables of a tag, and what the night has taken."""
    scores, spent = scored
    lines: list[Line] = []
    if spent.calls:
        calls = f"{spent.calls} call{'s' * (spent.calls != 1)}"
        told = f"{spent_word(spent)} this night: {calls}, {count(spent.tokens)} tokens"
        lines += [((fit(told, width).rstrip(), ""),), ()]
    if scores is None or not scores.proposers:
        return [*lines, (("Nobody has proposed anything yet.", "muted"),)]
    lines += _table("proposer", scores.proposers, width)
    versions = [row for row in scores.programs if row.name != UNKNOWN]
    if len(versions) > 1:
        lines += [(), *_table("program.md", versions, width)]
    note = "gain: val_bpb won by what is kept and sound · predicted: how far off, in the mean"
    return [*lines, (), ((fit(note, width).rstrip(), "muted"),)]


def _table(what: str, rows: Sequence[Score], width: int) -> list[Line]:
    columns = [(name, cells) for name, cells, least in COLUMNS if width >= least]
    head = fit(what, NAME_CELLS) + "".join(f"{name:>{cells}}" for name, cells in columns)
    lines: list[Line] = [((head, "muted"),)]
    for row in rows:
        figures = "".join(f"{_figure(name, row):>{cells}}" for name, cells in columns)
        lines.append(((fit(clean(row.name, 40), NAME_CELLS - 1) + " ", "live"), (figures, "")))
    return lines


def _figure(name: str, row: Score) -> str:
    figures = {
        "ideas": str(row.proposals),
        "kept": str(row.kept),
        "gain": signed(0.0 - row.gain) if row.kept else NOTHING,
        "cost": _cost(row),
        "yours": str(row.borderline),
        "failed": str(row.failed),
        "predicted": NOTHING if row.prediction_error is None else f"±{row.prediction_error:.4f}",
    }
    return figures[name]


def _cost(row: Score) -> str:
    if row.unpriced and not row.dollars:
        return "$?"
    return dollars(row.dollars) if row.dollars else NOTHING
