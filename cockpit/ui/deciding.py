"""Pure: whether a person may keep or discard an experiment, and what is asked before it.

What the rule left to a person is one key; to overrule the rule is worth a question.
"""

from collections.abc import Mapping

from cockpit.core.awaiting import is_doubtful
from cockpit.core.experiment import TRANSITIONS, Event, Experiment, Status
from cockpit.core.tree import delta
from cockpit.ui.text import signed
from cockpit.ui.words import status_word

EVENTS = {"accept": Event.ACCEPT, "reject": Event.REJECT}
KEEP = {"accept": "Keep", "reject": "Discard"}
ANSWERS = {"accept": "keeps it", "reject": "discards it"}


def why_not(experiment: Experiment, verb: str) -> str | None:
    """Return why `verb` is not possible, one line, or None where it is."""
    number = f"#{experiment.id}"
    if experiment.parent is None:
        return f"{number} is a baseline: it is measured, not judged"
    if experiment.status is Status.QUEUED:
        return f"{number} waits in the queue: there is nothing to judge yet"
    if experiment.status is Status.RUNNING:
        return f"{number} is under way: there is nothing to judge yet"
    word = status_word(experiment.status)
    already = (experiment.status, verb) in {
        (Status.KEPT, "accept"),
        (Status.DISCARDED, "reject"),
    }
    if already and not is_doubtful(experiment):
        return f"{number} is {word} already"
    if (experiment.status, EVENTS[verb]) not in TRANSITIONS:
        return f"{number} is {word}: no {verb}"
    if verb == "accept" and experiment.val_bpb is None:
        return f"{number} has no val_bpb: there is nothing to accept"
    return None


def _honest(experiment: Experiment) -> str:
    """Return what the rule makes of a measured change, in brackets; empty where it is not known."""
    gain, error, chance = experiment.gain, experiment.gain_error, experiment.probability
    if gain is None or error is None or chance is None:
        return ""
    return f" (honest {signed(gain)} ±{error:.4f}, P(better) {chance:.2f})"


def question(experiments: Mapping[int, Experiment], number: int, verb: str) -> str | None:
    """Return what is asked before a verdict is turned around; None where it is the person's."""
    experiment = experiments[number]
    if experiment.status is Status.BORDERLINE:
        return None
    change = delta(experiments, experiment)
    if change is None:
        told = f"#{number} is {experiment.status}"
    elif change == 0:
        told = f"#{number} is as good as its base"
    else:
        told = f"#{number} is {'worse' if change > 0 else 'better'} than its base by "
        told += f"{abs(change):.4f}{_honest(experiment)}"
    asked = f"{told}. {KEEP[verb]} it all the same?"
    if verb == "reject" and any(e.parent == number for e in experiments.values()):
        asked += " What grew from it is unsound then."
    return asked
