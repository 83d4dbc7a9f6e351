"""The trace, as JSON lines to the letter of its description, and as text."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import EVERY_OP, Program, program_of_op, programs

import backprop_tui as bt
from backprop_tui.export import jsonl, text
from backprop_tui.ops.op import Array

KEYS = {
    "forward": ["kind", "step", "iteration", "node", "op", "operands", "line", "shape", "value"],
    "seed": ["kind", "step", "iteration", "node", "grad"],
    "backward": [
        *("kind", "step", "iteration", "node", "op", "operand", "line"),
        *("upstream", "local", "summed_axes", "contribution", "grad"),
    ],
    "update": ["kind", "step", "iteration", "node", "before", "grad", "after"],
    "summary": ["kind", "steps", "loss", "losses", "gradients", "parameters"],
}
HOWS = {"elementwise", "left", "right", "broadcast", "rearrange", "dense"}

SIGMOID = """
format = 1
title = "Two layers"
program = '''
h = sigmoid(x @ W1 + b1)
yhat = sigmoid(h @ W2 + b2)
L = half_squared_error(yhat, y)
'''
[data]
x = [[0.05, 0.10]]
y = [[0.01, 0.99]]
[parameters]
W1 = [[0.15, 0.25], [0.20, 0.30]]
b1 = [0.35, 0.35]
W2 = [[0.40, 0.50], [0.45, 0.55]]
b2 = [0.6, 0.6]
spare = [1, 2]
[training]
steps = 2
learning_rate = 0.5
update = ["W1", "W2"]
"""


def scenario_of(program: str, parameters: str = "w = 0.75", head: str = "title = 't'", more: str = "") -> bt.Scenario:
    return bt.loads(f"format = 1\n{head}\nprogram = '''\n{program}\n'''\n[parameters]\n{parameters}\n{more}\n")


def trace(scenario: bt.Scenario) -> list[dict[str, Any]]:
    """The JSON lines of a run, read by a reader that refuses what is no JSON."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in jsonl.lines(bt.record(scenario))]


def array(value: Any) -> Array:
    """A value of the trace as an array: lists nested, numbers, and the names of what is not finite."""
    return np.array(value, dtype=np.float64)  # float("nan"), float("inf") and float("-inf") read the names


def numbers(value: Any) -> Iterator[Any]:
    for entry in value:
        if isinstance(entry, list):
            yield from numbers(entry)
        else:
            yield entry


# The format.


def test_the_lines_are_those_of_the_steps_and_a_summary_with_exactly_their_keys_in_order() -> None:
    lines = trace(bt.loads(SIGMOID))
    assert [line["kind"] for line in lines] == (["forward"] * 7 + ["seed"] + ["backward"] * 10 + ["update"] * 2) * 2 + ["summary"]
    assert [line["step"] for line in lines[:-1]] == list(range(1, len(lines)))
    assert [line["iteration"] for line in lines[:-1]] == [0] * 20 + [1] * 20
    for line in lines:
        assert list(line) == KEYS[line["kind"]]
        if line["kind"] == "backward":
            assert list(line["local"]) == ["text", "how", "value"]
            assert line["local"]["how"] in HOWS


def test_the_first_lines_are_as_they_are_described() -> None:
    lines = trace(bt.loads(SIGMOID))
    first = {"kind": "forward", "step": 1, "iteration": 0, "node": "x @ W1", "op": "matmul", "operands": ["x", "W1"]}
    assert lines[0] == first | {"line": 1, "shape": [1, 2], "value": [[0.05 * 0.15 + 0.1 * 0.2, pytest.approx(0.0425)]]}
    assert lines[7] == {"kind": "seed", "step": 8, "iteration": 0, "node": "L", "grad": 1.0}
    step = lines[9]
    assert [step[key] for key in ("kind", "node", "op", "operand", "line")] == ["backward", "yhat", "sigmoid", "h @ W2 + b2", 2]
    assert step["local"]["text"] == "ŷ (1 − ŷ)"
    assert step["local"]["how"] == "elementwise"
    assert step["summed_axes"] == []
    assert next(line for line in lines if line.get("operand") == "b2")["summed_axes"] == [0]
    summary = lines[-1]
    assert summary["steps"] == 40
    assert summary["loss"] == summary["losses"][-1]
    assert summary["losses"][0] == pytest.approx(0.298371109, abs=1e-9)
    assert list(summary["gradients"]) == list(summary["parameters"]) == ["W1", "b1", "W2", "b2", "spare"]
    assert summary["gradients"]["spare"] == [0.0, 0.0]
    assert summary["parameters"]["b1"] == [0.35, 0.35]


