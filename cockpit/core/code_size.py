"""How much code a train.py is, however it is laid out.

Comments, docstrings and blank lines count for nothing, and a statement that is broken over lines,
or several on one, count as a formatter would write them.
"""

import ast


def code_lines(text: str) -> int:
    """Return the lines of code of a Python text; 0 where it does not parse."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return 0
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)] or [ast.Pass()]  # type: ignore[attr-defined]
    return sum(bool(line.strip()) for line in ast.unparse(module).splitlines())


def _is_text(node: ast.AST) -> bool:
    """Tell whether a statement is a text alone: a docstring, or a comment by another name."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
