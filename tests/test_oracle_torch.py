"""Whole programs against PyTorch running the same text: every value and every gradient, to 1e-11 relative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from random_programs import Program, random_program

import backprop_tui as bt
from backprop_tui.ops import CALLABLE
from backprop_tui.ops.op import Array

torch = pytest.importorskip("torch")
TOLERANCE = 1e-11


def tensor(value: Any) -> Any:
    return torch.as_tensor(value, dtype=torch.float64)


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """An op of torch that takes numbers, as NumPy's takes them."""
    return lambda *operands: function(*map(tensor, operands))


def reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(tensor(x), dim=tuple(range(tensor(x).ndim)) if axis is None else axis, keepdim=keepdims)

    return reduce


def joined(function: Callable[..., Any]) -> Callable[..., Any]:
    def join(*parts: Any, axis: int = 0) -> Any:
        if isinstance(parts[0], (tuple, list)):
            axis = parts[1] if len(parts) > 1 else axis
            parts = tuple(parts[0])
        return function([tensor(part) for part in parts], dim=axis)

    return join


def sized(shape: int | tuple[int, ...]) -> tuple[int, ...]:
    return shape if isinstance(shape, tuple) else (shape,)


def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Any:
    return tensor(x).permute(tuple(range(tensor(x).ndim))[::-1] if axes is None else axes)


def cross_entropy(logits: Any, target: Any) -> Any:
    return -(target * torch.log_softmax(logits, -1)).sum(-1).mean()


def squares(a: Any, b: Any) -> Any:
    return (tensor(a) - tensor(b)) ** 2


#: The names that a program's text needs to run under PyTorch.
NAMESPACE: dict[str, Any] = {
    **{n: plain(getattr(torch, n)) for n in ("exp", "log", "sqrt", "square", "abs", "sin", "cos")},
    **{n: plain(getattr(torch, n)) for n in ("tanh", "sigmoid", "relu", "maximum", "minimum")},
    **{n: plain(getattr(torch.nn.functional, n)) for n in ("softplus", "gelu")},
    **{n: reduction(getattr(torch, torch_name)) for n, torch_name in
       (("sum", "sum"), ("mean", "mean"), ("max", "amax"), ("min", "amin"))},
    "leaky_relu": lambda x, negative_slope=0.01: torch.nn.functional.leaky_relu(tensor(x), negative_slope),
    "where": lambda c, a, b: torch.where(tensor(c) != 0, tensor(a), tensor(b)),
    # where the bounds are larger than x, the backward pass of torch's own clip fails
    "clip": lambda *operands: torch.clip(*torch.broadcast_tensors(*map(tensor, operands))),
    "softmax": lambda x, axis=-1: torch.softmax(x, axis),
    "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
    "transpose": transpose,
    "reshape": lambda x, shape: tensor(x).reshape(sized(shape)),
    "broadcast_to": lambda x, shape: torch.broadcast_to(tensor(x), sized(shape)),
    "concatenate": joined(torch.cat),
    "stack": joined(torch.stack),
    "stop_gradient": lambda x: tensor(x).detach(),
    "half_squared_error": lambda a, b: squares(a, b).sum() / 2,
    "squared_error": lambda a, b: squares(a, b).sum(),
    "mean_squared_error": lambda a, b: squares(a, b).mean(),
    "softmax_cross_entropy": cross_entropy,
    "pi": math.pi,
    "e": math.e,
}  # fmt: skip


def same(what: str, got: Array, want: Array) -> None:
    assert np.shape(got) == np.shape(want), what
    error = float(np.max(np.abs(got - want), initial=0.0))
    assert error <= TOLERANCE * max(1.0, float(np.max(np.abs(want), initial=0.0))), f"{what} is off by {error:.1e}"


def run(program: Program, space: dict[str, Any]) -> None:
    """Executes the text under PyTorch, forward and backward, in double precision."""
    torch.set_default_dtype(torch.float64)
    try:
        exec(program.source, space)
    finally:
        torch.set_default_dtype(torch.float32)
    if getattr(space["L"], "requires_grad", False):  # else the loss depends on no parameter
        space["L"].backward()


