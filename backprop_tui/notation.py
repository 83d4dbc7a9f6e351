"""Formulas of the scenario language, printed as mathematics: ``out * (1 - out)`` is ŷ (1 − ŷ).

A formula is parsed and never evaluated. What is printed can be read in one way only, and means the number that the
formula means: tests/test_notation.py reads it back. A product is written by juxtaposition with a space, a call without
one; a comparison in brackets is 1 where it holds and 0 elsewhere; Σ and ``mean`` reach over the product after them, and
√ over what stands next to it.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from backprop_tui.format import MINUS, clean, cut, subscript, superscript
from backprop_tui.symbols import NO_SYMBOLS, pretty_name

#: How tightly the outermost operation of a text binds, loosest first. OPEN is Σ a, which reaches over what follows it;
#: TAILED a product that ends with Σ a or √a.
SUM, TAILED, OPEN, QUOTIENT, MATMUL, PRODUCT, ROOT, POWER, ATOM = range(1, 10)

#: Longer formulas are not parsed, and deeper ones neither.
LONGEST, DEEPEST = 4000, 40
#: The width to which a text that is no formula is cut.
FALLBACK_WIDTH = 400


@dataclass(frozen=True)
class Term:
    """A piece of mathematics, ready to be drawn, and how tightly its outermost operation binds.

    A minus sign that ``text`` begins with is seen by itself: −a b is a PRODUCT.
    """

    text: str
    precedence: int = ATOM

    @property
    def negative(self) -> bool:
        """Whether the text begins with a minus sign."""
        return self.text.startswith(MINUS)

    def within(self, *levels: int) -> str:
        """The text as an operand that may not begin with a minus, in parentheses unless it binds like ``levels``."""
        return self.text if self.precedence in levels and not self.negative else f"({self.text})"

    def leading(self, *levels: int) -> str:
        """The text as the first operand, where a minus sign is no obstacle."""
        return self.text if self.precedence in levels else f"({self.text})"


def atom(text: str) -> Term:
    """``text`` as something that never needs parentheses."""
    return Term(text, ATOM)


class _ForeignError(Exception):
    """The formula holds something that is not of the language."""


def pretty(
    text: str,
    names: Mapping[str, str | Term] = NO_SYMBOLS,
    symbols: Mapping[str, str] = NO_SYMBOLS,
    loss: str = "L",
) -> str:
    """The formula ``text`` as mathematics.

    ``names`` says what stands for a name: text that is already pretty (an atom), or a `Term`, which is put in
    parentheses where it must be; other names are shown as `pretty_name` has them. ``loss`` is what ∂L/∂W calls
    the loss. Text that is no formula, or too long or deep a one, comes back `clean`, cut to `FALLBACK_WIDTH`.
    """
    return pretty_term(text, names, symbols, loss).text


def pretty_term(
    text: str,
    names: Mapping[str, str | Term] = NO_SYMBOLS,
    symbols: Mapping[str, str] = NO_SYMBOLS,
    loss: str = "L",
) -> Term:
    """What `pretty` prints, as a `Term` that can stand for a name in another formula."""
    tree = _parsed(text) if len(text) <= LONGEST else None
    if tree is not None:
        try:
            return _Printer(names, symbols, loss).term(tree)
        except (_ForeignError, RecursionError, ValueError):
            pass
    return Term(cut(clean(text[: 4 * FALLBACK_WIDTH]), FALLBACK_WIDTH), SUM)


def names_of(text: str) -> tuple[str, ...]:
    """The names that the formula ``text`` reads, each once, in the order in which they first appear.

    Functions are not among them; ``pi`` and ``e`` are, and the name inside ``grad(W1)``. No formula, no names.
    """
    tree = _parsed(text) if len(text) <= LONGEST else None
    if tree is None:
        return ()
    found: dict[tuple[int, int], str] = {}
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Name, ast.Attribute)) and (name := _dotted(node)) is not None:
            found[node.lineno, node.col_offset] = name
        elif isinstance(node, ast.Call) and _dotted(node.func) is not None:
            waiting += [*node.args, *node.keywords]
        else:
            waiting += ast.iter_child_nodes(node)
    return tuple(dict.fromkeys(found[place] for place in sorted(found)))


# Parsing. A name assigned again is h#2, which Python's grammar takes for a comment: a letter stands in for the sign.
_HASH = "\u2d4c"
_HASHED = re.compile(r"(?<=\w)#(?=\d)")


@lru_cache(maxsize=256)
def _parsed(text: str) -> ast.expr | None:
    if not text.strip() or '"' in text or "'" in text or "\\" in text or not _balanced(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(f"({_HASHED.sub(_HASH, text)}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if not 0 <= depth <= DEEPEST:
            return False
    return depth == 0


def _dotted(node: ast.AST) -> str | None:
    """The whole name, of ``z`` and of ``layer.z``; None of anything else, and of a transpose."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        if node.attr == "T":
            return None
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join(reversed([*parts, node.id])).replace(_HASH, "#")


