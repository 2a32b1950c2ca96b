"""What a train.py may not do, told from its text before any device time is spent.

`check` reads the text as a syntax tree and refuses it with one sentence that says what to do
instead. It is a fence, not a proof: it stops what is written by mistake or out of temptation
(a file read, a seed set, a function of the harness replaced), and what hides such a thing behind
another name. A determined text can still get past it. Behind it stand the supervisor's clock, the
order of scoring, the sandbox and the audit, and none of them relies on it. So where a rule would
refuse ordinary research, research goes first.

How it reads. Imports are on an allow-list, and the name that an import binds is followed:
`import torch as t` makes `t.load` the full name `torch.load`. A module may only be used by its
members and never be handed around, so that following names is enough. Beyond that a refused
attribute is refused on every object. The lists are in `permitted.py`, what is said of them in
`reasons.py`, the rules for a single place in the text in `refusals.py`, those for what runs while
the file is imported in `importing.py`.
"""

import ast
import re
from collections.abc import Iterator

from cockpit.core.importing import import_problems
from cockpit.core.reading import Reading
from cockpit.core.refusals import Problem, Refusals

LARGEST_BYTES = 64 << 10
"""The project's own train.py has a quarter of this."""

LONGEST_SENTENCE = 300


def check(text: str) -> str | None:
    """Return None for a train.py that may run, else one sentence that a proposer can act on."""
    size = len(text.encode(errors="surrogatepass"))
    if size > LARGEST_BYTES:
        return (
            f"train.py has {size} bytes, {LARGEST_BYTES} are allowed; "
            "make it shorter, and keep data out of the text"
        )
    try:
        source = text.encode()
        # As bytes, since bytes are what Python will read: a coding line counts.
        tree = ast.parse(source)
        compile(tree, "train.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        return _sentence(error.lineno or 1, f"this is no Python: {error.msg}")
    except (ValueError, OverflowError) as error:
        return _sentence(1, f"this is no Python: {error}")
    except (RecursionError, MemoryError):
        return _sentence(1, "this is nested too deeply to be read; write it flatter")
    if _declares_coding(source):
        return _sentence(1, "another encoding than UTF-8 is declared; remove the coding line")
    reading = Reading(tree)
    found = [*_contract_problems(reading), *import_problems(reading), *Refusals(reading).problems()]
    if not found:
        return None
    first = min(line for line, _ in found)
    # Of one line the last one: it is the innermost, `torch.hub` of `torch.hub.load()`.
    return _sentence(*next(problem for problem in reversed(found) if problem[0] == first))


def _sentence(line: int, problem: str) -> str:
    whole = "".join(c if c.isprintable() else "?" for c in f"line {line}: {problem}")
    return whole if len(whole) <= LONGEST_SENTENCE else whole[: LONGEST_SENTENCE - 1] + "…"


def _declares_coding(source: bytes) -> bool:
    """Whether one of the first two lines declares another encoding than UTF-8 (PEP 263)."""
    for line in re.split(rb"\r\n|\r|\n", source)[:2]:
        found = re.match(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", line)
        if found and found[1].lower().replace(b"_", b"-") not in (b"utf-8", b"utf8", b"ascii"):
            return True
    return False


def _contract_problems(reading: Reading) -> Iterator[Problem]:
    """What the harness will call is there, and the task is fetched and finished."""
    defined = {node.name: node for node in reading.tree.body if isinstance(node, ast.FunctionDef)}
    yield from _main_problems(reading, defined.get("main"))
    build = defined.get("build_model")
    if build is None:
        yield 1, "build_model is missing; define build_model(task), which returns the model"
    elif not _takes(build.args, 1):
        yield build.lineno, "build_model is called with the task and nothing else"


def _main_problems(reading: Reading, main: ast.FunctionDef | None) -> Iterator[Problem]:
    if main is None:
        yield 1, "main is missing; define main(), which trains and hands over the model"
        return
    calls = [node.func for node in reading.nodes if isinstance(node, ast.Call)]
    if not any(isinstance(call, ast.Attribute) and call.attr == "finish" for call in calls):
        yield main.lineno, "main never hands over its model; end with task.finish(model)"
    if not any(reading.full_name(function) == "harness.start" for function in calls):
        yield main.lineno, "main has no task; begin with task = harness.start()"
    if not _takes(main.args, 0):
        yield main.lineno, "main is called without arguments"


def _takes(arguments: ast.arguments, count: int) -> bool:
    """Whether a function can be called with that many arguments by position."""
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    named_needed = any(default is None for default in arguments.kw_defaults)
    most = count if arguments.vararg else len(positional)
    return needed <= count <= most and not named_needed