def test_names_are_those_of_the_description() -> None:
    source = "def layer(a):\n    z = a * w\n    return sin(z)\nh = layer(w)\nh = layer(h)\nh = h + 1\nL = h"
    lines = [line for line in trace(scenario_of(source)) if line["kind"] == "forward"]
    assert [line["node"] for line in lines] == ["layer.z", "h", "layer#2.z", "h#2", "h#3", "L"]
    assert [line["operands"] for line in lines] == [["w", "w"], ["layer.z"], ["h", "w"], ["layer#2.z"], ["h#2", "1"], ["h#3"]]
    assert [line["line"] for line in lines] == [2, 3, 2, 3, 6, 7]


def test_a_node_without_a_name_is_called_by_its_source_on_one_line() -> None:
    lines = trace(scenario_of("L = (w +  # the first\n  2) * (w\t* 3)"))
    assert [line["node"] for line in lines[:3]] == ["w + 2", "w * 3", "L"]
    assert lines[2]["operands"] == ["w + 2", "w * 3"]
    assert lines[0]["line"] == 1


def test_a_scalar_is_a_number_and_an_array_nested_lists() -> None:
    lines = trace(scenario_of("a = w * 2\nv = stack((w, a))\nM = reshape(v, (1, 2, 1))\nL = sum(M)"))
    values = {line["node"]: line["value"] for line in lines if line["kind"] == "forward"}
    assert values == {"a": 1.5, "v": [0.75, 1.5], "M": [[[0.75], [1.5]]], "L": 2.25}
    shapes = {line["node"]: line["shape"] for line in lines if line["kind"] == "forward"}
    assert shapes == {"a": [], "v": [2], "M": [1, 2, 1], "L": []}
    assert lines[-1]["gradients"] == {"w": 3.0}
    assert lines[-1]["losses"] == [2.25]


def test_what_is_not_finite_is_a_string() -> None:
    lines = trace(scenario_of("a = log(w) \nb = v / v[0]\nL = a + sum(b)", "w = 0\nv = [0, 1, -1, 2]"))
    assert lines[0]["value"] == "-inf"
    assert lines[2]["value"] == ["nan", "inf", "-inf", "inf"]
    assert lines[-1]["loss"] == "nan"
    assert lines[-1]["gradients"]["w"] == "inf"
    assert set(lines[-1]["gradients"]["v"]) <= {"nan", "inf", "-inf"}


@given(st.lists(st.floats(), min_size=1, max_size=8))
@settings(deadline=None)
def test_numbers_round_trip(values: list[float]) -> None:
    written = json.loads(jsonl.dumps(jsonl.plain(np.array(values))))
    assert np.array_equal(array(written), values, equal_nan=True)
    assert [math.copysign(1, x) for x in array(written) if x == x] == [math.copysign(1, x) for x in values if x == x]
    assert json.loads(jsonl.dumps(jsonl.plain(np.float64(values[0])))) == written[0]


@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
@settings(deadline=None)
def test_single_precision_round_trips_and_is_written_short(values: list[float]) -> None:
    single = np.array(values, dtype=np.float32)
    written = json.loads(jsonl.dumps(jsonl.plain(single)))
    assert np.array_equal(array(written).astype(np.float32), single, equal_nan=True)
    assert jsonl.plain(np.float32(0.1)) == 0.1


def test_a_trace_is_the_same_each_time() -> None:
    assert list(jsonl.lines(bt.record(bt.loads(SIGMOID)))) == list(jsonl.lines(bt.record(bt.loads(SIGMOID))))


def test_control_characters_are_escaped_where_json_would_leave_them() -> None:
    evil = "a\x1b[2J\x7f\x9b\u202e\u2028b"
    line = jsonl.dumps({"title": evil})
    assert json.loads(line) == {"title": evil}
    assert {unicodedata.category(char) for char in line}.isdisjoint({"Cc", "Cf", "Zl", "Zp"})
    assert jsonl.dumps("ŷ ∂L/∂W₁") == '"ŷ ∂L/∂W₁"'


