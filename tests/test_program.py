"""The language: program text → graph. What every construct means, what things are called, where they are written."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprop_tui as bt
from backprop_tui.errors import ProgramError, ScenarioError, ShapeError
from backprop_tui.graph import Graph
from backprop_tui.ops.op import Array, Shape
from backprop_tui.program import compile_program, is_name

SHAPES: dict[str, Shape] = {"A": (2, 3), "B": (3, 4), "C": (2, 3, 4), "v": (3,), "x": (), "w": ()}


def graph_of(source: str, loss: str | None = None, max_steps: int = 2_000_000, **shapes: Shape) -> Graph:
    """The graph of a program over parameters of these shapes; its loss is made a scalar where none is named."""
    if loss is None:
        source += "\n__loss = x\n" if not source.endswith("\n") else "__loss = x\n"
        loss = "__loss"
    return compile_program(source, {}, {**SHAPES, **shapes}, loss=loss, max_steps=max_steps)


def applications(source: str, **options: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """(name, op, operands) of every application, without the loss that was added."""
    graph = graph_of(source, **options)
    return [
        (node.label, node.op.name, tuple(graph.label(i) for i in node.operands))
        for node in graph.nodes()
        if node.op is not None and node.name != "__loss"
    ]


def error_of(source: str, **options: Any) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        graph_of(source, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def values_of(source: str, leaves: dict[str, Array | float]) -> dict[str, Array]:
    """What a program's variables come to, by the recording."""
    text = "\n".join(f"{name} = {np.asarray(value).tolist()}" for name, value in leaves.items())
    program = f"program = '''\n{source}\n__loss = 1.0\n'''"
    return dict(bt.record(bt.loads(f"format = 1\ntitle = 't'\n{program}\n[data]\n{text}\n")).values)


# What is written means what it means in Python with NumPy.

TEXTS = [
    "y = a + b - c * d / e",
    "y = a - b - c",
    "y = a / b / c",
    "y = a ** b ** 0.5",
    "y = -a ** 2",
    "y = (-a) ** 2",
    "y = 2 ** -a",
    "y = - -a",
    "y = -(a + b) * -c",
    "y = a * b + c * d",
    "y = (a + b) * (c - d)",
    "y = M @ M - M.T @ M",
    "y = M.T",
    "y = T.T",
    "y = M @ u + 1",
    "y = a < b",
    "y = a <= a",
    "y = a > b",
    "y = a >= b",
    "y = a == a",
    "y = a != a",
    "y = (M < 0.5) * M",
    "y = 1 + 2 * 3 ** 2 - 0x10 / 1_000 + 1e-3 + .5",
    "y = pi * a + 2 * pi",
    "y = M[0]",
    "y = M[-1, 0]",
    "y = M[:, 1]",
    "y = M[0, 0:1]",
    "y = M[::-1, 1:]",
    "y = T[1, :, 0]",
    "y = T[0:1, ::2, -2:]",
    "y = T[1][0][0]",
    "y = M[2 - 1, 0 * 3]",
    "y = (M + M)[0]",
    "y = sin(a) * cos(b) + tanh(c) - exp(d) + sqrt(a) * log(b) + abs(-c) + square(d)",
    "y = sum(M)",
    "y = sum(M, axis=0)",
    "y = sum(M, 1)",
    "y = sum(M, axis=-1, keepdims=True)",
    "y = mean(T, (0, 2))",
    "y = mean(T, axis=(0, -1), keepdims=True)",
    "y = max(M, 0) + min(M, axis=0)",
    "y = max(T) - min(T)",
    "y = reshape(M, (4, 1))",
    "y = reshape(M, -1)",
    "y = reshape(M, shape=(1, -1))",
    "y = broadcast_to(u, (3, 2))",
    "y = broadcast_to(u, shape=(1, 2))",
    "y = transpose(T)",
    "y = transpose(T, (1, 0, 2))",
    "y = transpose(T, axes=(2, 0, 1))",
    "y = concatenate((M, M))",
    "y = concatenate([M, M * 2], 1)",
    "y = concatenate((M, M), axis=-1)",
    "y = stack((u, u * 2))",
    "y = stack([u, u], axis=1)",
    "y = stack([u, u], -1)",
    "y = maximum(M, u) + minimum(u, a)",
    "y = where(M > 0.5, M, u)",
    "y = clip(M, 0.25, 0.75)",
    "y = a\ny = y * 2\ny = y + y",
    "y = (a +\n     b\n    ) * c  # a comment",
    "y = a + \\\n    b",
    "def f(p, q):\n    r = p * q\n    return r - q\ny = f(a, b) + f(q=a, p=c) + f(a, q=d)",
    "def f(p): return p + a\ny = f(b)",
    "def f(p): return p * 2\ndef g(p):\n    p = f(p)\n    return f(p + 1)\ny = g(f(a))",
    "a2 = a\ndef f(p):\n    return p * a2\na2 = a2 + 1\ny = f(b)",
    "y = a\nfor t in range(3):\n    y = y * b + t",
    "y = a\nfor t in range(1, 4):\n    y = y + t ** 2",
    "y = a\nfor t in range(5, 0, -2):\n    y = y * 2 - t",
    "y = a\nfor t in range(0):\n    y = y + 1",
    "y = a\nfor i in range(2):\n    for j in range(2):\n        y = y * 0.5 + M[i, j] * (i - j)",
    "y = a\nfor i in range(3):\n    for j in range(i, 3):\n        y = y + i * j",
    "y = a\nfor i in range(2):\n    for j in range(2 * i + 1):\n        y = y + u[1 - i] + j",
    "y = u[0]\nfor t in range(1, 2):\n    y = y + u[t] * u[t - 1] + M[t, t % 2] + M[t // 2, -t]",
    "def f(p, k): return p * k\ny = a\nfor t in range(3):\n    y = f(y, t + 1) + f(y, t)",
    "def f(p, k): return p[k]\ny = a\nfor t in range(2):\n    y = y + f(u, t)",
    "def f(p):\n    for k in range(2):\n        p = p * u[k]\n    return p\ny = f(a)",
    "y = a\nfor t in range(3):\n    y = y + 1\ny = y * t",
    "e = a * 2\ny = e + 1",
    "pi = 3\ny = pi * 2",
    "def f(e): return e * 2\ny = f(a)",
]


