"""Every op's result and gradient against PyTorch's, to 1e-12 relative, conventions at kinks included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from test_ops import CALLS, prepare, reads_of, sample, upstream_for

from backprop_tui.ops import OPS
from backprop_tui.ops.op import Array, Call, Op, product_shape, unbroadcast

torch = pytest.importorskip("torch")
F = torch.nn.functional
Tensors = list[Any]
Options = Mapping[str, Any]


def plain(function: Callable[..., Any]) -> Callable[[Tensors, Options], Any]:
    return lambda t, options: function(*t)


def extreme(function: Callable[..., Any]) -> Callable[[Tensors, Options], Any]:
    """amax and amin share a tie equally; max and min along one axis do not."""
    return lambda t, o: function(t[0], dim=() if o.get("axis") is None else o["axis"], keepdim=o.get("keepdims", False))


def reduction(function: Callable[..., Any]) -> Callable[[Tensors, Options], Any]:
    return lambda t, o: function(t[0], dim=o.get("axis"), keepdim=o.get("keepdims", False))


def squared(weight: Callable[[Any], Any]) -> Callable[[Tensors, Options], Any]:
    return lambda t, options: weight((t[0] - t[1]) ** 2)


def transposed(t: Tensors, options: Options) -> Any:
    axes = options.get("axes")
    return t[0].permute(tuple(range(t[0].ndim))[::-1] if axes is None else axes)


def taken(t: Tensors, options: Options) -> Any:
    """torch has no negative steps: NumPy takes the positions, torch the entries."""
    positions = np.arange(t[0].numel()).reshape(t[0].shape)[options["index"]]
    return t[0].reshape(-1)[torch.as_tensor(np.array(positions))]


def cross_entropy(t: Tensors, _options: Options) -> Any:
    classes = t[0].shape[-1]
    return F.cross_entropy(t[0].reshape(-1, classes), t[1].reshape(-1, classes))


def compared(function: Callable[..., Any]) -> Callable[[Tensors, Options], Any]:
    return lambda t, options: function(t[0], t[1]).to(t[0].dtype)


THEIRS: dict[str, Callable[[Tensors, Options], Any]] = {
    "add": plain(torch.add),
    "subtract": plain(torch.sub),
    "multiply": plain(torch.mul),
    "divide": plain(torch.div),
    "power": plain(torch.pow),
    "negative": plain(torch.neg),
    "identity": plain(torch.clone),
    "less": compared(torch.lt),
    "less_equal": compared(torch.le),
    "greater": compared(torch.gt),
    "greater_equal": compared(torch.ge),
    "equal": compared(torch.eq),
    "not_equal": compared(torch.ne),
    "matmul": plain(torch.matmul),
    "exp": plain(torch.exp),
    "log": plain(torch.log),
    "sqrt": plain(torch.sqrt),
    "square": plain(torch.square),
    "abs": plain(torch.abs),
    "sin": plain(torch.sin),
    "cos": plain(torch.cos),
    "tanh": plain(torch.tanh),
    "sigmoid": plain(torch.sigmoid),
    "relu": plain(torch.relu),
    "leaky_relu": lambda t, o: F.leaky_relu(t[0], **o),
    "softplus": lambda t, o: F.softplus(t[0]),
    "gelu": plain(F.gelu),
    "maximum": plain(torch.maximum),
    "minimum": plain(torch.minimum),
    "where": lambda t, o: torch.where(t[0] != 0, t[1], t[2]),
    # expanded first: torch's gradient of a scalar bound fails where the bounds have different shapes
    "clip": lambda t, o: torch.clamp(*torch.broadcast_tensors(*t)),
    "sum": reduction(torch.sum),
    "mean": reduction(torch.mean),
    "max": extreme(torch.amax),
    "min": extreme(torch.amin),
    "softmax": lambda t, o: torch.softmax(t[0], dim=o.get("axis", -1)),
    "log_softmax": lambda t, o: torch.log_softmax(t[0], dim=o.get("axis", -1)),
    "transpose": transposed,
    "reshape": lambda t, o: t[0].reshape(o["shape"]),
    "broadcast_to": lambda t, o: torch.broadcast_to(t[0], o["shape"]),
    "concatenate": lambda t, o: torch.cat(t, dim=o.get("axis", 0)),
    "stack": lambda t, o: torch.stack(t, dim=o.get("axis", 0)),
    "index": taken,
    "stop_gradient": lambda t, o: t[0].detach(),
    "half_squared_error": squared(lambda e: e.sum() / 2),
    "squared_error": squared(torch.sum),
    "mean_squared_error": squared(torch.mean),
    "softmax_cross_entropy": cross_entropy,
}


def theirs(op: Op, options: Options, operands: list[Array], upstream: Array | None) -> tuple[Array, list[Array | None]]:
    """torch's result, and its gradient of each operand (None: torch has none either)."""
    tensors = [torch.tensor(np.asarray(a), dtype=torch.float64, requires_grad=True) for a in operands]
    out = THEIRS[op.name](tensors, options)
    if out.requires_grad:
        out.backward(torch.ones_like(out) if upstream is None else torch.tensor(np.asarray(upstream)))
    return out.detach().numpy(), [None if t.grad is None else t.grad.numpy() for t in tensors]


