"""The ops that act entry by entry: exponentials, roots, waves, activations, choices between values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backprop_tui.ops.op import (
    Array,
    Call,
    Derive,
    LocalDerivative,
    Op,
    Shape,
    broadcast_shape,
    elementwise,
    fixed,
    read,
    same_shape,
)

SINGLES = (Call(((2, 3),), (2, 3)), Call(((2, 1, 3),), (2, 1, 3)), Call(((),), ()))
PAIRS = (
    Call(((2, 3), (2, 3)), (2, 3)),
    Call(((2, 3), (3,)), (2, 3)),
    Call(((2, 1), (2, 1, 3)), (2, 2, 3)),
    Call(((), (2,)), (2,)),
    Call(((), ()), ()),
)
TRIPLES = (
    Call(((2, 3), (2, 3), (2, 3)), (2, 3)),
    Call(((2, 3), (3,), ()), (2, 3)),
    Call(((3,), (2, 1), (2, 3)), (2, 3)),
    Call(((), (), (2,)), (2,)),
    Call(((), (), ()), ()),
)


def _single(
    name: str,
    forward: Callable[..., Array],
    derivative: Derive,
    formula: str,
    sentence: str,
    *,
    domain: tuple[float, float] = (-2.0, 2.0),
) -> Op:
    """An op of one operand and no option."""
    return Op(
        name,
        ("a",),
        same_shape,
        fixed(forward),
        (derivative,),
        formula,
        sentence,
        examples=SINGLES,
        domain=domain,
    )


def _broadcast(name: str) -> Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape]:
    return lambda shapes, options: broadcast_shape(name, shapes)


def _either(scalar: Callable[..., Array], array: Callable[..., Array]) -> Callable[[Call], Callable[..., Array]]:
    """The forward function that is faster for the shapes of the call: plain comparisons, or a ufunc."""
    return lambda call: array if any(call.shapes) else scalar


# Exponentials, roots and waves.

EXP = _single(
    "exp",
    np.exp,
    elementwise("out", ("out",), read),
    "exp(a)",
    "The exponential, entry by entry; it is its own local derivative.",
)
LOG = _single(
    "log",
    np.log,
    elementwise("1 / a", ("a",), lambda a: 1 / a, pull=lambda u, a: u * (1 / a)),
    "log(a)",
    "The natural logarithm, entry by entry; the local derivative is 1 over the entry.",
    domain=(0.5, 2.5),
)
SQRT = _single(
    "sqrt",
    np.sqrt,
    elementwise("1 / (2 * out)", ("out",), lambda out: 1 / (2 * out), pull=lambda u, out: u * (1 / (2 * out))),
    "sqrt(a)",
    "The square root, entry by entry; the local derivative reads the stored result.",
    domain=(0.5, 2.5),
)
SQUARE = _single(
    "square",
    lambda a: a * a,
    elementwise("2 * a", ("a",), lambda a: 2 * a, pull=lambda u, a: u * (2 * a)),
    "a ** 2",
    "Multiplies each entry by itself; the local derivative is twice the entry.",
)
ABS = _single(
    "abs",
    operator.abs,
    elementwise(
        "(a > 0) - (a < 0)",
        ("a",),
        lambda a: np.subtract(a > 0, a < 0, dtype=a.dtype),
        kinks=lambda a: a == 0,
        convention="abs′(0) is taken as 0",
    ),
    "abs(a)",
    "The size of each entry without its sign; the local derivative is the sign.",
)
SIN = _single(
    "sin",
    np.sin,
    elementwise("cos(a)", ("a",), np.cos, pull=lambda u, a: u * np.cos(a)),
    "sin(a)",
    "The sine, entry by entry; the local derivative is the cosine.",
)
COS = _single(
    "cos",
    np.cos,
    elementwise("-sin(a)", ("a",), lambda a: -np.sin(a), pull=lambda u, a: u * -np.sin(a)),
    "cos(a)",
    "The cosine, entry by entry; the local derivative is minus the sine.",
)


# Activations.


def _sigmoid(a: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-a))
    return result


#: Above this, softplus is the identity to within 2e-9, and PyTorch, whose numbers are the measure, takes it to be that.
_SOFTPLUS_LINEAR = 20


def _softplus(a: Array) -> Array:
    return np.where(a > _SOFTPLUS_LINEAR, a, np.logaddexp(0, a))[()]


def _softplus_local(a: Array) -> Array:
    return np.where(a > _SOFTPLUS_LINEAR, a.dtype.type(1), _sigmoid(a))[()]


def _relu_scalar(a: Array) -> Array:
    zero: Array = a.dtype.type(0)
    return zero if a < 0 else a


#: Each negative entry becomes 0; a nan stays one.
_relu = _either(_relu_scalar, lambda a: np.maximum(a, 0.0))


def _slope(options: Mapping[str, Any]) -> float:
    return float(options.get("negative_slope", 0.01))


def _leaky_relu(call: Call) -> Callable[..., Array]:
    slope = _slope(call.options)
    return lambda a: np.maximum(a, 0) + slope * np.minimum(a, 0)


def _leaky_relu_local(call: Call) -> LocalDerivative:
    slope = _slope(call.options)
    return LocalDerivative(
        "elementwise",
        f"(a > 0) + {slope!r} * (a <= 0)",
        ("a",),
        lambda a: (a > 0) + a.dtype.type(slope) * (a <= 0),
        kinks=lambda a: a == 0,
        convention=f"leaky_relu′(0) is taken as the slope of the negative side, {slope!r}",
    )


_erfc: Callable[[Array], Array] = np.frompyfunc(math.erfc, 1, 1)
_ROOT_HALF = math.sqrt(0.5)
_DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)


def _normal_cdf(a: Array) -> Array:
    """Φ(a), exact in both tails: NumPy has no erf of its own, so each entry goes through the standard library's."""
    if np.ndim(a) == 0:
        scalar: Array = a.dtype.type(0.5 * math.erfc(-_ROOT_HALF * float(a)))
        return scalar
    # in double precision throughout: rounding −a/√2 to float32 first would be felt in the tail
    array: Array = (0.5 * _erfc(-_ROOT_HALF * a.astype(np.float64)).astype(np.float64)).astype(a.dtype)
    return array


