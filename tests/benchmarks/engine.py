"""A recorded run against the same computation by hand in NumPy, autograd, PyTorch and micrograd."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import backprop_tui as bt

#: What, the peer, the ratio (None where nothing was compared), the most it may be (None: it informs), what was measured.
Row = tuple[str, str, float | None, float | None, str]
MISSING = "not installed: skipped"
HEAD = "format = 1\ntitle = 'A benchmark'\nprogram = '''\n"
LAYERS = "h = sigmoid(X @ W1 + b1)\nyhat = sigmoid(h @ W2 + b2)\nL = half_squared_error(yhat, Y)\n'''\n"
CHAIN = "x = a\nfor i in range({}):\n    x = x * w\nL = x\n'''\n[parameters]\na = 2.0\nw = 1.0\n"


def installed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def in_turn(functions: list[Callable[[], object]], rounds: int) -> list[tuple[float, float]]:
    """Of each function the median seconds, and the median over the rounds of its ratio to the first one.

    In every round each has its turn of about 20 ms or once, every other round in the opposite order.
    """
    repeats, table = [1] * len(functions), []
    gc.collect()
    gc.freeze()  # what was imported for one of them is not walked through at the expense of another
    for turn in range(-2, rounds):
        row = [0.0] * len(functions)
        for i in sorted(range(len(functions)), reverse=turn % 2 == 1):
            begun = time.perf_counter()
            for _ in range(repeats[i]):
                functions[i]()
            row[i] = (time.perf_counter() - begun) / repeats[i]
        if turn < 0:
            repeats = [max(1, int(0.02 / seconds)) for seconds in row]
        else:
            table.append(row)
    gc.unfreeze()
    return [(median(row[i] for row in table), median(row[i] / row[0] for row in table)) for i in range(len(functions))]


def layers(folder: Path, rounds: int, sizes: tuple[int, int, int, int], wanted: float) -> Iterator[Row]:
    """Forward and backward of two sigmoid layers: batch, inputs, hidden, outputs."""
    batch, inputs, hidden, outputs = sizes
    shapes = ((batch, inputs), (batch, outputs), (inputs, hidden), (hidden,), (hidden, outputs), (outputs,))
    rng, names = np.random.default_rng(0), ("X", "Y", "W1", "b1", "W2", "b2")
    x, y, *weights = [rng.normal(size=shape) * 0.1 for shape in shapes]
    w1, b1, w2, b2 = weights
    np.savez(folder / "layers.npz", X=x, Y=y, W1=w1, b1=b1, W2=w2, b2=b2)
    files = [f'{name} = {{ file = "layers.npz", array = "{name}" }}\n' for name in names]
    (folder / "layers.toml").write_text(HEAD + LAYERS + "".join(["[data]\n", *files[:2], "[parameters]\n", *files[2:]]))
    scenario = bt.load(str(folder / "layers.toml"))

    def by_hand() -> Any:
        h = 1 / (1 + np.exp(-(x @ w1 + b1)))
        yhat = 1 / (1 + np.exp(-(h @ w2 + b2)))
        error = yhat - y
        _ = 0.5 * (error * error).sum()
        d2 = error * yhat * (1 - yhat)
        d1 = (d2 @ w2.T) * h * (1 - h)
        return x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)

    def loss(sigmoid: Any, x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        error = sigmoid(sigmoid(x @ w1 + b1) @ w2 + b2) - y
        return 0.5 * (error * error).sum()

    runs: dict[str, Callable[[], Any]] = {"by hand": by_hand, "recorded": lambda: bt.record(scenario)}
    if (autograd := installed("autograd")) and (anp := installed("autograd.numpy")):
        both = autograd.value_and_grad(loss, (3, 4, 5, 6))
        runs["autograd"] = lambda: both(lambda z: 1 / (1 + anp.exp(-z)), x, y, *weights)[1]
    if torch := installed("torch"):
        torch.set_num_threads(1)
        data, leaves = [torch.tensor(a) for a in (x, y)], [torch.tensor(w, requires_grad=True) for w in weights]
        runs["torch"] = lambda: torch.autograd.grad(loss(torch.sigmoid, *data, *leaves), leaves)
    for name, run in runs.items():
        got = run().gradients.values() if name == "recorded" else run()
        assert all(np.allclose(a, b) for a, b in zip(by_hand(), got, strict=True)), f"{name} computes something else"
    figures = dict(zip(runs, in_turn(list(runs.values()), rounds), strict=True))
    for name in ("recorded", "autograd", "torch"):
        own, ratio = figures.get(name, (0.0, None))
        detail = f"{own * 1e6:.1f} µs : {figures['by hand'][0] * 1e6:.1f} µs" if ratio else MISSING
        what = f"{' × '.join(map(str, sizes))}, both passes: {name}"
        yield what, "by hand", ratio, wanted if name == "recorded" else None, detail


def network() -> tuple[str, list[float], list[list[float]]]:
    """MLP(2, [16, 16, 1]) on 20 points as 13,000 scalar operations; its parameters in micrograd's order; the points."""
    rng = np.random.default_rng(0)
    points, sizes = rng.uniform(-1, 1, (20, 2)).tolist(), (2, 16, 16, 1)
    units = [(k, j) for k in (1, 2, 3) for j in range(sizes[k])]
    names = [n for k, j in units for n in (*(f"w{k}_{j}_{i}" for i in range(sizes[k - 1])), f"b{k}_{j}")]
    numbers = rng.uniform(-1, 1, len(names)).tolist()
    lines = []
    for p, point in enumerate(points):
        for k, j in units:
            read = [f"({x!r})" for x in point] if k == 1 else [f"a{p}_{k - 1}_{i}" for i in range(16)]
            total = " + ".join([f"b{k}_{j}", *(f"w{k}_{j}_{i} * {a}" for i, a in enumerate(read))])
            lines.append(f"a{p}_{k}_{j} = " + (f"relu({total})" if k < 3 else total))
        lines.append(f"e{p} = (a{p}_3_0 - 1.0) ** 2")
    lines += ["L = " + " + ".join(f"e{p}" for p in range(20)), "'''", "[parameters]"]
    lines += [f"{name} = {number!r}" for name, number in zip(names, numbers, strict=True)]
    return HEAD + "\n".join(lines) + "\n", numbers, points


