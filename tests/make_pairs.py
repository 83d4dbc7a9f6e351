"""The wrong runs of the bundled pairs: small programs in plain NumPy, each with one of the classic mistakes, that trace themselves.

``python tests/make_pairs.py`` writes their traces beside the scenarios of the pairs. Nothing of the package is used: what they
get wrong they get wrong by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PAIRS = Path(__file__).resolve().parent.parent / "scenarios" / "pairs"


class Trace:
    """Writes down what a program does, a line for each step."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.iteration = 0

    def write(self, kind: str, **facts: Any) -> None:
        head = {"kind": kind, "step": len(self.lines) + 1, "iteration": self.iteration}
        self.lines.append({**head, **{key: plain(fact) for key, fact in facts.items()}})

    def forward(self, line: int, node: str, op: str, operands: str, value: Any) -> Any:
        facts = {"op": op, "operands": operands.split(", "), "line": line, "shape": list(np.shape(value)), "value": value}
        self.write("forward", node=node, **facts)
        return value

    def seed(self, node: str) -> float:
        self.write("seed", node=node, grad=1.0)
        return 1.0

    def backward(
        self, line: int, way: str, op: str, upstream: Any, local: tuple[str, str, Any] | None, contribution: Any, grad: Any
    ) -> Any:
        """A multiplication on the way ``node → operand``; ``local`` is what it says it multiplied by, and how."""
        node, operand = way.split(" → ")
        told = {} if local is None else {"local": dict(zip(("text", "how", "value"), map(plain, local), strict=True))}
        told = {"op": op, "operand": operand, "line": line, "upstream": upstream, **told}
        self.write("backward", node=node, **told, contribution=contribution, grad=grad)
        return grad

    def update(self, node: str, before: Any, grad: Any, after: Any) -> Any:
        self.write("update", node=node, before=before, grad=grad, after=after)
        return after


def plain(fact: Any) -> Any:
    """Arrays as nested lists."""
    return fact.tolist() if isinstance(fact, np.ndarray | np.generic) else fact


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def update_order(trace: Trace) -> None:
    """Updates each layer as soon as its gradient is there: the layer before it hears of weights that made no prediction."""
    x, y = np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])
    w1, b1 = np.array([[0.15, 0.25], [0.20, 0.30]]), np.array([0.35, 0.35])
    w2, b2 = np.array([[0.40, 0.50], [0.45, 0.55]]), np.array([0.60, 0.60])
    rate = 0.5
    for trace.iteration in range(2):
        a1 = trace.forward(1, "x @ W1", "matmul", "x, W1", x @ w1)
        z1 = trace.forward(1, "z1", "add", "x @ W1, b1", a1 + b1)
        h = trace.forward(2, "h", "sigmoid", "z1", sigmoid(z1))
        a2 = trace.forward(3, "h @ W2", "matmul", "h, W2", h @ w2)
        z2 = trace.forward(3, "z2", "add", "h @ W2, b2", a2 + b2)
        yhat = trace.forward(4, "yhat", "sigmoid", "z2", sigmoid(z2))
        trace.forward(5, "L", "half_squared_error", "yhat, y", np.sum((yhat - y) ** 2) / 2)

        up = trace.seed("L")
        local = yhat - y
        dyhat = trace.backward(5, "L → yhat", "half_squared_error", up, ("yhat - y", "elementwise", local), up * local, up * local)
        local = yhat * (1 - yhat)
        dz2 = dyhat * local
        trace.backward(4, "yhat → z2", "sigmoid", dyhat, ("yhat (1 - yhat)", "elementwise", local), dz2, dz2)
        ones = np.ones_like(dz2)
        trace.backward(3, "z2 → h @ W2", "add", dz2, ("1", "elementwise", ones), dz2, dz2)
        trace.backward(3, "z2 → b2", "add", dz2, ("1", "elementwise", ones), dz2.sum(axis=0), dz2.sum(axis=0))
        dw2 = h.T @ dz2
        trace.backward(3, "h @ W2 → W2", "matmul", dz2, ("h.T", "left", h.T), dw2, dw2)
        w2 = trace.update("W2", w2, dw2, w2 - rate * dw2)  # too early: the next line reads it

        dh = dz2 @ w2.T
        trace.backward(3, "h @ W2 → h", "matmul", dz2, ("W2.T", "right", w2.T), dh, dh)
        local = h * (1 - h)
        dz1 = dh * local
        trace.backward(2, "h → z1", "sigmoid", dh, ("h (1 - h)", "elementwise", local), dz1, dz1)
        trace.backward(1, "z1 → x @ W1", "add", dz1, ("1", "elementwise", ones), dz1, dz1)
        trace.backward(1, "z1 → b1", "add", dz1, ("1", "elementwise", ones), dz1.sum(axis=0), dz1.sum(axis=0))
        dw1 = x.T @ dz1
        trace.backward(1, "x @ W1 → W1", "matmul", dz1, ("x.T", "left", x.T), dw1, dw1)
        w1 = trace.update("W1", w1, dw1, w1 - rate * dw1)


