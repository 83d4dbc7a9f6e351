"""The ops that move entries without changing them: transpose, reshape, index, concatenate and their kin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backprop_tui.errors import ShapeError
from backprop_tui.ops.op import (
    REQUIRED,
    Array,
    Call,
    LocalDerivative,
    Op,
    Shape,
    elementwise,
    fixed,
    one,
    read,
    same_shape,
    show_option,
    show_shape,
    unchanged,
)
from backprop_tui.ops.reductions import axes_of, one_axis


def _positions(shape: Shape) -> Array:
    """The flat position of each entry of an array of this shape."""
    return np.arange(math.prod(shape)).reshape(shape)[()]


# transpose


def _order(own: Shape, options: Mapping[str, Any]) -> tuple[int, ...]:
    """The operand's axis that each axis of the result is."""
    axes = options.get("axes")
    if axes is None:
        return tuple(range(len(own)))[::-1]
    order = tuple(one_axis("transpose", k, own, (own,)) for k in (axes if isinstance(axes, tuple) else (axes,)))
    if sorted(order) != list(range(len(own))):
        raise ShapeError(
            f"transpose cannot order the {axes_of(own)} of {show_shape(own)} as axes={show_option(axes)}",
            op="transpose",
            shapes=(own,),
            hint="name every axis exactly once",
        )
    return order


def _transposed_shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
    return tuple(shapes[0][k] for k in _order(shapes[0], options))


def _bind_transpose(call: Call) -> Callable[..., Array]:
    order = _order(call.shapes[0], call.options)
    return lambda a: a.transpose(order)


def _of_transpose(call: Call) -> LocalDerivative:
    order = _order(call.shapes[0], call.options)
    back = tuple(order.index(k) for k in range(len(order)))
    return LocalDerivative(
        "rearrange",
        "transposed(a)",
        (),
        lambda: _positions(call.out).transpose(back),
        pull=(lambda u: u.transpose(back)) if back else unchanged,
        note="the upstream gradient is transposed back",
    )


# reshape and broadcast_to


def _wanted(name: str, own: Shape, options: Mapping[str, Any]) -> Shape:
    """The option ``shape`` as a tuple; a single integer is one axis."""
    shape = options.get("shape", REQUIRED)
    wanted = shape if isinstance(shape, tuple) else (shape,)
    if all(isinstance(n, int) and not isinstance(n, bool) for n in wanted):
        return wanted
    given = "no shape was given" if shape is REQUIRED else f"shape={show_option(shape)}"
    raise ShapeError(
        f"{name} cannot be used on {show_shape(own)}: {given}",
        op=name,
        shapes=(own,),
        hint="write shape=(2, 3): one integer for each axis",
    )