def _normal_density(a: Array) -> Array:
    result: Array = _DENSITY_AT_0 * np.exp(-0.5 * (a * a))
    return result


TANH = _single(
    "tanh",
    np.tanh,
    elementwise("1 - out ** 2", ("out",), lambda out: 1 - out * out, pull=lambda u, out: u * (1 - out * out)),
    "tanh(a)",
    "The hyperbolic tangent squeezes each entry between −1 and 1; the local derivative reads the stored result.",
)
SIGMOID = _single(
    "sigmoid",
    _sigmoid,
    elementwise("out * (1 - out)", ("out",), lambda out: out * (1 - out), pull=lambda u, out: u * (out * (1 - out))),
    "1 / (1 + exp(-a))",
    "Squeezes each entry between 0 and 1; the local derivative reads the stored result and is at most ¼.",
)
RELU = Op(
    "relu",
    ("a",),
    same_shape,
    _relu,
    (
        elementwise(
            "(a > 0)",
            ("a",),
            lambda a: (a > 0).astype(a.dtype),
            pull=lambda u, a: u * (a > 0),
            kinks=lambda a: a == 0,
            convention="relu′(0) is taken as 0",
        ),
    ),
    "maximum(a, 0)",
    "Keeps what is positive and sets the rest to 0; the gradient passes where the operand was positive.",
    examples=SINGLES,
)
LEAKY_RELU = Op(
    "leaky_relu",
    ("a",),
    same_shape,
    _leaky_relu,
    (_leaky_relu_local,),
    "maximum(a, 0) + negative_slope * minimum(a, 0)",
    "Keeps what is positive and scales the rest by a small slope, so that some gradient passes everywhere.",
    options={"negative_slope": 0.01},
    examples=(
        *SINGLES,
        Call(((2, 3),), (2, 3), {"negative_slope": 0.2}),
        Call(((),), (), {"negative_slope": 0.01}),
    ),
)
SOFTPLUS = _single(
    "softplus",
    _softplus,
    elementwise(
        "sigmoid(a)",
        ("a",),
        _softplus_local,
        note="above 20, where softplus differs from the identity by less than 2e-9, the local derivative is taken as 1",
    ),
    "log(1 + exp(a))",
    "A smooth relu; the local derivative is the sigmoid of the operand.",
)
GELU = _single(
    "gelu",
    lambda a: a * _normal_cdf(a),
    elementwise(
        "Phi(a) + a * phi(a)",
        ("a",),
        lambda a: _normal_cdf(a) + a * _normal_density(a),
        note="Φ is the cumulative distribution of the standard normal distribution, φ its density",
    ),
    "a * Phi(a)",
    "Scales each entry by Φ of itself, the probability that a standard normal number is smaller.",
)