def agrees_with_torch(program: Program, recording: bt.Recording) -> None:
    """Every variable and every parameter's gradient, against PyTorch executing the program's own text."""
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in program.parameters.items()}
    space = {**NAMESPACE, **{name: torch.tensor(value) for name, value in program.data.items()}, **tensors}
    run(program, space)
    for name, got in recording.values.items():
        if name not in tensors and isinstance(space[name], torch.Tensor):
            same(f"value of {name}", got, space[name].detach().numpy())
    for name, leaf in tensors.items():
        want = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        same(f"gradient of {name}", recording.gradients[name], want)


@pytest.mark.parametrize("batch", range(20))
def test_random_programs_have_the_values_and_gradients_of_torch(batch: int) -> None:
    for seed in range(20 * batch, 20 * batch + 20):
        program = random_program(f"oracle {seed}", 1 + seed % 6)
        try:
            agrees_with_torch(program, bt.record(program.scenario()))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\n{program.source}") from None


@pytest.mark.parametrize("batch", range(4))
def test_random_programs_in_single_precision_stay_near_double(batch: int) -> None:
    for seed in range(25 * batch, 25 * batch + 25):
        program = random_program(f"single {seed}", 4)
        double, single = (bt.record(program.scenario(precision=p)) for p in ("float64", "float32"))
        for name, want in double.gradients.items():
            got = single.gradients[name]
            assert got.dtype == np.float32
            # the text of a value near a bound may take the other side of it: that is rare and not what is tested
            close = np.isclose(got, want, rtol=1e-3, atol=1e-3 * max(1.0, float(np.max(np.abs(want), initial=0.0))))
            assert close.all(), f"seed {seed}: {name}\n{program.source}"


