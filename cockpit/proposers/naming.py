"""A title for an edit that came without one: which constants and which functions it changed."""

import ast
from collections.abc import Mapping

from cockpit.core.constants import ConstantsError, read
from cockpit.proposers.space import shown

NAMED = 3
"""So many changes are named."""


def title_of(old: str, new: str) -> str:
    """Return what a change of train.py touches, in one line."""
    before, after = _constants(old), _constants(new)
    parts = [
        f"{name} {before[name]} → {after[name]}" if name in before else f"new {name}"
        for name in after
        if before.get(name) != after[name]
    ]
    parts += [f"without {name}" for name in before if name not in after]
    old_parts, new_parts = _definitions(old), _definitions(new)
    for name in dict.fromkeys((*old_parts, *new_parts)):
        if old_parts.get(name) != new_parts.get(name):
            verb = "new" if name not in old_parts else "without" if name not in new_parts else ""
            parts.append(f"{verb} {name}()".strip())
    more = f" and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return (", ".join(parts[:NAMED]) + more)[:100] or "an edit of train.py"


def _constants(text: str) -> Mapping[str, str]:
    try:
        return {name: shown(constant.value) for name, constant in read(text).items()}
    except ConstantsError:
        return {}


def _definitions(text: str) -> Mapping[str, str]:
    """Return functions and classes at the top of a text, each as a form of its own."""
    try:
        body = ast.parse(text).body
        return {
            node.name: ast.dump(node)
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
