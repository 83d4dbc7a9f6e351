"""The ops that work along axes: sum, mean, max, min, softmax and its logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backprop_tui.errors import ShapeError
from backprop_tui.ops.op import Array, Call, Derive, LocalDerivative, Op, Shape, one, show_option, show_shape, unchanged

# Axes: which ones an option means, and what is wrong with it.


def axes_of(own: Shape) -> str:
    """How many axes a shape has, in words."""
    return f"{len(own)} axis" if len(own) == 1 else f"{len(own)} axes"


def one_axis(name: str, axis: Any, own: Shape, shapes: tuple[Shape, ...]) -> int:
    """``axis`` counted from the first axis of ``own``, or a ShapeError of the op ``name`` on operands of ``shapes``."""
    rank = len(own)
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ShapeError(f"{name} cannot use axis={show_option(axis)}: an axis is an integer", op=name, shapes=shapes)
    if -rank <= axis < rank:
        return axis % rank
    if rank == 0:
        raise ShapeError(
            f"{name} has no axis {axis} to work along: its operand is a scalar",
            op=name,
            shapes=shapes,
            hint="it needs an operand with at least one axis",
        )
    raise ShapeError(
        f"{name} has no axis {axis}: the shape {show_shape(own)} has {axes_of(own)}",
        op=name,
        shapes=shapes,
        hint="axis must be 0 or −1" if rank == 1 else f"axis must be from 0 to {rank - 1}, or from −{rank} to −1",
    )


def _axes(name: str, own: Shape, options: Mapping[str, Any]) -> tuple[int, ...]:
    """The reduced axes, counted from the first: all of them where no axis is given."""
    axis = options.get("axis")
    if axis is None:
        return tuple(range(len(own)))
    axes = tuple(one_axis(name, k, own, (own,)) for k in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) < len(axes):
        raise ShapeError(
            f"{name} cannot reduce an axis twice: axis={show_option(axis)} of the shape {show_shape(own)}",
            op=name,
            shapes=(own,),
            hint="name each axis once",
        )
    return axes


def _reduced(own: Shape, axes: tuple[int, ...], keep: bool) -> Shape:
    if keep:
        return tuple(1 if k in axes else size for k, size in enumerate(own))
    return tuple(size for k, size in enumerate(own) if k not in axes)


def _not_empty(name: str, own: Shape, axes: tuple[int, ...]) -> None:
    if any(own[k] == 0 for k in axes):
        raise ShapeError(
            f"{name} of no entries is not defined: the shape {show_shape(own)} has an axis of size 0",
            op=name,
            shapes=(own,),
            hint="every axis it works along must have at least one entry",
        )


def _reduction_shape(name: str, of_none: bool) -> Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape]:
    """The shape rule of a reduction; ``of_none`` says whether it is defined for no entries at all."""

    def shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
        axes = _axes(name, shapes[0], options)
        if not of_none:
            _not_empty(name, shapes[0], axes)
        return _reduced(shapes[0], axes, bool(options.get("keepdims", False)))

    return shape


def _reduce(name: str, ufunc: np.ufunc) -> Callable[[Call], Callable[..., Array]]:
    def bind(call: Call) -> Callable[..., Array]:
        axes, keep = _axes(name, call.shapes[0], call.options), bool(call.options.get("keepdims", False))
        if len(axes) == len(call.shapes[0]):
            return lambda a: ufunc.reduce(a, axis=None, keepdims=keep)
        return lambda a: ufunc.reduce(a, axis=axes, keepdims=keep)

    return bind


# The sum and the mean: the upstream gradient is spread along the axes that were reduced.


def _spread(own: Shape, kept: Shape) -> Callable[[Array], Array]:
    """The upstream gradient of a reduction, repeated along the reduced axes."""
    if kept == own:
        return lambda upstream: upstream.reshape(own)[()]

    def spread(upstream: Array) -> Array:
        result: Array = np.empty(own, upstream.dtype)
        result[...] = upstream.reshape(kept)
        return result

    return spread


def _filled(value: Array, own: Shape) -> Callable[[], Array]:
    """The local array of a sum or mean: one value everywhere, stored once."""
    return lambda: np.broadcast_to(value, own)[()]


def _of_sum(call: Call) -> LocalDerivative:
    own = call.shapes[0]
    kept = _reduced(own, _axes("sum", own, call.options), True)
    pull = unchanged if kept == own == call.out else _spread(own, kept)
    return LocalDerivative("broadcast", "1", (), _filled(one(), own), upstream_as=kept, pull=pull)


def _count(call: Call) -> int:
    return math.prod(call.shapes[0][k] for k in _axes("mean", call.shapes[0], call.options))


def _bind_mean(call: Call) -> Callable[..., Array]:
    total, n = _reduce("mean", np.add)(call), _count(call)
    return lambda a: total(a) / n


def _of_mean(call: Call) -> LocalDerivative:
    own, n = call.shapes[0], _count(call)
    kept = _reduced(own, _axes("mean", own, call.options), True)
    spread = _spread(own, kept)
    return LocalDerivative(
        "broadcast",
        "1" if n == 1 else f"1 / {n}",
        (),
        _filled(one() / max(n, 1), own),  # of no entries there is no array to fill
        upstream_as=kept,
        pull=lambda upstream: spread(upstream / n),
    )


# The largest and the smallest entry: the gradient goes to it alone, in equal shares where several attain it.


def _of_extreme(name: str, ufunc: np.ufunc) -> Derive:
    def derive(call: Call) -> LocalDerivative:
        own = call.shapes[0]
        axes = _axes(name, own, call.options)
        kept = _reduced(own, axes, True)

        def attained(a: Array) -> tuple[Array, Array]:
            """Where the extreme is attained, and how often."""
            hit = (a == ufunc.reduce(a, axis=axes, keepdims=True)).astype(a.dtype)
            return hit, np.add.reduce(hit, axis=axes, keepdims=True)

        def value(a: Array) -> Array:
            hit, count = attained(a)
            return hit / count

        def kinks(a: Array) -> Array:
            hit, count = attained(a)
            return (hit > 0) & (count > 1)

        axis = call.options.get("axis")
        # without an axis the extreme is a scalar, which broadcasts as it is
        along = "" if axis is None else f", axis={show_option(axis)}, keepdims=True"
        hits = f"(a == {name}(a{along}))"
        return LocalDerivative(
            "broadcast",
            f"{hits} / sum{hits[:-1]}{along})",
            ("a",),
            value,
            upstream_as=kept,
            kinks=kinks,
            convention=f"a tie is shared equally: entries that attain the {name} together take the same part of it",
        )

    return derive


# softmax and its logarithm, along one axis.


def _along(name: str) -> Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape]:
    def shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
        axis = one_axis(name, options.get("axis", -1), shapes[0], shapes)
        _not_empty(name, shapes[0], (axis,))
        return shapes[0]

    return shape


def softmax(a: Array, axis: int = -1) -> Array:
    """exp(a) / Σ exp(a) along ``axis``; the largest entry is subtracted first, so nothing overflows."""
    powers = np.exp(a - np.maximum.reduce(a, axis=axis, keepdims=True))
    result: Array = powers / np.add.reduce(powers, axis=axis, keepdims=True)
    return result


def log_softmax(a: Array, axis: int = -1) -> Array:
    """a − log Σ exp(a) along ``axis``; the largest entry is subtracted first, so nothing overflows."""
    shifted = a - np.maximum.reduce(a, axis=axis, keepdims=True)
    result: Array = shifted - np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    return result


def _bind_along(function: Callable[[Array, int], Array]) -> Callable[[Call], Callable[..., Array]]:
    def bind(call: Call) -> Callable[..., Array]:
        axis: int = call.options.get("axis", -1)
        return lambda a: function(a, axis)

    return bind


def _blocks(out: Array, axis: int, block: Callable[[Array], Array]) -> Array:
    """The Jacobian of an op that treats each vector along ``axis`` by itself, shaped as ``out`` twice.

    ``block`` makes the square blocks [output, operand] of the vectors in the rows of its argument; between different
    vectors the Jacobian is 0.
    """
    last = np.moveaxis(out, axis, -1)
    rows, size = math.prod(last.shape[:-1]), last.shape[-1]
    jacobian: Array = np.zeros((rows, size, rows, size), out.dtype)
    each = np.arange(rows)
    jacobian[each, :, each, :] = block(last.reshape(rows, size))
    rank = out.ndim
    return np.moveaxis(jacobian.reshape(last.shape * 2), (rank - 1, 2 * rank - 1), (axis, rank + axis))


def _softmax_block(s: Array) -> Array:
    result: Array = np.eye(s.shape[1], dtype=s.dtype) * s[:, None, :] - s[:, :, None] * s[:, None, :]
    return result


def _log_softmax_block(out: Array) -> Array:
    result: Array = np.eye(out.shape[1], dtype=out.dtype) - np.exp(out)[:, None, :]
    return result


def _batch_note(call: Call, axis: int) -> str | None:
    if math.prod(call.shapes[0]) == call.shapes[0][axis]:
        return None
    return "each vector along the axis depends on itself only: the blocks off the diagonal are zero"


def _of_softmax(call: Call) -> LocalDerivative:
    axis = call.options.get("axis", -1) % len(call.out)

    def pull(upstream: Array, out: Array) -> Array:
        mean = np.add.reduce(upstream * out, axis=axis, keepdims=True)
        result: Array = out * (upstream - mean)
        return result

    return LocalDerivative(
        "dense",
        "diag(out) - outer(out, out)",
        ("out",),
        lambda out: _blocks(out, axis, _softmax_block),
        pull=pull,
        note=_batch_note(call, axis),
    )


def _of_log_softmax(call: Call) -> LocalDerivative:
    axis = call.options.get("axis", -1) % len(call.out)

    def pull(upstream: Array, out: Array) -> Array:
        result: Array = upstream - np.exp(out) * np.add.reduce(upstream, axis=axis, keepdims=True)
        return result

    return LocalDerivative(
        "dense",
        "eye(out) - outer(ones(out), exp(out))",
        ("out",),
        lambda out: _blocks(out, axis, _log_softmax_block),
        pull=pull,
        note=_batch_note(call, axis),
    )


def _example(own: Shape, axis: Any = None, keepdims: bool | None = None) -> Call:
    """An example of a reduction; an option that is None is not given."""
    options = {} if axis is None else {"axis": axis}
    if keepdims is not None:
        options["keepdims"] = keepdims
    return Call((own,), _reduction_shape("sum", True)((own,), options), options)


_REDUCTION_EXAMPLES = (
    _example((2, 3)),
    _example((2, 3), 0),
    _example((2, 3), -1, True),
    _example((2, 3), None, True),
    _example((2, 3, 4), (0, -1)),
    _example((2, 3, 4), (1,), True),
    _example((1, 3), 0),
    _example((3,), 0),
    _example((4,), None, False),
    _example(()),
)
_SOFTMAX_EXAMPLES = (
    Call(((3,),), (3,)),
    Call(((2, 3),), (2, 3)),
    Call(((2, 3),), (2, 3), {"axis": 0}),
    Call(((2, 3, 2),), (2, 3, 2), {"axis": 1}),
    Call(((2, 2, 3),), (2, 2, 3), {"axis": -1}),
)


def _reduction(
    name: str,
    of_none: bool,
    bind: Callable[[Call], Callable[..., Array]],
    derive: Derive,
    sentence: str,
) -> Op:
    return Op(
        name,
        ("a",),
        _reduction_shape(name, of_none),
        bind,
        (derive,),
        f"{name}(a, axis=axis, keepdims=keepdims)",
        sentence,
        options={"axis": None, "keepdims": False},
        examples=_REDUCTION_EXAMPLES,
    )


SUM = _reduction(
    "sum",
    True,
    _reduce("sum", np.add),
    _of_sum,
    "Adds the entries along the axes; each entry receives the upstream gradient of its sum as it is.",
)
MEAN = _reduction(
    "mean",
    True,
    _bind_mean,
    _of_mean,
    "Averages the entries along the axes; each of n entries receives 1/n of the upstream gradient.",
)
MAX = _reduction(
    "max",
    False,
    _reduce("max", np.maximum),
    _of_extreme("max", np.maximum),
    "The largest entry along the axes; the gradient goes to the entry that was taken, and a tie is shared equally.",
)
MIN = _reduction(
    "min",
    False,
    _reduce("min", np.minimum),
    _of_extreme("min", np.minimum),
    "The smallest entry along the axes; the gradient goes to the entry that was taken, and a tie is shared equally.",
)
SOFTMAX = Op(
    "softmax",
    ("a",),
    _along("softmax"),
    _bind_along(softmax),
    (_of_softmax,),
    "exp(a) / sum(exp(a), axis=axis, keepdims=True)",
    "Turns each vector along the axis into positive parts that add up to 1; every part depends on every entry.",
    options={"axis": -1},
    examples=_SOFTMAX_EXAMPLES,
)
LOG_SOFTMAX = Op(
    "log_softmax",
    ("a",),
    _along("log_softmax"),
    _bind_along(log_softmax),
    (_of_log_softmax,),
    "a - log(sum(exp(a), axis=axis, keepdims=True))",
    "The logarithm of softmax, computed without overflow; every entry of a vector depends on every other.",
    options={"axis": -1},
    examples=_SOFTMAX_EXAMPLES,
)

FAMILY = (SUM, MEAN, MAX, MIN, SOFTMAX, LOG_SOFTMAX)