def python_meaning(source: str, leaves: dict[str, Array | float]) -> Array:
    """The same text, executed by Python with NumPy."""
    names = "sin cos tanh exp sqrt log abs square sum mean max min reshape broadcast_to transpose concatenate stack"
    space: dict[str, Any] = {name: getattr(np, name) for name in f"{names} maximum minimum where clip".split()}
    space |= {"pi": math.pi, "e": math.e, "range": range, **leaves}
    exec(source, space)
    result: Array = np.asarray(space["y"], dtype=np.float64)
    return result


@pytest.mark.parametrize("source", TEXTS)
def test_a_program_means_what_it_means_in_python_with_numpy(source: str) -> None:
    rng = np.random.default_rng(3)
    leaves: dict[str, Array | float] = {
        **{name: np.float64(rng.uniform(0.2, 2)) for name in "abcd"},
        "M": rng.uniform(0.2, 2, (2, 2)),
        "T": rng.uniform(0.2, 2, (2, 3, 4)),
        "u": rng.uniform(0.2, 2, 2),
    }
    got = values_of(source, leaves)["y"]
    want = python_meaning(source, leaves)
    assert np.shape(got) == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-14)


# Names, numbers and constants.


def test_each_operator_is_the_op_of_its_name() -> None:
    written = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power"}
    written |= {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
    written |= {"==": "equal", "!=": "not_equal"}
    for symbol, op in written.items():
        assert applications(f"y = x {symbol} w") == [("y", op, ("x", "w"))]
    assert applications("y = A @ B") == [("y", "matmul", ("A", "B"))]
    assert applications("y = -x") == [("y", "negative", ("x",))]
    assert applications("y = A.T") == [("y", "transpose", ("A",))]
    assert applications("y = A[0]") == [("y", "index", ("A",))]


def test_numbers_are_constants_called_as_they_are_written_and_shared() -> None:
    graph = graph_of("y = 2 * x + 2 ** x - 2.0 * pi + 0x10 + 1e3")
    constants = {graph.label(i): value for i, value in graph.constants.items()}
    assert constants == {"2": 2.0, "2.0": 2.0, "pi": math.pi, "0x10": 16.0, "1e3": 1000.0}


def test_a_negative_literal_is_a_number_and_not_a_step() -> None:
    assert applications("y = x * -2") == [("y", "multiply", ("x", "-2"))]
    assert applications("y = x ** -0.5") == [("y", "power", ("x", "-0.5"))]
    assert applications("y = -x") == [("y", "negative", ("x",))]
    # as in Python, the power binds before the minus
    assert applications("y = -2 ** x") == [("2 ** x", "power", ("2", "x")), ("y", "negative", ("2 ** x",))]
    assert applications("y = x - 2") == [("y", "subtract", ("x", "2"))]


def test_a_number_too_large_is_infinite() -> None:
    assert list(graph_of("y = x * 1e999").constants.values()) == [math.inf]
    assert list(graph_of(f"y = x * {10**400}").constants.values()) == [math.inf]
    assert list(graph_of(f"y = x * -{10**400}").constants.values()) == [-math.inf]


def test_e_is_eulers_number_until_a_name_shadows_it() -> None:
    assert graph_of("y = e * x").constants.popitem()[1] == math.e
    assert graph_of("y = e * x", e=()).constants == {}
    graph = graph_of("y = e * x\ne = x\nz = e * x")
    assert graph.label(graph.node(graph.variables["y"]).operands[0]) == "e"
    assert graph.node(graph.variables["y"]).operands[0] in graph.constants
    assert graph.node(graph.variables["z"]).operands[0] == graph.variables["e"]
    # inside a function a global shadows it too
    assert graph_of("def f(a): return a * e\ny = f(x)", e=()).constants == {}


def test_naming_a_name_is_the_identity() -> None:
    assert applications("y = x") == [("y", "identity", ("x",))]
    assert applications("y = (x)") == [("y", "identity", ("x",))]
    assert applications("y = 2") == [("y", "identity", ("2",))]
    assert applications("y = sin(x)\nz = y\nz = z") == [
        ("y", "sin", ("x",)),
        ("z", "identity", ("y",)),
        ("z#2", "identity", ("z",)),
    ]
    # a function that returns a value which has a name
    assert applications("def f(a): return a\ny = f(x)") == [("y", "identity", ("x",))]
    assert applications("def f(a):\n    z = sin(a)\n    return z\ny = f(x)") == [
        ("f.z", "sin", ("x",)),
        ("y", "identity", ("f.z",)),
    ]


def test_a_function_that_returns_an_unnamed_value_gives_it_the_callers_name() -> None:
    assert applications("def f(a): return sin(a)\ny = f(x)") == [("y", "sin", ("x",))]


def test_a_name_that_is_assigned_again_is_numbered() -> None:
    assert [row[0] for row in applications("h = sin(x)\nh = sin(h)\nh = h + h")] == ["h", "h#2", "h#3"]
    assert applications("h = sin(x)\nh = sin(h)")[1] == ("h#2", "sin", ("h",))
    # a leaf counts as the first
    assert applications("x = sin(x)") == [("x#2", "sin", ("x",))]


def test_a_name_inside_a_call_has_the_calls_name_before_it() -> None:
    source = "def layer(a):\n    z = a * w\n    return sin(z)\ny = layer(x)\ny = layer(y)\nu = layer(layer(y))"
    names = [row[0] for row in applications(source)]
    expected = ["layer.z", "y", "layer#2.z", "y#2", "layer#3.z", "sin(z)", "layer#4.z", "u"]
    assert names == expected


def test_nested_calls_are_called_by_their_path() -> None:
    source = (
        "def f(a):\n    z = a * 2\n    z = z + 1\n    return sin(z)\n"
        "def g(a):\n    z = f(a)\n    return f(z) + z\ny = g(x)\ny = g(y)"
    )
    names = [row[0] for row in applications(source)]
    assert names == [
        *("g.f.z", "g.f.z#2", "g.z", "g.f#2.z", "g.f#2.z#2", "sin(z)", "y"),
        *("g#2.f.z", "g#2.f.z#2", "g#2.z", "g#2.f#2.z", "g#2.f#2.z#2", "sin(z)", "y#2"),
    ]
    frames = graph_of(source).frames
    assert [(f.name, f.function, f.parent, f.depth) for f in frames[1:4]] == [
        ("g", "g", 0, 1),
        ("g.f", "f", 1, 2),
        ("g.f#2", "f", 1, 2),
    ]
    assert frames[0].name == ""


def test_an_unnamed_application_is_called_by_its_source_text_on_one_line() -> None:
    rows = applications("y = sin(x *  w) + (w\n     + x) ** 2")
    assert [row[0] for row in rows] == ["x * w", "sin(x * w)", "w + x", "(w + x) ** 2", "y"]


def test_a_comment_inside_an_expression_is_not_part_of_its_name() -> None:
    rows = applications("y = (x +  # the \x9b first\n     w) * (w \\\n  - x) * (- # two\n 2)")
    assert [row[0] for row in rows] == ["x + w", "w - x", "(x + w) * (w - x)", "y"]
    assert rows[-1][2] == ("(x + w) * (w - x)", "- 2")


def test_names_say_which_node_they_stand_for() -> None:
    source = "def f(a):\n    z = a * 2\n    return z + 1\nh = f(x)\nh = f(h)\nx = h"
    graph = graph_of(source)
    assert graph.resolve("h") == graph.variables["h"] == graph.by_name["h#2"]
    assert graph.resolve("h#1") == graph.by_name["h"] < graph.by_name["h#2"]
    assert graph.resolve("f.z") == graph.by_name["f.z"]
    assert graph.resolve("f#2.z") == graph.by_name["f#2.z"]
    # a parameter goes before what its name holds at the end
    assert graph.resolve("x") == graph.leaf("x")
    assert graph.resolve("x#2") == graph.variables["x"]
    assert graph.resolve("nothing") is None


# Options.


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("sum(A)", {"axis": None, "keepdims": False}),
        ("sum(A, 1)", {"axis": 1, "keepdims": False}),
        ("sum(A, axis=-1, keepdims=True)", {"axis": -1, "keepdims": True}),
        ("mean(C, axis=(0, -1))", {"axis": (0, -1), "keepdims": False}),
        ("max(A, None)", {"axis": None, "keepdims": False}),
        ("reshape(A, (3, -1))", {"shape": (3, -1)}),
        ("reshape(A, shape=6)", {"shape": (6,)}),
        ("reshape(A, [3, 2])", {"shape": (3, 2)}),
        ("transpose(A)", {"axes": None}),
        ("transpose(C, (2, 0, 1))", {"axes": (2, 0, 1)}),
        ("broadcast_to(v, shape=(2, 3))", {"shape": (2, 3)}),
        ("concatenate((A, A))", {"axis": 0}),
        ("concatenate(A, A, axis=1)", {"axis": 1}),
        ("stack([A, A], 2)", {"axis": 2}),
        ("softmax(A, axis=0)", {"axis": 0}),
        ("leaky_relu(A)", {"negative_slope": 0.01}),
        ("leaky_relu(A, 1)", {"negative_slope": 1.0}),
        ("leaky_relu(A, negative_slope=-0.5)", {"negative_slope": -0.5}),
        ("sum(A, axis=3 - 2)", {"axis": 1, "keepdims": False}),
    ],
)
def test_options_are_given_by_keyword_and_by_place(call: str, options: dict[str, Any]) -> None:
    graph = graph_of(f"y = {call}")
    assert graph.node(graph.variables["y"]).options == options


