"""What may be typed after the verbs of a person's hand."""

import argparse
from collections.abc import Callable

Add = Callable[..., argparse.ArgumentParser]


def experiment_id(text: str) -> int:
    """Return the id in `12` or `#12`."""
    number = text.removeprefix("#")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no experiment's id: `cockpit log` has them")
    return int(number)


def add_hand(add: Add, add_command: Add, looking: argparse.ArgumentParser) -> None:
    """Add the verbs by which a person decides, and puts tree and queue in order."""

    def add_hand_verb(name: str, hand: str, text: str, *parents: object) -> argparse.ArgumentParser:
        sub = add(name, text, *parents, by="by_hand")
        sub.set_defaults(hand=hand, name=name)
        return sub

    def add_id(name: str, text: str, more: str = "", *carries: str) -> argparse.ArgumentParser:
        sub = add_command(name, text, "id", *carries)
        sub.description = f"{text}{more}"
        sub.add_argument("id", type=experiment_id, metavar="ID")
        return sub

    add_hand_verb("queue", "queue", "what runs, what is next, what waits for you", looking)
    for name, text in (("accept", "keep an experiment"), ("reject", "discard an experiment")):
        sub = add_hand_verb(name, "decide", f"{text} by hand")
        sub.description = (
            f"{text} by hand, whatever the rule has said of it. Where somebody else has decided "
            "otherwise in the meantime it is refused and says who: look, and decide again."
        )
        sub.add_argument("id", type=experiment_id, metavar="ID")
    add_hand_verb("undo", "decide", "take the last decision by hand back").description = (
        "Take the last accept, reject or branch of this lab back, whoever made it; again: the "
        "one before it."
    )
    add_id("replicate", "run a measured experiment once more, with a new seed")
    add_id(
        "rerun",
        "try an experiment again",
        ": one that is measured and sound as `replicate` does; of any other (crashed, invalid, "
        "stopped, pruned, unsound) its change is queued anew, first, on the present base.",
    )
    branch = add_hand_verb("branch", "branch", "make an experiment the base; `best` returns")
    branch.description = (
        "Make an experiment the base: the next proposals edit it, git's branch goes there and "
        "what is queued moves over. `cockpit branch best` gives the base back to the best."
    )
    branch.add_argument("id", type=_id_or_best, metavar="ID|best")
    note = add_id("note", "write a line to an experiment", "", "text")
    note.add_argument("text", nargs="+")
    add_id("first", "put an experiment at the front of the queue")
    add_id("later", "put an experiment at the end of the queue")
    add_id("drop", "take an experiment from the queue", ": it is stopped without having run")
    skip = add_command("skip", "end the run under way: its verdict is `stopped`", "requeue")
    skip.add_argument(
        "--requeue", action="store_true", help="no verdict: it waits at the end of the queue"
    )
    add_id("finish", "let the run under way come to its end", ": it is not stopped early")
    attempt = add_hand_verb(
        "try", "try", "an order, or a train.py of your own: the next experiment"
    )
    attempt.description = (
        "TEXT is an order to the proposer: the next proposal is this. --edit opens the base's "
        "train.py in your editor ($VISUAL, $EDITOR), --file takes one that is written already: "
        "what it is then is an experiment of yours, first in the queue, and TEXT its title."
    )
    attempt.add_argument("text", nargs="*", metavar="TEXT")
    attempt.add_argument("--edit", action="store_true", help="edit the base's train.py")
    attempt.add_argument("--file", metavar="PATH", help="a train.py, such as trainer/train.py")
    attempt.add_argument("--title", help="what the experiment is called")


def _id_or_best(text: str) -> int | None:
    return None if text == "best" else experiment_id(text)