FIXED = {
    "exp": "L = sum(exp(A) * B)",
    "log": "L = sum(log(2 + square(A)) * B)",
    "sqrt": "L = sum(sqrt(1 + A ** 2) * B)",
    "square": "L = sum(square(A) * B)",
    "abs": "L = sum(abs(A) * B) + abs(s) + abs(s - s)",
    "sin": "L = sum(sin(A) * B)",
    "cos": "L = sum(cos(A) * B)",
    "tanh": "L = sum(tanh(A) * B) + tanh(s)",
    "sigmoid": "L = sum(sigmoid(A * 9) * B) + sigmoid(-s)",
    "relu": "L = sum(relu(A) * B) + sum(relu(A - A)) + relu(s)",
    "leaky_relu": "L = sum(leaky_relu(A) * B) + sum(leaky_relu(A, 0.3)) + sum(leaky_relu(A - A) * B)"
    " + leaky_relu(-s)",
    "softplus": "L = sum(softplus(A * 5) * B) + softplus(s)",
    "gelu": "L = sum(gelu(A * 3) * B) + gelu(s)",
    "maximum": "L = sum(maximum(A, B) * A) + sum(maximum(A, A * 1) * B) + maximum(s, 0)",
    "minimum": "L = sum(minimum(A, v) * A) + sum(minimum(B, B * 1) * A) + minimum(s, 0)",
    "where": "L = sum(where(A > v, A * 2, s) * where(B, B, v))",
    "clip": "L = sum(clip(A, -0.5, 0.5) * B) + sum(clip(A, v - 1, v + 1) * B) + clip(s, 0, 1)",
    "sum": "L = sum(sum(A, axis=0) * v) + sum(sum(A, 1, keepdims=True) * B) + sum(C, axis=(0, -1))[1] + sum(s)",
    "mean": "L = sum(mean(A, axis=-1) ** 2) + mean(mean(A, axis=0, keepdims=True) * B) + mean(C, (0, 1))[0]"
    " + mean(s)",
    "max": "L = sum(max(A, axis=0) * v) + max(A) + sum(max(C, axis=(1, 2)))"
    " + sum(max(A - A, axis=1, keepdims=True) * B)",
    "min": "L = sum(min(A, axis=1)) + min(A * B) + sum(min(C, axis=0, keepdims=True) * C) + sum(min(A * 0"
    " + s, axis=0) * v)",
    "transpose": "L = sum(A.T @ B) + sum(transpose(C, axes=(2, 0, 1))[1] * A[0, 0]) + sum(transpose(C)[0] * 2)",
    "reshape": "L = sum(reshape(A, shape=(3, 2)) @ B) + sum(reshape(A, -1) ** 2) + reshape(A[0:1, 0], ())"
    " + sum(reshape(C, (2, -1)))",
    "broadcast_to": "L = sum(broadcast_to(v, shape=(2, 3)) * A) + sum(broadcast_to(s, (3,)) * v)"
    " + sum(broadcast_to(A, (4, 2, 3)) ** 2)",
    "concatenate": "L = sum(concatenate((A, B, A)) ** 3) + sum(concatenate([A, B * 2], axis=1)[:, 2:5] ** 2)"
    " + sum(concatenate(v, v * s))",
    "stack": "L = sum(stack((A, B), axis=1) * C[:, 0:2]) + sum(stack((v, v * 2, v), -1) @ v)"
    " + sum(stack((s, s * 2)) ** 2)",
    "softmax": "L = sum(softmax(A) * B) + sum(softmax(A, axis=0) * B) + sum(softmax(v) * v) + sum(softmax(C, 1) * C)",
    "log_softmax": "L = sum(log_softmax(A) * B) + sum(log_softmax(C, axis=0) ** 2) + log_softmax(v)[1]",
    "softmax_cross_entropy": "L = softmax_cross_entropy(A, softmax(B)) + softmax_cross_entropy(v, v * v)"
    " + softmax_cross_entropy(C, abs(C))",
    "squared_error": "L = squared_error(A, B) + squared_error(A, v) + squared_error(s, 2)"
    " + squared_error(v, reshape(v, (3, 1)))",
    "half_squared_error": "L = half_squared_error(A, B) + half_squared_error(v, A) + half_squared_error(s, 2)",
    "mean_squared_error": "L = mean_squared_error(A, B) + mean_squared_error(A, v) + mean_squared_error(s, -2)"
    " + mean_squared_error(v[:2], 1)",
    "stop_gradient": "L = sum(stop_gradient(A) * B) + sum(A * stop_gradient(A * v))",
    "+ and -": "L = sum((A + v - s) * B) + sum(v - A) - (s - 1) + sum(-A * B)",
    "*": "L = sum(A * v * s) + s * s * s + sum(v * v)",
    "/": "L = sum(A / (2 + square(v))) + 1 / (3 + s) + sum(v / s)",
    "**": "L = sum(A ** 2) + sum(abs(A) ** 1.5) + sum((A * A + 1) ** v) + 2 ** s + sum(A ** 3)"
    " + (s * s) ** s + sum(A ** 1 * B ** 0)",
    "@": "L = sum((A @ B.T) ** 2) + v @ v + sum((A @ v) ** 2) + sum((A[:, 0] @ B) ** 2) + sum(tanh(C @ C))",
    "batched @": "L = sum(tanh(C @ K)) + sum((C @ v) ** 2) + sum((v @ C) ** 2) + sum(tanh(K.T @ C))"
    " + sum(C[0:1] @ C)",
    "comparisons": "L = sum((A < B) * A) + sum((A <= v) * B) + sum((A > 0) * B) + sum((A >= s) * A)"
    " + sum((A == A) * A) + sum((A != B) * B)",
    "indexing": "L = A[0, 1] * A[-1, -1] + sum(A[:, 1] * 2) + sum(A[1] ** 2) + sum(C[0, 1:3, ::2] ** 2)"
    " + sum(v[1:] * v[:-1])",
}  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_each_op_has_the_gradient_of_torch_in_every_use_of_it(name: str) -> None:
    rng = np.random.default_rng(7)
    shapes = {"A": (2, 3), "B": (2, 3), "C": (2, 3, 3), "K": (3, 3), "v": (3,), "s": ()}
    program = Program(FIXED[name], {}, {n: np.asarray(rng.normal(size=shape)) for n, shape in shapes.items()})
    agrees_with_torch(program, bt.record(program.scenario()))


def test_no_op_that_a_program_can_call_is_left_out() -> None:
    assert CALLABLE.keys() - FIXED.keys() - {"identity"} == set()


def test_gradients_start_again_in_each_iteration_as_after_zero_grad() -> None:
    for seed in range(10):
        program = random_program(f"training {seed}", 4)
        recording = bt.record(program.scenario(training="steps = 3\nlearning_rate = 0.05"))
        tensors = {name: torch.tensor(value, requires_grad=True) for name, value in program.parameters.items()}
        optimizer = torch.optim.SGD(list(tensors.values()), lr=0.05)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            space = {**NAMESPACE, **{n: torch.tensor(v) for n, v in program.data.items()}, **tensors}
            run(program, space)
            losses.append(float(space["L"].detach()))
            optimizer.step()
        same("losses", np.array(recording.losses), np.array(losses))
        for name, leaf in tensors.items():
            same(f"{name} after training", recording.parameters[name], leaf.detach().numpy())