def test_a_loop_variable_may_be_an_option() -> None:
    graph = graph_of("for t in range(2):\n    y = sum(A, axis=t)")
    assert [node.shape for node in graph.nodes() if node.op is not None][:2] == [(3,), (2,)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("y = sum(A, axi=0)", "unknown option 'axi' of sum; did you mean 'axis'?"),
        ("y = sin(x, axis=0)", "unknown option 'axis' of sin; sin has no options"),
        ("y = sum(A, 0, axis=0)", "option 'axis' of sum is given twice"),
        ("y = sum(A, 0, True)", "'keepdims' of sum has no place; write keepdims=…"),
        ("y = sum(A, 0, True, 1)", "sum takes 1 operand (a), not 4"),
        ("y = sum(A, axis=0.5)", "axis cannot be 0.5"),
        ("y = sum(A, axis=True)", "axis cannot be True"),
        ("y = sum(A, keepdims=1)", "keepdims cannot be 1; keepdims is True or False"),
        ("y = sum(A, axis=x)", "'x' is not a constant"),
        ("y = reshape(A)", "reshape needs its option 'shape'"),
        ("y = reshape(A, None)", "shape cannot be None"),
        ("y = leaky_relu(A, True)", "negative_slope cannot be True"),
        ("y = stack(())", "stack takes at least 1 operand, not 0"),
        ("y = maximum(x)", "maximum takes 2 operands (a, b), not 1"),
        ("y = sin()", "sin takes 1 operand (a), not 0"),
        ("y = sum(**x)", "** is not of the language here"),
    ],
)
def test_wrong_options_are_named(source: str, message: str) -> None:
    assert message in str(error_of(source))