# Building: each function joins terms into a larger one, with the parentheses that it needs.

_DIGITS = tuple("0123456789½¼")
_RAISED = tuple("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺⁽⁾ⁿᵀ")
_FRACTIONS = {"0.5": "½", "0.25": "¼"}


def _add(a: Term, sign: str, b: Term) -> Term:
    return Term(f"{a.text} {sign} {b.within(TAILED, OPEN, QUOTIENT, MATMUL, PRODUCT, ROOT, POWER, ATOM)}", SUM)


def _negate(a: Term) -> Term:
    if a.precedence == SUM or a.negative:
        a = Term(f"({a.text})", ATOM)
    return Term(MINUS + a.text, min(a.precedence, POWER))


def _multiply(a: Term, b: Term) -> Term:
    a, b = _fraction(a), _fraction(b)
    left, right = a.leading(PRODUCT, POWER, ATOM), b.within(OPEN, ROOT, POWER, ATOM)
    between = " · " if right.startswith(_DIGITS) or left == right else " "  # x x would be read as one name
    return Term(left + between + right, TAILED if b.precedence in (OPEN, ROOT) and right == b.text else PRODUCT)


def _fraction(a: Term) -> Term:
    return Term(_FRACTIONS.get(a.text, a.text), a.precedence)


def _divide(a: Term, b: Term) -> Term:
    return Term(f"{a.leading(PRODUCT, ROOT, POWER, ATOM)} / {b.within(ROOT, POWER, ATOM)}", QUOTIENT)


def _matmul(a: Term, b: Term) -> Term:
    return Term(f"{a.leading(MATMUL, ROOT, POWER, ATOM)} @ {b.within(ROOT, POWER, ATOM)}", MATMUL)


def _raise(base: Term, exponent: Term) -> Term:
    low = base.within(ATOM)
    if low.endswith(_RAISED) or (low.startswith(_DIGITS) and "e" in low):
        low = f"({low})"
    digits = exponent.text.removeprefix(MINUS)
    if digits.isascii() and digits.isdigit():
        return Term(low + superscript(exponent.text), POWER)
    return Term(f"{low}^{exponent.within(ATOM)}", POWER)


def _transpose(a: Term) -> Term:
    text = a.within(ATOM)
    return Term((f"({text})" if text.endswith("ᵀ") else text) + "ᵀ", ATOM)


def _prefix(sign: str, a: Term) -> Term:
    return Term(f"{sign} {a.within(PRODUCT, ROOT, POWER, ATOM)}", OPEN)


def _root(a: Term) -> Term:
    text = a.within(ATOM)
    return Term("√" + (f"({text})" if text.endswith(_RAISED) else text), ROOT)


def _magnitude(a: Term) -> Term:
    return atom(f"abs({a.text})" if "|" in a.text else f"|{a.text}|")


def _squared_difference(a: Term, b: Term) -> Term:
    return _raise(_add(a, MINUS, b), atom("2"))


