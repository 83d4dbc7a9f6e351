"""The plan: the steps of a run, in their order, known before anything is computed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, programs

import backprop_tui as bt
from backprop_tui.plan import PHASES, Plan, plan_of
from backprop_tui.program import compile_program

TWO_LAYERS = """
z1 = x @ W1 + b1
h = sigmoid(z1)
unused = exp(h)
z2 = h @ W2
L = half_squared_error(z2, y)
"""


def two_layers(**options: object) -> Plan:
    data, parameters = {"x": (1, 2), "y": (1, 1)}, {"W1": (2, 3), "b1": (3,), "W2": (3, 1)}
    return Plan(compile_program(TWO_LAYERS, data, parameters, loss="L"), **options)  # type: ignore[arg-type]  # the options are a test's, of mixed types


def written(plan: Plan) -> list[str]:
    """Every step of a run as a line."""
    graph = plan.graph
    lines = []
    for step in range(1, plan.total + 1):
        place = plan.place(step)
        line = f"{place.iteration} {place.phase} {graph.label(plan.node_at(place))}"
        if place.phase == "backward":
            line += f" → {graph.label(plan.targets[place.index])}"
        lines.append(line)
    return lines


def test_the_steps_are_forward_seed_backward_update_in_the_order_of_the_format() -> None:
    plan = two_layers(iterations=2, learning_rate=0.1, update=("W2", "W1"))
    once = [
        *("forward x @ W1", "forward z1", "forward h", "forward unused", "forward z2", "forward L"),
        "seed L",
        *("backward L → z2", "backward z2 → h", "backward z2 → W2", "backward h → z1"),
        *("backward z1 → x @ W1", "backward z1 → b1", "backward x @ W1 → W1"),
        *("update W2", "update W1"),
    ]
    assert written(plan) == [f"{iteration} {line}" for iteration in (0, 1) for line in once]


def test_without_training_there_is_one_iteration_and_no_update() -> None:
    plan = two_layers()
    assert (plan.iterations, plan.update_steps, plan.total) == (1, 0, 14)
    assert [plan.phase_steps(phase) for phase in PHASES] == [6, 1, 7, 0]


def test_an_operand_that_stands_twice_is_walked_to_twice_left_to_right() -> None:
    plan = Plan(compile_program("y = w * w\nL = y + y", {}, {"w": ()}))
    assert written(plan)[3:] == ["0 backward L → y", "0 backward L → y", "0 backward y → w", "0 backward y → w"]
    assert list(plan.slots) == [0, 1, 0, 1]


def test_a_gradient_is_complete_before_it_is_walked_back_through() -> None:
    source = "h = w * 2\na = sin(h)\nb = cos(h)\nL = b * a"
    plan = Plan(compile_program(source, {}, {"w": ()}))
    assert written(plan)[5:] == [
        *("0 backward L → b", "0 backward L → a", "0 backward b → h", "0 backward a → h"),
        "0 backward h → w",
    ]


def test_what_the_loss_does_not_depend_on_runs_forward_and_is_left_out_backward() -> None:
    plan = Plan(compile_program("a = w * 2\nb = exp(w)\nc = b * a\nL = sin(a)", {}, {"w": ()}))
    assert written(plan) == [
        *("0 forward a", "0 forward b", "0 forward c", "0 forward L", "0 seed L"),
        *("0 backward L → a", "0 backward a → w"),
    ]


def test_no_gradient_flows_to_data_through_comparisons_or_past_stop_gradient() -> None:
    source = "a = x * w\nb = stop_gradient(a) * a\nc = where(a > x, b, x)\nd = x + 1\nL = c * d"
    plan = Plan(compile_program(source, {"x": ()}, {"w": ()}))
    backward = [line for line in written(plan) if "backward" in line]
    assert backward == ["0 backward L → c", "0 backward c → b", "0 backward b → a", "0 backward a → w"]


def test_without_a_parameter_there_is_only_the_seed() -> None:
    plan = Plan(compile_program("L = x * x", {"x": ()}, {}))
    assert written(plan) == ["0 forward L", "0 seed L"]
    assert plan.writes_to(0).size == 0


def test_a_loss_that_is_a_parameter_has_nothing_to_walk_through() -> None:
    plan = Plan(compile_program("", {}, {"w": ()}, loss="w"), iterations=2, learning_rate=1.0, update=("w",))
    assert written(plan) == ["0 seed w", "0 update w", "1 seed w", "1 update w"]


def test_frames_are_walked_back_in_the_reverse_order() -> None:
    source = "def f(a):\n    z = a * w\n    return sin(z)\ny = f(x) + f(w)"
    plan = Plan(compile_program(source, {"x": ()}, {"w": ()}))
    backward = [line.removeprefix("0 backward ") for line in written(plan) if "backward" in line]
    assert backward == [
        *("y → sin(z)", "y → sin(z)", "sin(z) → f#2.z", "f#2.z → w", "f#2.z → w"),
        *("sin(z) → f.z", "f.z → w"),
    ]


def test_a_scenario_has_one_plan_with_its_training() -> None:
    text = "format = 1\ntitle = 't'\nprogram = 'L = w * v'\n[parameters]\nw = 1\nv = 2\n"
    scenario = bt.loads(text + "[training]\nsteps = 3\nlearning_rate = 0.5\nupdate = ['v']\n")
    plan = plan_of(scenario)
    assert plan is plan_of(scenario)
    assert (plan.iterations, plan.learning_rate, plan.updated) == (3, 0.5, (1,))
    assert plan_of(bt.loads(text)).total == 4


def test_the_plan_is_there_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = two_layers()

    def never(*_: object) -> object:
        raise AssertionError("something was computed")

    monkeypatch.setattr(plan, "functions", [never] * len(plan.functions))
    monkeypatch.setattr(plan, "pulls", [never] * len(plan.pulls))
    assert len(written(plan)) == plan.total
    assert [plan.summed_axes(k) for k in range(plan.backward_steps)] == [(), (), (), (), (), (0,), ()]
    derivative, call, reads = plan.derivative(1)
    assert (derivative.how, call.out, [plan.graph.label(i) for i in reads]) == ("right", (1, 1), ["W2"])


# Properties of every plan.


@given(programs, st.integers(1, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_place_and_step_of_undo_each_other(program: Program, iterations: int, updated: bool) -> None:
    graph = program.scenario().graph
    update = tuple(graph.parameters) if updated else ()
    plan = Plan(graph, iterations=iterations, learning_rate=0.1, update=update)
    places = [plan.place(step) for step in range(1, plan.total + 1)]
    assert [plan.step_of(p.iteration, p.phase, p.index) for p in places] == list(range(1, plan.total + 1))
    every = [
        (iteration, phase, index) for iteration in range(iterations) for phase in PHASES for index in range(plan.phase_steps(phase))
    ]
    assert [(p.iteration, p.phase, p.index) for p in places] == every
    assert plan.total == plan.period * iterations


@given(programs)
@settings(max_examples=60, deadline=None)
def test_the_writes_into_a_gradient_are_linked_in_their_order(program: Program) -> None:
    plan = plan_of(program.scenario())
    pairs = list(plan.graph.backward_pairs())
    assert list(zip(plan.sources, plan.slots, plan.targets, strict=True)) == pairs
    last: dict[int, int] = {plan.graph.loss: 0}
    for k, (node, _, operand) in enumerate(pairs):
        assert plan.uppers[k] == last[node]
        assert plan.earlier[k] == last.get(operand, -1)
        last[operand] = k + 1
    # nothing is added to a gradient after it was walked back through
    for k, upper in enumerate(plan.uppers):
        assert upper == plan.last_write[plan.sources[k]]
    for node in range(len(plan.graph)):
        assert list(plan.writes_to(node)) == [k for k, (_, _, operand) in enumerate(pairs) if operand == node]
        assert plan.last_write[node] == last.get(node, -1)


@given(programs)
@settings(max_examples=40, deadline=None)
def test_the_uses_of_a_node_are_the_applications_that_have_it_as_an_operand(program: Program) -> None:
    graph = program.scenario().graph
    plan = Plan(graph)
    for node in range(len(graph)):
        uses = [n.index for n in graph.nodes() for operand in n.operands if operand == node]
        assert list(plan.uses_of(node)) == uses


@given(programs)
@settings(max_examples=40, deadline=None)
def test_the_level_of_a_node_counts_the_derivatives_of_the_way_first_walked(program: Program) -> None:
    plan = plan_of(program.scenario())
    for node in range(len(plan.graph)):
        if plan.last_write[node] == -1:
            continue
        level, at = 0, node
        while at != plan.graph.loss:
            at, level = plan.sources[int(plan.writes_to(at)[0])], level + 1
        assert plan.level[node] == level


def test_any_place_of_a_long_run_is_found_at_once() -> None:
    graph = compile_program("y = w\nfor t in range(50000):\n    y = y * w", {}, {"w": ()})
    plan = Plan(graph, iterations=1_000_000, learning_rate=0.1, update=("w",))
    begun = time.perf_counter()
    for step in np.linspace(1, plan.total, 1000).astype(int).tolist():
        place = plan.place(step)
        assert plan.step_of(place.iteration, place.phase, place.index) == step
    assert time.perf_counter() - begun < 2
