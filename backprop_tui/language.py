"""The expression language: text → a short postfix code. Parsed with `ast`, never evaluated as Python.

Both users of the language run the same code: `program` builds a graph with it, `formula` computes arrays with it. The
code is made without recursion, so a long sum is no deeper than a short one.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NamedTuple

from backprop_tui.errors import ProgramError, did_you_mean
from backprop_tui.graph import folded
from backprop_tui.ops import CALLABLE, OPS
from backprop_tui.ops.op import REQUIRED, Op

NAMED_NUMBERS = {"pi": math.pi, "e": math.e}
MAX_TEXT = 16 * 2**20
LONE_RETURN = re.compile(r"\r(?!\n)")

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.MatMult: "matmul",
}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
WHOLE: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}
#: What is often written and what to write instead.
INSTEAD: dict[type[ast.AST], str] = {
    ast.BoolOp: "multiply comparisons for 'and', take maximum of them for 'or'",
    ast.IfExp: "use where(condition, a, b)",
    ast.Lambda: "use def",
    ast.ListComp: "write the entries out, or use a for loop over range",
    ast.Dict: "only numbers and arrays are values",
    ast.JoinedStr: "only numbers and arrays are values",
    ast.NamedExpr: "write the assignment on a line of its own",
    ast.Starred: "write the operands out",
    ast.Await: "only the ops of the language can be called",
}


class Instruction(NamedTuple):
    """One step of an expression's code. ``span`` is a pair of offsets into the text."""

    kind: Literal["name", "number", "op", "call", "index", "grad"]
    span: tuple[int, int]
    name: str = ""
    number: float = 0.0
    op: Op | None = None
    arity: int = 0
    keywords: tuple[str, ...] = ()
    options: tuple[tuple[str, ast.expr], ...] = ()
    node: ast.expr | None = None


class Text:
    """A text of the language and its syntax tree; turns places in the tree into offsets, lines and errors."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_TEXT:
            raise ProgramError(f"the program has {len(text):,} characters", hint=f"at most {MAX_TEXT:,} are read")
        if "\r" in text and (lone := LONE_RETURN.search(text)):  # Python would begin a line there, and editors do not
            line, begin = text.count("\n", 0, lone.start()) + 1, text.rfind("\n", 0, lone.start()) + 1
            column = lone.start() - begin + 1
            hint = "end lines with \\n"
            raise ProgramError("a carriage return without a line feed", line=line, column=column, hint=hint)
        self.text = text
        lines = text.split("\n")
        self._starts = [0]
        for each in lines:
            self._starts.append(self._starts[-1] + len(each) + 1)
        self._plain = text.isascii()
        self._lines = lines

    def parse(self, mode: Literal["exec", "eval"]) -> ast.AST:
        """The syntax tree. Raises ProgramError with the place of what Python's grammar rejects."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text if mode == "exec" else self.text.strip(), mode=mode)
        except SyntaxError as error:
            message = (error.msg or "invalid syntax").split(". Maybe you meant")[0]
            line, column = error.lineno, error.offset
            raise ProgramError(f"not an expression of the language: {message}", line=line, column=column) from None
        except (RecursionError, MemoryError):
            raise ProgramError("an expression is nested too deeply", hint="give its parts names of their own") from None
        except ValueError as error:
            raise ProgramError(f"the program cannot be read: {error}") from None

    def offset(self, line: int, column: int) -> int:
        """The offset of a line (from 1) and a column in bytes (from 0), as `ast` counts them."""
        start = self._starts[line - 1]
        if self._plain or self._lines[line - 1].isascii():
            return start + column
        return start + len(self._lines[line - 1].encode()[:column].decode(errors="ignore"))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """The offsets between which a part of the tree is written."""
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset),
        )

    def source(self, node: ast.expr | ast.stmt) -> str:
        """The text of a part of the tree."""
        start, end = self.span(node)
        return self.text[start:end]

    def error(self, node: ast.AST, message: str, hint: str | None = None) -> ProgramError:
        """An error at the place of a part of the tree."""
        line = getattr(node, "lineno", None)
        column = getattr(node, "col_offset", None)
        if line is not None and column is not None:
            column = self.offset(line, column) - self._starts[line - 1] + 1
        return ProgramError(message, line=line, column=column, hint=hint)


def literal_number(node: ast.expr) -> float | None:
    """The number that a literal, or a literal with a minus sign, stands for; None if it is neither."""
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1.0, node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        try:
            return sign * float(node.value)
        except OverflowError:
            return sign * math.inf
    return None


