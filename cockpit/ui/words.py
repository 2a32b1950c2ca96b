"""The words and glyphs of the screen, in one place: never a colour alone, never a glyph alone."""

from cockpit.core.experiment import Experiment, Status
from cockpit.ui.snapshot import EngineState, Snapshot
from cockpit.ui.text import age, clock

GLYPHS = {
    Status.QUEUED: "·",
    Status.RUNNING: "▶",
    Status.KEPT: "●",
    Status.DISCARDED: "×",
    Status.BORDERLINE: "?",
    Status.CRASHED: "!",
    Status.INVALID: "⊘",
    Status.STOPPED: "■",
}
BEST_GLYPH = "★"
WORDS = {Status.BORDERLINE: "yours"}
"""Where the word on the screen is not the status itself."""

ENGINE_GLYPHS = {
    "fresh": "○",
    "running": "●",
    "paused": "‖",
    "stopped": "■",
    "dead": "!",
}

PHASES = {
    "starting": "starting",
    "warming": "compiling",
    "training": "training",
    "evaluating": "evaluating",
    "done": "judging",
}
"""Phases of a run as they are called on the screen."""

GLOSSARY = (
    ("program", "the brief: program.md, what the researcher wants"),
    ("hint", "a nudge from you; it stays until withdrawn"),
    ("findings", "what the lab has learnt; written anew after every verdict"),
    ("experiment", "a proposal, its runs and its verdict"),
    ("proposal", "an idea, its edits and the base they edit"),
    ("run", "one execution with one seed"),
    ("baseline", "a tag's first experiment, unedited"),
    ("base", "what the next proposal edits"),
    ("best", "the sound kept one with the lowest val_bpb"),
    ("sound", "all of its ancestors are kept"),
    ("val_bpb", "validation bits per byte; lower is better"),
    ("noise", "how much the same code differs from itself"),
    ("yours", "borderline: the rule leaves it to you"),
    ("slot", "one GPU, or the CPU"),
    ("night", "one start until its limits"),
)


def status_word(status: Status) -> str:
    """Return the word for a verdict."""
    return WORDS.get(status, str(status))


def glyph(experiment: Experiment, best: int | None) -> str:
    """Return the sign of an experiment in the tree."""
    return BEST_GLYPH if experiment.id == best else GLYPHS[experiment.status]


def style_key(experiment: Experiment, best: int | None) -> str:
    """Return the palette key of an experiment."""
    return "best" if experiment.id == best else str(experiment.status)


def engine_word(engine: EngineState) -> tuple[str, str]:
    """Return how the engine is, glyph and word, and its palette key."""
    sign = ENGINE_GLYPHS[engine.state]
    if engine.state == "dead":
        return f"{sign} engine died: N repairs", "error"
    if engine.state == "fresh":
        return f"{sign} nothing started yet", "muted"
    if engine.stale:
        return f"{sign} {engine.state}, silent {clock(engine.heartbeat_age)}", "warning"
    if engine.state == "running":
        return f"{sign} live", "live"
    if engine.state == "paused":
        return f"{sign} paused", "yours"
    return f"{sign} stopped", "muted"


def idle_word(engine: EngineState) -> str:
    """Return what a living engine does when it runs nothing."""
    if engine.state == "paused":
        return "nothing new starts"
    if engine.activity.startswith("ending"):
        return engine.activity
    return "waiting for an idea"


def ideas_word(snapshot: Snapshot) -> str:
    """Return how many ideas there are, and of how many where the night has a limit."""
    limit = snapshot.limit
    if limit is None:
        return f"{snapshot.ideas} ideas" if snapshot.ideas != 1 else "1 idea"
    # A tag that had ideas before this night has more of them than the limit counts.
    what = "ideas" if snapshot.done_tonight == snapshot.ideas else "tonight"
    return f"{snapshot.done_tonight} of {limit} {what}"


def ago(at: float, now: float) -> str:
    """Return how long ago a moment was."""
    return age(now - at)
