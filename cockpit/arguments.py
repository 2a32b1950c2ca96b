"""What may be typed after `cockpit`: verbs, options and their help."""

import argparse
import re
from collections.abc import Callable, Mapping

from cockpit import __version__
from cockpit.hand_arguments import add_hand
from cockpit.hand_arguments import experiment_id as _experiment_id
from cockpit.verb_groups import in_groups

Verb = Callable[[argparse.Namespace], int]

PURPOSE = """Run a night of autonomous LLM-training research from one terminal.
Without a verb: the screen."""
EXIT_CODES = (
    "exit codes: 0 done, 1 refused with a reason, 2 wrong usage, 3 no such lab or experiment"
)

NIGHT_OPTIONS = (
    "budget",
    "max_experiments",
    "duration",
    "proposer",
    "model",
    "max_cost",
    "agent",
    "unsafe_agent",
    "policy",
    "replicates",
    "calibrate",
    "tag",
    "start_from",
    "corpus",
    "seed",
    "device",
    "gpus",
    "force_gpus",
    "preset",
    "cache_dir",
)
"""Options that say what a night is; each may stand in `cockpit.toml` but `start_from`."""


def parser(verbs: Mapping[str, Verb]) -> argparse.ArgumentParser:
    """Return the parser of the command line; `verbs` has the function of each verb by name.

    Verbs that drop a command into the inbox share the function `command`; the bare command
    is `screen`.
    """
    top = argparse.ArgumentParser(
        prog="cockpit",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXIT_CODES,
    )
    top.add_argument("--version", action="version", version=f"cockpit {__version__}")
    _add_place(top)
    _add_night(top)
    top.set_defaults(verb=verbs["screen"], json=False)
    subparsers = top.add_subparsers(metavar="VERB", help=argparse.SUPPRESS)
    listed: dict[str, str] = {}

    # What is not given after the verb must not wipe out what was given before it.
    place, night, machine, looking = (
        argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
        for _ in range(4)
    )
    _add_place(place)
    _add_night(night)
    _add_machine(machine)
    looking.add_argument("--json", action="store_true", help="print it for other programs")

    def add(
        name: str, text: str, *parents: argparse.ArgumentParser, by: str | None = None
    ) -> argparse.ArgumentParser:
        """A verb that its own function carries out, or the one called `by`."""
        listed[name] = text
        sub = subparsers.add_parser(
            name, description=text, parents=[place, *parents], epilog=EXIT_CODES
        )
        sub.set_defaults(verb=verbs[by or name])
        return sub

    def add_command(name: str, text: str, *carries: str) -> argparse.ArgumentParser:
        """A verb that becomes a row of the inbox, with the named arguments in it."""
        sub = add(name, text, by="command")
        sub.set_defaults(name=name, carries=carries)
        return sub

    add("run", "run the engine in the foreground", night)
    start = add("start", "start the engine detached: it outlives the terminal", night)
    start.add_argument("--json-progress", action="store_true", help=argparse.SUPPRESS)
    stop = add_command("stop", "end the night after the run under way", "now")
    stop.add_argument("--now", action="store_true", help="end that run too; it stays queued")
    add_command("pause", "start nothing new; the run under way ends normally")
    add_command("resume", "go on after a pause")
    add("status", "how the night stands", looking)
    log = add("log", "every experiment, oldest first", looking)
    log.add_argument("--tag", dest="only_tag", metavar="TAG", help="only this tag's")
    _add_report(add, looking)
    show = add("show", "one experiment: its story, or its diff", looking)
    show.add_argument("id", type=_experiment_id, metavar="ID")
    show.add_argument("--diff", action="store_true", help="its change of train.py")
    _add_talk(add, add_command, looking)
    add_hand(add, add_command, looking)
    _add_confirming(add, machine)
    applied = add("apply", "write an experiment's train.py into the working tree")
    applied.add_argument("id", type=_experiment_id, metavar="ID")
    applied.add_argument("--force", action="store_true", help="over edits that are not committed")
    _add_tables(add)
    init = add("init", "make a lab: a git repository with program.md and trainer/")
    init.add_argument("directory", metavar="DIR", nargs="?", default=".")
    add("prepare", "prepare the corpus that a night with these options would use", night)
    add("doctor", "check the machine and the lab, a line each", night, looking)
    top.description = f"{PURPOSE}\n\n{in_groups(listed)}"
    return top


