"""The matrix product, with NumPy's rules for vectors and batches."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from backprop_tui.errors import ShapeError
from backprop_tui.ops.op import Array, Call, LocalDerivative, Op, Shape, fixed, read, show_shape


def _shape(shapes: tuple[Shape, ...], _options: Mapping[str, Any]) -> Shape:
    a, b = shapes

    def fail(reason: str, hint: str) -> ShapeError:
        message = f"matmul cannot multiply {show_shape(a)} @ {show_shape(b)}: {reason}"
        return ShapeError(message, op="matmul", shapes=shapes, hint=hint)

    if not a or not b:
        raise fail("a scalar has no rows or columns", "use * to multiply by a scalar")
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise fail(
            f"the inner sizes {a[-1]} and {inner} differ",
            "the last size on the left must equal the second to last on the right; transpose with .T if one is turned",
        )
    try:
        lead = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise fail(
            f"the batch sizes {show_shape(a[:-2])} and {show_shape(b[:-2])} do not broadcast",
            "counted from the last, batch sizes must be equal or 1",
        ) from None
    return lead + (a[-2:-1] if len(a) > 1 else ()) + (b[-1:] if len(b) > 1 else ())


def _turned(value: Array) -> Array:
    return np.swapaxes(value, -1, -2)


def _turned_formula(name: str, shape: Shape) -> str:
    """What `_turned` does, in the language: its .T turns all axes round, as NumPy's does, so a batch names its axes."""
    if len(shape) <= 2:
        return f"{name}.T"
    lead = range(len(shape) - 2)
    return f"transpose({name}, axes={(*lead, len(shape) - 1, len(shape) - 2)})"


def _row(value: Array) -> Array:
    return value[None, :]


def _column(value: Array) -> Array:
    return value[:, None]


def _of_left(call: Call) -> LocalDerivative:
    """∂(a @ b)/∂a: upstream @ bᵀ, so b stands on the right, transposed."""
    a, b = call.shapes
    if len(a) == len(b) == 1:
        return LocalDerivative("broadcast", "b", ("b",), read, pull=operator.mul)
    turned = _turned_formula("b", b)
    if len(b) == 1:  # each row of a meets the one column b: the upstream gradient enters as a column
        return LocalDerivative("right", "row(b)", ("b",), _row, upstream_as=(*call.out, 1))
    if len(a) == 1:  # a is one row: it is read out of the product again
        if len(b) == 2:
            return LocalDerivative("right", turned, ("b",), _turned)
        row, result = (*call.out[:-1], 1, call.out[-1]), (*call.out[:-1], a[0])
        return LocalDerivative("right", turned, ("b",), _turned, upstream_as=row, result_as=result)
    pull = (lambda u, b: u @ b.T) if len(b) == 2 else None
    return LocalDerivative("right", turned, ("b",), _turned, pull=pull)


def _of_right(call: Call) -> LocalDerivative:
    """∂(a @ b)/∂b: aᵀ @ upstream, so a stands on the left, transposed."""
    a, b = call.shapes
    if len(a) == len(b) == 1:
        return LocalDerivative("broadcast", "a", ("a",), read, pull=operator.mul)
    turned = _turned_formula("a", a)
    if len(a) == 1:  # the one row a meets each column of b: a enters as a column, the upstream gradient as a row
        return LocalDerivative("left", "column(a)", ("a",), _column, upstream_as=(*call.out[:-1], 1, call.out[-1]))
    if len(b) == 1:
        if len(a) == 2:
            return LocalDerivative("left", turned, ("a",), _turned)
        return LocalDerivative("left", turned, ("a",), _turned, upstream_as=(*call.out, 1), result_as=(*call.out[:-1], b[0]))
    pull = (lambda u, a: a.T @ u) if len(a) == len(b) == 2 else None
    return LocalDerivative("left", turned, ("a",), _turned, pull=pull)


def _example(a: Shape, b: Shape) -> Call:
    return Call((a, b), _shape((a, b), {}))


MATMUL = Op(
    "matmul",
    ("a", "b"),
    _shape,
    fixed(operator.matmul),
    (_of_left, _of_right),
    "a @ b",
    "The matrix product; the local derivative by one factor is the other one transposed, multiplied in on its side.",
    symbol="@",
    examples=(
        _example((2, 3), (3, 4)),
        _example((1, 2), (2, 2)),
        _example((3,), (3,)),
        _example((2, 3), (3,)),
        _example((3,), (3, 2)),
        _example((2, 3, 4), (2, 4, 5)),
        _example((2, 3, 4), (4, 5)),
        _example((3, 4), (2, 4, 5)),
        _example((2, 1, 3, 4), (5, 4, 2)),
        _example((2, 3, 4), (4,)),
        _example((4,), (2, 4, 3)),
    ),
)

FAMILY = (MATMUL,)