# Spans and lines.

PROGRAM = """\
# the first line
def lage(ξ, b):
    z = ξ @ W + \\
        b
    return sigmoid(
        z * 2
    )

ŷ = lage(α, b)
ŷ = tanh(ŷ)[0, :]  # assigned again
for t in range(2):
    Ω = sum(
        ŷ * (t + 1)  # twice
        - α[t].T,
    )
é = Ω * Ω
L = squared_error(é, -1) + "x"
""".replace(' + "x"', "")


def test_the_span_of_an_application_is_the_source_of_its_expression() -> None:
    graph = compile_program(PROGRAM, {}, {"α": (2, 3), "W": (3, 3), "b": (3,)})
    found = []
    for node in graph.nodes():
        if node.span is not None:
            text = PROGRAM[node.span.start : node.span.end]
            found.append((text, node.span.line))
            # line and column are those of the start
            before = PROGRAM[: node.span.start].split("\n")
            assert (node.span.line, node.span.column) == (len(before), len(before[-1]) + 1)
            assert graph.line_of(node.index) == node.span.line
    block = "sum(\n        ŷ * (t + 1)  # twice\n        - α[t].T,\n    )"
    turn = [("t + 1", 13), ("ŷ * (t + 1)", 13), ("α[t]", 14), ("α[t].T", 14), (block[9 + 4 : -7], 13), (block, 12)]
    assert found == [
        ("ξ @ W", 3),
        ("ξ @ W + \\\n        b", 3),
        ("z * 2", 6),
        ("sigmoid(\n        z * 2\n    )", 5),
        ("tanh(ŷ)", 10),
        ("tanh(ŷ)[0, :]", 10),
        *turn,
        *turn,
        ("Ω * Ω", 16),
        ("squared_error(é, -1)", 17),
    ]