def static(text: Text, node: ast.expr, known: Mapping[str, float]) -> Any:
    """The value of an option, an index or a bound of a loop: numbers, loop variables, tuples, True, False, None."""
    if isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (int, float, bool)):
        if isinstance(node.value, int) and node.value >= 2**62:
            raise text.error(node, "too large a whole number for an index, an option or a bound", "use a smaller one")
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(static(text, part, known) for part in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = static(text, node.operand, known)
        if isinstance(value, (int, float)):
            return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in WHOLE:
        left, right = static(text, node.left, known), static(text, node.right, known)
        small = isinstance(left, int) and isinstance(right, int) and max(abs(left), abs(right)) < 2**62
        if small and not (isinstance(node.op, ast.Pow) and not 0 <= right <= 62):
            try:
                return WHOLE[type(node.op)](left, right)
            except ZeroDivisionError:
                raise text.error(node, "division by zero in a whole number") from None
    raise text.error(
        node, f"'{text.source(node)}' is not a constant", "a number, a loop variable or a tuple of them is wanted here"
    )


def index_of(text: Text, node: ast.expr, known: Mapping[str, float]) -> tuple[int | slice, ...]:
    """The index between brackets, as whole numbers and slices."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]

    def whole(part: ast.expr | None) -> int | None:
        if part is None:
            return None
        value = static(text, part, known)
        if type(value) is not int:
            raise text.error(part, f"'{text.source(part)}' is not an index", "use whole numbers and slices")
        return value

    index: list[int | slice] = []
    for part in parts:
        if isinstance(part, ast.Slice):
            if part.step is not None and whole(part.step) == 0:
                raise text.error(part, "a slice's step cannot be 0")
            index.append(slice(whole(part.lower), whole(part.upper), whole(part.step)))
        else:
            index.append(whole(part) or 0)
    return tuple(index)


def lower(
    text: Text,
    expression: ast.expr,
    *,
    functions: Collection[str] = (),
    variables: Collection[str] = (),
    allow_grad: bool = False,
    extra: Collection[str] = (),
) -> list[Instruction]:
    """The postfix code of an expression. Raises ProgramError at the first part that is not of the language.

    ``functions`` are the program's own, ``extra`` names that a formula may call besides; ``variables`` serve messages.
    """
    code: list[Instruction] = []
    pending: list[ast.expr | Instruction] = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, Instruction):
            code.append(node)
            continue
        span = text.span(node)
        number = literal_number(node)
        if number is not None:
            code.append(Instruction("number", span, name=folded(text.source(node)), number=number))
        elif isinstance(node, ast.Name):
            code.append(Instruction("name", span, name=node.id, node=node))
        elif isinstance(node, ast.BinOp):
            if type(node.op) not in BINARY:
                message = f"the operator in '{_short(text, node)}' is not of the language"
                raise text.error(node, message, "+ - * / ** @ are")
            binary = Instruction("op", span, op=OPS[BINARY[type(node.op)]], arity=2, node=node)
            pending += [binary, node.right, node.left]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            pending += [Instruction("op", span, op=OPS["negative"], arity=1, node=node), node.operand]
        elif isinstance(node, ast.Compare):
            if len(node.ops) != 1:
                raise text.error(node, "a chain of comparisons", "multiply two comparisons instead")
            if type(node.ops[0]) not in COMPARE:
                raise text.error(node, f"'{_short(text, node)}' is not a comparison of numbers", "< <= > >= == != are")
            compare = Instruction("op", span, op=OPS[COMPARE[type(node.ops[0])]], arity=2, node=node)
            pending += [compare, node.comparators[0], node.left]
        elif isinstance(node, ast.Attribute):
            if node.attr != "T":
                hint = f"write {node.attr}(…)" if node.attr in CALLABLE else "only .T is"
                raise text.error(node, f"'.{node.attr}' is not of the language", hint)
            pending += [Instruction("op", span, op=OPS["transpose"], arity=1, node=node), node.value]
        elif isinstance(node, ast.Subscript):
            pending += [Instruction("index", span, op=OPS["index"], arity=1, node=node.slice), node.value]
        elif isinstance(node, ast.Call):
            call, arguments = _call(text, node, span, functions, variables, allow_grad, extra)
            pending.append(call)
            pending.extend(reversed(arguments))
        else:
            raise _foreign(text, node)
    return code


def _short(text: Text, node: ast.expr) -> str:
    source = folded(text.source(node))
    return source if len(source) <= 40 else source[:39] + "…"


def _foreign(text: Text, node: ast.expr) -> ProgramError:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or node.value is None:
            return text.error(node, f"{node.value} is an option, not a value", "write 1 or 0")
        kind = "text" if isinstance(node.value, (str, bytes)) else f"'{_short(text, node)}'"
        return text.error(node, f"{kind} is not a number", "only numbers and arrays are values")
    if isinstance(node, (ast.Tuple, ast.List)):
        return text.error(node, "a list of values in the program", "put arrays in [data], or use stack or concatenate")
    hint = INSTEAD.get(type(node), "names, numbers, operators, ops, .T and indexing are")
    return text.error(node, f"'{_short(text, node)}' is not of the language", hint)


def _call(
    text: Text,
    node: ast.Call,
    span: tuple[int, int],
    functions: Collection[str],
    variables: Collection[str],
    allow_grad: bool,
    extra: Collection[str],
) -> tuple[Instruction, list[ast.expr]]:
    """The instruction of a call, and the expressions of its operands."""
    if isinstance(node.func, ast.Attribute):
        name = node.func.attr
        call = f"write {name}({_short(text, node.func.value)}, …)"
        hint = call if name in CALLABLE else "ops are called by their bare name"
        raise text.error(node.func, f"'.{name}(…)' is not of the language", hint)
    if not isinstance(node.func, ast.Name):
        message = f"'{_short(text, node.func)}' cannot be called"
        raise text.error(node.func, message, "ops and functions are called by name")
    name = node.func.id
    for keyword in node.keywords:
        if keyword.arg is None:
            raise text.error(keyword.value, "** is not of the language here", "write the options out")
    if name in functions or name in extra:
        keywords = tuple(str(k.arg) for k in node.keywords)
        arguments = [*node.args, *[k.value for k in node.keywords]]
        return Instruction("call", span, name=name, arity=len(arguments), keywords=keywords, node=node), arguments
    if name == "grad":
        if not allow_grad:
            hint = "it belongs in claims, conditions and watches"
            raise text.error(node, "grad(…) is not allowed in the program", hint)
        if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Name):
            raise text.error(node, "grad(…) takes one name", "for example grad(W1)")
        return Instruction("grad", span, name=node.args[0].id, node=node), []
    op = CALLABLE.get(name)
    if op is None:
        if name in variables:
            raise text.error(node, f"'{name}' is a variable and cannot be called", "write * to multiply")
        known = [*CALLABLE, *functions, *extra]
        raise text.error(node, f"unknown op '{name}'", did_you_mean(name, known))
    return _op_call(text, node, span, op)


def _op_call(text: Text, node: ast.Call, span: tuple[int, int], op: Op) -> tuple[Instruction, list[ast.expr]]:
    arguments = list(node.args)
    options: list[tuple[str, ast.expr]] = []
    if op.variadic:
        if len(arguments) in (1, 2) and isinstance(arguments[0], (ast.Tuple, ast.List)):
            options = list(zip(op.options, arguments[1:], strict=False))
            arguments = list(arguments[0].elts)
        wanted = max(1, len(arguments))
    else:
        wanted = len(op.operands)
        options = list(zip(op.options, arguments[wanted:], strict=False))
        if len(arguments) - wanted > len(op.options):
            raise text.error(node, f"{op.name} takes {_operands(op)}, not {len(arguments)}")
        if len(options) > 1:  # NumPy has other options between these
            raise text.error(options[1][1], f"'{options[1][0]}' of {op.name} has no place", f"write {options[1][0]}=…")
        arguments = arguments[:wanted]
    if len(arguments) < wanted:
        raise text.error(node, f"{op.name} takes {_operands(op)}, not {len(arguments)}")
    for keyword in node.keywords:
        name = str(keyword.arg)
        if name not in op.options:
            hint = did_you_mean(name, op.options) if op.options else f"{op.name} has no options"
            raise text.error(keyword.value, f"unknown option '{name}' of {op.name}", hint)
        if name in dict(options):
            raise text.error(keyword.value, f"option '{name}' of {op.name} is given twice")
        options.append((name, keyword.value))
    for name, default in op.options.items():
        if default is REQUIRED and name not in dict(options):
            raise text.error(node, f"{op.name} needs its option '{name}'", f"for example {name}=(2, 3)")
    return Instruction("op", span, op=op, arity=len(arguments), options=tuple(options), node=node), arguments


def _operands(op: Op) -> str:
    n = len(op.operands)
    if op.variadic:
        return "at least 1 operand"
    return f"{n} operand{'s' if n != 1 else ''} ({', '.join(op.operands)})"


def options_of(text: Text, instruction: Instruction, known: Mapping[str, float]) -> dict[str, Any]:
    """The options of an op's or an index's instruction: those given, over the defaults."""
    assert instruction.op is not None
    if instruction.kind == "index":
        assert instruction.node is not None
        return {"index": index_of(text, instruction.node, known)}
    options = {name: default for name, default in instruction.op.options.items() if default is not REQUIRED}
    for name, node in instruction.options:
        options[name] = _checked(text, node, name, static(text, node, known), options.get(name))
    return options


def _checked(text: Text, node: ast.expr, name: str, value: Any, default: Any) -> Any:
    """An option's value, of the kind the option wants."""
    if name in ("axis", "axes", "shape"):
        sizes = value if isinstance(value, tuple) else (value,)
        if value is None and default is None and name != "shape":
            return value
        if all(type(size) is int for size in sizes):
            return sizes if name in ("shape", "axes") else value
        raise text.error(node, f"{name} cannot be {text.source(node)}", f"{name} is a whole number or a tuple of them")
    if isinstance(default, bool) and not isinstance(value, bool):
        raise text.error(node, f"{name} cannot be {text.source(node)}", f"{name} is True or False")
    if isinstance(default, float):
        if type(value) not in (int, float):
            raise text.error(node, f"{name} cannot be {text.source(node)}", f"{name} is a number")
        return float(value)
    return value