def _add_talk(
    add: Callable[..., argparse.ArgumentParser],
    add_command: Callable[..., argparse.ArgumentParser],
    looking: argparse.ArgumentParser,
) -> None:
    """Add the verbs by which a person talks with who has the ideas."""
    hint = add_command("hint", "a nudge for the proposer, until withdrawn", "text", "once")
    hint.add_argument("text", nargs="+")
    hint.add_argument("--once", action="store_true", help="for the next proposal only")
    add_command("withdraw", "take a hint back", "id").add_argument("id", type=_hint_id, metavar="N")
    ask = add("ask", "a question to the proposer: prints its answer; nothing is disturbed")
    ask.add_argument("text", nargs="+")
    findings = add("findings", "what the lab has learnt", looking)
    findings.add_argument(
        "--write", action="store_true", help="merge it into a marked section of program.md"
    )
    add("score", "what each proposer has brought and cost", looking)
    again = add("rejudge", "what the keep rule makes of a tag's verdicts; changes nothing", looking)
    again.add_argument("--tag", dest="only_tag", metavar="TAG", help="which tag's (the newest)")
    again.add_argument("--policy", dest="rule", choices=("auto", "strict"), default="auto")
    again.add_argument("--sigma", metavar="BPB", type=_spread, help="the noise, where it is known")
    key = add("key", "keep a key for the proposers; an empty one removes it")
    key.add_argument("name", type=_key_name, metavar="NAME")