def test_a_statement_knows_its_line_its_frame_and_its_turns() -> None:
    graph = compile_program(PROGRAM, {}, {"α": (2, 3), "W": (3, 3), "b": (3,)})
    node = graph.by_name["Ω#2"]
    assert graph.statement(node).line == 12
    assert graph.statement(node).loops == (("t", 1, 2, 2),)
    assert graph.frame(node).depth == 0
    inner = graph.by_name["lage.z"]
    assert (graph.statement(inner).line, graph.frame(inner).name) == (3, "lage")
    assert graph.statements[graph.frame(inner).statement].line == 9


def test_nested_loops_tell_all_their_turns() -> None:
    graph = graph_of("y = x\nfor i in range(2):\n    for j in range(5, 8):\n        y = y * w")
    loops = [graph.statement(node.index).loops for node in graph.nodes() if node.op and node.op.name == "multiply"]
    assert loops == [(("i", i, i + 1, 2), ("j", j, j - 4, 3)) for i in range(2) for j in range(5, 8)]


def test_windows_line_ends_change_no_span() -> None:
    source = "y = x *\\\r\n  w\r\nz = (y\r\n  + é)\r\n"
    graph = graph_of(source, loss="z", é=())
    spans = [source[n.span.start : n.span.end] for n in graph.nodes() if n.span]
    assert spans == ["x *\\\r\n  w", "y\r\n  + é"]
    assert [graph.line_of(n.index) for n in graph.nodes() if n.span] == [1, 3]
    assert graph.label(graph.by_name["y"]) == "y"


# Shapes.


def test_shapes_are_known_before_anything_is_computed() -> None:
    graph = graph_of("h = A @ B\ns = sum(h, axis=0)\nc = concatenate((A, A), axis=1)\nk = C[0, 1:, ::2]\nt = C.T")
    shapes = {name: graph.shapes[i] for name, i in graph.variables.items()}
    assert (shapes["h"], shapes["s"], shapes["c"]) == ((2, 4), (4,), (2, 6))
    assert (shapes["k"], shapes["t"]) == ((2, 2), (4, 3, 2))


