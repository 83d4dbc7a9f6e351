"""The graph: nodes in columns, names, places, what needs a gradient, and the builder without any program text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from random_programs import Program, programs

from backprop_tui.errors import ScenarioError, ShapeError
from backprop_tui.graph import Graph, GraphBuilder, folded
from backprop_tui.ops import OPS
from backprop_tui.program import compile_program


def two_layers() -> Graph:
    source = "z1 = x @ W1 + b1\nh = sigmoid(z1)\nyhat = h @ W2\nL = half_squared_error(yhat, y)"
    data = {"x": (1, 2), "y": (1, 1)}
    return compile_program(source, data, {"W1": (2, 3), "b1": (3,), "W2": (3, 1)})


# What a graph says of its nodes.


def test_leaves_come_first_and_applications_in_the_order_of_the_program() -> None:
    graph = two_layers()
    assert [node.label for node in graph.nodes()] == ["x", "y", "W1", "b1", "W2", "x @ W1", "z1", "h", "yhat", "L"]
    assert [node.kind for node in graph.nodes()] == ["data"] * 2 + ["parameter"] * 3 + ["application"] * 5
    assert [node.index for node in graph.nodes()] == list(range(10)) == list(range(len(graph)))
    assert graph.leaves == 5
    assert graph.parameters == {"W1": 2, "b1": 3, "W2": 4}
    assert graph.leaf("b1") == 3
    with pytest.raises(KeyError):
        graph.leaf("z1")


def test_a_node_says_its_op_operands_options_shape_and_place() -> None:
    graph = compile_program("y = sum(A,\n   axis=1)\nL = sum(y)", {}, {"A": (2, 3)})
    node = graph.node(graph.variables["y"])
    assert (node.name, node.kind, node.shape, node.operands) == ("y", "application", (2,), (0,))
    assert node.op is OPS["sum"]
    assert node.options == {"axis": 1, "keepdims": False}
    assert node.span is not None
    assert (node.span.line, node.span.column, node.span.start) == (1, 5, 4)
    assert graph.text_of(node.index) == "sum(A, axis=1)"
    leaf = graph.node(0)
    assert (leaf.op, leaf.operands, leaf.options, leaf.span, leaf.statement) == (None, (), {}, None, -1)


def test_a_node_without_a_name_has_none_but_a_label() -> None:
    node = two_layers().node(5)
    assert (node.name, node.label) == (None, "x @ W1")


def test_constants_are_leaves_with_values() -> None:
    graph = compile_program("y = 2 * w + 2", {}, {"w": ()})
    (constant,) = graph.constants
    assert (graph.kinds[constant], graph.label(constant), graph.constants[constant]) == ("constant", "2", 2.0)
    assert graph.by_name.keys() == {"w", "2", "y"}


def test_every_offset_has_the_line_and_column_that_an_editor_shows() -> None:
    graph = compile_program("é = w\n\nü = é", {}, {"w": ()})
    assert [graph.place(i) for i in (0, 4, 6, 7, 11)] == [(1, 1), (1, 5), (2, 1), (3, 1), (3, 5)]


def test_calls_of_one_kind_are_kept_once() -> None:
    graph = compile_program("y = w\nfor t in range(1000):\n    y = sin(y) * y", {}, {"w": ()})
    assert len({id(call) for call in graph.calls}) == 3
    graph = compile_program("y = sum(A) + sum(A, axis=None) + sum(sum(A, axis=0))", {}, {"A": (2, 2)})
    sums = [graph.calls[k] for k, op in enumerate(graph.ops) if op.name == "sum"]
    assert sums[0] is sums[1]
    assert sums[0] is not sums[2]


def test_a_text_is_folded_to_one_line_without_its_comments() -> None:
    assert folded("a  +\tb") == "a + b"
    assert folded("(a +  # why\n   b \\\r\n * c)") == "(a + b * c)"


# What needs a gradient.


def labels(graph: Graph) -> list[tuple[str, str]]:
    return [(graph.label(node), graph.label(operand)) for node, _, operand in graph.backward_pairs()]


def test_what_depends_on_no_parameter_needs_no_gradient() -> None:
    source = "a = x * 2\nb = a + w\nc = stop_gradient(b)\nd = b > x\nk = where(d, w, x)\nL = b * c * k"
    graph = compile_program(source, {"x": ()}, {"w": ()})
    needs = {graph.label(i) for i in range(len(graph)) if graph.needs[i]}
    assert needs == {"w", "b", "k", "b * c", "L"}


def test_backward_pairs_leave_out_data_dead_ends_comparisons_and_stopped_gradients() -> None:
    source = "a = x * 2\nb = a + w\nc = stop_gradient(b)\nd = b > x\nk = where(d, w, x)\nunused = exp(b)\nL = b * c * k"
    graph = compile_program(source, {"x": ()}, {"w": ()})
    assert labels(graph) == [("L", "b * c"), ("L", "k"), ("b * c", "b"), ("k", "w"), ("b", "w")]


def test_an_operand_used_twice_gets_a_pair_for_each_use_left_to_right() -> None:
    graph = compile_program("y = w * w\nL = where(y, y, y)", {}, {"w": ()})
    assert [(slot, operand) for _, slot, operand in graph.backward_pairs()] == [(1, 1), (2, 1), (0, 0), (1, 0)]


def test_a_loss_that_is_a_leaf_has_no_pairs() -> None:
    graph = compile_program("y = sin(w)", {}, {"w": ()}, loss="w")
    assert graph.loss == graph.leaf("w")
    assert labels(graph) == []


@given(programs)
@settings(max_examples=60, deadline=None)
def test_backward_pairs_are_those_of_a_search_from_both_ends(program: Program) -> None:
    graph = program.scenario().graph
    applications = [node for node in graph.nodes() if node.op is not None]
    edges = [
        (node.index, slot, operand)
        for node in applications
        for slot, operand in enumerate(node.operands)
        if node.op is not None and node.op.differentiable(slot)
    ]
    below = {graph.loss}
    above = set(graph.parameters.values())
    while True:
        more = {operand for node, _, operand in edges if node in below} - below
        deeper = {node for node, _, operand in edges if operand in above} - above
        if not more and not deeper:
            break
        below |= more
        above |= deeper
    wanted = [(node, slot, operand) for node, slot, operand in edges if node in below and operand in above]
    # in reverse order of the applications, the operands of each from left to right
    assert list(graph.backward_pairs()) == sorted(wanted, key=lambda pair: (-pair[0], pair[1]))


@given(programs)
@settings(max_examples=60, deadline=None)
def test_operands_come_before_what_is_made_of_them(program: Program) -> None:
    graph = program.scenario().graph
    for node in graph.nodes():
        assert all(operand < node.index for operand in node.operands)
        if node.op is not None:
            shapes = tuple(graph.shapes[i] for i in node.operands)
            assert graph.call_of(node.index).shapes == shapes
            assert node.shape == node.op.shape(shapes, node.options)
            assert graph.frame(node.index).index == graph.statement(node.index).frame
    own = [name for i, name in graph.names.items() if i not in graph.constants]
    assert len(set(own)) == len(own)
    assert all(graph.by_name[name] == i for i, name in graph.names.items() if i not in graph.constants)


# The builder on its own.


def test_a_graph_is_built_without_a_program() -> None:
    builder = GraphBuilder()
    x, w = builder.leaf("x", (2, 3), "data"), builder.leaf("w", (3,), "parameter")
    product = builder.apply(OPS["matmul"], (x, w))
    total = builder.apply(OPS["sum"], (product,), {"axis": None, "keepdims": False})
    builder.name(total, "L")
    assert (builder.shape(product), builder.shape(total), builder.name_of(total)) == ((2,), (), "L")
    assert builder.constant(2.0, "2") == builder.constant(2.0, "2")
    graph = builder.build(total, {"x": x, "L": total})
    assert [graph.label(i) for i in range(len(graph))] == ["x", "w", "2", "", "L"]
    assert graph.variables == {"x": 0, "L": 4}
    assert np.array_equal(graph.operands, [0, 1, 3])
    assert [(n, o) for n, _, o in graph.backward_pairs()] == [(4, 3), (3, 1)]


def test_the_builder_refuses_shapes_that_do_not_conform_and_more_than_its_limit() -> None:
    builder = GraphBuilder(limit=1)
    x = builder.leaf("x", (2, 3), "data")
    with pytest.raises(ShapeError, match="2 × 3"):
        builder.apply(OPS["matmul"], (x, x))
    builder.apply(OPS["sin"], (x,))
    with pytest.raises(ScenarioError, match="more than 1 applications"):
        builder.apply(OPS["sin"], (x,))
