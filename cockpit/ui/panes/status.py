"""The line on top: what is this, does it live, how far is it, what awaits me."""

import time
from dataclasses import dataclass

from rich.cells import cell_len

from cockpit.ui.lines import TextLines
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.spent import spent_word
from cockpit.ui.text import (
    NOTHING,
    Line,
    Span,
    bpb,
    budget,
    clean,
    clock,
    fit,
    percent,
    signed,
    width_of,
)
from cockpit.ui.words import PHASES, engine_word, ideas_word, idle_word

GAP = "  "
AWAITING_CELLS = 13
"""Kept free at the right end for `12 are yours`."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the line, and the cells that are kept free for it whatever it says now."""

    name: str
    spans: tuple[Span, ...]
    cells: int


class StatusLine(TextLines):
    """One line that is always there."""

    DEFAULT_CSS = "StatusLine { height: 1; width: 1fr; overflow-y: hidden; }"

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        self.snapshot = snapshot
        self.show_lines([status_line(snapshot, self.line_width)])

    def relayout(self) -> None:
        """Fill the new width."""
        if hasattr(self, "snapshot"):
            self._lines = [status_line(self.snapshot, self.line_width)]


UNSANDBOXED = "unsandboxed"
ORDER = ("lab", "tag", "corpus", "state", "sandbox", "best", "busy", "ideas", "cost")
COST_CELLS = 8
"""From left to right; what awaits a person stands at the right end."""


def status_line(snapshot: Snapshot, width: int) -> Line:
    """Return the line for a width.

    Which fields there are depends on the width and on what the night is, never on the moment:
    nothing comes, goes or moves while a night goes on.
    """
    if snapshot.problem:
        lab, problem = clean(snapshot.lab, 24), clean(snapshot.problem, 300)
        return ((" ", ""), (f"{lab}{GAP}", "heading"), (problem, "error"))
    right = _awaiting(snapshot)
    chosen = _choose(_fields(snapshot), width - 1 - AWAITING_CELLS)
    spans: list[Span] = [(" ", "")]
    for name in ORDER:
        if name in chosen:
            field = chosen[name]
            spans += [*field.spans, (" " * (field.cells - width_of(field.spans)) + GAP, "")]
    # The last gap is no loss where something awaits.
    space = width - width_of(spans) - width_of(right)
    return (*spans, (" " * max(0, space), ""), *right)


def _choose(fields: list[Field], room: int) -> dict[str, Field]:
    """Take fields in the order of their worth; a longer form replaces a shorter one."""
    chosen: dict[str, Field] = {}
    for field in fields:
        known = chosen.get(field.name)
        more = field.cells - known.cells if known else field.cells + len(GAP)
        if more <= room or not chosen:
            room -= more
            chosen[field.name] = field
    return chosen


def _fields(snapshot: Snapshot) -> list[Field]:
    """Return the fields that this night has, the dearest first."""
    run_cells = 2 * len(_limit(snapshot)) + 1
    short, long = 8 + 1 + 5 + 1 + run_cells, 8 + 1 + 5 + 1 + 10 + 1 + run_cells
    fields = [Field("state", _state(snapshot, short, phase=False), max(short, 24))]
    if snapshot.engine.unsandboxed:
        fields.append(Field("sandbox", ((UNSANDBOXED, "error"),), len(UNSANDBOXED)))
    score = _best(snapshot)
    distance = score[:3] if snapshot.gain is not None else score[:2]
    fields += [Field("best", score[:2], 11), Field("best", distance, 19)]
    if snapshot.tag:
        fields.append(_text("tag", snapshot.tag.name, "heading"))
    if snapshot.spent.calls or snapshot.proposers - {"search"}:
        # Its place is kept from the beginning of a night that may cost something.
        fields.append(
            Field("cost", ((f"{spent_word(snapshot.spent):>{COST_CELLS}}", ""),), COST_CELLS)
        )
    limit = snapshot.limit
    cells = 10 if limit is None else 2 * len(str(limit)) + 12
    fields.append(Field("ideas", ((f"{ideas_word(snapshot):<{cells}}", "muted"),), cells))
    fields.append(Field("state", _state(snapshot, long, phase=True), max(long, 37)))
    fields.append(Field("best", score, 27))
    fields.append(_text("lab", snapshot.lab, "muted"))
    busy = f"{percent(snapshot.busy)} busy" if snapshot.busy is not None else ""
    fields.append(Field("busy", ((f"{busy:>10}", "muted"),), 10))
    corpus = (snapshot.setup or {}).get("corpus")
    if isinstance(corpus, str):
        fields.append(_text("corpus", corpus, "muted"))
    return fields