def fan_out(trace: Trace) -> None:
    """Writes ``=`` where ``+=`` belongs: of several contributions to a gradient the last one stays."""
    a, b = -2.0, 3.0
    d = trace.forward(1, "d", "multiply", "a, b", a * b)
    e = trace.forward(2, "e", "add", "a, b", a + b)
    trace.forward(3, "f", "multiply", "d, e", d * e)

    grad = {"f": trace.seed("f")}

    def receive(line: int, op: str, node: str, operand: str, local: float, text: str) -> None:
        contribution = grad[node] * local
        grad[operand] = contribution  # the mistake
        trace.backward(line, f"{node} → {operand}", op, grad[node], (text, "elementwise", local), contribution, grad[operand])

    receive(3, "multiply", "f", "d", e, "e")
    receive(3, "multiply", "f", "e", d, "d")
    receive(2, "add", "e", "a", 1.0, "1")
    receive(2, "add", "e", "b", 1.0, "1")
    receive(1, "multiply", "d", "a", b, "b")
    receive(1, "multiply", "d", "b", a, "a")


def missed_factor(trace: Trace) -> None:
    """Hands the error of the output on to the hidden layer as it is, without W2.T."""
    x, y = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[0.0, 9.0], [-2.0, 5.0]])
    w1, w2 = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([[2.0, 1.0], [-1.0, 3.0]])
    h = trace.forward(1, "h", "matmul", "X, W1", x @ w1)
    yhat = trace.forward(2, "yhat", "matmul", "h, W2", h @ w2)
    trace.forward(3, "L", "half_squared_error", "yhat, y", np.sum((yhat - y) ** 2) / 2)

    up = trace.seed("L")
    error = yhat - y
    trace.backward(3, "L → yhat", "half_squared_error", up, ("yhat - y", "elementwise", error), error, error)
    dh = error  # the mistake
    trace.backward(2, "yhat → h", "matmul", error, None, dh, dh)
    dw2 = h.T @ error
    trace.backward(2, "yhat → W2", "matmul", error, ("h.T", "left", h.T), dw2, dw2)
    dw1 = x.T @ dh
    trace.backward(1, "h → W1", "matmul", dh, ("X.T", "left", x.T), dw1, dw1)


def missing_sum(trace: Trace) -> None:
    """Takes the error of every example for the bias's gradient; NumPy spreads the bias over the batch and says nothing."""
    x, y = np.array([[1.0, 2.0], [0.0, 1.0], [2.0, -1.0]]), np.array([[2.0, 3.0], [0.0, 1.0], [3.0, -4.0]])
    w, b = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([0.5, -0.5])
    rate = 0.125
    for trace.iteration in range(2):
        a = trace.forward(1, "X @ W", "matmul", "X, W", x @ w)
        yhat = trace.forward(1, "yhat", "add", "X @ W, b", a + b)
        trace.forward(2, "L", "half_squared_error", "yhat, y", np.sum((yhat - y) ** 2) / 2)

        up = trace.seed("L")
        error = yhat - y
        trace.backward(2, "L → yhat", "half_squared_error", up, ("yhat - y", "elementwise", error), error, error)
        ones = np.ones_like(error)
        trace.backward(1, "yhat → X @ W", "add", error, ("1", "elementwise", ones), error, error)
        db = error  # the mistake
        trace.backward(1, "yhat → b", "add", error, ("1", "elementwise", ones), db, db)
        dw = x.T @ error
        trace.backward(1, "X @ W → W", "matmul", error, ("X.T", "left", x.T), dw, dw)
        w = trace.update("W", w, dw, w - rate * dw)
        b = trace.update("b", b, db, b - rate * db)


def not_zeroed(trace: Trace) -> None:
    """Never sets the gradients of its parameters back: each iteration adds to what the ones before it left."""
    x, y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 2.0, 4.0])
    w, b = np.array([0.5, 0.5]), 0.0
    dw, db = np.zeros(2), 0.0  # the mistake: this belongs into the loop
    rate = 0.125
    for trace.iteration in range(3):
        a = trace.forward(1, "x @ w", "matmul", "x, w", x @ w)
        yhat = trace.forward(1, "yhat", "add", "x @ w, b", a + b)
        trace.forward(2, "L", "mean_squared_error", "yhat, y", np.mean((yhat - y) ** 2))

        up = trace.seed("L")
        local = 2 * (yhat - y) / 3
        dyhat = up * local
        trace.backward(2, "L → yhat", "mean_squared_error", up, ("2 (yhat - y) / 3", "elementwise", local), dyhat, dyhat)
        ones = np.ones_like(dyhat)
        trace.backward(1, "yhat → x @ w", "add", dyhat, ("1", "elementwise", ones), dyhat, dyhat)
        db = db + dyhat.sum()
        trace.backward(1, "yhat → b", "add", dyhat, ("1", "elementwise", ones), dyhat.sum(), db)
        dw = dw + x.T @ dyhat
        trace.backward(1, "x @ w → w", "matmul", dyhat, ("x.T", "left", x.T), x.T @ dyhat, dw)
        w = trace.update("w", w, dw, w - rate * dw)
        b = trace.update("b", b, db, b - rate * db)


#: The programs, by the name of their pair.
WRONG: dict[str, Callable[[Trace], None]] = {
    "update-order": update_order,
    "fan-out": fan_out,
    "missed-factor": missed_factor,
    "missing-sum": missing_sum,
    "not-zeroed": not_zeroed,
}


def lines(name: str) -> list[dict[str, Any]]:
    """What the wrong program of a pair writes down."""
    trace = Trace()
    WRONG[name](trace)
    return trace.lines


if __name__ == "__main__":
    for pair in WRONG:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(pair))
        (PAIRS / f"{pair}.jsonl").write_text(text, encoding="utf-8")
