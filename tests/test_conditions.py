"""Expressions held to a step: where each holds, by plain NumPy; names that are not there; columns against single numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, programs

import backprop_tui as bt
from backprop_tui.conditions import NotThereError, condition, holding_at, holds, names_of, nodes_of, reader, watched
from backprop_tui.errors import CommandError
from backprop_tui.ops.op import Array
from backprop_tui.recording import Recording

#: Numbers only, with every kind of step: what broadcasts to nothing, reductions and rearrangements of one number, fan-outs.
NUMBERS = """
a = x * w + b
c = relu(a) - abs(-b) + sum(w) * mean(x)
d = where(c > 0, exp(a), sigmoid(b)) + max(w) + reshape(b, ())
e = maximum(d, 2) ** 2 / minimum(w, 3) + clip(b, 0, 1)
e = e * stop_gradient(a) + sqrt(e) + half_squared_error(a, 2)
L = log(e) + leaky_relu(w - 1) + sum(softmax(u)) + sum(u * w)
"""


def scenario_of(program: str, parameters: str = "w = 0.5", data: str = "", training: str = "", precision: str = "float64") -> Any:
    tables = f"[data]\n{data}\n[parameters]\n{parameters}\n" + (f"[training]\n{training}\n" if training else "")
    return bt.loads(f"format = 1\ntitle = 't'\nprecision = '{precision}'\nprogram = '''\n{program}\n'''\n{tables}")


def numbers(precision: str = "float64") -> Recording:
    training = "steps = 3\nlearning_rate = 0.05"
    return bt.record(scenario_of(NUMBERS, "w = 0.7\nb = -0.4\nu = [1, 2]", "x = 1.5", training, precision))


def holding(recording: Recording, text: str) -> list[int]:
    return holding_at(condition(text, recording.graph), recording, range(1, len(recording) + 1))


# Against plain NumPy


class MissingError(Exception):
    """The step has no such thing."""


class Seen:
    """What a condition may read right after a step, as plain arrays; what is not there raises."""

    def __init__(self, recording: Recording, number: int) -> None:
        self._recording, self._step = recording, recording.step(number)
        self._state = recording.state(number)

    def __getattr__(self, name: str) -> Array:
        step = self._step
        if name == "value":
            node = step.operand_index if isinstance(step, bt.BackwardStep) else step.node_index
            return self._state.value(node)
        if isinstance(step, bt.ForwardStep) or (name != "grad" and not isinstance(step, bt.BackwardStep)):
            raise MissingError(name)
        found: Array = getattr(step, name)
        return found

    def __getitem__(self, name: str) -> Array:
        node = self._recording.graph.resolve(name)
        assert node is not None
        if not self._state.has_value(node):
            raise MissingError(name)
        return self._state.value(node)

    def gradient(self, name: str) -> Array:
        node = self._recording.graph.resolve(name)
        found = None if node is None else self._state.gradient(node)
        if found is None:
            raise MissingError(name)
        return found


CONDITIONS: dict[str, Callable[[Seen], Any]] = {
    "value > 0.3": lambda s: s.value > 0.3,
    "grad < 0": lambda s: s.grad < 0,
    "norm(grad) > 1": lambda s: np.sqrt(np.sum(np.square(s.grad))) > 1,
    "max(abs(local)) <= 0.5": lambda s: np.max(np.abs(s.local)) <= 0.5,
    "abs(contribution) >= 0.8": lambda s: np.abs(s.contribution) >= 0.8,
    "sum(upstream) * mean(contribution) != 0": lambda s: np.sum(s.upstream) * np.mean(s.contribution) != 0,
    "any(upstream == 1)": lambda s: np.any(s.upstream == 1),
    "all(value > 0)": lambda s: np.all(s.value > 0),
    "min(value) - 1": lambda s: np.min(s.value) - 1,
    "isnan(value) + isfinite(grad) / 2 - 0.25": lambda s: np.isnan(s.value) + np.isfinite(s.grad) / 2 - 0.25,
    "maximum(abs(sum(grad)), 1) * (sum(value) > 0) > 1": lambda s: max(abs(np.sum(s.grad)), 1) * (np.sum(s.value) > 0) > 1,
    "exp(-norm(value)) > 0.5": lambda s: np.exp(-np.sqrt(np.sum(np.square(s.value)))) > 0.5,
    "sum(value ** 2) < pi": lambda s: np.sum(np.asarray(s.value) ** 2) < np.pi,
    "1 > 0": lambda s: True,
    "0": lambda s: False,
}


@pytest.mark.parametrize("text", CONDITIONS)
@given(program=programs, training=st.sampled_from(["", "steps = 2\nlearning_rate = 0.3"]))
@settings(max_examples=25, deadline=None)
def test_a_condition_holds_where_numpy_says_so(text: str, program: Program, training: str) -> None:
    recording = bt.record(program.scenario(training=training))
    assert holding(recording, text) == [s for s in range(1, len(recording) + 1) if by_numpy(CONDITIONS[text], recording, s)]


def by_numpy(wanted: Callable[[Seen], Any], recording: Recording, number: int) -> bool:
    with np.errstate(all="ignore"):
        try:
            return bool(np.any(wanted(Seen(recording, number))))
        except MissingError:
            return False


OVER_NAMES: dict[str, Callable[[Seen], Any]] = {
    "value > w": lambda s: s.value > s["w"],
    "e > 1": lambda s: s["e"] > 1,
    "norm(grad(w)) > 0.5": lambda s: np.abs(s.gradient("w")) > 0.5,
    "grad(L) * upstream > grad(b)": lambda s: s.gradient("L") * s.upstream > s.gradient("b"),
    "grad(w) * x > u[1]": lambda s: s.gradient("w") * s["x"] > s["u"][1],
    "sum(u) > 2 * value": lambda s: np.sum(s["u"]) > 2 * s.value,
    "norm(grad(u)) > value": lambda s: np.sqrt(np.sum(np.square(s.gradient("u")))) > s.value,
    "u[0] > 0.9": lambda s: s["u"][0] > 0.9,
    "grad(x) > 0": lambda s: s.gradient("x") > 0,
}


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("text", [*CONDITIONS, *OVER_NAMES])
def test_a_condition_on_numbers_holds_where_numpy_says_so(text: str, precision: str) -> None:
    recording = numbers(precision)
    wanted = {**CONDITIONS, **OVER_NAMES}[text]
    if text == "e > 1":  # e is assigned again: until then it is the first one
        first = recording.graph.by_name["e"]
        second = recording.graph.resolve("e")
        assert second is not None

        def wanted(seen: Seen) -> Any:
            state = seen._state
            return any(state.value(node) > 1 for node in [n for n in (first, second) if state.has_value(n)][-1:])

    expected = [s for s in range(1, len(recording) + 1) if by_numpy(wanted, recording, s)]
    assert holding(recording, text) == expected
    if text not in ("0", "grad(x) > 0"):
        assert expected, "a condition that never holds would say nothing"


PIECES = ["value", "grad", "upstream", "local", "contribution", "w", "u", "grad(w)", "grad(e)", "x", "0.7", "2", "pi"]
FORMS = ["{} + {}", "{} - {}", "{} * {}", "{} / {}", "maximum({}, {})", "{} > {}", "{} == {}", "{} ** {}"]
SINGLE = [
    "-{}",
    "abs({})",
    "sqrt({})",
    "square({})",
    "norm({})",
    "max({})",
    "sum({})",
    "any({})",
    "all({})",
    "isnan({})",
    "tanh({})",
]
expressions = st.recursive(
    st.sampled_from(PIECES),
    lambda inner: st.one_of(
        st.builds(lambda form, a, b: f"({form.format(a, b)})", st.sampled_from(FORMS), inner, inner),
        st.builds(lambda form, a: f"({form.format(a)})", st.sampled_from(SINGLE), inner),
    ),
    max_leaves=5,
)


@given(expressions, expressions, st.sampled_from(["float64", "float32"]))
@settings(max_examples=150, deadline=None)
def test_many_steps_at_once_are_the_same_as_one_by_one(left: str, right: str, precision: str) -> None:
    recording = numbers(precision)
    when = condition(f"{left} < {right}", recording.graph)
    with np.errstate(all="ignore"):
        one_by_one = [s for s in range(1, len(recording) + 1) if holds(when, recording, s)]
    assert holding_at(when, recording, range(1, len(recording) + 1)) == one_by_one
    assert holding_at(when, recording, one_by_one) == one_by_one


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_numbers_of_two_precisions_are_not_made_one(precision: str) -> None:
    recording = numbers(precision)  # in single precision a local derivative that is 1 is a 1 in double precision
    when = condition("(local * upstream == contribution) * (abs(upstream) > 0)", recording.graph)
    wanted = [s.number for s in recording if isinstance(s, bt.BackwardStep) and s.how == "elementwise" and np.all(s.upstream != 0)]
    with np.errstate(all="ignore"):
        one_by_one = [s for s in range(1, len(recording) + 1) if holds(when, recording, s)]
    assert holding_at(when, recording, range(1, len(recording) + 1)) == one_by_one
    assert len(set(wanted) & set(one_by_one)) > len(wanted) / 2


def test_places_are_whole_numbers_and_stay_so() -> None:
    recording = numbers()  # minus the place 0 is 0; minus the number 0 would be −0, and 1 over it −∞
    assert [recording.step(step).op for step in holding(recording, "1 / -local > 9e99")] == ["reshape"] * 3  # type: ignore[attr-defined]


def test_what_lies_before_a_fork_is_what_it_was() -> None:
    parent = bt.record(scenario_of("a = w * 2\nb = a + 1\nL = b * a", "w = 1"))
    child = parent.forked(2)
    child.change_value(parent.graph.variables["a"], np.float64(50))
    child.advance(parent.plan.total)
    assert holding(child, "value == 2") == [1]
    assert holding(child, "value == 50") == [s for s in holding(parent, "value == 2") if s > 2]
    assert holding(child, "value == 50")


def test_of_an_array_any_entry_is_enough() -> None:
    recording = bt.record(scenario_of("L = sum(w * 2)", "w = [1, -1]"))
    assert holding(recording, "value < 0") == [1, 4, 5]  # w * 2, where it is computed, where its gradient comes, and w


def test_a_value_that_is_no_number_holds_and_a_comparison_with_it_does_not() -> None:
    recording = bt.record(scenario_of("L = sqrt(w) + 1", "w = -1"))
    assert holding(recording, "value") == list(range(1, len(recording) + 1))
    assert holding(recording, "isnan(value)") == [1, 2, 3, 4]
    assert holding(recording, "value > 0") == []


def test_an_entry_that_a_step_does_not_have_is_no_error_and_does_not_hold() -> None:
    recording = bt.record(scenario_of("a = w * 2\nL = sum(a)", "w = [1, 3]"))
    assert holding(recording, "value[1] > 5") == [1, 4]  # a; the loss is a number, w[1] is 3
    assert holding(recording, "grad @ value > 0") == [4, 5]
    assert holding(recording, "value[7] > 0") == []


def test_of_an_update_value_and_grad_are_those_of_the_parameter_after_it() -> None:
    recording = bt.record(scenario_of("L = w * w", "w = 3", training="steps = 2\nlearning_rate = 0.25"))
    period = recording.plan.period
    assert holding(recording, "(value == 1.5) * (grad == 6)") == [period]
    assert holding(recording, "w == 1.5") == [*range(period, 2 * period)]


# Names


def test_a_name_that_is_assigned_again_is_what_was_assigned_last() -> None:
    recording = bt.record(scenario_of("y = w\nfor t in range(3):\n    y = y * 2\nL = y + 1", "w = 1"))
    seen = [float(reader(recording, position)[0]("y")) for position in range(1, 8)]
    assert seen == [1, 2, 4, 8, 8, 8, 8]
    assert holding(recording, "y == 4") == [3]


def test_a_name_of_data_is_its_data_until_it_is_assigned() -> None:
    recording = bt.record(scenario_of("h = h * w\nL = h", "w = 5", "h = 2"))
    assert [float(reader(recording, position)[0]("h")) for position in (0, 1, 2)] == [2, 10, 10]


def test_a_parameter_stays_the_parameter_when_its_name_is_assigned() -> None:
    recording = bt.record(scenario_of("w = w * 5\nL = w + 1", "w = 2"))
    assert float(reader(recording, len(recording))[0]("w")) == 2
    assert float(reader(recording, len(recording))[1]("w")) == 5


def test_what_is_not_there_yet_is_named() -> None:
    recording = bt.record(scenario_of("a = w * 2\nL = a * a"))
    value, gradient = reader(recording, 1)
    assert float(value("a")) == 1
    with pytest.raises(NotThereError, match=r"^L$"):
        value("L")
    with pytest.raises(NotThereError, match=r"^grad\(w\)$"):
        gradient("w")


@pytest.mark.parametrize("name", ["value", "upstream", "local", "contribution"])
def test_a_watch_on_a_name_of_the_program_reads_the_program(name: str) -> None:
    recording = bt.record(scenario_of(f"{name} = w * 2\nL = {name} * 5"))
    formula = watched(f"{name} + 0", recording.graph)
    for position in range(1, len(recording) + 1):
        assert float(formula.evaluate(*reader(recording, position))) == 1


def test_a_watch_knows_nothing_of_a_step() -> None:
    graph = scenario_of("L = w * 2").graph
    with pytest.raises(CommandError, match="unknown name 'upstream'"):
        watched("upstream", graph)
    assert condition("upstream", graph).names == ("upstream",)


def test_the_names_are_those_of_values_and_of_parts_of_calls_but_no_constants() -> None:
    graph = scenario_of("def f(a):\n    z = a * 2\n    return z + 1\nh = f(w)\nh = f(h)\nL = h").graph
    assert names_of(graph) == {"w", "h", "h#2", "L", "f.z", "f#2.z"}
    assert [graph.label(node) for node in nodes_of(graph, "h")] == ["h", "h#2"]
    assert [graph.label(node) for node in nodes_of(graph, "h#2")] == ["h#2"]
    assert [graph.label(node) for node in nodes_of(graph, "h#1")] == ["h"]
    assert [graph.label(node) for node in nodes_of(graph, "f.z")] == ["f.z"]


# Errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("valu > 1", "unknown name 'valu'; did you mean 'value'?"),
        ("grad(W) > 1", "unknown name 'W'"),
        ("grad(upstream) > 1", "no line, name, phase, op or fact 'upstream'"),
        ("norm(grad, 2) > 1", "norm takes 1 operand, not 2; for example norm(W1)"),
        ("nrm(grad) > 1", "unknown op 'nrm'; did you mean 'norm'?"),
        ("grad >", "not an expression of the language: invalid syntax"),
        ("grad = 1", "not an expression of the language: invalid syntax"),
        ("__import__('os').system('true')", "'.system(…)' is not of the language"),
        ("value if grad else 0", "'value if grad else 0' is not of the language; use where(condition, a, b)"),
        ("0 < grad < 1", "a chain of comparisons; multiply two comparisons instead"),
        ("-" * 3_000 + "1", "nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_condition_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(CommandError) as error:
        condition(text, scenario_of("L = w * 2").graph)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_condition_of_many_terms_is_computed() -> None:
    recording = bt.record(scenario_of("L = w * 2"))
    assert holding(recording, " + ".join(["value"] * 400) + " > 399.5") == [1, 2]


CALLS = """
format = 1
title = "a layer in a loop"
program = '''
def layer(h, W):
    z = h @ W
    return tanh(z)
h = x
for i in range(3):
    h = layer(h, W)
L = sum(h)
'''
[data]
x = [[1.0, 0.5]]
[parameters]
W = [[0.4, 0.2], [0.1, 0.3]]
"""


def test_names_inside_calls_and_names_assigned_again_are_written_as_they_are_shown() -> None:
    recording = bt.record(bt.loads(CALLS))
    graph, last = recording.graph, recording.plan.total
    value, gradient = reader(recording, last)
    for name in ("h#1", "h#2", "h#4", "layer.z", "layer#3.z"):
        node = graph.resolve(name)
        assert node is not None
        expected = recording.state(last).value(node)
        formula = condition(f"2 * {name} + {name}.T.T", graph)
        assert (formula.text, formula.names) == (f"2 * {name} + {name}.T.T", (name,))
        np.testing.assert_allclose(formula.evaluate(value, gradient), 3 * expected)
    node = graph.resolve("layer#2.z")
    assert node is not None
    formula = condition("norm(grad(layer#2.z))", graph)
    found = recording.state(last).gradient(node)
    assert found is not None
    np.testing.assert_allclose(formula.evaluate(value, gradient), np.linalg.norm(found))


def test_a_number_sign_that_is_no_name_is_refused_and_never_taken_for_a_comment() -> None:
    graph = bt.loads(CALLS).graph
    for text, message in {
        "h#9 > 1": "unknown name 'h#9'; did you mean 'h#4'?",
        "h # 2": "'#' belongs to a name that is assigned again, as in h#2",
        "layer.z(3)": "unknown op 'layer.z'",
        "1" * 4001: "the expression has 4,001 characters; at most 4,000 are read",
    }.items():
        with pytest.raises(CommandError) as raised:
            condition(text, graph)
        assert str(raised.value) == message