def _reshaped_shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
    own = shapes[0]
    wanted = _wanted("reshape", own, options)

    def fail(reason: str, hint: str) -> ShapeError:
        message = f"reshape cannot turn {show_shape(own)} into shape={show_option(wanted)}: {reason}"
        return ShapeError(message, op="reshape", shapes=shapes, hint=hint)

    if any(n < -1 for n in wanted) or wanted.count(-1) > 1:
        raise fail("a size is negative", "one size may be −1, it then follows from the others")
    size, known = math.prod(own), math.prod(n for n in wanted if n != -1)
    if -1 not in wanted:
        if known != size:
            raise fail(f"{size} entries cannot fill {known}", "the sizes must multiply to the number of entries")
        return wanted
    if known == 0 or size % known:
        raise fail(f"{size} entries cannot be divided by {known}", "the other sizes must divide the number of entries")
    return tuple(size // known if n == -1 else n for n in wanted)


def _bind_reshape(call: Call) -> Callable[..., Array]:
    out = call.out
    return (lambda a: a.reshape(out)) if out else (lambda a: a.reshape(out)[()])


def _of_reshape(call: Call) -> LocalDerivative:
    own = call.shapes[0]
    return LocalDerivative(
        "rearrange",
        "reshaped(a)",
        (),
        lambda: _positions(own),
        pull=(lambda u: u.reshape(own)) if own else (lambda u: u.reshape(own)[()]),
        note="the upstream gradient is read in the operand's shape again",
    )


def _broadcast_to_shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
    own = shapes[0]
    wanted = _wanted("broadcast_to", own, options)
    tail = wanted[len(wanted) - len(own) :] if len(own) <= len(wanted) else None
    if tail is None or any(n < 0 for n in wanted) or any(m not in (1, n) for m, n in zip(own, tail, strict=True)):
        message = f"broadcast_to cannot repeat {show_shape(own)} to shape={show_option(wanted)}"
        hint = "counted from the last axis, each size of the operand must be 1 or the size that is wanted"
        raise ShapeError(message, op="broadcast_to", shapes=shapes, hint=hint)
    return wanted


def _bind_broadcast_to(call: Call) -> Callable[..., Array]:
    out = call.out
    return (lambda a: np.broadcast_to(a, out)) if out else read


# index


def _parts(options: Mapping[str, Any]) -> tuple[Any, ...]:
    index = options.get("index", ())
    return index if isinstance(index, tuple) else (index,)


def _indexed_shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
    own, parts = shapes[0], _parts(options)

    def fail(message: str, hint: str) -> ShapeError:
        return ShapeError(message, op="index", shapes=shapes, hint=hint)

    if len(parts) > len(own):
        message = f"index has {len(parts)} parts, but the shape {show_shape(own)} has {axes_of(own)}"
        raise fail(message, "give at most one integer or slice for each axis" if own else "a scalar has no entries")
    out: list[int] = []
    for axis, (part, size) in enumerate(zip(parts, own, strict=False)):
        if isinstance(part, slice):
            if part.step == 0:
                raise fail(f"index {show_option(part)} of axis {axis} has step 0", "a step must not be 0")
            out.append(len(range(*part.indices(size))))
        elif not -size <= part < size:
            raise fail(
                f"index {part} is out of bounds for axis {axis} of size {size} of the shape {show_shape(own)}",
                f"it must be from 0 to {size - 1}, or from −{size} to −1" if size else "the axis has no entries",
            )
    return (*out, *own[len(parts) :])


def _bind_index(call: Call) -> Callable[..., Array]:
    parts = _parts(call.options)
    return lambda a: a[parts]


def _of_index(call: Call) -> LocalDerivative:
    own, parts = call.shapes[0], _parts(call.options)

    def value() -> Array:
        positions = np.full(own, -1)
        positions[parts] = _positions(call.out)
        return positions[()]

    def pull(upstream: Array) -> Array:
        placed = np.zeros(own, upstream.dtype)
        placed[parts] = upstream
        return placed

    return LocalDerivative(
        "rearrange",
        "placed(a)",
        (),
        value,
        pull=pull if own else unchanged,
        note="each entry goes back to the place it was taken from; all others receive 0",
    )


# concatenate and stack


def _join(name: str, shapes: tuple[Shape, ...], axis: Any, *, new: bool) -> tuple[Shape, int]:
    """The first shape and the axis along which all are joined, or a ShapeError.

    ``new`` says that the axis is added; otherwise the shapes have it, and may differ in its size.
    """
    if not shapes:
        raise ShapeError(f"{name} needs at least one operand", op=name)
    first = shapes[0]
    along = one_axis(name, axis, (*first, len(shapes)) if new else first, shapes)
    for other in shapes[1:]:
        differ = [k for k, (m, n) in enumerate(zip(first, other, strict=False)) if m != n and (new or k != along)]
        if differ or len(other) != len(first):
            raise ShapeError(
                f"{name} cannot join the shapes {show_shape(first)} and {show_shape(other)}",
                op=name,
                shapes=shapes,
                hint="all shapes must be equal" if new else f"all sizes but that of axis {along} must be equal",
            )
    return first, along


def _concatenated_shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
    first, axis = _join("concatenate", shapes, options.get("axis", 0), new=False)
    return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


def _bind_concatenate(call: Call) -> Callable[..., Array]:
    axis = call.options.get("axis", 0)
    return lambda *values: np.concatenate(values, axis=axis)


def _stacked_shape(shapes: tuple[Shape, ...], options: Mapping[str, Any]) -> Shape:
    first, axis = _join("stack", shapes, options.get("axis", 0), new=True)
    return (*first[:axis], len(shapes), *first[axis:])


def _bind_stack(call: Call) -> Callable[..., Array]:
    axis = call.options.get("axis", 0)
    if axis == 0 or call.shapes[0] == ():
        return lambda *values: np.array(values)  # the same, and faster for few entries
    return lambda *values: np.stack(values, axis=axis)


def _of_part(call: Call, operand: int, part: int | slice) -> LocalDerivative:
    """The local derivative by the operand that became this part of the result, along the axis of the call."""
    where = (slice(None),) * (call.options.get("axis", 0) % len(call.out)) + (part,)
    return LocalDerivative(
        "rearrange",
        f"part(a{operand})",
        (),
        lambda: _positions(call.out)[where],
        pull=lambda u: u[where],
        note="each operand receives its own part of the upstream gradient",
    )


def _of_concatenate(call: Call, operand: int) -> LocalDerivative:
    sizes = [s[call.options.get("axis", 0)] for s in call.shapes]
    start = sum(sizes[:operand])
    return _of_part(call, operand, slice(start, start + sizes[operand]))


# The entries.


def _example(rule: Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape], *shapes: Shape, **options: Any) -> Call:
    return Call(shapes, rule(shapes, options), options)