def ours(op: Op, call: Call, operands: list[Array], upstream: Array) -> tuple[Array, list[Array | None]]:
    with np.errstate(all="ignore"):
        out = op.bind(call)(*operands)
        gradients: list[Array | None] = []
        for k, shape in enumerate(call.shapes):
            derivative = op.derivative(call, k)
            if derivative is None:
                gradients.append(None)
                continue
            product = derivative.apply(upstream, *reads_of(op, derivative, operands, out))
            gradients.append(unbroadcast(np.broadcast_to(product, product_shape(derivative, call, k)), shape))
    return out, gradients


def assert_the_same(mine: tuple[Array, list[Array | None]], other: tuple[Array, list[Array | None]]) -> None:
    np.testing.assert_allclose(mine[0], other[0], rtol=1e-12, atol=1e-15)
    assert [g is None for g in mine[1]] == [g is None for g in other[1]]
    for a, b in zip(mine[1], other[1], strict=True):
        if a is not None and b is not None:
            assert np.shape(a) == np.shape(b)
            # relative to the gradient as a whole: an entry that is a difference of larger ones keeps their rounding
            finite = np.abs(b[np.isfinite(b)])
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.max(finite, initial=0))


def test_every_op_has_a_torch_function_beside_it() -> None:
    assert set(THEIRS) == set(OPS)


@pytest.mark.parametrize(("op", "call"), CALLS)
def test_result_and_gradients_agree_with_torch(op: Op, call: Call) -> None:
    operands, upstream = sample(op, call), upstream_for(call)
    assert_the_same(ours(op, call, operands, upstream), theirs(op, call.options, operands, upstream))


@pytest.mark.parametrize(
    ("name", "values", "options"),
    [
        ("relu", ([-1, 0, 2],), {}),
        ("abs", ([-1, 0, 2],), {}),
        ("abs", (float("nan"),), {}),
        ("leaky_relu", ([-1, 0, 2],), {}),
        ("leaky_relu", ([-1, 0, 2],), {"negative_slope": 0.3}),
        ("maximum", ([1, 2, 3], [3, 2, 1]), {}),
        ("minimum", ([1, 2, 3], [3, 2, 1]), {}),
        ("max", ([[1, 3, 3], [5, 0, 1]],), {}),
        ("max", ([[1, 3, 3], [5, 5, 5]],), {"axis": 1}),
        ("min", ([[1, 1, 3], [1, 0, 0]],), {"axis": (0, 1), "keepdims": True}),
        ("clip", ([-1, 0, 1, 2, 3], 0, 2), {}),
        ("clip", ([-1, 0, 1, 2, 3], 2, 0), {}),
        ("where", ([0, 1, -2], 5, [6, 7, 8]), {}),
        ("sqrt", ([0, 4],), {}),
        ("log", ([0, 1],), {}),
        ("power", ([0, 2, 0], [0, 0, 3]), {}),
        ("power", (0, 0), {}),
        ("divide", ([1, 0], 0), {}),
        ("softplus", ([-800, 0, 800],), {}),
        ("sigmoid", ([-800, -40, 0, 40, 800],), {}),
        ("gelu", ([-30, -5, 0, 5, 30],), {}),
        ("softmax", ([1000, 1000, -1000],), {}),
        ("log_softmax", ([1000, 1000, -1000],), {}),
        ("softmax_cross_entropy", ([1000, 0, -1000], [0, 1, 0]), {}),
    ],
)
def test_at_a_kink_or_an_edge_the_gradient_is_torchs(name: str, values: tuple[Any, ...], options: Options) -> None:
    op = OPS[name]
    operands = [np.asarray(v, dtype=float)[()] for v in values]
    shapes = tuple(np.shape(a) for a in operands)
    call = Call(shapes, op.shape(shapes, options), options)
    assert_the_same(ours(op, call, operands, np.ones(call.out)[()]), theirs(op, options, operands, None))


def test_a_log_that_where_leaves_out_still_makes_nan_of_its_gradient() -> None:
    # where(x > 0, log(x), 0) at x = 0: no gradient enters log, and 0 times its infinite local derivative is nan
    x = torch.zeros((), dtype=torch.float64, requires_grad=True)
    torch.where(x > 0, torch.log(x), torch.zeros(())).backward()
    assert torch.isnan(x.grad)
    zero = np.float64(0)
    with np.errstate(all="ignore"):
        log = OPS["log"].derivative(Call(((),), ()), 0)
        where = OPS["where"].derivative(Call(((), (), ()), ()), 1)
        assert log is not None
        assert where is not None
        entering = where.apply(np.float64(1), zero)  # type: ignore[arg-type]  # the condition is 0
        assert entering == 0
        assert np.isnan(log.apply(entering, zero))  # type: ignore[arg-type]  # a NumPy scalar is an Array here


def test_a_local_derivative_of_a_sampled_call_is_that_of_torchs_jacobian() -> None:
    op, call = OPS["softmax"], Call(((2, 3),), (2, 3))
    derivative, operands, _, reads = prepare(op, call, 0)
    jacobian = torch.autograd.functional.jacobian(lambda a: torch.softmax(a, -1), torch.tensor(operands[0]))
    np.testing.assert_allclose(derivative.value(*reads), jacobian.numpy(), rtol=1e-12, atol=1e-15)
