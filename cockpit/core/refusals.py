"""The guard's rules for a single place in the text: a name, an attribute, a call, a definition.

Every rule yields the second half of a sentence, what is wrong and what to do instead; the line
is put before it by whoever asks. See `guard.py` for the idea.
"""

import ast
from collections.abc import Iterator

from cockpit.core import permitted, reasons
from cockpit.core.reading import Reading, is_class, is_dunder, is_main_test, is_own

Problem = tuple[int, str]
"""Line, and what is wrong there."""

LONGEST_TEXT = 4000
"""Characters of one literal that is no docstring."""

MOST_VALUES = 512
"""In one list, tuple or set: a table of coefficients is shorter, learnt weights are longer."""

NAMED_ACCESS = frozenset({"getattr", "setattr", "hasattr"})
TASK_METHODS = frozenset({"finish", "next_batch", "report", "warm_up"})


class Refusals:
    """The rules, applied to one reading."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong, in no order."""
        for node in self.reading.nodes:
            for problem in self._problems_of(node):
                yield getattr(node, "lineno", 1), problem
        for line, name in self.reading.clashes:
            yield line, f"`{_short(name)}` stands for two modules; give each a name of its own"

    def _problems_of(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    yield from self._of_module(alias.name)
            case ast.ImportFrom():
                yield from self._of_import_from(node)
            case ast.Name():
                yield from self._of_name(node)
            case ast.Attribute(value=base, attr=name, ctx=context):
                yield from self._of_attribute(base, name, context, node)
            case ast.Call():
                yield from self._of_call(node)
            case ast.ClassDef():
                yield from self._of_class(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._of_function(node)
            case ast.arg(annotation=ast.expr() as told) | ast.AnnAssign(annotation=told):
                yield from _of_annotation(told)
            case ast.ExceptHandler(type=None):
                yield "a bare except also catches what ends the process; name the exception"
            case ast.MatchClass(kwd_attrs=names):
                for name in names:
                    yield from self._of_any(None, name)
            case ast.Dict(keys=keys):
                yield from _of_options(keys)
            case ast.Constant() | ast.List() | ast.Tuple() | ast.Set():
                yield from self._of_literal(node)

    def _of_module(self, name: str) -> Iterator[str]:
        root, *rest = name.split(".")
        if root not in permitted.MODULES:
            reason = permitted.MODULE_REASONS.get(root, reasons.UNKNOWN_MODULE)
            yield f"`import {_short(root)}` {reason}"
            return
        for i, part in enumerate(rest):
            yield from self._of_member(".".join([root, *rest[:i]]), part)

    def _of_import_from(self, node: ast.ImportFrom) -> Iterator[str]:
        if node.level or node.module is None:
            yield "a relative import finds nothing here; train.py is one file"
            return
        problems = list(self._of_module(node.module))
        yield from problems
        for alias in node.names:
            if alias.name == "*":
                yield f"name what you import from {_short(node.module)} one by one instead of *"
            elif not problems:
                yield from self._of_member(node.module, alias.name)

    def _of_name(self, node: ast.Name) -> Iterator[str]:
        name, parent = node.id, self.reading.parents.get(node)
        if name in permitted.BUILTINS:
            yield f"`{name}` {permitted.BUILTINS[name]}"
        elif is_dunder(name):
            reading = isinstance(node.ctx, ast.Load)
            if name not in (permitted.DUNDER_NAMES if reading else permitted.DUNDER_ASSIGNED):
                yield f"`{_short(name)}` {reasons.REFLECTION}"
        elif name in NAMED_ACCESS:
            if not (isinstance(parent, ast.Call) and parent.func is node):
                yield f"`{name}` handed on {reasons.REFLECTION}"
        elif name in permitted.CHECKPOINT_METHODS and self._is_saved(
            self.reading.parents.get(node)
        ):
            yield f"defining `{name}` {reasons.CHECKPOINT}"
        elif name in self.reading.names and isinstance(node.ctx, ast.Load):
            if name in self.reading.modules:
                yield from self._of_module_use(name, node)
            yield from self._of_seeder(self.reading.names[name].rpartition(".")[2], node)

    def _is_saved(self, node: ast.AST | None) -> bool:
        """Whether a line of a class body stands in what may be a module, and no optimizer."""
        above = self.reading.parents.get(node) if node is not None else None
        if not isinstance(above, ast.ClassDef):
            return False
        bases = [self.reading.full_name(base) or "" for base in above.bases]
        return bool(bases) and not any(base.startswith("torch.optim.") for base in bases)

    def _of_module_use(self, shown: str, node: ast.AST) -> Iterator[str]:
        """A module is used by its members, or asked whether it was found: `triton is None`."""
        match self.reading.parents.get(node):
            case ast.Attribute() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return
            case ast.If(test=test) | ast.IfExp(test=test) | ast.Assert(test=test) if test is node:
                return
            case ast.Call(func=ast.Name(id=function), args=[first, *_]) if (
                function in NAMED_ACCESS and first is node
            ):
                return
            case ast.Assign(targets=[ast.Name()]):
                return  # an alias, which is followed
        yield (
            f"the module `{_short(shown)}` is handed around; "
            f"use its members by name, like {_short(shown)}.NAME"
        )

    def _of_attribute(
        self, base: ast.expr, name: str, context: ast.expr_context, node: ast.AST
    ) -> Iterator[str]:
        """`base.name`, which is read, or by its context set or deleted."""
        full = self.reading.full_name(base)
        problems = list(self._of_member(full, name) if full else self._of_any(base, name))
        yield from problems or self._of_seeder(name, node)
        if problems:
            return
        if isinstance(context, ast.Load):
            if full and f"{full}.{name}" in permitted.KNOWN_MODULES:
                yield from self._of_module_use(f"{full}.{name}", node)
            return
        if full:
            yield from self._of_setting(f"{full}.{name}", node)
        elif self.reading.is_task(base):
            if name not in permitted.TASK_SETTABLE:
                settable = ", ".join(sorted(permitted.TASK_SETTABLE))
                yield f"setting task.{_short(name)}: the task is the harness's; set only {settable}"
        elif name in permitted.CHECKPOINT_METHODS:
            yield f"setting `.{name}` {reasons.CHECKPOINT}"
        elif is_dunder(name) and name not in permitted.DUNDER_ASSIGNED:
            yield f"setting `.{_short(name)}` {reasons.REFLECTION}"
        elif is_class(base) or (name in TASK_METHODS and not is_own(base)):
            yield f"setting `.{_short(name)}` {reasons.PATCHING}"

    def _of_member(self, module: str, name: str) -> Iterator[str]:
        """`name` of something whose full name is known."""
        root, full = module.partition(".")[0], f"{module}.{name}"
        if full in permitted.EXCEPTIONS:
            return
        if full in permitted.CACHES:
            yield f"`{full}` {permitted.CACHES[full]}"
            return
        allowed = permitted.MODULES.get(root) if module == root else permitted.MEMBERS.get(module)
        if allowed is not None and name not in allowed:
            if root == "harness":
                reason = reasons.INTERNALS
            elif root == "random":
                reason = reasons.SEEDS
            else:
                reason = permitted.ATTRIBUTES.get(name, reasons.UNWANTED)
            yield f"`{_short(full)}` {reason}"
        elif module == "torch" and name in permitted.TORCH_STRANGERS:
            yield f"`{full}` {permitted.ATTRIBUTES.get(name, reasons.UNWANTED)}"
        elif name == "seed" and module in permitted.KNOWN_MODULES:
            yield f"`{full}` {reasons.SEEDS}"
        else:
            yield from self._of_any(None, name, full)

    def _of_any(self, base: ast.expr | None, name: str, full: str = "") -> Iterator[str]:
        """A name that is refused on whatever it is found."""
        shown = f"`{_short(full or '.' + name)}`"
        if name in permitted.ATTRIBUTES:
            yield f"{shown} {permitted.ATTRIBUTES[name]}"
        elif is_dunder(name):
            if name not in permitted.DUNDER_READ:
                yield f"{shown} {reasons.REFLECTION}"
        elif not name.startswith("_"):
            return
        elif full:
            foreign = full.partition(".")[0] in permitted.THIRD_PARTY
            if not foreign and not permitted.PRIVATE.match(name):
                yield f"{shown} {reasons.UNWANTED}"
        elif self.reading.is_task(base):
            yield f"`task.{_short(name)}` {reasons.INTERNALS}"
        elif name in permitted.HARNESS_PRIVATE and not is_own(base):
            yield f"{shown} {reasons.NOT_YOURS}"

    def _of_setting(self, full: str, node: ast.AST) -> Iterator[str]:
        """A member of a module is set or deleted."""
        if not full.startswith(permitted.CONFIGURATIONS):
            yield f"setting `{_short(full)}` {reasons.PATCHING}"
        elif permitted.TOOL_SETTING.search(full):
            match self.reading.parents.get(node):
                case ast.Assign(value=ast.Constant(value=bool() | int() | float() | None)):
                    return
            yield f"setting `{_short(full)}` {reasons.FOREIGN_CODE}"

    def _of_call(self, node: ast.Call) -> Iterator[str]:
        match node.func:
            case ast.Name(id=function) if function in NAMED_ACCESS:
                yield from self._of_named_access(function, node)
            case ast.Name(id="type") if len(node.args) > 1:
                yield f"type() with three arguments {reasons.REFLECTION}"
            case ast.Attribute(attr="seed", value=base) if not self.reading.is_task(base):
                yield f"`.seed()` {reasons.SEEDS}"
        if self.reading.full_name(node.func) == "harness.run_by_hand" and not self._is_by_hand(
            node
        ):
            yield "harness.run_by_hand stands under if __name__ == '__main__': and nowhere else"

    def _of_named_access(self, function: str, node: ast.Call) -> Iterator[str]:
        match node.args:
            case [base, ast.Constant(value=str(name)), *_]:
                if function != "hasattr":
                    context = ast.Store() if function == "setattr" else ast.Load()
                    yield from self._of_attribute(base, name, context, node)
            case [base, ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]), *_] if (
                start[0].isalpha()
                and not self.reading.full_name(base)
                and not self.reading.is_task(base)
            ):  # getattr(self, f"block_{i}")
                return
            case _:
                yield (
                    f"{function}() with a computed name {reasons.REFLECTION}; nn.ModuleDict, "
                    "nn.ModuleList and plain dicts hold things by name and number"
                )

    def _of_seeder(self, name: str, node: ast.AST) -> Iterator[str]:
        """What takes a seed takes `task.seed` and nothing else."""
        if name not in permitted.SEEDERS:
            return
        match self.reading.parents.get(node):
            case ast.ImportFrom():
                return
            case ast.Call(
                func=function, args=[ast.Attribute(attr="seed", value=base)], keywords=[]
            ) if function is node and self.reading.is_task(base):
                return
        yield f"`{name}` {reasons.SEEDS}"

    def _of_class(self, node: ast.ClassDef) -> Iterator[str]:
        if node.name in permitted.BUILTINS:
            yield f"`{node.name}` is Python's own; choose another name"
        for base in node.bases:
            full = self.reading.full_name(base) or ""
            if full.startswith("harness."):
                yield f"a subclass of `{_short(full)}` {reasons.INTERNALS}"
        if any(keyword.arg == "metaclass" for keyword in node.keywords):
            yield f"a metaclass {reasons.REFLECTION}"

    def _of_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
        name = node.name
        if name in permitted.REFUSED_METHODS:
            yield f"defining `{name}` {permitted.REFUSED_METHODS[name]}"
        if isinstance(self.reading.parents.get(node), ast.ClassDef):
            if name in permitted.CHECKPOINT_METHODS and self._is_saved(node):
                yield f"defining `{name}` {reasons.CHECKPOINT}"
        elif name in permitted.BUILTINS:
            yield f"`{name}` is Python's own; choose another name"
        if node.returns is not None:
            yield from _of_annotation(node.returns)

    def _of_literal(self, node: ast.Constant | ast.List | ast.Tuple | ast.Set) -> Iterator[str]:
        match node:
            case ast.Constant(value=str() | bytes() as value) if len(value) > LONGEST_TEXT:
                if not isinstance(self.reading.parents.get(node), ast.Expr):
                    yield f"this text has {len(value)} characters; {reasons.DATA}"
            case ast.List(elts=values) | ast.Tuple(elts=values) | ast.Set(elts=values):
                if len(values) > MOST_VALUES:
                    yield f"this literal has {len(values)} values; {reasons.DATA}"

    def _is_by_hand(self, node: ast.AST) -> bool:
        above: ast.AST | None = node
        while above is not None and not is_main_test(above):
            above = self.reading.parents.get(above)
        return above is not None


def _of_annotation(told: ast.expr) -> Iterator[str]:
    """Some libraries evaluate annotations, also those that are written as text."""
    for node in ast.walk(told):
        inner: ast.AST = node
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                inner = ast.parse(node.value, mode="eval")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
        if any(isinstance(part, ast.Call) for part in ast.walk(inner)):
            yield f"a call in an annotation {reasons.REFLECTION}"
            return


def _of_options(keys: list[ast.expr | None]) -> Iterator[str]:
    """`options={"cpp.cxx": ...}` would choose the compiler."""
    for key in keys:
        match key:
            case ast.Constant(value=str(name)) if "." in name:
                if permitted.TOOL_SETTING.search(name):
                    yield f"the option {_short(name)!r} {reasons.FOREIGN_CODE}"


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:59] + "…"