TRANSPOSE = Op(
    "transpose",
    ("a",),
    _transposed_shape,
    _bind_transpose,
    (_of_transpose,),
    "transpose(a, axes=axes)",
    "Reorders the axes, turning them all round if none are named; the gradient is ordered back.",
    options={"axes": None},
    examples=(
        _example(_transposed_shape, (2, 3)),
        _example(_transposed_shape, (2, 3, 4)),
        _example(_transposed_shape, (2, 3, 4), axes=(1, 2, 0)),
        _example(_transposed_shape, (2, 3, 4), axes=(0, -1, -2)),
        _example(_transposed_shape, (3,)),
        _example(_transposed_shape, ()),
    ),
)
RESHAPE = Op(
    "reshape",
    ("a",),
    _reshaped_shape,
    _bind_reshape,
    (_of_reshape,),
    "reshape(a, shape=shape)",
    "Reads the same entries, in the same order, in another shape; the gradient is read in the old shape again.",
    options={"shape": REQUIRED},
    examples=(
        _example(_reshaped_shape, (2, 3), shape=(3, 2)),
        _example(_reshaped_shape, (2, 3, 4), shape=(4, -1)),
        _example(_reshaped_shape, (2, 3), shape=-1),
        _example(_reshaped_shape, (1, 1), shape=()),
        _example(_reshaped_shape, (), shape=(1, 1)),
    ),
)
BROADCAST_TO = Op(
    "broadcast_to",
    ("a",),
    _broadcast_to_shape,
    _bind_broadcast_to,
    (elementwise("1", (), one),),
    "broadcast_to(a, shape=shape)",
    "Repeats the entries to a larger shape; an entry that was used several times receives the sum of its gradients.",
    options={"shape": REQUIRED},
    examples=(
        _example(_broadcast_to_shape, (3,), shape=(2, 3)),
        _example(_broadcast_to_shape, (2, 1), shape=(4, 2, 3)),
        _example(_broadcast_to_shape, (), shape=(2, 2)),
        _example(_broadcast_to_shape, (2, 3), shape=(2, 3)),
        _example(_broadcast_to_shape, (), shape=()),
    ),
)
CONCATENATE = Op(
    "concatenate",
    ("a",),
    _concatenated_shape,
    _bind_concatenate,
    (),
    "concatenate(a, axis=axis)",
    "Joins arrays along an axis that they have; each receives its own part of the gradient.",
    options={"axis": 0},
    variadic=True,
    variadic_derivative=_of_concatenate,
    examples=(
        _example(_concatenated_shape, (2, 3), (1, 3)),
        _example(_concatenated_shape, (2, 1), (2, 3), (2, 2), axis=1),
        _example(_concatenated_shape, (2, 1, 3), (2, 2, 3), axis=-2),
        _example(_concatenated_shape, (2,), (3,)),
    ),
)
STACK = Op(
    "stack",
    ("a",),
    _stacked_shape,
    _bind_stack,
    (),
    "stack(a, axis=axis)",
    "Joins arrays of one shape along a new axis; each receives its own part of the gradient.",
    options={"axis": 0},
    variadic=True,
    variadic_derivative=lambda call, operand: _of_part(call, operand, operand),
    examples=(
        _example(_stacked_shape, (), (), ()),
        _example(_stacked_shape, (2, 3), (2, 3)),
        _example(_stacked_shape, (2, 3), (2, 3), axis=1),
        _example(_stacked_shape, (3,), (3,), axis=-1),
    ),
)
INDEX = Op(
    "index",
    ("a",),
    _indexed_shape,
    _bind_index,
    (_of_index,),
    "a[index]",
    "Takes an entry or a part; the gradient goes back to where it was taken from, and all other entries receive 0.",
    options={"index": REQUIRED},
    examples=(
        _example(_indexed_shape, (2, 3), index=(0, slice(1, 3))),
        _example(_indexed_shape, (2, 3), index=(-1, -2)),
        _example(_indexed_shape, (2, 3), index=(slice(None), 1)),
        _example(_indexed_shape, (2, 3, 4), index=(1,)),
        _example(_indexed_shape, (5,), index=(slice(None, None, -2),)),
        _example(_indexed_shape, (5,), index=(slice(-3, None),)),
        _example(_indexed_shape, (4, 2), index=(slice(3, 1),)),
        _example(_indexed_shape, (3,), index=(2,)),
    ),
)
STOP_GRADIENT = Op(
    "stop_gradient",
    ("a",),
    same_shape,
    fixed(read),
    (None,),
    "stop_gradient(a)",
    "Passes the value on and lets no gradient back.",
    examples=(Call(((2, 3),), (2, 3)), Call(((),), ())),
)

FAMILY = (TRANSPOSE, RESHAPE, BROADCAST_TO, CONCATENATE, STACK, INDEX, STOP_GRADIENT)