def held(make: Callable[[], object]) -> int:
    """Bytes that stay allocated by what ``make`` returns."""
    tracemalloc.start()
    kept = make()  # noqa: F841  # what it keeps is measured
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size


def scalar(rounds: int) -> Iterator[Row]:
    """Time and memory of a network of numbers against micrograd, which builds its graph anew each time."""
    if (nn := installed("micrograd.nn")) is None:
        yield "scalar network", "micrograd", None, None, MISSING
        return
    text, numbers, points = network()
    scenario, model = bt.loads(text), nn.MLP(2, [16, 16, 1])
    for parameter, number in zip(model.parameters(), numbers, strict=True):
        parameter.data = number

    def micro() -> Any:
        loss = sum((model(point) - 1.0) ** 2 for point in points)
        model.zero_grad()
        loss.backward()
        return loss

    recording, loss = bt.record(scenario), micro()
    assert np.allclose([float(g) for g in recording.gradients.values()], [p.grad for p in model.parameters()])
    seen, stack = {loss}, [loss]
    while stack:
        fresh = set(stack.pop()._prev) - seen
        seen |= fresh
        stack.extend(fresh)
    nodes, steps = len(seen), len(recording)
    del seen, loss, recording
    (theirs, _), (ours, ratio) = in_turn([micro, lambda: bt.record(scenario)], rounds)
    detail = f"{ours / nodes * 1e6:.2f} µs : {theirs / nodes * 1e6:.2f} µs a node; {nodes:,} nodes, {steps:,} steps"
    yield "scalar network, time", "micrograd", ratio, 0.2, detail
    a, b, c = held(micro), held(lambda: bt.record(scenario)), held(lambda: bt.record(bt.loads(text)))
    for what, size, wanted in (("memory", b, 0.5), ("memory with graph and plan", c, None)):
        detail = f"{size / nodes:.0f} B : {a / nodes:.0f} B a node"
        yield f"scalar network, {what}", "micrograd", size / a, wanted, detail


def depth(rounds: int) -> Iterator[Row]:
    """A chain of 100,000 multiplications: recorded, and its gradient read; against ten times a tenth of it."""
    short, deep = (bt.loads(HEAD + CHAIN.format(count)) for count in (10_000, 100_000))
    assert float(bt.record(deep).gradients["w"]) == 200_000
    _, (own, ratio) = in_turn([lambda: bt.record(short).gradients, lambda: bt.record(deep).gradients], rounds)
    yield "depth 100,000", "10 × depth 10,000", ratio / 10, None, f"{own * 1e3:.0f} ms, every step; the gradient is right"
    detail = MISSING
    if engine := installed("micrograd.engine"):
        value = engine.Value(2.0)
        for _ in range(5_000):
            value = value * 1.0
        try:
            value.backward()
            detail = "micrograd reaches it"
        except RecursionError:
            detail = "micrograd ends in a RecursionError"
    yield "depth 5,000", "micrograd", None, None, detail