def test_a_shape_error_names_shapes_op_and_source() -> None:
    error = error_of("y = x\nz = sin(A @  A)")
    assert isinstance(error, ShapeError)
    assert (error.op, error.shapes, error.source) == ("matmul", ((2, 3), (2, 3)), "A @ A")
    assert (error.line, error.column) == (2, 9)
    assert "2 × 3" in str(error)


def test_a_loss_that_is_no_scalar_is_told_to_sum_it() -> None:
    with pytest.raises(ShapeError, match="sum it"):
        compile_program("y = A * 2", {}, SHAPES)


def test_the_loss_is_the_last_name_assigned_unless_one_is_named() -> None:
    graph = graph_of("y = sin(x)\nz = cos(y)", loss="y")
    assert graph.loss == graph.by_name["y"]
    graph = compile_program("y = sin(x)\nfor t in range(2):\n    z = cos(y)", {}, SHAPES)
    assert graph.loss == graph.by_name["z#2"]
    # a name that is assigned again stands for what it holds at the end
    graph = compile_program("h = x\nh = sin(h)\nz = A", {}, SHAPES, loss="h")
    assert graph.label(graph.loss) == "h#2"


# Functions and loops.


def test_a_function_reads_globals_as_they_are_when_it_is_called() -> None:
    source = "k = x\ndef f(a): return a * k\np = f(w)\nk = w\nq = f(w)"
    graph = graph_of(source)
    assert [graph.label(i) for i in graph.node(graph.variables["p"]).operands] == ["w", "k"]
    assert [graph.label(i) for i in graph.node(graph.variables["q"]).operands] == ["w", "k#2"]


def test_a_function_does_not_see_its_callers_names_nor_leave_its_own() -> None:
    inner = "def f(a): return a * inside\ndef g(a):\n    inside = a * 2\n    return f(inside)\ny = g(x)"
    assert "unknown name 'inside'" in str(error_of(inner))
    assert "unknown name 'z'" in str(error_of("def f(a):\n    z = a * 2\n    return z\ny = f(x) + z"))


def test_a_name_that_a_function_assigns_is_its_own_throughout_as_in_python() -> None:
    error = error_of("k = x\ndef f(a):\n    k = k + a\n    return k\ny = f(w)")
    assert "'k' is read before it is assigned" in str(error)
    assert (error.line, error.column) == (3, 9)
    assert "read before" in str(error_of("def f(a):\n    e = e + a\n    return e\ny = f(w)"))


