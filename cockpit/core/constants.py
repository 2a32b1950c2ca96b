"""Read and rewrite the UPPER_CASE constants of a train.py, everything else byte for byte.

A constant is a top-level assignment of a number, a truth value or a text to one UPPER_CASE
name. The comment behind it says what it is, and in square brackets at its end where a
search may move it:

    MATRIX_LR = 0.02  # Muon step size [0.005, 0.08, log]
    DEPTH = 8  # transformer layers [2, 12]
    TOTAL_BATCH_TOKENS = 2**16  # tokens a step [2048, 65536, pow2]
    WINDOW_PATTERN = "SSSL"  # short and long windows [SSSL|SL|L]
    SEQUENCE_LENGTH = 256  # given by the corpus [fixed]
"""

import ast
import io
import math
import operator
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Value = bool | int | float | str

LARGEST_EXPONENT = 512
"""`2**16` is a number to us; a power beyond this is a program."""


class ConstantsError(ValueError):
    """A text or a value does not fit; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The range of a number, ends included."""

    low: float
    high: float
    scale: str = "linear"
    """`linear`, `log` or `pow2` (whole powers of two)."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The values a constant may take."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant of a train.py."""

    name: str
    value: Value
    line: int
    """1 for the first line; that of the value."""
    comment: str = ""
    """What it is, without the brackets."""
    search: Interval | Choices | None = None
    """Where a search may move it; None where the comment does not say."""
    fixed: bool = False
    """The comment says `[fixed]`: no search may move it."""
    start: int = 0
    """First byte of the value in the text as UTF-8."""
    end: int = 0
    """The byte after its last."""


