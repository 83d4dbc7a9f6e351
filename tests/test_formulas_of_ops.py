"""The text of every formula, evaluated in the language, against what the op computes: so no formula can lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from test_ops import CALLS, CONVENTIONS, DERIVATIVES, OPS, local, prepare, sample

from backprop_tui.formula import evaluate
from backprop_tui.ops.op import Array, Call, Op

# Independent implementations of the functions that only formulas have.


def normal_cdf(a: Array) -> Array:
    result: Array = np.vectorize(lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))), otypes=[float])(a)
    return result


def normal_density(a: Array) -> Array:
    result: Array = np.exp(-np.square(a) / 2) / np.sqrt(2 * np.pi)
    return result


def row(a: Array) -> Array:
    return a.reshape(1, -1)


def column(a: Array) -> Array:
    return a.reshape(-1, 1)


def vectors(shape: tuple[int, ...], axis: int) -> list[list[tuple[int, ...]]]:
    """The places of each vector along an axis of an array of this shape."""
    axis %= len(shape)
    starts = [p for p in np.ndindex(shape) if p[axis] == 0]
    return [[(*p[:axis], i, *p[axis + 1 :]) for i in range(shape[axis])] for p in starts]


def per_vector(axis: int) -> dict[str, Callable[..., Array]]:
    """diag, eye, ones and outer, each vector along the axis by itself; a Jacobian is [result, operand]."""

    def square(shape: tuple[int, ...], entry: Callable[[Any, Any], Any]) -> Array:
        result: Array = np.zeros(shape * 2)
        for places in vectors(shape, axis):
            for i in places:
                for j in places:
                    result[i + j] = entry(i, j)
        return result

    return {
        "diag": lambda a: square(a.shape, lambda i, j: a[i] if i == j else 0.0),
        "eye": lambda a: square(a.shape, lambda i, j: float(i == j)),
        "ones": lambda a: np.ones(a.shape),
        "outer": lambda a, b: square(a.shape, lambda i, j: a[i] * b[j]),
    }


def positions_in(out: Array) -> Callable[[Array], Array]:
    """For each entry, where in the result it is found (−1: nowhere). All sampled entries differ."""
    places = {float(x): k for k, x in enumerate(np.ravel(out))}
    return lambda a: np.array([places.get(float(x), -1) for x in np.ravel(a)], dtype=float).reshape(np.shape(a))


def functions_for(call: Call, out: Array) -> dict[str, Callable[..., Array]]:
    find = positions_in(out)
    return {
        "Phi": normal_cdf,
        "phi": normal_density,
        "row": row,
        "column": column,
        "transposed": find,
        "reshaped": find,
        "placed": find,
        "part": find,
        **per_vector(call.options.get("axis", -1) if isinstance(call.options.get("axis", -1), int) else -1),
    }


def names_of(op: Op, operands: Sequence[Array]) -> dict[str, Array]:
    return {op.operand_name(k): value for k, value in enumerate(operands)}


def evaluated(text: str, names: dict[str, Array], call: Call, out: Array) -> Array:
    return evaluate(text, names, functions_for(call, out))


@pytest.mark.parametrize(("op", "call"), CALLS)
def test_the_forward_formula_computes_the_forward_result(op: Op, call: Call) -> None:
    operands = sample(op, call)
    out = op.bind(call)(*operands)
    value = evaluated(op.forward_formula(call), names_of(op, operands), call, out)
    assert np.shape(value) == call.out
    np.testing.assert_allclose(value, out, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_the_formula_of_a_local_derivative_computes_what_is_shown(op: Op, call: Call, operand: int) -> None:
    derivative, operands, out, reads = prepare(op, call, operand)
    value = evaluated(derivative.formula, {**names_of(op, operands), "out": out}, call, out)
    shown = derivative.value(*reads)
    np.testing.assert_allclose(np.broadcast_to(value, np.shape(shown)), shown, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_a_formula_reads_what_it_says_it_reads(op: Op, call: Call, operand: int) -> None:
    derivative, operands, out, reads = prepare(op, call, operand)
    read = dict(zip(derivative.reads, reads, strict=True))
    own = {op.operand_name(operand): operands[operand]} if derivative.how == "rearrange" else {}
    evaluated(derivative.formula, {**read, **own}, call, out)


@pytest.mark.parametrize(("name", "operand", "values", "options"), [case[:4] for case in CONVENTIONS])
def test_the_formula_holds_at_a_kink_too(name: str, operand: int, values: tuple[Any, ...], options: dict[str, Any]) -> None:
    derivative, value, reads = local(name, operand, *values, **options)
    text = evaluate(derivative.formula, dict(zip(derivative.reads, reads, strict=True)))
    np.testing.assert_allclose(np.broadcast_to(text, np.shape(value)), value, rtol=1e-15)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 0.0])
@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs", "relu", "leaky_relu", "maximum", "minimum", "clip"])
def test_the_formula_holds_at_nan_infinity_and_zero(name: str, special: float) -> None:
    operands = len(OPS[name].operands)
    for operand in range(operands):
        derivative, value, reads = local(name, operand, *([special] * operands))
        text = evaluate(derivative.formula, dict(zip(derivative.reads, reads, strict=True)))
        np.testing.assert_array_equal(np.broadcast_to(text, np.shape(value)), value)