def test_keyword_arguments_are_bound_by_name() -> None:
    source = "def f(a, b, c): return a - b * c\ny = f(x, c=w, b=v)"
    graph = graph_of(source)
    product = next(n for n in graph.nodes() if n.op and n.op.name == "multiply")
    assert [graph.label(i) for i in product.operands] == ["v", "w"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(a): return f(a)\ny = f(x)", "'f' calls itself"),
        ("def f(a): return g(a)\ndef g(a): return f(a)\ny = f(x)", "calls itself"),
        ("def f(a, b): return a\ny = f(x)", "f takes 2 operands, not 1; it is f(a, b)"),
        ("def f(a): return a\ny = f(x, x)", "f takes 1 operands, not 2"),
        ("def f(a): return a\ny = f(b=x)", "'b' is not free"),
        ("def f(a, b): return a\ny = f(x, a=x)", "'a' is not free"),
        ("def f(a, a): return a\ny = f(x, x)", "'f' has two parameters 'a'"),
        ("def f(a=1): return a\ny = f(x)", "more than plain parameters"),
        ("def f(*a): return a\ny = f(x)", "more than plain parameters"),
        ("def f(a):\n    b = a", "does not end in return"),
        ("def f(a):\n    return a\n    return a", "returns before its end"),
        ("def f(a):\n    for t in range(2):\n        return a\n    return a\ny = f(x)", "return inside a loop"),
        ("def f(a): return\ny = f(x)", "return without a value"),
        ("return x", "return outside a function"),
        ("def f(a):\n    def g(b): return b\n    return a\ny = f(x)", "a function inside a function"),
        ("for t in range(2):\n    def g(b): return b", "a function inside a function or a loop"),
        ("def sin(a): return a", "the name 'sin' is taken"),
        ("def x(a): return a", "the name 'x' is taken"),
        ("def f(a): return a\ndef f(a): return a", "the name 'f' is taken"),
        ("def f(a): return a\nf = x", "'f' is a function already"),
        ("def f(a): return a\ny = f", "'f' is called with parentheses"),
        ("y = f(x)\ndef f(a): return a", "'f' is called before it is defined"),
        ("sin = x", "'sin' is the name of an op"),
        ("for sum in range(2):\n    y = x", "'sum' is the name of an op"),
        ("for t in range(x):\n    y = x", "'x' is not a constant"),
        ("for t in range(1.5):\n    y = x", "range takes whole numbers"),
        ("for t in range(1, 2, 0):\n    y = x", "the step of range cannot be 0"),
        ("for t in range():\n    y = x", "a loop runs over range"),
        ("for t in A:\n    y = x", "a loop runs over range"),
        ("for t in range(2):\n    y = x\nelse:\n    y = x", "else of a loop"),
        ("for t, u in range(2):\n    y = x", "a loop has one variable"),
        ("y = A[x]", "'x' is not a constant"),
        ("y = A[0.5]", "'0.5' is not an index"),
        ("y = A[::0]", "a slice's step cannot be 0"),
        ("y = A[0, 0, 0]", "index has 3 parts"),
        ("y = A[5]", "A[5]"),
        ("y = A[None]", "'None' is not an index"),
        ("y = A[...]", "is not a constant"),
        ("y = A[1 // 0]", "division by zero"),
        ("y = sine(x)", "unknown op 'sine'; did you mean 'sin'?"),
        ("hidden = x\ny = hiden", "unknown name 'hiden'; did you mean 'hidden'?"),
        ("y = x(w)", "'x' is a variable and cannot be called; write * to multiply"),
        ("y = A.sum()", "write sum(A, …)"),
        ("y = A.shape", "'.shape' is not of the language"),
        ("y = sin", "'sin' is called with parentheses"),
        ("y = grad(x)", "grad(…) is not allowed in the program"),
        ("y = x if x else w", "use where(condition, a, b)"),
        ("y = x and w", "multiply comparisons"),
        ("y = 0 < x < 1", "a chain of comparisons"),
        ("y = not x", "is not of the language"),
        ("y = +x", "is not of the language"),
        ("y = x // 2", "the operator in 'x // 2' is not of the language"),
        ("y = x % 2", "+ - * / ** @ are"),
        ("y = [x, x]", "use stack or concatenate"),
        ("y = 'text'", "text is not a number"),
        ("y = True", "True is an option, not a value"),
        ("y = 1j", "'1j' is not a number"),
        ("y = x is w", "is not a comparison of numbers"),
        ("y = lambda a: a", "use def"),
        ("y = (lambda a: a)(x)", "cannot be called"),
        ("y += x", "write the name out"),
        ("y: int = x", "write name = expression"),
        ("y, z = x", "only a single name can be assigned"),
        ("y = z = x", "only a single name can be assigned"),
        ("A[0] = x", "only a single name can be assigned"),
        ("if x:\n    y = x", "use where(condition, a, b)"),
        ("while x:\n    y = x", "use for t in range(3):"),
        ("import numpy", "the ops are there without it"),
        ("from numpy import sin", "the ops are there without it"),
        ("sin(x)", "give the value a name"),
        ("y = x +", "not an expression of the language"),
        ("y = x\r z = x", "a carriage return without a line feed"),
    ],
)
def test_what_is_not_of_the_language_is_said_and_what_to_write_instead(source: str, message: str) -> None:
    error = error_of(source)
    assert message in str(error)
    assert error.line is not None


def test_errors_are_placed_in_characters_not_in_bytes() -> None:
    error = error_of("ŷ = x\nzéta = ŷ + unbekannt")
    assert (error.line, error.column) == (2, 12)
    assert str(error).startswith("line 2:12: unknown name 'unbekannt'")


def test_what_can_be_a_name() -> None:
    assert all(map(is_name, ["x", "W1", "ŷ", "_", "e", "pi", "layer", "index"]))
    assert not any(map(is_name, ["", "1x", "h[0]", "for", "sin", "grad", "range", "a b", "h#2"]))


# Large programs.