#: What is written in a way of its own: from the terms of the operands, of which there are as many as given.
_WRITTEN: Mapping[str, tuple[int, Callable[..., Term]]] = MappingProxyType(
    {
        "sigmoid": (1, lambda a: atom(f"σ({a.text})")),
        "Phi": (1, lambda a: atom(f"Φ({a.text})")),
        "phi": (1, lambda a: atom(f"φ({a.text})")),
        "sqrt": (1, _root),
        "abs": (1, _magnitude),
        "square": (1, lambda a: _raise(a, atom("2"))),
        "transpose": (1, _transpose),
        "row": (1, _transpose),
        "column": (1, lambda a: a),
        "outer": (2, lambda a, b: _multiply(a, _transpose(b))),
        "eye": (1, lambda a: atom("I")),
        "ones": (1, lambda a: atom("1")),
        "transposed": (1, lambda a: Term("transposed back", SUM)),
        "reshaped": (1, lambda a: Term("reshaped back", SUM)),
        "placed": (1, lambda a: Term("put back in place", SUM)),
        "part": (1, lambda a: Term("its own part", SUM)),
        "squared_error": (2, lambda a, b: _prefix("Σ", _squared_difference(a, b))),
        "half_squared_error": (2, lambda a, b: _multiply(atom("½"), _prefix("Σ", _squared_difference(a, b)))),
        "mean_squared_error": (2, lambda a, b: _prefix("mean", _squared_difference(a, b))),
    }
)
_BINARY: Mapping[type[ast.operator], Callable[[Term, Term], Term]] = MappingProxyType(
    {
        ast.Add: lambda a, b: _add(a, "+", b),
        ast.Sub: lambda a, b: _add(a, MINUS, b),
        ast.Mult: _multiply,
        ast.Div: _divide,
        ast.MatMult: _matmul,
        ast.Pow: _raise,
    }
)
_COMPARISONS: Mapping[type[ast.cmpop], str] = MappingProxyType(
    {ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥", ast.Eq: "=", ast.NotEq: "≠"}
)


class _Printer:
    """One formula on its way to mathematics; raises _ForeignError at what is not of the language."""

    def __init__(self, names: Mapping[str, str | Term], symbols: Mapping[str, str], loss: str) -> None:
        self.names, self.symbols, self.loss = names, symbols, loss

    def term(self, node: ast.expr) -> Term:
        name = _dotted(node)
        if name is not None:
            return self.name(name)
        if isinstance(node, ast.BinOp):
            return self.binary(node)
        if isinstance(node, ast.Constant):
            return _constant(node.value)
        if isinstance(node, ast.UnaryOp):
            return self.unary(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return _transpose(self.term(node.value))
        if isinstance(node, ast.Subscript):
            return atom(f"{self.term(node.value).within(ATOM)}[{self.index(node.slice)}]")
        if isinstance(node, (ast.List, ast.Tuple)):
            return atom(("[{}]" if isinstance(node, ast.List) else "({})").format(self.listed(node.elts)))
        raise _ForeignError

    def name(self, name: str) -> Term:
        given = self.names.get(name)
        if given is None:
            return atom(pretty_name(name, self.symbols))
        return given if isinstance(given, Term) else atom(given)

    def binary(self, node: ast.BinOp) -> Term:
        # A long sum or product is deep on its left: that way is walked, not recursed into.
        chain: list[tuple[Callable[[Term, Term], Term], ast.expr]] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            join = _BINARY.get(type(left.op))
            if join is None:
                raise _ForeignError
            chain.append((join, left.right))
            left = left.left
        result = self.term(left)
        for join, right in reversed(chain):
            result = join(result, self.term(right))
        return result

    def unary(self, node: ast.UnaryOp) -> Term:
        if not isinstance(node.op, (ast.USub, ast.UAdd)):
            raise _ForeignError
        operand = self.term(node.operand)
        return _negate(operand) if isinstance(node.op, ast.USub) else operand

    def comparison(self, node: ast.Compare) -> Term:
        text = self.term(node.left).text
        for compare, operand in zip(node.ops, node.comparators, strict=True):
            sign = _COMPARISONS.get(type(compare))
            if sign is None:
                raise _ForeignError
            text += f" {sign} {self.term(operand).text}"
        return atom(f"[{text}]")

    def call(self, node: ast.Call) -> Term:
        function = _dotted(node.func)
        if function is None:
            raise _ForeignError
        operands = [self.term(operand) for operand in node.args]
        options = {option.arg: option.value for option in node.keywords if not _is_silent(option)}
        if function == "grad" and len(operands) == 1 and not options:
            return Term(f"∂{self.loss}/∂{operands[0].within(ATOM)}", QUOTIENT)
        if function == "sum" and len(operands) == 1 and options.keys() <= {"axis"}:
            return _prefix(self.sigma(options.get("axis")), operands[0])
        if function == "transpose" and len(operands) == 1 and _swaps_last_two(options.get("axes")):
            return _transpose(operands[0])
        written = _WRITTEN.get(function)
        if written is not None and written[0] == len(operands) and not options:
            return written[1](*operands)
        arguments = [operand.text for operand in operands]
        axis = ""
        for option, value in options.items():
            if option is None:
                raise _ForeignError
            if option == "axis":
                axis = f"[axis {self.bare(value)}]"
            elif option == "shape":
                arguments.append(self.bare(value, " × ") or "scalar")
            else:
                same = _dotted(value) == option
                arguments.append(clean(option) if same else f"{clean(option)} = {self.term(value).text}")
        return atom(f"{clean(function)}{axis}({', '.join(arguments)})")

    def sigma(self, axis: ast.expr | None) -> str:
        if axis is None:
            return "Σ"
        if isinstance(axis, ast.Constant) and type(axis.value) is int:
            return "Σ" + subscript(axis.value)
        return f"Σ[axis {self.bare(axis)}]"

    def bare(self, node: ast.expr, between: str = ", ") -> str:
        """A tuple without its parentheses, and anything else as it is."""
        return self.listed(node.elts, between) if isinstance(node, ast.Tuple) else self.term(node).text

    def listed(self, nodes: Iterable[ast.expr], between: str = ", ") -> str:
        return between.join(self.term(node).text for node in nodes)

    def index(self, node: ast.expr) -> str:
        if isinstance(node, ast.Tuple):
            return ", ".join(map(self.index, node.elts))
        if isinstance(node, ast.Slice):
            text = ":".join("" if part is None else self.term(part).text for part in (node.lower, node.upper))
            return text if node.step is None else f"{text}:{self.term(node.step).text}"
        return self.term(node).text


def _constant(value: object) -> Term:
    if value is None or value is ... or isinstance(value, bool):
        return atom("..." if value is ... else str(value))
    if isinstance(value, int):
        return atom(str(value))
    if not isinstance(value, float):
        raise _ForeignError
    mantissa, e, exponent = repr(value).partition("e")
    return atom(mantissa.removesuffix(".0") + (e + str(int(exponent)).replace("-", MINUS) if e else ""))


def _is_silent(option: ast.keyword) -> bool:
    """Whether an option is left out: keepdims, an axis that is None, and the ``axis=axis`` of an op's own formula."""
    none = isinstance(option.value, ast.Constant) and option.value.value is None
    return option.arg == "keepdims" or (option.arg == "axis" and (none or _dotted(option.value) == "axis"))


def _swaps_last_two(axes: ast.expr | None) -> bool:
    """Whether the option ``axes`` of a transpose turns the last two axes only, as ᵀ does with each matrix of a batch."""
    if not isinstance(axes, ast.Tuple):
        return False
    order = [axis.value for axis in axes.elts if isinstance(axis, ast.Constant)]
    n = len(axes.elts)
    return n >= 2 and order == [*range(n - 2), n - 1, n - 2]