# What the lines say of each other.


def contributed(upstream: Array, local: Array, how: str, summed: list[int], shape: tuple[int, ...]) -> list[Array]:
    """The contributions that a line can mean, from its upstream gradient, its local derivative and `how`.

    There is one, but for a reduction of an array with axes of the same size: then the line leaves open which was reduced.
    """
    if how == "elementwise":
        products = [upstream * local]
    elif how == "left":  # a vector enters as a row where the local derivative is a column, else as a column
        if local.shape[-1] == 1 and (upstream.ndim < 2 or upstream.shape[-2] != 1):
            upstream = upstream[..., None, :]
        elif local.ndim > 2 and upstream.ndim == local.ndim - 1:
            upstream = upstream[..., None]
        products = [local @ upstream]
    elif how == "right":
        if local.shape[-2] == 1 and (upstream.ndim < 2 or upstream.shape[-1] != 1 or upstream.ndim == local.ndim - 1):
            upstream = upstream[..., None]
        elif local.ndim > 2 and upstream.ndim == local.ndim - 1:
            upstream = upstream[..., None, :]
        products = [upstream @ local]
    elif how == "broadcast":
        places = combinations(range(local.ndim), local.ndim - upstream.ndim)
        spread = [np.expand_dims(upstream, axes) for axes in places]
        products = [u * local for u in spread if all(n in (1, m) for n, m in zip(u.shape, local.shape, strict=True))]
    elif how == "rearrange":
        products = [np.array([*upstream.ravel(), 0.0])[local.astype(int)]]
    else:
        products = [np.tensordot(upstream, local, upstream.ndim)]
    return [np.sum(product, axis=tuple(summed)).reshape(shape) for product in products]


def holds_together(lines: list[dict[str, Any]]) -> set[str]:
    """Checks every line of a trace against the ones before it, knowing nothing but the trace; the kinds of `how` met."""
    gradients: dict[str, Array] = {}
    met = set()
    for line in lines:
        if line["kind"] == "forward":
            assert list(array(line["value"]).shape) == line["shape"]
        elif line["kind"] == "seed":
            gradients = {line["node"]: array(line["grad"])}
            assert line["grad"] == 1.0
        elif line["kind"] == "backward":
            upstream, grad = array(line["upstream"]), array(line["grad"])
            assert np.array_equal(upstream, gradients[line["node"]], equal_nan=True)
            local, contribution = array(line["local"]["value"]), array(line["contribution"])
            assert contribution.shape == grad.shape
            candidates = contributed(upstream, local, line["local"]["how"], line["summed_axes"], contribution.shape)
            assert any(np.allclose(contribution, c, rtol=1e-9, atol=1e-12) for c in candidates), line
            before = gradients.get(line["operand"], np.zeros(grad.shape))
            np.testing.assert_allclose(grad, before + contribution, rtol=1e-9, atol=1e-12)
            gradients[line["operand"]] = grad
            met.add(line["local"]["how"])
        elif line["kind"] == "update":
            assert np.array_equal(array(line["grad"]), gradients.get(line["node"], np.zeros(array(line["grad"]).shape)))
    for name, grad in lines[-1]["gradients"].items():
        assert np.array_equal(array(grad), gradients.get(name, np.zeros(array(grad).shape)))
    return met


def test_every_contribution_can_be_recomputed_from_its_line_for_every_op() -> None:
    met: set[str] = set()
    for name in EVERY_OP:
        met |= holds_together(trace(program_of_op(name).scenario()))
    assert met == HOWS


# Names of nodes without a name of their own are not unique, so programs are taken whose lines can be told apart.
def told_apart(scenario: bt.Scenario) -> bool:
    labels = [node.label for node in scenario.graph.nodes()]
    return len(set(labels)) == len(labels)


@given(programs)
@settings(max_examples=80, deadline=None)
def test_every_contribution_of_any_program_can_be_recomputed_from_its_line(program: Program) -> None:
    scenario = program.scenario(training="steps = 2\nlearning_rate = 0.1")
    lines = trace(scenario)
    for line in lines[:-1]:
        assert list(line) == KEYS[line["kind"]]
    if told_apart(scenario):
        holds_together(lines)


