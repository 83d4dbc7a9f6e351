"""Every op against independent oracles: finite differences, one-hot pulls, its own faster equivalents.

All tests run over every op in OPS, every example of it and every operand, so an op that is added is tested as it is.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from backprop_tui.errors import ShapeError
from backprop_tui.ops import CALLABLE, OPERATORS, OPS
from backprop_tui.ops.op import (
    REQUIRED,
    Array,
    Call,
    LocalDerivative,
    Op,
    dense_jacobian,
    product_shape,
    show_shape,
    unbroadcast,
)


def case_id(op: Op, call: Call, operand: int | None = None) -> str:
    shapes = ",".join(show_shape(s).replace(" ", "") for s in call.shapes)
    options = "".join(f" {name}={value}" for name, value in call.options.items())
    return f"{op.name}({shapes}{options})" + ("" if operand is None else f"/{op.operand_name(operand)}")


CALLS = [pytest.param(op, call, id=case_id(op, call)) for op in OPS.values() for call in op.examples]
DERIVATIVES = [
    pytest.param(op, call, operand, id=case_id(op, call, operand))
    for op in OPS.values()
    for call in op.examples
    for operand in range(len(call.shapes))
    if op.differentiable(operand)
]


def sample(op: Op, call: Call, dtype: type[np.floating[Any]] = np.float64) -> list[Array]:
    """Operands from the op's domain. All entries of all operands differ by far more than a difference step.

    So no entry is at a tie, at a bound, or at 0, and what is differentiable elsewhere is differentiable here.
    """
    rng = np.random.default_rng(zlib.crc32(case_id(op, call).encode()))
    sizes = [int(np.prod(shape)) for shape in call.shapes]
    low, high = op.domain
    count = sum(sizes) + sum(sizes) % 2  # an even number of cells of equal width: none has 0 in its middle
    cells = (np.arange(count) + 0.5 + rng.uniform(-0.25, 0.25, count)) / max(count, 1)
    entries = rng.permutation(low + (high - low) * cells).astype(dtype)
    parts = np.split(entries[: sum(sizes)], np.cumsum(sizes)[:-1])
    return [part.reshape(shape)[()] for part, shape in zip(parts, call.shapes, strict=True)]


def reads_of(op: Op, derivative: LocalDerivative, operands: list[Array], out: Array) -> list[Array]:
    known = {op.operand_name(k): value for k, value in enumerate(operands)} | {"out": out}
    return [known[name] for name in derivative.reads]


def prepare(
    op: Op, call: Call, operand: int, dtype: type[np.floating[Any]] = np.float64
) -> tuple[LocalDerivative, list[Array], Array, list[Array]]:
    """The local derivative, the operands, the result, and the values the local derivative reads."""
    derivative = op.derivative(call, operand)
    assert derivative is not None
    operands = sample(op, call, dtype)
    out = op.bind(call)(*operands)
    return derivative, operands, out, reads_of(op, derivative, operands, out)


def upstream_for(call: Call, dtype: type[np.floating[Any]] = np.float64) -> Array:
    rng = np.random.default_rng(7)
    return np.asarray(rng.uniform(-1.5, 1.5, call.out)).astype(dtype)[()]


def is_value(value: Any, shape: tuple[int, ...], dtype: type[np.floating[Any]] = np.float64) -> bool:
    """Whether this is how a value is kept: an array of this precision, or a NumPy scalar where the shape is ()."""
    return isinstance(value, np.ndarray if shape else dtype) and value.dtype == dtype and value.shape == shape


# The table


def test_every_op_of_the_language_is_in_the_table() -> None:
    named = (
        "exp log sqrt square abs sin cos tanh sigmoid relu leaky_relu softplus gelu maximum minimum where clip sum "
        "mean max min transpose reshape broadcast_to concatenate stack softmax log_softmax softmax_cross_entropy "
        "squared_error half_squared_error mean_squared_error stop_gradient"
    )
    assert set(CALLABLE) == set(named.split())
    assert {"add", "subtract", "multiply", "divide", "power", "negative", "matmul", "index"} <= OPERATORS


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_an_entry_is_complete(op: Op) -> None:
    assert op.examples
    assert op.sentence.endswith(".")
    assert op.formula
    assert op.variadic or len(op.derivatives) == len(op.operands)
    assert all(set(call.options) <= set(op.options) for call in op.examples)
    for name, default in op.options.items():
        assert default is not REQUIRED or all(name in call.options for call in op.examples)


@pytest.mark.parametrize(("op", "call"), CALLS)
def test_the_shape_rule_gives_the_shape_of_the_example(op: Op, call: Call) -> None:
    assert op.shape(call.shapes, call.options) == call.out


@pytest.mark.parametrize(("op", "call"), CALLS)
def test_options_left_out_mean_their_defaults(op: Op, call: Call) -> None:
    filled = Call(call.shapes, call.out, {**op.options, **call.options})
    operands = sample(op, call)
    assert op.shape(filled.shapes, filled.options) == call.out
    np.testing.assert_array_equal(op.bind(filled)(*operands), op.bind(call)(*operands))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("op", "call"), CALLS)
def test_forward_keeps_shape_and_precision(op: Op, call: Call, dtype: type[np.floating[Any]]) -> None:
    assert is_value(op.bind(call)(*sample(op, call, dtype)), call.out, dtype)


@pytest.mark.parametrize(("op", "call"), CALLS)
def test_forward_leaves_its_operands_alone(op: Op, call: Call) -> None:
    operands = sample(op, call)
    for a in operands:
        if isinstance(a, np.ndarray):
            a.flags.writeable = False
    before = [np.copy(a) for a in operands]
    op.bind(call)(*operands)
    for a, b in zip(operands, before, strict=True):
        np.testing.assert_array_equal(a, b)


# The local derivatives


@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_the_local_derivative_agrees_with_finite_differences(op: Op, call: Call, operand: int) -> None:
    # With h = 1e-6 a central difference is off by about ε·|f|/h ≈ 1e-10·|f| (rounding) and h²·|f‴|/6 ≈ 1e-12·|f‴|
    # (truncation). Over the sampled domains |f| and |f‴| stay below about 100, so 1e-8 absolute would do; 1e-6 of the
    # Jacobian's own size leaves room and still sees any error of the formula.
    derivative, operands, _, reads = prepare(op, call, operand)
    forward, h = op.bind(call), 1e-6
    numeric = np.zeros(call.out + call.shapes[operand])
    for place in np.ndindex(call.shapes[operand]):
        ends = []
        for sign in (1, -1):
            moved = list(operands)
            moved[operand] = np.array(operands[operand])
            moved[operand][place] += sign * h
            moved[operand] = moved[operand][()]
            ends.append(forward(*moved))
        numeric[(..., *place)] = (ends[0] - ends[1]) / (2 * h)
    jacobian = dense_jacobian(derivative, call, operand, *reads)
    np.testing.assert_allclose(jacobian, numeric, rtol=1e-6, atol=1e-6 * max(1.0, np.max(np.abs(jacobian), initial=0)))


@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_the_contribution_is_the_upstream_gradient_times_the_jacobian(op: Op, call: Call, operand: int) -> None:
    derivative, _, _, reads = prepare(op, call, operand)
    jacobian = dense_jacobian(derivative, call, operand, *reads)
    for place in np.ndindex(call.out):
        one_hot = np.zeros(call.out)
        one_hot[place] = 1.0
        product = derivative.apply(one_hot[()], *reads)
        contribution = unbroadcast(np.broadcast_to(product, product_shape(derivative, call, operand)), call.shapes[operand])
        np.testing.assert_allclose(contribution, jacobian[place], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_the_faster_pull_equals_the_product_with_what_is_shown(op: Op, call: Call, operand: int) -> None:
    derivative, _, _, reads = prepare(op, call, operand)
    upstream = upstream_for(call)
    shown = derivative.multiply(upstream, derivative.value(*reads))
    applied = derivative.apply(upstream, *reads)
    shape = product_shape(derivative, call, operand)
    np.testing.assert_allclose(np.broadcast_to(applied, shape), np.broadcast_to(shown, shape), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_the_product_has_the_shape_that_was_foretold(op: Op, call: Call, operand: int) -> None:
    derivative, _, _, reads = prepare(op, call, operand)
    upstream = upstream_for(call)
    shape = product_shape(derivative, call, operand)
    assert derivative.apply(upstream, *reads).shape == shape
    assert derivative.multiply(upstream, derivative.value(*reads)).shape == shape


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_local_derivative_and_contribution_keep_the_precision(
    op: Op, call: Call, operand: int, dtype: type[np.floating[Any]]
) -> None:
    derivative, _, _, reads = prepare(op, call, operand, dtype)
    value = derivative.value(*reads)
    if derivative.reads:  # a constant has no precision to keep
        assert is_value(value, value.shape, dtype)
    assert isinstance(value, np.ndarray) == bool(value.shape)
    product = derivative.apply(upstream_for(call, dtype), *reads)
    assert is_value(product, product_shape(derivative, call, operand), dtype)
    assert unbroadcast(product, call.shapes[operand]).dtype == dtype


@pytest.mark.parametrize(("op", "call", "operand"), DERIVATIVES)
def test_kinks_have_a_convention_and_none_are_met_away_from_them(op: Op, call: Call, operand: int) -> None:
    derivative, _, _, reads = prepare(op, call, operand)
    assert (derivative.kinks is None) == (derivative.convention is None)
    if derivative.kinks is not None:
        assert not np.any(derivative.kinks(*reads))


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.symbol in ("<", "<=", ">", ">=", "==", "!=")])
def test_no_gradient_flows_through_a_comparison(op: Op) -> None:
    assert [op.derivative(call, k) for call in op.examples for k in (0, 1)] == [None, None] * len(op.examples)


def test_no_gradient_flows_to_a_condition_or_through_stop_gradient() -> None:
    assert not OPS["where"].differentiable(0)
    assert OPS["where"].differentiable(1)
    assert not OPS["stop_gradient"].differentiable(0)


# Conventions, and values at the edge


def local(name: str, operand: int, *values: Any, **options: Any) -> tuple[LocalDerivative, Array, list[Array]]:
    """The local derivative of an op at these values, its array, and what it reads."""
    op = OPS[name]
    operands = [np.asarray(v, dtype=float)[()] for v in values]
    shapes = tuple(np.shape(v) for v in operands)
    call = Call(shapes, op.shape(shapes, options), options)
    derivative = op.derivative(call, operand)
    assert derivative is not None
    with np.errstate(all="ignore"):
        reads = reads_of(op, derivative, operands, op.bind(call)(*operands))
        return derivative, derivative.value(*reads), reads


CONVENTIONS = [
    ("relu", 0, ([-1, 0, 2],), {}, [0, 0, 1], [0, 1, 0]),
    ("relu", 0, (0,), {}, 0, 1),
    ("abs", 0, ([-1, 0, 2],), {}, [-1, 0, 1], [0, 1, 0]),
    ("leaky_relu", 0, ([-1, 0, 2],), {"negative_slope": 0.2}, [0.2, 0.2, 1], [0, 1, 0]),
    ("leaky_relu", 0, ([-1, 0, 2],), {}, [0.01, 0.01, 1], [0, 1, 0]),
    ("maximum", 0, ([1, 2, 3], [3, 2, 1]), {}, [0, 0.5, 1], [0, 1, 0]),
    ("maximum", 1, ([1, 2, 3], [3, 2, 1]), {}, [1, 0.5, 0], [0, 1, 0]),
    ("minimum", 0, ([1, 2, 3], [3, 2, 1]), {}, [1, 0.5, 0], [0, 1, 0]),
    ("minimum", 1, ([1, 2, 3], [3, 2, 1]), {}, [0, 0.5, 1], [0, 1, 0]),
    ("clip", 0, ([-1, 0, 1, 2, 3], 0, 2), {}, [0, 1, 1, 1, 0], [0, 1, 0, 1, 0]),
    ("clip", 1, ([-1, 0, 1, 2, 3], 0, 2), {}, [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]),
    ("clip", 2, ([-1, 0, 1, 2, 3], 0, 2), {}, [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]),
    ("clip", 0, ([-1, 0, 1, 2, 3], 2, 0), {}, [0] * 5, [0] * 5),
    ("clip", 1, ([-1, 0, 1, 2, 3], 2, 0), {}, [0] * 5, [0] * 5),
    ("clip", 2, ([-1, 0, 1, 2, 3], 2, 0), {}, [1] * 5, [0] * 5),
    ("max", 0, ([[1, 3, 3], [5, 0, 1]],), {"axis": 1}, [[0, 0.5, 0.5], [1, 0, 0]], [[0, 1, 1], [0, 0, 0]]),
    ("min", 0, ([1, 1, 1, 2],), {}, [1 / 3] * 3 + [0], [1, 1, 1, 0]),
    ("where", 1, ([0, 2, -1], 5, 6), {}, [0, 1, 1], None),
    ("where", 2, ([0, 2, -1], 5, 6), {}, [1, 0, 0], None),
]


@pytest.mark.parametrize(("name", "operand", "values", "options", "expected", "kinks"), CONVENTIONS)
def test_a_convention_is_used_at_a_kink_and_said(
    name: str, operand: int, values: tuple[Any, ...], options: dict[str, Any], expected: Any, kinks: Any
) -> None:
    derivative, value, reads = local(name, operand, *values, **options)
    np.testing.assert_allclose(value, expected, rtol=1e-15)
    shape = OPS[name].shape(tuple(np.shape(v) for v in values), options)
    upstream = np.full(shape, 3.0)[()]
    np.testing.assert_array_equal(derivative.apply(upstream, *reads), derivative.multiply(upstream, value))
    if kinks is None:
        assert derivative.kinks is None
    else:
        assert derivative.kinks is not None
        np.testing.assert_array_equal(derivative.kinks(*reads), np.asarray(kinks, dtype=bool))


@pytest.mark.parametrize("a", [-1.0, 1.0, 1.5, 2.0, 2.5])
@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (2.0, 1.0), (1.5, 1.5)])
def test_the_local_derivatives_of_clip_add_up_to_one(a: float, low: float, high: float) -> None:
    # moving all three operands by the same amount moves the result by it
    assert sum(float(local("clip", k, a, low, high)[1]) for k in range(3)) == 1


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_division_by_zero_is_a_value_and_no_error(shape: tuple[int, ...]) -> None:
    assert np.all(np.isposinf(local("sqrt", 0, np.zeros(shape))[1]))
    assert np.all(np.isposinf(local("log", 0, np.zeros(shape))[1]))
    assert np.all(np.isnan(local("log", 0, np.full(shape, np.nan))[1]))


@pytest.mark.parametrize(("op", "call"), CALLS)
def test_nan_and_infinity_go_in_without_an_exception(op: Op, call: Call) -> None:
    for special in (np.nan, np.inf, -np.inf, 0.0):
        operands = [np.full(shape, special)[()] for shape in call.shapes]
        with np.errstate(all="ignore"):
            out = op.bind(call)(*operands)
            assert is_value(out, call.out)
            for k in range(len(operands)):
                derivative = op.derivative(call, k)
                if derivative is not None:
                    derivative.apply(np.ones(call.out)[()], *reads_of(op, derivative, operands, out))


@pytest.mark.parametrize("name", ["maximum", "minimum", "relu", "clip", "max", "min", "sum", "leaky_relu"])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_nan_is_not_lost_in_a_choice(name: str, shape: tuple[int, ...]) -> None:
    op = OPS[name]
    for place in range(len(op.operands)):
        operands = [np.full(shape, np.nan if k == place else 1.0)[()] for k in range(len(op.operands))]
        call = Call((shape,) * len(operands), op.shape((shape,) * len(operands), {}))
        assert np.all(np.isnan(op.bind(call)(*operands)))


def test_softmax_and_its_logarithm_do_not_overflow() -> None:
    a = np.array([1000.0, 1000.0, -1000.0])
    call = Call((a.shape,), a.shape)
    np.testing.assert_allclose(OPS["softmax"].bind(call)(a), [0.5, 0.5, 0])
    np.testing.assert_allclose(OPS["log_softmax"].bind(call)(a), [-np.log(2), -np.log(2), -2000 - np.log(2)])
    assert np.isclose(OPS["softmax_cross_entropy"].bind(Call((a.shape, a.shape), ()))(a, np.eye(3)[0]), np.log(2))


def test_gelu_keeps_its_digits_far_out_on_the_left() -> None:
    a = np.float64(-12.0)  # here 1 + erf(a/√2) would be 0
    value = OPS["gelu"].bind(Call(((),), ()))(a)
    np.testing.assert_allclose(value, -12 * 1.776482112077679e-33, rtol=1e-12)


@pytest.mark.parametrize("name", ["sum", "mean", "mean_squared_error", "index", "stack", "concatenate", "exp"])
def test_arrays_without_entries_are_no_exception(name: str) -> None:
    op = OPS[name]
    shapes: tuple[tuple[int, ...], ...] = ((0, 3),) * (2 if op.variadic else len(op.operands))
    options = {"index": (slice(0, 0),)} if name == "index" else {}
    call = Call(shapes, op.shape(shapes, options), options)
    operands = [np.zeros(shape) for shape in shapes]
    with np.errstate(all="ignore"):
        out = op.bind(call)(*operands)
        assert is_value(out, call.out)
        derivative = op.derivative(call, 0)
        assert derivative is not None
        reads = reads_of(op, derivative, operands, out)
        assert derivative.apply(np.ones(call.out)[()], *reads).shape == (0, 3)
        assert derivative.multiply(np.ones(call.out)[()], derivative.value(*reads)).shape == (0, 3)


def test_an_index_that_takes_nothing_gives_a_gradient_of_zeros() -> None:
    op, options = OPS["index"], {"index": (slice(3, 1),)}
    call = Call(((4,),), op.shape(((4,),), options), options)
    derivative = op.derivative(call, 0)
    assert derivative is not None
    np.testing.assert_array_equal(derivative.multiply(np.ones(0), derivative.value()), np.zeros(4))
    np.testing.assert_array_equal(derivative.apply(np.ones(0)), np.zeros(4))


# Shapes that do not conform

MISFITS: list[tuple[str, tuple[tuple[int, ...], ...], dict[str, Any], tuple[str, ...]]] = [
    *(
        (name, ((2, 3), (4,)), {}, ("2 × 3", "4"))
        for name in ("add", "multiply", "less", "maximum", "minimum", "half_squared_error", "mean_squared_error")
    ),
    ("where", ((2,), (3,), ()), {}, ("2", "3")),
    ("clip", ((2,), (3,), ()), {}, ("2", "3")),
    ("matmul", ((2, 3), (4, 5)), {}, ("2 × 3", "4 × 5")),
    ("matmul", ((), (4, 5)), {}, ("scalar", "4 × 5")),
    ("matmul", ((2, 3, 4), (5, 4, 2)), {}, ("2 × 3 × 4", "5 × 4 × 2")),
    ("sum", ((2, 3),), {"axis": 2}, ("axis 2", "2 × 3")),
    ("mean", ((2, 3),), {"axis": (0, -2)}, ("(0, -2)", "2 × 3")),
    ("sum", ((),), {"axis": 0}, ("axis 0", "scalar")),
    ("sum", ((2,),), {"axis": 0.5}, ("0.5",)),
    ("max", ((0, 3),), {}, ("0 × 3",)),
    ("min", ((2, 0),), {"axis": 1}, ("2 × 0",)),
    ("softmax", ((),), {}, ("scalar",)),
    ("softmax", ((2,),), {"axis": 1}, ("axis 1", "2")),
    ("log_softmax", ((2, 0),), {}, ("2 × 0",)),
    ("transpose", ((2, 3),), {"axes": (0, 0)}, ("2 × 3", "(0, 0)")),
    ("transpose", ((2, 3),), {"axes": (0,)}, ("2 × 3", "(0,)")),
    ("transpose", ((2, 3),), {"axes": (0, 2)}, ("2 × 3", "axis 2")),
    ("reshape", ((2, 3),), {"shape": (4, 2)}, ("2 × 3", "(4, 2)", "6", "8")),
    ("reshape", ((2, 3),), {"shape": (-1, 4)}, ("2 × 3", "(-1, 4)")),
    ("reshape", ((2, 3),), {"shape": (-1, -1)}, ("2 × 3", "(-1, -1)")),
    ("reshape", ((0, 3),), {"shape": (-1, 0)}, ("0 × 3",)),
    ("reshape", ((2, 3),), {}, ("2 × 3",)),
    ("broadcast_to", ((2, 3),), {"shape": (3, 3)}, ("2 × 3", "(3, 3)")),
    ("broadcast_to", ((2, 3),), {"shape": (3,)}, ("2 × 3", "(3,)")),
    ("broadcast_to", ((1,),), {"shape": (-1,)}, ("(-1,)",)),
    ("concatenate", ((2, 3), (2, 4)), {}, ("2 × 3", "2 × 4")),
    ("concatenate", ((2, 3), (3,)), {}, ("2 × 3", "3")),
    ("concatenate", ((), ()), {}, ("scalar",)),
    ("concatenate", ((2, 3), (2, 3)), {"axis": 2}, ("axis 2",)),
    ("concatenate", (), {}, ()),
    ("stack", ((2, 3), (2, 4)), {}, ("2 × 3", "2 × 4")),
    ("stack", ((2,), (2, 1)), {}, ("2", "2 × 1")),
    ("stack", ((2,), (2,)), {"axis": 2}, ("axis 2",)),
    ("index", ((2, 3),), {"index": (2,)}, ("index 2 is out of bounds for axis 0 of size 2", "2 × 3")),
    ("index", ((2, 3),), {"index": (0, -4)}, ("index -4 is out of bounds for axis 1 of size 3", "2 × 3")),
    ("index", ((2,),), {"index": (0, 0)}, ("2 parts", "1 axis")),
    ("index", ((),), {"index": (0,)}, ("scalar",)),
    ("index", ((2,),), {"index": (slice(None, None, 0),)}, ("step 0",)),
    ("softmax_cross_entropy", ((2, 3), (3,)), {}, ("2 × 3", "3")),
    ("softmax_cross_entropy", ((), ()), {}, ("scalar",)),
]


@pytest.mark.parametrize(
    ("name", "shapes", "options", "words"), MISFITS, ids=[f"{m[0]}-{m[1]}-{m[2]}".replace(" ", "") for m in MISFITS]
)
def test_shapes_that_do_not_conform_are_one_clear_sentence(
    name: str, shapes: tuple[tuple[int, ...], ...], options: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ShapeError) as caught:
        OPS[name].shape(shapes, options)
    error = caught.value
    assert error.op == name
    assert error.shapes == shapes
    assert name in error.message
    for word in words:
        assert word in error.message
    assert "\n" not in str(error)


# The text of formulas


@pytest.mark.parametrize(
    ("name", "shapes", "options", "expected"),
    [
        ("sum", ((2,),), {}, "sum(a)"),
        ("sum", ((2, 3),), {"axis": (0, 1), "keepdims": True}, "sum(a, axis=(0, 1), keepdims=True)"),
        ("softmax", ((2,),), {}, "exp(a) / sum(exp(a), axis=-1, keepdims=True)"),
        ("leaky_relu", ((2,),), {"negative_slope": 0.2}, "maximum(a, 0) + 0.2 * minimum(a, 0)"),
        ("concatenate", ((2,), (3,)), {}, "concatenate(a0, a1, axis=0)"),
        ("transpose", ((2, 3),), {}, "transpose(a)"),
        ("index", ((2, 3),), {"index": (0, slice(1, 3))}, "a[0, 1:3]"),
        ("index", ((2, 3),), {"index": (slice(None, None, -1),)}, "a[::-1]"),
        ("index", ((2, 3),), {"index": (-1,)}, "a[-1]"),
        ("index", ((2, 3),), {"index": (1, -1)}, "a[1, -1]"),
    ],
)
def test_a_forward_formula_has_the_calls_options_in_it(
    name: str, shapes: tuple[tuple[int, ...], ...], options: dict[str, Any], expected: str
) -> None:
    op = OPS[name]
    assert op.forward_formula(Call(shapes, op.shape(shapes, options), options)) == expected
