"""What a train.py may ask of the harness, read out of the harness itself.

A tag measures with the trainer files of its own baseline, so what a proposer is told about
them is taken from those very files: their essay and what they say of everything public.
"""

import ast
from collections.abc import Iterator, Mapping
from itertools import pairwise

PARTS = (
    ("harness.py", ("start",)),
    ("task.py", ("TaskInfo", "Task")),
    ("attention.py", ("attend",)),
)
"""Which names of which file a train.py deals with."""
CALLED = {"start": "harness.start", "attend": "harness.attention"}
"""What train.py calls them."""
NOT_ASKED = frozenset({"refuse_early_step"})
"""What the harness calls on its own task."""


def contract(files: Mapping[str, str]) -> str:
    """Return the contract in the words of the trainer files, given by name.

    A file that is missing or does not parse says nothing.
    """
    pieces = []
    for name, wanted in PARTS:
        try:
            module = ast.parse(files.get(name, ""))
        except SyntaxError:
            continue
        if name == PARTS[0][0] and (essay := ast.get_docstring(module)):
            pieces.append(essay)
        for node in module.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in wanted:
                pieces.append("\n".join((*_called(node.name), *_told(node))))
    return "\n\n".join(pieces)


def _called(name: str) -> Iterator[str]:
    if name in CALLED:
        yield f"# {CALLED[name]}"


def _told(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """Yield a signature with its docstring; of a class, its public attributes and methods too."""
    if isinstance(node, ast.FunctionDef):
        if any(ast.unparse(mark) == "property" for mark in node.decorator_list):
            yield "@property"
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        yield f"def {node.name}({ast.unparse(node.args)}){returns}:"
    else:
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        yield f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    if said := ast.get_docstring(node):
        yield from (f"    {line}".rstrip() for line in f'"""{said}"""'.split("\n"))
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            if not isinstance(child, ast.FunctionDef) or child.name in NOT_ASKED:
                continue
            lines = _attributes(child) if child.name == "__init__" else _told(child)
            if child.name == "__init__" or not child.name.startswith("_"):
                yield from (f"    {line}".rstrip() for line in lines)


def _attributes(init: ast.FunctionDef) -> Iterator[str]:
    """Yield the public attributes that are set with their types, each with what is said of it."""
    for node, after in pairwise((*init.body, ast.Pass())):
        match node:
            case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=kind) if name[0] != "_":
                yield f"{name}: {ast.unparse(kind)}"
            case _:
                continue
        match after:
            case ast.Expr(value=ast.Constant(value=str(said))):
                yield f'"""{said}"""'
