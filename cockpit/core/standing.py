"""Where a night stands, for a prompt: base, noise, findings, dynamics, predictions, questions."""

from collections.abc import Iterable

from cockpit.core.briefing import Briefing, Exchange
from cockpit.core.calibration import calibration, told
from cockpit.core.detectable import smallest_gain
from cockpit.core.effects import Effects
from cockpit.core.experiment import Status
from cockpit.core.findings import divided
from cockpit.core.judge import DROP_BELOW, KEEP_FROM, REPLICATES, signed
from cockpit.core.past import Past, judged
from cockpit.core.quoting import clean, fenced, last_lines, one_line, size

FINDINGS_CHARACTERS = 6_000
EXCHANGES = 5
EXCHANGE_CHARACTERS = 600
DYNAMICS_LINES = 12


def standing(briefing: Briefing, past: Past) -> str:
    """Return how the night stands, and what the noise lets be seen."""
    base = past.entries.get(briefing.base)
    first = next((e for e in past.entries.values() if e.parent is None), None)
    ideas = judged(past.entries.values())
    lines = [f"# The night so far, tag {one_line(briefing.tag, 60)}"]
    if base is not None and base.val_bpb is not None:
        line = f"The base #{base.id} has val_bpb {base.val_bpb:.4f} over {_runs(base.runs)}"
        if first is not None and first.id != base.id and first.val_bpb is not None:
            change = signed(base.val_bpb - first.val_bpb)
            line += f", {change} against the baseline #{first.id} ({first.val_bpb:.4f})"
        lines.append(line + ".")
    if ideas:
        kept = sum(e.status == Status.KEPT for e in ideas)
        lines.append(f"Verdicts so far: {_counted(len(ideas), 'experiment')}, {kept} kept.")
    else:
        lines.append("No experiment has a verdict yet: yours is among the first.")
    return "\n".join([*lines, _noise(briefing, base.runs if base else 0)])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s'[: count != 1]}"


def _runs(count: int) -> str:
    return _counted(count, "run")


def _noise(briefing: Briefing, base_runs: int) -> str:
    noise = briefing.noise
    if noise.sigma is None:
        return "Noise: not known yet, so that small gains can't be told from nothing."
    known = (
        f"Noise: two runs of the same code differ by chance; the standard deviation of val_bpb is "
        f"{noise.sigma:.4f}, estimated from a stated prior and {_runs(noise.runs)}."
    )
    effects = Effects(briefing.effects)
    nothing, gain, harm = effects.shares
    kept = smallest_gain(noise, effects, base_runs, 1, KEEP_FROM)
    seen = smallest_gain(noise, effects, base_runs, 1, DROP_BELOW[0])
    if seen is None or kept is None:
        return known
    return (
        f"{known} Of the changes so far about {gain:.0%} gained, {nothing:.0%} did nothing and "
        f"{harm:.0%} harmed. Against this base a change is kept at once where its first run "
        f"measures a gain of {kept:.4f} or more, and discarded at once below {seen:.4f}; between "
        f"them it is run again, {_counted(REPLICATES, 'time')} at most. An idea that you expect to "
        "gain less can't be told from none: join it with what shares its mechanism, or look for a "
        "larger one."
    )


def findings(briefing: Briefing, room: int) -> str:
    """Return the findings of this tag, else those that program.md carries from another one."""
    text, source = briefing.findings, "made from the results of this tag"
    if not text.strip():
        _, text = divided(briefing.program)
        source = "merged into program.md earlier, maybe under another setup"
    if not text.strip():
        return ""
    lines = clean(text).strip().split("\n")
    room = min(room, FINDINGS_CHARACTERS) - 200
    while lines and size("\n".join(lines)) > room:
        lines = lines[: len(lines) * 9 // 10]
    return f"## Findings\nA summary, {source}.\n" + fenced("\n".join(lines)) if lines else ""


def dynamics(briefing: Briefing) -> str:
    """Return how the last scored run went: figures of the training process, so material."""
    if not briefing.dynamics:
        return ""
    of = f" of #{briefing.dynamics_of}" if briefing.dynamics_of is not None else ""
    lines = last_lines(briefing.dynamics, DYNAMICS_LINES)
    return f"# The training dynamics of the last scored run{of}\n" + fenced("\n".join(lines))


def predictions(briefing: Briefing, proposer: str) -> str:
    """Return how good a proposer's predictions were."""
    found = calibration(briefing.history, proposer)
    return f"# How good your predictions were\n{told(found)}" if found else ""


def conversation(exchanges: Iterable[Exchange]) -> str:
    """Return the last questions and answers."""
    last = [*exchanges][-EXCHANGES:]
    if not last:
        return ""
    lines = [
        f"{who}: {one_line(text, EXCHANGE_CHARACTERS)}"
        for one in last
        for who, text in (("question", one.question), ("answer", one.answer))
    ]
    heading = "# Recent questions of the human, and what was answered"
    return f"{heading}\n" + fenced("\n".join(lines))