def test_a_loop_makes_a_chain_of_a_hundred_thousand_operations() -> None:
    graph = graph_of("y = x\nfor t in range(100000):\n    y = y * w", loss="y")
    assert len(graph.ops) == 100_001
    assert graph.label(graph.loss) == "y#100001"
    assert sum(1 for _ in graph.backward_pairs()) == 200_001


def test_a_hundred_thousand_lines_make_a_chain_of_as_many_operations() -> None:
    graph = graph_of("y = x\n" + "y = sin(y)\n" * 100_000, loss="y")
    assert len(graph.ops) == 100_001
    assert graph.line_of(graph.loss) == 100_001


def test_calls_are_nested_sixty_deep() -> None:
    source = "def f0(a): return sin(a)\n" + "".join(f"def f{i}(a): return f{i - 1}(a) * w\n" for i in range(1, 61))
    graph = graph_of(source + "y = f60(x)", loss="y")
    assert len(graph.ops) == 61
    assert max(frame.depth for frame in graph.frames) == 61
    assert graph.frames[-1].name == ".".join(f"f{i}" for i in range(60, -1, -1))


def test_calls_nested_beyond_all_measure_are_an_error() -> None:
    source = "def f0(a): return sin(a)\n" + "".join(f"def f{i}(a): return f{i - 1}(a)\n" for i in range(1, 3000))
    assert "nested more than 100 deep" in str(error_of(source + "y = f2999(x)"))


def doubling(leaf: str) -> str:
    functions = "".join(f"def f{i}(a): return f{i - 1}(f{i - 1}(a))\n" for i in range(1, 61))
    return f"def f0(a): return {leaf}\n{functions}y = f60(x)"


@pytest.mark.parametrize(
    "source",
    [
        doubling("a * 2"),
        doubling("a"),
        "y = x\nfor t in range(1000000000000):\n    y = y * w",
        "y = x\nfor t in range(10**12):\n    y = y * w",
        "y = x\nfor t in range(10**50):\n    y = y * w",
        "y = x\nfor t in range(1000):\n  for u in range(1000):\n    for s in range(1000):\n      y = y * w",
        "def f(a):\n    for t in range(10**6):\n        a = a * w\n    return a\ny = x\nfor t in range(10**6):\n    y = f(y)",
        "y = x\nfor t in range(10**12):\n    for u in range(0):\n        y = y * w",
    ],
)
def test_a_program_that_unrolls_without_end_ends_in_the_limit_error_quickly(source: str) -> None:
    begun = time.perf_counter()
    error = error_of(source)
    assert time.perf_counter() - begun < 5
    assert isinstance(error, ProgramError)
    assert "unrolls to more than 2,000,000 steps, the limit; raise it with --max-steps" in str(error)


def test_a_loop_whose_length_depends_on_another_ends_at_the_limit_too() -> None:
    source = "y = x\nfor t in range(10**9):\n    for u in range(t):\n        y = y * w"
    assert "more than 10,000 steps" in str(error_of(source, max_steps=10_000))


def test_the_limit_is_exact() -> None:
    source = "y = x\nfor t in range(99):\n    y = y * w"
    assert len(graph_of(source, loss="y", max_steps=100).ops) == 100
    assert "more than 99 steps" in str(error_of(source, loss="y", max_steps=99))


def test_an_expression_nested_too_deeply_is_an_error_and_no_crash() -> None:
    for source in ("y = " + "(" * 5000 + "x" + ")" * 5000, "y = " + "-" * 50_000 + "x", "y = x" + " + x" * 100_000):
        assert isinstance(error_of(source), ProgramError)


def test_a_long_sum_is_no_deeper_than_a_short_one() -> None:
    graph = graph_of("y = x" + " + w" * 700, loss="y")
    assert len(graph.ops) == 700


PROPERTIES: list[Callable[[str], str]] = [
    lambda text: re.sub(r" ", "  ", text),
    lambda text: f"# before\n\n{text}\n\n# after\n",
    lambda text: text.replace("\n", "  # why\n"),
    lambda text: text.replace("\n", "\r\n"),
]


@pytest.mark.parametrize("change", PROPERTIES)
def test_spaces_comments_and_line_ends_change_nothing(change: Callable[[str], str]) -> None:
    source = "h = A @ B * 2\nu = sum(h)"
    assert applications(change(source)) == applications(source)
