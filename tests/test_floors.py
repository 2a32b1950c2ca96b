"""Imports only go down: `cli > engine, ui, report > proposers, executors, lab > core`."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "core": 0,
    **dict.fromkeys(("lab", "executors", "proposers"), 1),
    **dict.fromkeys(("engine", "ui", "report", "reports"), 2),
}
"""Everything else at the top of the package (cli and what it is made of) is floor 3."""
TOP = 3
OWN = {"cockpit", "trainer"}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / "cockpit").rglob("*.py")):
        if "_template" in path.parts:
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, *, at_import: bool = False) -> Iterator[str]:
    """Yield what a file imports; with `at_import` only what runs when it is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes: Iterator[ast.AST] = _outside_functions(tree) if at_import else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides the floor"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _outside_functions(child)


def known_module(name: str, known: dict[str, Path]) -> str | None:
    """Return the module of ours that an import reaches, None for a foreign one."""
    parts = name.split(".")
    while parts and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts) or None


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def floor(module: str) -> int:
    return 0 if module == "cockpit" else FLOORS.get(room(module), TOP)


def test_imports_only_go_down() -> None:
    known = modules()
    upward = [
        f"{module} imports {target}"
        for module, path in known.items()
        for name in imports(path)
        if (target := known_module(name, known)) and floor(target) > floor(module)
    ]
    assert not upward


def test_engine_and_ui_do_not_import_each_other() -> None:
    known = modules()
    crossing = [
        f"{module} imports {target}"
        for module, path in known.items()
        for name in imports(path)
        if (target := known_module(name, known))
        and {room(module), room(target)} == {"engine", "ui"}
    ]
    assert not crossing


def test_core_imports_only_the_standard_library() -> None:
    known = modules()
    foreign = [
        f"{module} imports {name}"
        for module, path in known.items()
        if room(module) == "core"
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and room(known_module(name, known) or "") != "core"
    ]
    assert not foreign


def test_the_trainer_imports_nothing_of_cockpit() -> None:
    files = sorted((ROOT / "trainer").glob("*.py"))
    assert files
    assert not [
        f"{path.name} imports {name}"
        for path in files
        for name in imports(path)
        if name.split(".")[0] == "cockpit"
    ]


def test_there_is_no_import_cycle() -> None:
    known = modules()
    graph = {
        module: {
            target
            for name in imports(path, at_import=True)
            if (target := known_module(name, known)) and target != module
        }
        for module, path in known.items()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module in done:
            return
        for target in graph[module]:
            visit(target, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("cockpit.core.constants", "numpy git optuna torch textual sqlite3 psutil"),
        ("cockpit.lab.repo", "git numpy optuna torch textual"),
        ("cockpit.proposers.base", "optuna numpy torch textual git"),
        ("cockpit.cli", "matplotlib numpy torch textual git"),
        ("cockpit.reports.writing", "matplotlib numpy torch textual git"),
    ],
)
def test_a_light_module_stays_light(module: str, banned: str) -> None:
    code = f"import sys, {module}; print(*(n for n in {banned.split()!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