def _text(name: str, text: str, key: str) -> Field:
    shown = clean(text, 24)
    return Field(name, ((shown, key),), cell_len(shown))


def _limit(snapshot: Snapshot) -> str:
    """Return the budget of one run as it stands behind the time that has gone."""
    seconds = (snapshot.setup or {}).get("budget_seconds")
    return clock(seconds) if isinstance(seconds, int | float) else NOTHING


def _state(snapshot: Snapshot, cells: int, *, phase: bool) -> tuple[Span, ...]:
    """Return how the engine is, and the run under way: together in `cells` cells."""
    ended = ended_word(snapshot, short=not phase)
    text, key = ended or engine_word(snapshot.engine)
    if not snapshot.engine.alive or snapshot.engine.stale:
        return ((fit(text, max(cells, 37 if phase else 24)), key),)
    if not snapshot.current:
        return ((f"{text:<8} ", key), (fit(idle_word(snapshot.engine), cells - 9), "muted"))
    run = snapshot.current[0]
    told: list[Span] = [(f"{text:<8} ", key), (f"#{run.experiment:<4} ", "")]
    if phase:
        told.append((f"{PHASES.get(run.phase, run.phase):<10.10} ", "running"))
    limit = _limit(snapshot)
    seconds = clock(run.step.seconds if run.step else 0.0)
    told.append((f"{seconds:>{len(limit)}}/{limit}", ""))
    return tuple(told)


def ended_word(snapshot: Snapshot, *, short: bool = False) -> Span | None:
    """Return the words for a night that has ended, or None."""
    night = snapshot.night
    if night is None or snapshot.engine.state != "stopped":
        return None
    if night.ended_at is None:
        return "■ stopped: N begins", "yours"
    at = time.strftime("%H:%M", time.localtime(night.ended_at))
    if short:
        return f"■ ended {at}: N begins", "yours"
    return f"■ night ended {at}: N begins another", "yours"


def _best(snapshot: Snapshot) -> tuple[Span, ...]:
    """Return the best's score, its distance from the baseline, and the noise."""
    best, gain, sigma = snapshot.best, snapshot.gain, snapshot.noise.sigma
    distance = (f" {signed(gain) if gain is not None else '':<7}", "")
    noise = (f" ±{sigma:.4f}" if sigma is not None else "", "muted")
    score = ("best ", "muted"), (f"{bpb(best.val_bpb if best else None):<6}", "best")
    return (*score, distance, noise) if gain is not None else (*score, noise, distance)


def _awaiting(snapshot: Snapshot) -> tuple[Span, ...]:
    number = len(snapshot.awaiting)
    if not number:
        return ()
    return ((f"{number} {'is' if number == 1 else 'are'} yours ", "yours"),)


class TabLine(TextLines):
    """In a narrow terminal: which pane is shown, and a word on the others."""

    DEFAULT_CSS = "TabLine { height: 1; width: 1fr; overflow-y: hidden; }"

    def show(self, snapshot: Snapshot, names: dict[str, str], active: str) -> None:
        """Show the tabs; `names` maps keys to names of panes."""
        spans: list[Span] = [(" ", "")]
        for key, name in names.items():
            label = f"{key} {name}{' !' * (name == 'Agent' and snapshot.offer is not None)}"
            spans.append((f"[{label}]", "heading") if name == active else (f" {label} ", "muted"))
        spans.append((" ", ""))
        spans += _strip(snapshot, self.line_width - width_of(spans))
        self.show_lines([tuple(spans)])


def _strip(snapshot: Snapshot, room: int) -> list[Span]:
    """Return what the second line says beside the tabs, of the same moment as the first."""
    engine = snapshot.engine
    if engine.state == "dead":
        return [(fit("nothing runs until repaired", room), "error")]
    if not engine.alive:
        reason = (snapshot.night.reason if snapshot.night else None) or engine.reason or ""
        return [(fit(clean(reason, 200), room), "muted")]
    if not snapshot.current:
        return [(fit(clean(idle_word(engine), 200), room), "muted")]
    run = snapshot.current[0]
    loss = run.step.loss if run.step else None
    words = [
        f"loss {NOTHING if loss is None else f'{loss:.3f}':<6}",
        f"step {run.step.step if run.step else 0:<6}",
    ]
    if run.budget_seconds:
        words.append(f"{budget(run.budget_seconds)} a run")
    if snapshot.noise.sigma is not None:
        words.append(f"noise ±{snapshot.noise.sigma:.4f}")
    spans: list[Span] = []
    for word in words:
        if cell_len(word) > room:
            break
        spans.append((f"{word}  ", "muted"))
        room -= cell_len(word) + 2
    return spans
