"""The operators: + − · / **, unary −, comparisons, and the identity that naming a name is."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backprop_tui.ops.op import (
    Array,
    Call,
    LocalDerivative,
    Op,
    Shape,
    broadcast_shape,
    elementwise,
    fixed,
    one,
    read,
    same_shape,
)

PAIRS = (Call(((2, 3), (2, 3)), (2, 3)), Call(((2, 3), (3,)), (2, 3)), Call(((), (2,)), (2,)), Call(((), ()), ()))


def _broadcast(name: str) -> Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape]:
    return lambda shapes, options: broadcast_shape(name, shapes)


def _negated(_call: Call) -> LocalDerivative:
    return LocalDerivative("elementwise", "-1", (), lambda: -one(), pull=operator.neg)


def _power_of_base(a: Array, b: Array) -> Array:
    return np.where(b == 0, 0, b * np.power(a, b - 1))[()]


def _power_of_exponent(a: Array, b: Array, out: Array) -> Array:
    return np.where((a == 0) & (b >= 0), 0, out * np.log(a))[()]


ADD = Op(
    "add",
    ("a", "b"),
    _broadcast("add"),
    fixed(operator.add),
    (elementwise("1", (), one), elementwise("1", (), one)),
    "a + b",
    "Adds entry by entry; each operand receives the upstream gradient as it is.",
    symbol="+",
    examples=PAIRS,
)
SUBTRACT = Op(
    "subtract",
    ("a", "b"),
    _broadcast("subtract"),
    fixed(operator.sub),
    (elementwise("1", (), one), _negated),
    "a - b",
    "Subtracts entry by entry; the second operand receives the upstream gradient with its sign turned.",
    symbol="-",
    examples=PAIRS,
)
MULTIPLY = Op(
    "multiply",
    ("a", "b"),
    _broadcast("multiply"),
    fixed(operator.mul),
    (elementwise("b", ("b",), read), elementwise("a", ("a",), read)),
    "a * b",
    "Multiplies entry by entry; the local derivative by one factor is the other factor.",
    symbol="*",
    examples=PAIRS,
)
DIVIDE = Op(
    "divide",
    ("a", "b"),
    _broadcast("divide"),
    fixed(operator.truediv),
    (
        elementwise("1 / b", ("b",), lambda b: 1 / b),
        elementwise("-a / b ** 2", ("a", "b"), lambda a, b: -a / (b * b)),
    ),
    "a / b",
    "Divides entry by entry; the local derivative by the divisor is minus the quotient over the divisor.",
    symbol="/",
    examples=PAIRS,
    domain=(0.5, 2.5),
)
POWER = Op(
    "power",
    ("a", "b"),
    _broadcast("power"),
    fixed(operator.pow),
    (
        elementwise(
            "b * a ** (b - 1)",
            ("a", "b"),
            _power_of_base,
            note="where the exponent is 0 the power is constant and its local derivative is 0",
        ),
        elementwise(
            "out * log(a)",
            ("a", "b", "out"),
            _power_of_exponent,
            kinks=lambda a, b, out: (a == 0) & (b >= 0),
            convention="where the base is 0 and the exponent is not negative, the local derivative is taken as 0",
        ),
    ),
    "a ** b",
    "Raises to a power, entry by entry.",
    symbol="**",
    examples=PAIRS,
    domain=(0.5, 2.5),
)
NEGATIVE = Op(
    "negative",
    ("a",),
    same_shape,
    fixed(operator.neg),
    (_negated,),
    "-a",
    "Turns the sign; the local derivative is −1.",
    symbol="-",
    examples=(Call(((2, 3),), (2, 3)), Call(((),), ())),
)
IDENTITY = Op(
    "identity",
    ("a",),
    same_shape,
    fixed(read),
    (elementwise("1", (), one),),
    "a",
    "Gives a value a second name; the local derivative is 1.",
    examples=(Call(((2, 3),), (2, 3)), Call(((),), ())),
)


def _comparison(name: str, symbol: str, compare: Callable[[Array, Array], Array]) -> Op:
    """A comparison: 1 where it holds and 0 elsewhere, of the operands' precision; no gradient flows through it."""
    return Op(
        name,
        ("a", "b"),
        _broadcast(name),
        fixed(lambda a, b: np.asarray(compare(a, b)).astype(np.result_type(a, b))[()]),
        (None, None),
        f"a {symbol} b",
        "Compares entry by entry: 1 where it holds, 0 elsewhere; it is flat, so no gradient flows through it.",
        symbol=symbol,
        examples=PAIRS,
    )


COMPARISONS = tuple(
    _comparison(name, symbol, compare)
    for name, symbol, compare in (
        ("less", "<", operator.lt),
        ("less_equal", "<=", operator.le),
        ("greater", ">", operator.gt),
        ("greater_equal", ">=", operator.ge),
        ("equal", "==", operator.eq),
        ("not_equal", "!=", operator.ne),
    )
)

FAMILY = (ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, NEGATIVE, IDENTITY, *COMPARISONS)
