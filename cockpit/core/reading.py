"""A train.py as the guard reads it: a syntax tree, and what its names stand for."""

import ast

from cockpit.core import permitted

OWN = frozenset({"self", "cls"})


class Reading:
    """A syntax tree with what its names stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.nodes: list[ast.AST] = list(ast.walk(tree))
        self.parents: dict[ast.AST, ast.AST] = {
            child: node for node in self.nodes for child in ast.iter_child_nodes(node)
        }
        self.names: dict[str, str] = {}
        """What imports bind, with the full name: `F` is `torch.nn.functional`."""
        self.modules: set[str] = set()
        """Those of them that stand for modules."""
        self.tasks: set[str] = {"task"}
        """Names under which the harness's task goes."""
        self.clashes: list[tuple[int, str]] = []
        """Lines and names that stand for one module here and for another there."""
        for node in self.nodes:
            self._learn_import(node)
        for node in self.nodes:
            self._learn_alias(node)

    def full_name(self, node: ast.AST | None) -> str | None:
        """`torch.nn.functional.relu` for `F.relu` and for `getattr(F, "relu")`.

        None where it starts at no import.
        """
        parts: list[str] = []
        while True:
            match node:
                case ast.Attribute(value=base, attr=name):
                    pass
                case ast.Call(
                    func=ast.Name(id="getattr"), args=[base, ast.Constant(value=str(name)), *_]
                ):
                    pass
                case ast.Name(id=name) if name in self.names:
                    return ".".join([self.names[name], *reversed(parts)])
                case _:
                    return None
            parts.append(name)
            node = base

    def is_task(self, node: ast.AST | None) -> bool:
        """Whether it is the harness's task: `task`, `self.task`, `harness.start()`."""
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return name in self.tasks
            case ast.Call(func=function):
                return self.full_name(function) == "harness.start"
        return False

    def _bind(self, name: str, full: str, node: ast.stmt) -> None:
        before = self.names.setdefault(name, full)
        if before != full and permitted.KNOWN_MODULES.issuperset((before, full)):
            self.clashes.append((node.lineno, name))

    def _learn_import(self, node: ast.AST) -> None:
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    bound = alias.asname or alias.name.split(".")[0]
                    self._bind(bound, alias.name if alias.asname else bound, node)
                    self.modules.add(bound)
            case ast.ImportFrom(module=str(module), names=aliases):
                for alias in aliases:
                    full, bound = f"{module}.{alias.name}", alias.asname or alias.name
                    self._bind(bound, full, node)
                    if full in permitted.KNOWN_MODULES:
                        self.modules.add(bound)

    def _learn_alias(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                full = self.full_name(value)
                if full is not None and full in permitted.KNOWN_MODULES:  # nn = torch.nn
                    self._bind(name, full, node)
                    self.modules.add(name)
                elif self.is_task(value):
                    self.tasks.add(name)
            case ast.arg(arg=name, annotation=told) if self.full_name(told) in (
                "harness.Task",
                "harness.TaskInfo",
            ):
                self.tasks.add(name)


def is_main_test(node: ast.AST) -> bool:
    """Whether it is `if __name__ == "__main__":`, whose body runs by hand alone."""
    match node:
        case ast.If(
            test=ast.Compare(
                left=ast.Name(id="__name__"),
                ops=[ast.Eq()],
                comparators=[ast.Constant(value="__main__")],
            ),
            orelse=[],
        ):
            return True
    return False


def is_dunder(name: str) -> bool:
    """Whether a name is one of Python's own: `__init__`."""
    return name.startswith("__") and name.endswith("__")


def is_own(base: ast.AST | None) -> bool:
    """`self`, `cls`, `super()`, `type(self)`."""
    match base:
        case ast.Name(id=name):
            return name in OWN
        case ast.Call(func=ast.Name(id="super")):
            return True
        case ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=name)]):
            return name in OWN
    return False


def is_class(base: ast.AST) -> bool:
    """The class of something that is not ours: `type(x)`, `x.__class__`."""
    match base:
        case ast.Call(func=ast.Name(id="type")):
            return not is_own(base)
        case ast.Attribute(attr="__class__", value=value):
            return not is_own(value)
    return False