@given(programs)
@settings(max_examples=40, deadline=None)
def test_the_trace_says_what_the_steps_say(program: Program) -> None:
    recording = bt.record(program.scenario(training="learning_rate = 0.1"))
    lines = [json.loads(line) for line in jsonl.lines(recording)]
    assert len(lines) == len(recording) + 1
    for line, step in zip(lines, recording, strict=False):
        assert (line["kind"], line["step"], line["iteration"], line["node"]) == (
            *(step.kind, step.number, step.iteration),
            step.node,
        )
        for key in ("value", "upstream", "contribution", "grad", "before", "after"):
            if key in line:
                assert np.array_equal(array(line[key]), getattr(step, key))
    assert np.array_equal(array(lines[-1]["loss"]), recording.loss)
    for name, value in recording.parameters.items():
        assert np.array_equal(array(lines[-1]["parameters"][name]), value)


# The text.

EVIL = """title = "T\\u001b[2J\\u009b31m[bold]\\u202e"
description = "x"
"""


def test_the_text_has_no_control_characters_whatever_the_scenario_holds() -> None:
    program = "h = (w + # \x9b2J \u202e\n 1) * w\nL = h * h"
    scenario = scenario_of(
        program, head=EVIL, more='[symbols]\nw = "w\\u001b]0;x\\u0007\\u009b[/x]"\n[training]\nlearning_rate = 1'
    )
    recording = bt.record(scenario)
    for line in [*text.lines(recording), *jsonl.lines(recording)]:
        assert {unicodedata.category(char) for char in line}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"}), repr(line)
    assert next(iter(text.lines(recording))) == "T␛[2J�31m[bold]�"


def test_the_text_tells_every_step_with_its_parts() -> None:
    lines = list(text.lines(bt.record(bt.loads(SIGMOID))))
    assert lines[0] == "Two layers"
    assert lines[1] == "iteration 1 of 2"
    heads = [line for line in lines if line.startswith("step ")]
    assert [int(head.split()[1]) for head in heads] == list(range(1, 41))
    assert heads[0] == "step 1  forward  x @ W₁  (line 1, matmul)"
    assert heads[2] == "step 3  forward  h = σ(x @ W₁ + b₁)  (line 1, sigmoid)"
    assert heads[7] == "step 8  seed  ∂L/∂L = 1"
    assert "iteration 2 of 2" in lines
    backward = lines.index(next(line for line in lines if "backward  ŷ → " in line))
    words = [line.split()[0] for line in lines[backward + 1 : backward + 5]]
    assert words == ["upstream", "local", "contribution", "gradient"]
    assert any("summed over axis 0, along which b₂ was broadcast" in line for line in lines)
    assert any(line.startswith("40 steps; L = 0.2") for line in lines)


def test_the_text_says_where_a_convention_was_used_and_how_many_contributions_there_are() -> None:
    lines = list(text.lines(bt.record(scenario_of("a = relu(w - w)\nL = a * a"))))
    assert any("relu′(0) is taken as 0" in line for line in lines)
    assert any("(contribution 2 of 2)" in line for line in lines)


def test_a_large_array_is_summarised_in_the_text() -> None:
    lines = list(text.lines(bt.record(scenario_of("L = sum(W * W)", "W = { normal = [50, 40] }"))))
    assert max(map(len, lines)) < 300
    assert any("50 × 40" in line for line in lines)


@given(programs)
@settings(max_examples=20, deadline=None)
def test_the_text_of_any_program_is_made_without_an_error(program: Program) -> None:
    recording = bt.record(program.scenario(training="steps = 2\nlearning_rate = 0.1"))
    assert sum(line.startswith("step ") for line in text.lines(recording)) == len(recording)


def test_a_full_jacobian_too_large_to_be_written_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = bt.record(scenario_of("L = sum(softmax(W) ** 2)", "W = { normal = [200, 60] }"))

    def refuse(_: object) -> None:
        raise AssertionError("it was made")

    step = next(s for s in recording if isinstance(s, bt.BackwardStep) and s.how == "dense")
    monkeypatch.setattr(type(step), "local", property(refuse))
    line = jsonl.step_object(step, recording)
    assert line["local"]["value"] == []
    assert "a full Jacobian of 144,000,000 entries, not written out" in line["local"]["text"]
    paragraph = "\n".join(text.step_lines(step, text.wording_of(recording.scenario)))
    assert "not written out" in paragraph
