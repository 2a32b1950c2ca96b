"""The guard's rules for what runs while a train.py is imported: definitions and constants only.

The audit and the preflight import the file to build its model, and a proposer's screen of errors
is better for it: what main() does is done in main().
"""

import ast
from collections.abc import Iterator

from cockpit.core import permitted
from cockpit.core.reading import Reading, is_main_test
from cockpit.core.refusals import Problem

MOVE = "importing train.py must do no work; move it into main() or build_model()"


def import_problems(reading: Reading) -> Iterator[Problem]:
    """What runs at import and should not."""
    plain = _plain_classes(reading)
    for node, decorates in _run_at_import(reading.tree):
        match node:
            case ast.For() | ast.AsyncFor() | ast.While() | ast.With() | ast.AsyncWith():
                yield node.lineno, f"a loop or a with block at the top level: {MOVE}"
            case ast.Call(func=function) if not _may_be_called(reading, function, plain):
                if not (decorates and reading.full_name(function) is None):
                    yield node.lineno, f"a call at the top level: {MOVE}"


def _plain_classes(reading: Reading) -> set[str]:
    """Classes of this file that only hold values: `CONFIG = Config(depth=4)` is a constant."""
    found = set()
    for node in reading.tree.body:
        if isinstance(node, ast.ClassDef):
            marks = [mark.func if isinstance(mark, ast.Call) else mark
                     for mark in node.decorator_list]  # fmt: skip
            names = [reading.full_name(mark) for mark in [*marks, *node.bases]]
            if any(name in permitted.PLAIN_BASES for name in names):
                found.add(node.name)
    return found


def _run_at_import(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Every place that runs at import, and whether it is part of a decorator."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, decorates = waiting.pop()
        yield node, decorates
        inside: list[ast.AST | None]
        match node:
            case ast.FunctionDef(args=args) | ast.AsyncFunctionDef(args=args):
                waiting += [(decorator, True) for decorator in node.decorator_list]
                inside = [*args.defaults, *args.kw_defaults]
            case ast.Lambda(args=args):
                inside = [*args.defaults, *args.kw_defaults]
            case ast.ClassDef():
                waiting += [(decorator, True) for decorator in node.decorator_list]
                inside = [*node.bases, *(keyword.value for keyword in node.keywords), *node.body]
            case ast.AnnAssign(value=value):
                inside = [value]
            case ast.If() if is_main_test(node):
                inside = []
            case _:
                inside = [*ast.iter_child_nodes(node)]
        waiting += [(child, decorates) for child in inside if child is not None]


def _may_be_called(reading: Reading, function: ast.expr, plain: set[str]) -> bool:
    full = reading.full_name(function)
    if full is not None:
        prefixes = (full[:end] for end in range(1, len(full) + 1) if (full + ".")[end] == ".")
        return any(name in permitted.IMPORT_TIME for name in prefixes)
    match function:
        case ast.Name(id=name):
            return name in permitted.IMPORT_TIME_BUILTINS or name in plain
        case ast.Attribute(value=ast.Constant() | ast.JoinedStr()):
            return True  # "S S S L".split()
        case ast.Attribute(attr=name):
            return name in permitted.IMPORT_TIME_METHODS
    return False