def _add_tables(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs by which experiments come and go."""
    imported = add("import", "make a tag of a results table, such as karpathy/autoresearch keeps")
    imported.description = (
        "Make a tag of a results table: columns val_bpb and status, and commit, memory_gb and "
        "description where there are any, found by the names in its first line; the first kept "
        "row is the baseline. It says which lines it left out, and why. The tag is for looking: "
        "it has no train.py and is not in git, and nothing measured here is compared with it."
    )
    imported.add_argument("file", metavar="FILE.tsv")
    imported.add_argument("--tag", metavar="NAME", help="what to call it (default: as the file)")
    exported = add("export", "an experiment to carry away, or a tag's results table")
    exported.usage = "cockpit export ID DIR | cockpit export FILE.tsv [--tag TAG]"
    exported.description = (
        "With an experiment's ID and a new DIR: its train.py and the trainer files that it runs "
        "with by hand, its tokenizer, its checkpoint where there still is one, and a patch for "
        "each change from the baseline to it. With FILE.tsv (- is the standard output): the "
        "results of a tag in the five columns of karpathy/autoresearch."
    )
    exported.add_argument("what", metavar="ID|FILE.tsv", type=_export)
    exported.add_argument("directory", metavar="DIR", nargs="?")
    exported.add_argument("--tag", dest="only_tag", metavar="TAG", help="of the table: which tag's")
    exported.add_argument("--force", action="store_true", help="of the table: over a file")


def _export(text: str) -> str:
    if text == "-" or text.endswith(".tsv") or text.removeprefix("#").isdecimal():
        return text
    raise argparse.ArgumentTypeError(
        f"{text} is neither the id of an experiment nor a file that ends in .tsv"
    )


def _add_confirming(
    add: Callable[..., argparse.ArgumentParser], machine: argparse.ArgumentParser
) -> None:
    """Add the verbs that look at what has been kept once more."""
    confirm = add("confirm", "is the best truly better? Fresh runs of it and the baseline", machine)
    confirm.description = (
        "Train an experiment (default: the best) and the baseline anew, in pairs with one seed "
        "for both, and say what is left of the gain. A running night makes these runs before its "
        "next new idea; where none runs they are made here, and nothing else."
    )
    confirm.add_argument("id", type=_experiment_id, metavar="ID", nargs="?")
    confirm.add_argument("--pairs", type=_count, metavar="N", default=3, help="default: 3")
    confirm.add_argument(
        "--budget", dest="horizon", metavar="30m", help="compare them at another training time"
    )
    confirm.add_argument("--drop", action="store_true", help="take back the runs that still wait")
    confirm.add_argument(
        "--idle", action="store_true", help="only while a slot would wait for an idea"
    )
    ablate = add("ablate", "what is each kept change worth? The best without it", machine)
    ablate.description = (
        "Take each kept change out of the best, one at a time, and measure what is lost. What "
        "costs nothing when it is missing is dead weight; the best without all of it is then "
        "tried as an experiment. A running night does this before its next new idea; where none "
        "runs it is done here, and nothing else."
    )


def _add_report(
    add: Callable[..., argparse.ArgumentParser], looking: argparse.ArgumentParser
) -> None:
    """Add the verb that tells a tag's whole story."""
    report = add("report", "the morning report: Markdown, a page and a picture", looking)
    report.add_argument("--tag", dest="only_tag", metavar="TAG", help="of which (default: newest)")
    report.add_argument(
        "--out",
        metavar="DIR|FILE|-",
        help="where to; a FILE.md, .html or .png alone, - prints the Markdown "
        "(default: .cockpit/reports/TAG-DATE)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _dollars(text: str) -> float:
    try:
        dollars = float(text.removeprefix("$"))
    except ValueError:
        dollars = -1.0
    if not 0 <= dollars < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no amount of dollars such as 10 or 2.50")
    return dollars


def _key_name(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", text):
        # Not repeated: it may be the key itself.
        raise argparse.ArgumentTypeError(
            "this is not the name of a key, such as OPENAI_API_KEY; the key is asked for"
        )
    return text


def _spread(text: str) -> float:
    try:
        sigma = float(text)
    except ValueError:
        sigma = 0.0
    if not 0 < sigma < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no standard deviation such as 0.0007")
    return sigma


def _hint_id(text: str) -> int:
    number = text.removeprefix("#")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no hint's number: `cockpit status` has them")
    return int(number)


def _add_place(to: argparse.ArgumentParser) -> None:
    to.add_argument("--lab", metavar="DIR", help="the lab (default: the one you are in)")
    to.add_argument("--state-dir", metavar="DIR", help="keep the lab's state there (a local disk)")


def _add_machine(to: argparse.ArgumentParser) -> None:
    """Add what `run` takes as well where no more is to be chosen."""
    to.add_argument("--tag", metavar="NAME", help="the line of research (default: the newest)")
    to.add_argument("--gpus", metavar="2,3", help="one slot on each of these GPUs")
    to.add_argument("--force-gpus", action="store_true", help="use GPUs that others use too")
    to.add_argument("--device", metavar="NAME", help="cuda, mps or cpu")
    to.add_argument("--cache-dir", metavar="DIR", help="where prepared corpora are kept")


def _add_night(to: argparse.ArgumentParser) -> None:
    night = to.add_argument_group("the night")
    night.add_argument("--budget", metavar="5m", help="training time of one run")
    night.add_argument(
        "--max-experiments",
        metavar="N",
        type=_count_or_none,
        help="end after so many (0: only runs that were asked for)",
    )
    night.add_argument("--duration", metavar="8h", help="begin nothing new after this long")
    night.add_argument(
        "--proposer",
        metavar="NAME",
        help="who has the ideas: search, llm, command, or a mix such as llm:3,search:1 "
        "(default: llm where a model is named and can be asked, else search)",
    )
    night.add_argument(
        "--model", metavar="NAME[,NAME]", help="models for llm; the next one where one fails"
    )
    night.add_argument(
        "--max-cost",
        metavar="DOLLARS",
        type=_dollars,
        help="what the models may cost; at the limit the night goes on with search",
    )
    night.add_argument(
        "--agent", metavar="NAME|COMMAND", help="the coding agent of the proposer command"
    )
    night.add_argument(
        "--unsafe-agent", action="store_true", help="run it without a sandbox where there is none"
    )
    night.add_argument(
        "--policy",
        metavar="NAME",
        help="what is neither a clear win nor a clear loss: auto (run it again, then decide or "
        "ask), ask (a person decides) or strict (lower is kept, as upstream has it)",
    )
    night.add_argument(
        "--replicates", metavar="R", type=int, help="further runs that one change is worth"
    )
    night.add_argument(
        "--calibrate", metavar="N", type=int, help="run the baseline N times: that tells the noise"
    )
    night.add_argument("--tag", metavar="NAME", help="the line of research to continue or begin")
    night.add_argument(
        "--from", dest="start_from", metavar="TAG@best|ID", help="what a new tag starts from"
    )
    night.add_argument(
        "--corpus",
        metavar="SOURCE",
        help="stdlib, tinystories, climbmix[:SHARDS] or local:PATH",
    )
    night.add_argument("--seed", metavar="N", type=int, help="seed of the first run")
    night.add_argument("--device", metavar="NAME", help="cuda, mps or cpu")
    night.add_argument("--gpus", metavar="2,3", help="one slot on each of these GPUs")
    night.add_argument("--force-gpus", action="store_true", help="use GPUs that others use too")
    night.add_argument("--preset", metavar="NAME", help="a section of trainer/presets.toml")
    night.add_argument("--cache-dir", metavar="DIR", help="where prepared corpora are kept")