# Choices between values.


def _larger(a: Array, b: Array) -> Array:
    result: Array = (a > b) + a.dtype.type(0.5) * (a == b)
    return result


def _tied(a: Array, b: Array) -> Array:
    tied: Array = a == b
    return tied


_SHARED = "a tie is shared equally: each of the two takes half"


def _share(formula: str, value: Callable[..., Array]) -> Derive:
    return elementwise(formula, ("a", "b"), value, kinks=_tied, convention=_SHARED)


MAXIMUM = Op(
    "maximum",
    ("a", "b"),
    _broadcast("maximum"),
    _either(lambda a, b: a if a >= b or a != a else b, np.maximum),  # a nan in either makes nan, as in NumPy
    (
        _share("(a > b) + 0.5 * (a == b)", _larger),
        _share("(b > a) + 0.5 * (a == b)", lambda a, b: _larger(b, a)),
    ),
    "maximum(a, b)",
    "The larger of two, entry by entry; the gradient goes to the one that was taken.",
    examples=PAIRS,
)
MINIMUM = Op(
    "minimum",
    ("a", "b"),
    _broadcast("minimum"),
    _either(lambda a, b: a if a <= b or a != a else b, np.minimum),
    (
        _share("(a < b) + 0.5 * (a == b)", lambda a, b: _larger(b, a)),
        _share("(b < a) + 0.5 * (a == b)", _larger),
    ),
    "minimum(a, b)",
    "The smaller of two, entry by entry; the gradient goes to the one that was taken.",
    examples=PAIRS,
)
WHERE = Op(
    "where",
    ("condition", "a", "b"),
    _broadcast("where"),
    _either(lambda condition, a, b: a if condition else b, np.where),
    (
        None,
        elementwise(
            "(condition != 0)",
            ("condition",),
            lambda condition: (condition != 0).astype(condition.dtype),
            pull=lambda u, condition: u * (condition != 0),
        ),
        elementwise(
            "(condition == 0)",
            ("condition",),
            lambda condition: (condition == 0).astype(condition.dtype),
            pull=lambda u, condition: u * (condition == 0),
        ),
    ),
    "where(condition, a, b)",
    "Takes the second operand where the condition is not 0 and the third elsewhere; the gradient goes to the one that was taken.",
    examples=TRIPLES,
)


def _clip(a: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(a, low), high)


# Where low > high the result is high, whatever a is. So a passes a gradient only within bounds that are in order, low
# only where a is below it and it is not above high in its turn, and high wherever the larger of a and low is above it.
CLIP = Op(
    "clip",
    ("a", "low", "high"),
    _broadcast("clip"),
    fixed(_clip),
    (
        elementwise(
            "(a >= low) * (a <= high)",
            ("a", "low", "high"),
            lambda a, low, high: ((a >= low) & (a <= high)).astype(a.dtype),
            kinks=lambda a, low, high: ((a == low) | (a == high)) & (low <= high),
            convention="at a bound, the local derivative by what is clipped is taken as 1",
        ),
        elementwise(
            "(a < low) * (low <= high)",
            ("a", "low", "high"),
            lambda a, low, high: ((a < low) & (low <= high)).astype(a.dtype),
            kinks=lambda a, low, high: ((a == low) & (low <= high)) | ((low == high) & (a < low)),
            convention="at a bound, the local derivative by the bound is taken as 0; "
            "where both bounds are equal and a is below them, it is taken as 1 by low",
        ),
        elementwise(
            "(maximum(a, low) > high)",
            ("a", "low", "high"),
            lambda a, low, high: (np.maximum(a, low) > high).astype(a.dtype),
            kinks=lambda a, low, high: np.maximum(a, low) == high,
            convention="at a bound, the local derivative by the bound is taken as 0; "
            "where both bounds are equal and a is below them, it is taken as 0 by high",
        ),
    ),
    "minimum(maximum(a, low), high)",
    "Holds each entry between two bounds; outside them the gradient goes to the bound that was taken.",
    examples=TRIPLES,
)

FAMILY = (
    *(EXP, LOG, SQRT, SQUARE, ABS, SIN, COS),
    *(TANH, SIGMOID, RELU, LEAKY_RELU, SOFTPLUS, GELU),
    *(MAXIMUM, MINIMUM, WHERE, CLIP),
)
