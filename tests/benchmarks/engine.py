"""A recorded run against the same computation by hand in NumPy, autograd, PyTorch and micrograd."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from timing import Row, in_turn, installed, skipped

import backprop_tui as bt

LAYERS = """format = 1
title = "Two layers"
program = '''
h = sigmoid(X @ W1 + b1)
yhat = sigmoid(h @ W2 + b2)
L = half_squared_error(yhat, Y)
'''
"""
CHAIN = """format = 1
title = "A chain"
program = '''
x = a
for i in range({depth}):
    x = x * w
L = x
'''
[parameters]
a = 2.0
w = 1.0
"""


def layers(folder: Path, rounds: int, sizes: tuple[int, int, int, int], wanted: float) -> Iterator[Row]:
    """Forward and backward of two sigmoid layers: batch, inputs, hidden, outputs."""
    batch, inputs, hidden, outputs = sizes
    rng = np.random.default_rng(0)
    shapes = {"X": (batch, inputs), "Y": (batch, outputs)}
    shapes |= {"W1": (inputs, hidden), "b1": (hidden,), "W2": (hidden, outputs), "b2": (outputs,)}
    arrays = {name: rng.normal(size=shape) * (0.1 if name[0] == "W" else 1.0) for name, shape in shapes.items()}
    np.savez(folder / "layers.npz", **arrays)  # type: ignore[arg-type]
    entries = {name: f'{name} = {{ file = "layers.npz", array = "{name}" }}\n' for name in shapes}
    text = LAYERS + "".join(["[data]\n", entries.pop("X"), entries.pop("Y"), "[parameters]\n", *entries.values()])
    (folder / "layers.toml").write_text(text)
    scenario = bt.load(str(folder / "layers.toml"))
    x, y, w1, b1, w2, b2 = arrays.values()

    def by_hand() -> list[Any]:
        h = 1 / (1 + np.exp(-(x @ w1 + b1)))
        yhat = 1 / (1 + np.exp(-(h @ w2 + b2)))
        error = yhat - y
        _ = 0.5 * (error * error).sum()
        d2 = error * yhat * (1 - yhat)
        d1 = (d2 @ w2.T) * h * (1 - h)
        return [x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)]

    runs: dict[str, Callable[[], Any]] = {"hand": by_hand, "recorded": lambda: bt.record(scenario)}
    if autograd := installed("autograd"):
        anp = import_numpy_of_autograd()

        def loss(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
            h = 1 / (1 + anp.exp(-(anp.dot(x, w1) + b1)))
            error = 1 / (1 + anp.exp(-(anp.dot(h, w2) + b2))) - y
            return 0.5 * anp.sum(error * error)

        both = autograd.value_and_grad(loss, (0, 1, 2, 3))
        runs["autograd"] = lambda: both(w1, b1, w2, b2)[1]
    if torch := installed("torch"):
        torch.set_num_threads(1)
        tx, ty = torch.tensor(x), torch.tensor(y)
        leaves = [torch.tensor(array, requires_grad=True) for array in (w1, b1, w2, b2)]

        def in_torch() -> Any:
            h = torch.sigmoid(tx @ leaves[0] + leaves[1])
            error = torch.sigmoid(h @ leaves[2] + leaves[3]) - ty
            return torch.autograd.grad(0.5 * (error * error).sum(), leaves)

        runs["torch"] = in_torch
    answer = by_hand()
    for name, run in runs.items():
        got = run().gradients.values() if name == "recorded" else run()
        assert all(np.allclose(a, b) for a, b in zip(answer, got, strict=True)), f"{name} computes something else"
    seconds, ratios = in_turn(list(runs.values()), rounds)
    what = f"forward and backward, {' × '.join(map(str, sizes))}: "
    figures = dict(zip(runs, zip(seconds, ratios, strict=True), strict=True))
    for name, limit in (("recorded", wanted), ("autograd", None), ("torch", None)):
        if name in figures:
            own, ratio = figures[name]
            yield Row(what + name, "by hand", ratio, limit, f"{own * 1e6:.1f} µs : {seconds[0] * 1e6:.1f} µs")
        else:
            yield skipped(what + name, name)


def import_numpy_of_autograd() -> Any:
    return installed("autograd.numpy")


def network() -> tuple[str, list[float], list[list[float]]]:
    """MLP(2, [16, 16, 1]) on 20 points as 13,000 scalar operations; its parameters in micrograd's order; the points."""
    rng = random.Random(0)
    points = [[rng.uniform(-1, 1) for _ in range(2)] for _ in range(20)]
    sizes = [2, 16, 16, 1]
    names, lines = [], []
    for layer, (fan_in, count) in enumerate(zip(sizes, sizes[1:], strict=False)):
        for j in range(count):
            names += [f"w{layer}_{j}_{i}" for i in range(fan_in)] + [f"b{layer}_{j}"]
    for k, point in enumerate(points):
        inputs = [f"({number!r})" for number in point]
        for layer, count in enumerate(sizes[1:]):
            sums = [" + ".join([f"b{layer}_{j}", *(f"w{layer}_{j}_{i} * {a}" for i, a in enumerate(inputs))])
                    for j in range(count)]  # fmt: skip
            lines += [f"a{k}_{layer}_{j} = " + (f"relu({s})" if layer < 2 else s) for j, s in enumerate(sums)]
            inputs = [f"a{k}_{layer}_{j}" for j in range(count)]
        lines.append(f"e{k} = ({inputs[0]} - 1.0) ** 2")
    lines.append("L = " + " + ".join(f"e{k}" for k in range(len(points))))
    numbers = [0.0 if name[0] == "b" else rng.uniform(-1, 1) for name in names]
    text = "format = 1\ntitle = \"A scalar network\"\nprogram = '''\n" + "\n".join(lines) + "\n'''\n[parameters]\n"
    return text + "".join(f"{n} = {v!r}\n" for n, v in zip(names, numbers, strict=True)), numbers, points