def read(text: str) -> dict[str, Constant]:
    """Return the constants of a train.py by name, in the order of the text.

    Of a name assigned twice the last assignment counts, as it does when the file runs.
    Raises `ConstantsError` with the line when the text does not parse.
    """
    try:
        tree = ast.parse(text)
        encoded = text.encode()
        comments = _comments(text)
    except SyntaxError as error:
        raise ConstantsError(f"line {error.lineno or '?'}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ConstantsError(f"the text is no Python: {error}") from error
    starts = _line_starts(encoded)
    constants: dict[str, Constant] = {}
    for name, node in _assignments(tree):
        constants.pop(name, None)
        value = _evaluate(node)
        if value is None:
            continue
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        told, search, fixed = _explained(comments.get(node.end_lineno, ""), value)
        constants[name] = Constant(
            name, value, node.lineno, told, search, fixed,
            starts[node.lineno - 1] + node.col_offset,
            starts[node.end_lineno - 1] + node.end_col_offset,
        )  # fmt: skip
    return constants


def rewrite(text: str, values: Mapping[str, Value]) -> str:
    """Return the text with new values and not one other byte changed.

    A whole number fits where a float stands; nothing else changes its type. Raises
    `ConstantsError` for a name that is no constant of the text and for a wrong type.
    """
    constants = read(text)
    encoded = text.encode()
    changes = []
    for name, value in values.items():
        if name not in constants:
            raise ConstantsError(f"{name} is no constant of this train.py")
        constant = constants[name]
        fitting = _fitted(constant, value)
        if fitting != constant.value or _signed_zero(fitting) != _signed_zero(constant.value):
            changes.append((constant.start, constant.end, render(fitting)))
    for start, end, new in sorted(changes, reverse=True):
        encoded = encoded[:start] + new.encode() + encoded[end:]
    return encoded.decode()


def with_ranges(text: str, ranges: Mapping[str, str]) -> str:
    """Return the text with other ranges in the brackets that end the constants' comments.

    `ranges` maps a name to new brackets, like `"[4, 16]"`. Raises `ConstantsError` for a name
    that is no constant of the text or has no brackets to replace.
    """
    constants = read(text)
    lines = text.split("\n")
    for name, brackets in ranges.items():
        if name not in constants:
            raise ConstantsError(f"{name} is no constant of this train.py")
        number = text.encode()[: constants[name].end].decode().count("\n")
        lines[number], found = re.subn(r"\[[^\[\]]*\](?=\s*$)", brackets, lines[number])
        if not found:
            raise ConstantsError(f"the comment of {name} has no range to replace")
    return "\n".join(lines)


def render(value: Value) -> str:
    """Return a value as Python text, in the shortest form that gives it back exactly."""
    if isinstance(value, str):
        # repr chooses double quotes only for a text that holds single ones.
        return repr(value) if '"' in value else '"' + repr("'" + value)[2:]
    return repr(value)


def _fitted(constant: Constant, value: Value) -> Value:
    wanted = type(constant.value)
    if wanted is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise ConstantsError(f"{constant.name}: {value} is too large") from None
    if type(value) is not wanted:
        raise ConstantsError(
            f"{constant.name} is {_called(wanted)}, and {value!r} is {_called(type(value))}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ConstantsError(f"{constant.name}: {value} is not a finite number")
    return value


def _called(kind: type) -> str:
    known = {bool: "a truth value", int: "a whole number", float: "a number", str: "a text"}
    return known.get(kind, kind.__name__)


def _signed_zero(value: Value) -> float | None:
    return math.copysign(1.0, value) if isinstance(value, float) and value == 0 else None


# ---- the text -------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if _NAME.fullmatch(name):
            yield name, value


def _evaluate(node: ast.expr) -> Value | None:
    """Return the value of a literal or of arithmetic between number literals, else None."""
    match node:
        case ast.Constant(value=bool() | str() as value):
            return value
        case _:
            number = _number(node)
            finite = number is not None and (isinstance(number, int) or math.isfinite(number))
            return number if finite else None


def _number(node: ast.expr) -> int | float | None:
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _number(operand)
            if number is None:
                return None
            return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _calculated(_number(left), type(op), _number(right))
        case _:
            return None


def _calculated(
    left: float | None, op: type[ast.operator], right: float | None
) -> int | float | None:
    if left is None or right is None:
        return None
    if op is ast.Pow and (abs(right) > LARGEST_EXPONENT or abs(left) > 2**64):
        return None
    try:
        result = _OPERATORS[op](left, right)
    except (ArithmeticError, ValueError):
        return None
    if isinstance(result, int) and result.bit_length() > 64 * LARGEST_EXPONENT:
        return None
    return result if isinstance(result, int | float) else None


def _line_starts(encoded: bytes) -> list[int]:
    """Return the byte at which each line begins, lines ending as Python's parser ends them."""
    return [0, *(found.end() for found in re.finditer(rb"\r\n|\r|\n", encoded))]


def _comments(text: str) -> dict[int, str]:
    """Return the comments of a text by line."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    tokens = tokenize.generate_tokens(io.StringIO(unified).readline)
    return {
        token.start[0]: token.string.lstrip("#").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }


# ---- the brackets ---------------------------------------------------------------------------

_BRACKETS = re.compile(r"^(?P<told>.*?)\s*\[(?P<inside>[^\[\]]*)\]$", re.DOTALL)


def _explained(comment: str, value: Value) -> tuple[str, Interval | Choices | None, bool]:
    """Split a comment into what it says, the range in its brackets and whether it is fixed.

    Brackets that are no range (`[see the paper]`) stay part of the comment.
    """
    found = _BRACKETS.match(comment)
    if found is None:
        return comment, None, False
    inside = found["inside"].strip()
    if inside == "fixed":
        return found["told"], None, True
    search = _choices(inside, value) if "|" in inside else _interval(inside, value)
    return (comment, None, False) if search is None else (found["told"], search, False)


def _interval(inside: str, value: Value) -> Interval | None:
    parts = [part.strip() for part in inside.split(",")]
    scale = parts.pop() if parts[-1] in ("log", "pow2", "linear") else "linear"
    if len(parts) != 2 or isinstance(value, bool | str):
        return None
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        return None
    usable = math.isfinite(low) and math.isfinite(high) and low < high
    if not usable or (scale != "linear" and low <= 0):
        return None
    if scale == "pow2" and (isinstance(value, float) or low < 1):
        return None
    return Interval(low, high, scale)


def _choices(inside: str, value: Value) -> Choices | None:
    try:
        values = tuple(_chosen(part.strip(), value) for part in inside.split("|"))
    except ValueError:
        return None
    return Choices(tuple(dict.fromkeys(values)))


def _chosen(part: str, value: Value) -> Value:
    if isinstance(value, bool):
        if part not in ("True", "False"):
            raise ValueError(part)
        return part == "True"
    if isinstance(value, str):
        return part.strip("\"'")
    return int(part) if isinstance(value, int) else float(part)
