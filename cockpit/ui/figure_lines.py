"""Pure: what was measured of an experiment, against its base and against the noise."""

from collections.abc import Sequence

from cockpit.core.constraints import named_metrics
from cockpit.core.curve import HALF_LIFE_SHARE, lead
from cockpit.core.experiment import Experiment, Run
from cockpit.core.noise import Noise
from cockpit.core.tree import delta
from cockpit.ui.snapshot import Details
from cockpit.ui.text import Line, Span, bpb, clean, clock, count, signed, size, width_of

RUN_INDENT = 5
STATES = {
    "finished": "",
    "running": "under way",
    "invalid": "not measured as all others",
    "unstarted": "never began",
    "pruned": "stopped early by the rule",
    "disturbed": "disturbed: run again",
}
"""Where the word on the screen is not the state itself."""
PURPOSES = {"verdict": "", "confirm": "to confirm", "horizon": "another budget"}
SPARED = {"hand": "let finish by hand", "drawn": "let finish to check the rule"}


def noise_word(noise: Noise) -> str:
    """Return the noise and the runs that it rests on; empty while it is not known."""
    runs = f"{noise.runs} run{'s' * (noise.runs != 1)}"
    return f"noise ±{noise.sigma:.4f} ({runs})" if noise.sigma is not None else ""


def honest_word(own: Experiment) -> str:
    """Return the honest gain and its error; empty where the rule has said nothing."""
    if own.gain is None:
        return ""
    return signed(own.gain) + (f" ±{own.gain_error:.4f}" if own.gain_error is not None else "")


def packed(spans: Sequence[Span], width: int, indent: int = 0) -> list[Line]:
    """Return spans side by side with gaps of three cells, on as many lines as they take."""
    lines: list[list[Span]] = [[]]
    for span in spans:
        if lines[-1] and width_of(lines[-1]) + 3 + len(span[0]) > width:
            lines.append([(" " * indent, "")])
        elif lines[-1]:
            lines[-1].append(("   ", ""))
        lines[-1].append(span)
    return [tuple(line) for line in lines if line]


def figure_lines(details: Details, noise: Noise, width: int) -> list[Line]:
    """Return gain raw and honest, how probable it is, the noise, and both sides' runs."""
    own, parent = details.experiment, details.parent
    if own.val_bpb is None:
        return []
    spans: list[Span] = [(f"val_bpb {bpb(own.val_bpb)}", "heading")]
    known = {e.id: e for e in (own, parent) if e is not None}
    change = delta(known, own)
    if change is not None:
        spans.append((f"gain {signed(change)}", ""))
    if honest := honest_word(own):
        spans.append((f"honest {honest}", "heading"))
    if own.probability is not None:
        spans.append((f"P(better) {own.probability:.2f}", "heading"))
    if told := noise_word(noise):
        spans.append((told, "muted"))
    expected = details.proposal.predicted
    if expected is not None and change is not None:
        spans.append((f"predicted {signed(expected)}", "muted"))
    lines = packed(spans, width)
    lines += packed(_sides(own, parent), width)
    if parent is not None:
        lines += packed([*_sealed(details), *_beside(own, parent), *_pace(details)], width)
    return [*lines, ()]


def _sides(own: Experiment, parent: Experiment | None) -> list[Span]:
    spans = [("runs  " + "  ".join(bpb(score) for score in own.scores), "")]
    if parent is not None and parent.scores:
        scores = "  ".join(bpb(score) for score in parent.scores)
        spans.append((f"its base's  {scores}", "muted"))
    return spans


def _beside(own: Experiment, parent: Experiment) -> list[Span]:
    """Return what the change costs or saves beside the score."""
    spans: list[Span] = []
    speed, base_speed = _speed(own.scored), _speed(parent.scored)
    if speed and base_speed:
        spans.append((f"tokens/s {_share(speed / base_speed - 1)}", "muted"))
    memory, base_memory = _memory(own.scored), _memory(parent.scored)
    if memory and base_memory:
        spans.append((f"memory {_share(memory / base_memory - 1)}", "muted"))
    return spans


def _sealed(details: Details) -> list[Span]:
    """Return what nobody could have aimed at: the sealed rows, and how much code it takes."""
    spans: list[Span] = []
    if details.sealed_gain is not None:
        spans.append((f"sealed slice {signed(details.sealed_gain)}", ""))
    lines = [event.facts["lines"] for event in details.verdicts if event.facts.get("lines")]
    if lines and isinstance(lines[-1], int):
        spans.append((f"code {signed(float(lines[-1]), 0)} lines", "muted"))
    return spans


def _pace(details: Details) -> list[Span]:
    """Return how far the curve lies from its base's where both end."""
    if not details.curve or not details.parent_curve:
        return []
    end = min(details.curve[-1][0], details.parent_curve[-1][0])
    found = lead(details.curve, details.parent_curve, HALF_LIFE_SHARE * end)
    if found is None:
        return []
    seconds, over = found
    side = "below" if over < 0 else "above"
    return [(f"training loss {abs(over):.3f} {side} its base's at {clock(seconds)}", "muted")]


def _speed(runs: Sequence[Run]) -> float | None:
    """Return tokens a second over all runs that say so."""
    timed = [(r.tokens, r.training_seconds) for r in runs if r.tokens and r.training_seconds]
    seconds = sum(seconds for _, seconds in timed)
    return sum(tokens for tokens, _ in timed) / seconds if seconds else None


def _memory(runs: Sequence[Run]) -> int | None:
    return max((r.peak_memory_bytes for r in runs if r.peak_memory_bytes), default=None)


def _share(share: float) -> str:
    """Return a change as `−0.1 %`; what rounds to nothing as `±0`."""
    return "±0" if abs(share) < 0.0005 else f"{signed(100 * share, 1)} %"


def run_lines(runs: Sequence[Run], width: int) -> list[Line]:
    """Return all runs: score, what they were for, how they ended, and their figures."""
    return [line for run in runs for line in _run(run, width)]


def _run(run: Run, width: int) -> list[Line]:
    state = STATES.get(run.state, clean(run.state, 20))
    told = [PURPOSES.get(run.purpose, clean(run.purpose, 20)), state]
    told.append(SPARED.get(run.spared or "", ""))
    bad = run.state in ("failed", "invalid", "pruned", "disturbed", "lost")
    spans: list[Span] = [(f"  {run.number:<2} {bpb(run.val_bpb):>6}", "")]
    if word := ", ".join(filter(None, told)):
        spans.append((word, "crashed" if run.state in ("failed", "invalid") else "heading"))
    figures = [
        f"{count(run.tokens)} tokens" if run.tokens is not None else "",
        f"{run.steps} steps" if run.steps is not None else "",
        f"trained {clock(run.training_seconds)}" if run.training_seconds is not None else "",
        f"memory {size(run.peak_memory_bytes)}" if run.peak_memory_bytes else "",
        f"seed {run.seed}",
        *(f"{clean(name, 40)} {value:.4g}" for name, value in named_metrics(run).items()),
    ]
    spans += [(figure, "muted") for figure in figures if figure]
    if run.reason:
        spans.append((clean(run.reason, 200), "warning" if bad else "muted"))
    return packed(spans, width, RUN_INDENT)