def held(make: Callable[[], object]) -> int:
    """Bytes that stay allocated by what ``make`` returns."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = make()
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del kept
    return size


def scalar(rounds: int) -> Iterator[Row]:
    """Time and memory of a network of numbers, against micrograd."""
    text, numbers, points = network()
    scenario = bt.loads(text)
    steps = len(bt.record(scenario))
    time_row, memory_row, whole_row = ("scalar network, " + what for what in ("time", "memory", "memory with its graph"))
    nn = installed("micrograd.nn")
    if nn is None:
        seconds, _ = in_turn([lambda: bt.record(scenario)], rounds)
        yield skipped(time_row, "micrograd", 0.2, f"{seconds[0] / steps * 1e6:.2f} µs a step")
        return
    model = nn.MLP(2, [16, 16, 1])
    for parameter, number in zip(model.parameters(), numbers, strict=True):
        parameter.data = number

    def micro() -> Any:
        loss = sum((model(point) - 1.0) ** 2 for point in points)
        model.zero_grad()
        loss.backward()
        return loss

    recording, loss = bt.record(scenario), micro()
    assert np.isclose(float(recording.loss), loss.data)
    assert np.allclose([float(g) for g in recording.gradients.values()], [p.grad for p in model.parameters()])
    seen, stack = {loss}, [loss]
    while stack:
        fresh = set(stack.pop()._prev) - seen
        seen |= fresh
        stack.extend(fresh)
    nodes = len(seen)
    del seen, loss, recording
    (theirs, ours), (_, ratio) = in_turn([micro, lambda: bt.record(scenario)], rounds)
    detail = f"{ours / nodes * 1e6:.2f} µs : {theirs / nodes * 1e6:.2f} µs a node; {nodes:,} nodes, {steps:,} steps"
    yield Row(time_row, "micrograd", ratio, 0.2, detail)
    theirs = held(micro)
    for what, wanted, make in (
        (memory_row, 0.5, lambda: bt.record(scenario)),
        (whole_row, None, lambda: bt.record(bt.loads(text))),
    ):
        ours = held(make)
        detail = f"{ours / nodes:.0f} B : {theirs / nodes:.0f} B a node"
        yield Row(what, "micrograd", ours / theirs, wanted, detail)


def depth(rounds: int) -> Iterator[Row]:
    """A chain of 100,000 multiplications: recorded, and its gradient read; against a tenth of it, times ten."""
    chains = [bt.loads(CHAIN.format(depth=count)) for count in (10_000, 100_000)]
    for chain, count in zip(chains, (10_000, 100_000), strict=True):
        assert float(bt.record(chain).gradients["w"]) == 2.0 * count
    begun = time.perf_counter()
    chain = bt.loads(CHAIN.format(depth=100_000))
    read = time.perf_counter() - begun
    (_, seconds), (_, ratio) = in_turn([lambda c=c: bt.record(c).gradients["w"] for c in chains], rounds)  # type: ignore[misc]
    begun = time.perf_counter()
    bt.Debugger(chain)
    planned = time.perf_counter() - begun
    detail = f"read {read:.2f} s, planned {planned:.2f} s, recorded {seconds * 1e3:.0f} ms, gradient right"
    yield Row("depth 100,000", "10 × depth 10,000", ratio / 10, None, detail)
    if (engine := installed("micrograd.engine")) is None:
        yield skipped("depth 5,000", "micrograd")
        return
    x, w = engine.Value(2.0), engine.Value(1.0)
    for _ in range(5_000):
        x = x * w
    try:
        x.backward()
        detail = "micrograd reaches it"
    except RecursionError:
        detail = "micrograd fails: RecursionError"
    yield Row("depth 5,000", "micrograd", None, None, detail)
