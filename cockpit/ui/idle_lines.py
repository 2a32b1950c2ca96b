"""Pure: what stands in the GPU pane when nothing runs: why, what came of it, and what to do."""

import time

from cockpit.core.experiment import Status
from cockpit.ui.figure_lines import noise_word
from cockpit.ui.snapshot import Snapshot
from cockpit.ui.text import Line, Span, bpb, clean, clock, signed, wrap
from cockpit.ui.words import ideas_word, idle_word, status_word


def idle_lines(snapshot: Snapshot, width: int) -> list[Line]:
    """Say why nothing runs, and what to do."""
    engine, night = snapshot.engine, snapshot.night
    if engine.alive:
        words: list[Span] = [(clean(idle_word(engine), 300), "yours")]
        if engine.reason:
            words.append((clean(engine.reason, 300), "muted"))
        return _paragraphs(words, width)
    if engine.state == "fresh":
        return _paragraphs([("Nothing has been started here yet.", ""), _how(engine.state)], width)
    if engine.state == "dead":
        waiting = ", ".join(f"#{number}" for number in snapshot.stranded)
        verb = "wait" if len(snapshot.stranded) > 1 else "waits"
        words = [("The engine died: nothing is begun or judged until it is repaired.", "error")]
        words += [(f"{waiting} {verb} for repair; nothing of it is lost.", "")] if waiting else []
        words.append(_how("dead"))
        return _paragraphs(words, width)
    words = []
    if night is not None:
        at = time.strftime("%H:%M", time.localtime(night.ended_at)) if night.ended_at else ""
        after = clock(night.elapsed or (night.ended_at or night.started_at) - night.started_at)
        head = f"The night ended at {at} after {after}." if at else "The night was stopped."
        words.append((head, "heading"))
    reason = (night.reason if night else None) or engine.reason
    if reason:
        words.append((clean(reason, 300), ""))
    return [*_paragraphs([*words, _how("stopped")], width), *_summary(snapshot, width)]


def _how(state: str) -> Span:
    if state == "dead":
        return "N repairs and goes on (or: cockpit start)", "yours"
    return "N begins a new night (or: cockpit start)", "yours"


def _summary(snapshot: Snapshot, width: int) -> list[Line]:
    counts, best, gain = snapshot.counts or {}, snapshot.best, snapshot.gain
    noise = snapshot.noise
    told = [ideas_word(snapshot)]
    told += [f"{counts[key]} {status_word(key)}" for key in Status if counts.get(key)]
    lines: list[Line] = [(), *_paragraphs([("  ".join(told), "muted")], width)]
    if best is not None:
        score = f"#{best.id} {bpb(best.val_bpb)}" + (f" {signed(gain)}" if gain is not None else "")
        lines.append((("best ", "muted"), (score, "best"), (f"  {noise_word(noise)}", "muted")))
    seconds: dict[str, float] = {}
    for slot in (snapshot.slots or {}).values():
        for name, value in slot.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
    spent = [f"{name} {clock(value)}" for name, value in seconds.items() if value >= 1.0]
    if spent:
        lines += _paragraphs([("time: " + ", ".join(spent), "muted")], width)
    return lines


def _paragraphs(words: list[Span], width: int) -> list[Line]:
    return [((line, key),) for text, key in words for line in wrap(text, width)]
