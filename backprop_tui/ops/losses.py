"""The losses: squared errors and the cross entropy of a softmax, each a scalar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backprop_tui.errors import ShapeError
from backprop_tui.ops.op import Array, Call, Derive, LocalDerivative, Op, Shape, broadcast_shape, show_shape
from backprop_tui.ops.reductions import log_softmax, softmax

# Squared errors: a factor times Σ (prediction − target)². The local derivative by the target is that by the prediction
# with its sign turned.


def _scalar(name: str) -> Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape]:
    def shape(shapes: tuple[Shape, ...], _options: Mapping[str, Any]) -> Shape:
        broadcast_shape(name, shapes)
        return ()

    return shape


def _entries(call: Call) -> int:
    """The number of errors that are squared and added."""
    return math.prod(np.broadcast_shapes(*call.shapes))


def _squares(prediction: Array, target: Array) -> Array:
    """Σ (prediction − target)²"""
    error = prediction - target
    result: Array = np.add.reduce(error * error, axis=None)
    return result


def _square(prediction: Array, target: Array) -> Array:
    error = prediction - target
    result: Array = error * error
    return result


def _bind(factor: float | None) -> Callable[[Call], Callable[..., Array]]:
    """The forward function ``factor`` Σ (prediction − target)²; None stands for one over the number of errors."""

    def bind(call: Call) -> Callable[..., Array]:
        total = _squares if any(call.shapes) else _square
        if factor is None:
            n = _entries(call)
            return lambda prediction, target: total(prediction, target) / n
        if factor == 1:
            return total
        return lambda prediction, target: factor * total(prediction, target)

    return bind


def _of(minuend: str, subtrahend: str, factor: Callable[[Call], tuple[str, float]]) -> Derive:
    """The local derivative ``factor · (minuend − subtrahend)``; ``factor`` gives its text and its number."""

    def derive(call: Call) -> LocalDerivative:
        text, number = factor(call)
        formula, reads = f"{minuend} - {subtrahend}", (minuend, subtrahend)
        if number == 1:
            return LocalDerivative(
                "broadcast",
                formula,
                reads,
                lambda left, right: left - right,
                pull=lambda u, left, right: u * (left - right),
            )
        return LocalDerivative(
            "broadcast",
            f"{text} * ({formula})",
            reads,
            lambda left, right: number * (left - right),
            pull=lambda u, left, right: u * (number * (left - right)),
        )

    return derive


def _one(_call: Call) -> tuple[str, float]:
    return "1", 1.0


def _two(_call: Call) -> tuple[str, float]:
    return "2", 2.0


def _two_of_n(call: Call) -> tuple[str, float]:
    n = _entries(call)
    if n == 2:
        return "1", 1.0
    return ("2", 2.0) if n == 1 else (f"2 / {n}", 2 / n if n else math.nan)


def _squared_error(
    name: str,
    factor: float | None,
    derivative_factor: Callable[[Call], tuple[str, float]],
    formula: str,
    sentence: str,
) -> Op:
    return Op(
        name,
        ("prediction", "target"),
        _scalar(name),
        _bind(factor),
        (_of("prediction", "target", derivative_factor), _of("target", "prediction", derivative_factor)),
        formula,
        sentence,
        examples=tuple(
            Call(shapes, ())
            for shapes in (
                ((2, 3), (2, 3)),
                ((1, 2), (1, 2)),
                ((2, 3), (3,)),
                ((2, 1), (3,)),
                ((4,), ()),
                ((2, 1, 3), (2, 3)),
                ((), ()),
            )
        ),
    )


HALF_SQUARED_ERROR = _squared_error(
    "half_squared_error",
    0.5,
    _one,
    "0.5 * sum((prediction - target) ** 2)",
    "Half the sum of the squared errors; the half cancels the 2, so the local derivative is the error itself.",
)
SQUARED_ERROR = _squared_error(
    "squared_error",
    1.0,
    _two,
    "sum((prediction - target) ** 2)",
    "The sum of the squared errors; the local derivative is twice the error.",
)
MEAN_SQUARED_ERROR = _squared_error(
    "mean_squared_error",
    None,
    _two_of_n,
    "mean((prediction - target) ** 2)",
    "The mean of the squared errors; the local derivative is twice the error, over the number of errors.",
)


# The cross entropy of a softmax.


def _cross_entropy_shape(shapes: tuple[Shape, ...], _options: Mapping[str, Any]) -> Shape:
    logits, target = shapes

    def fail(message: str, hint: str) -> ShapeError:
        return ShapeError(f"softmax_cross_entropy {message}", op="softmax_cross_entropy", shapes=shapes, hint=hint)

    if logits != target:
        raise fail(
            f"needs logits and target of one shape, not {show_shape(logits)} and {show_shape(target)}",
            "give the target as one-hot rows, or as rows of probabilities",
        )
    if not logits or logits[-1] == 0:
        raise fail(
            f"needs at least one logit in a row, not the shapes {show_shape(logits)} and {show_shape(target)}",
            "its last axis runs over the classes",
        )
    return ()


def _rows(call: Call) -> int:
    return math.prod(call.shapes[0][:-1])


def _bind_cross_entropy(call: Call) -> Callable[..., Array]:
    rows = _rows(call)

    def forward(logits: Array, target: Array) -> Array:
        result: Array = -np.add.reduce(target * log_softmax(logits), axis=None) / rows
        return result

    return forward


def _of_logits(call: Call) -> LocalDerivative:
    rows = _rows(call)

    def value(logits: Array, target: Array) -> Array:
        local: Array = softmax(logits) * np.add.reduce(target, axis=-1, keepdims=True) - target
        return local if rows == 1 else local / rows

    formula = "softmax(logits) * sum(target, axis=-1, keepdims=True) - target"
    return LocalDerivative(
        "broadcast",
        formula if rows == 1 else f"({formula}) / {rows}",
        ("logits", "target"),
        value,
        note="for a target whose rows add up to 1 this is (softmax(logits) − target), over the number of rows",
    )


def _of_target(call: Call) -> LocalDerivative:
    rows = _rows(call)
    return LocalDerivative(
        "broadcast",
        "-log_softmax(logits)" if rows == 1 else f"-log_softmax(logits) / {rows}",
        ("logits",),
        (lambda logits: -log_softmax(logits)) if rows == 1 else (lambda logits: -log_softmax(logits) / rows),
    )


SOFTMAX_CROSS_ENTROPY = Op(
    "softmax_cross_entropy",
    ("logits", "target"),
    _cross_entropy_shape,
    _bind_cross_entropy,
    (_of_logits, _of_target),
    "mean(-sum(target * log_softmax(logits), axis=-1))",
    "The mean over rows of −Σ target · log softmax(logits); the local derivative by the logits is softmax − target.",
    examples=tuple(Call((shape, shape), ()) for shape in ((3,), (2, 3), (1, 4), (2, 2, 3))),
)

FAMILY = (HALF_SQUARED_ERROR, SQUARED_ERROR, MEAN_SQUARED_ERROR, SOFTMAX_CROSS_ENTROPY)
