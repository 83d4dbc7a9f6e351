"""The recording: what executing a plan keeps, lazily, read-only, and the state at any position."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import EVERY_OP, Program, program_of_op, programs

import backprop_tui as bt
from backprop_tui.ops.op import Array, unbroadcast
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, UpdateStep

PROGRAMS = [program_of_op(name) for name in EVERY_OP]
TRAINING = "steps = 3\nlearning_rate = 0.1"


def scenario_of(program: str, parameters: str, data: str = "", more: str = "") -> bt.Scenario:
    tables = f"[data]\n{data}\n[parameters]\n{parameters}\n{more}\n"
    return bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n{tables}")


def same_states(one: dict[str, tuple[Any, Any]], other: dict[str, tuple[Any, Any]]) -> bool:
    return one.keys() == other.keys() and all(
        (a is None) == (b is None) and (a is None or np.array_equal(a, b, equal_nan=True))
        for key in one
        for a, b in zip(one[key], other[key], strict=True)
    )


# What is executed, and when.


def count_calls(recording: bt.Recording) -> list[str]:
    """Wraps every kernel of the plan so that it is noted when it runs."""
    done: list[str] = []

    def noted(kernel: Callable[..., Array], what: str) -> Callable[..., Array]:
        def run(*operands: Array) -> Array:
            done.append(what)
            return kernel(*operands)

        return run

    plan = recording.plan
    plan.functions = [noted(f, f"forward {k}") for k, f in enumerate(plan.functions)]
    plan.pulls = [None if f is None else noted(f, f"backward {k}") for k, f in enumerate(plan.pulls)]
    return done


def test_nothing_is_executed_before_it_is_reached() -> None:
    recording = bt.Recording(scenario_of("a = w * 2\nb = sin(a)\nL = b * b", "w = 0.5", more=f"[training]\n{TRAINING}"))
    done = count_calls(recording)
    assert len(recording) == 0
    recording.state(0)
    assert (done, len(recording)) == ([], 0)
    recording.advance(2)
    assert (done, len(recording)) == (["forward 0", "forward 1"], 2)
    recording.advance(1)
    recording.advance(2)
    assert len(done) == 2
    recording.state(4)
    assert done == ["forward 0", "forward 1", "forward 2"]
    recording.step(5)
    assert done[3:] == ["backward 0"]
    recording.advance(10**9)
    assert len(recording) == recording.plan.total == 3 * 9
    assert len(done) == 3 * 7


def test_what_was_executed_is_never_executed_again() -> None:
    recording = bt.Recording(scenario_of("L = w * w", "w = 3"))
    done = count_calls(recording)
    for position in (4, 0, 2, 4, 1):
        recording.state(position)
        recording.step(max(position, 1))
    assert done == ["forward 0", "backward 0", "backward 1"]


def test_asking_for_a_result_runs_as_far_as_it_needs() -> None:
    scenario = scenario_of("L = w * w", "w = 3", more=f"[training]\n{TRAINING}")
    recording = bt.Recording(scenario)
    assert float(recording.loss) == 9.0
    assert len(recording) == 4
    assert float(recording.gradients["w"]) == 6.0
    assert len(recording.losses) == 1


@pytest.mark.parametrize("first", [0, 1, 3, 4, 5, 9])
def test_looking_at_a_state_first_changes_nothing(first: int) -> None:
    scenario = scenario_of("L = w * w", "w = 3", more=f"[training]\n{TRAINING}")
    looked = bt.Recording(scenario)
    looked.state(0)
    looked.state(first)
    whole = bt.record(scenario)
    for position in range(whole.plan.total + 1):
        assert same_states(looked.state(position).snapshot(), whole.state(position).snapshot())


def test_steps_and_positions_that_a_run_does_not_have_are_refused() -> None:
    recording = bt.Recording(scenario_of("L = w * w", "w = 3"))
    for call in (recording.state, recording.step):
        for number in (-1, 5, 10**12):
            with pytest.raises(IndexError):
                call(number)
    with pytest.raises(IndexError):
        recording.step(0)
    assert len(recording) == 0
    with pytest.raises(IndexError):
        recording[0]
    recording.advance(3)
    assert (recording[0].number, recording[-1].number, recording[2].number) == (1, 3, 3)
    assert [step.number for step in recording] == [1, 2, 3]


# Values and gradients.


def test_the_numbers_of_the_notes_page() -> None:
    program = "z1 = x @ W1 + b1\nh = sigmoid(z1)\nz2 = h @ W2 + b2\nyhat = sigmoid(z2)\nL = half_squared_error(yhat, y)"
    parameters = "W1 = [[0.15, 0.25], [0.20, 0.30]]\nb1 = [0.35, 0.35]\nW2 = [[0.40, 0.50], [0.45, 0.55]]\nb2 = [0.6, 0.6]"
    recording = bt.record(scenario_of(program, parameters, "x = [[0.05, 0.10]]\ny = [[0.01, 0.99]]"))
    assert recording.loss == pytest.approx(0.298371109, abs=1e-9)
    want = [[0.000438568, 0.000497713], [0.000877135, 0.000995425]]
    np.testing.assert_allclose(recording.gradients["W1"], want, atol=1e-9)
    kinds = [(step.kind, type(step)) for step in recording]
    assert set(kinds) == {("forward", ForwardStep), ("seed", SeedStep), ("backward", BackwardStep)}
    assert repr(recording[0]) == "<step 1: forward x @ W1>"


def test_a_parameter_that_the_loss_does_not_depend_on_has_a_gradient_of_zeros() -> None:
    program = "a = spare * 2\nb = stop_gradient(held) * w\nL = b"
    for precision, dtype in (("float64", np.float64), ("float32", np.float32)):
        text = f"format = 1\ntitle = 't'\nprecision = '{precision}'\nprogram = '''\n{program}\n'''\n"
        text += "[parameters]\nspare = [[1, 2]]\nheld = 3\nw = 2\n[training]\nlearning_rate = 1\n"
        gradients = bt.record(bt.loads(text)).gradients
        assert np.array_equal(gradients["spare"], [[0, 0]])
        assert gradients["spare"].dtype == gradients["held"].dtype == dtype
        assert (gradients["held"], gradients["w"]) == (0, 3)
        assert isinstance(gradients["held"], np.generic)


def test_without_a_parameter_there_is_still_a_loss() -> None:
    recording = bt.record(scenario_of("L = x * x", "", "x = 3"))
    assert (recording.gradients, recording.loss, len(recording)) == ({}, 9.0, 2)


def test_a_loss_that_is_a_parameter_has_the_seed_as_its_gradient() -> None:
    text = "format = 1\ntitle = 't'\nloss = 'w'\nprogram = 'y = sin(w)'\n[parameters]\nw = 2\n"
    recording = bt.record(bt.loads(text + "[training]\nsteps = 2\nlearning_rate = 0.5\n"))
    assert recording.gradients == {"w": 1.0}
    assert [float(loss) for loss in recording.losses] == [2.0, 1.5]
    assert recording.parameters == {"w": 1.0}


def test_gradients_start_again_in_each_iteration() -> None:
    recording = bt.record(scenario_of("L = w * w + w", "w = 1", more=f"[training]\n{TRAINING}"))
    plan = recording.plan
    w = recording.graph.leaf("w")
    for iteration in range(3):
        start = iteration * plan.period
        after_forward = recording.state(start + 1)
        assert after_forward.gradient(w) is None
        assert after_forward.gradient(recording.graph.loss) is None
        assert recording.state(start + 3).gradient(recording.graph.loss) == 1.0
        value = recording.value(iteration, w)
        assert recording.gradient(iteration, w) == pytest.approx(2 * value + 1)
    # at the end of an iteration its gradients still stand
    assert recording.state(plan.period).gradient(w) == 3.0
    assert recording.state(plan.period).value(w) == pytest.approx(1 - 0.1 * 3)


def test_an_update_takes_its_gradient_from_before_all_updates() -> None:
    recording = bt.record(scenario_of("L = v * w", "v = 2\nw = 5", more="[training]\nlearning_rate = 0.1"))
    assert recording.parameters == {"v": pytest.approx(2 - 0.1 * 5), "w": pytest.approx(5 - 0.1 * 2)}
    steps = [step for step in recording if isinstance(step, UpdateStep)]
    assert [(s.node, s.before, s.grad) for s in steps] == [("v", 2.0, 5.0), ("w", 5.0, 2.0)]
    state = recording.state(steps[0].number)
    assert state.value(recording.graph.leaf("v")) == pytest.approx(1.5)
    assert state.value(recording.graph.leaf("w")) == 5.0
    # the forward value of the iteration is kept
    assert recording.value(0, recording.graph.leaf("v")) == 2.0


def test_only_the_named_parameters_are_updated_in_their_order() -> None:
    more = "[training]\nsteps = 2\nlearning_rate = 0.1\nupdate = ['w', 'u']"
    recording = bt.record(scenario_of("L = u * v * w", "u = 1\nv = 2\nw = 3", more=more))
    assert [s.node for s in recording if isinstance(s, UpdateStep)] == ["w", "u", "w", "u"]
    assert recording.parameters["v"] == 2.0


def by_hand(steps: int, rate: float) -> dict[str, Any]:
    """A two-layer network trained by gradient descent, written out in NumPy."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    p = {"W1": rng.normal(size=(3, 4)), "b1": rng.normal(size=4), "W2": rng.normal(size=(4, 2)), "b2": np.zeros(2)}
    start = {name: value.copy() for name, value in p.items()}
    losses, g = [], {}
    for _ in range(steps):
        z1 = x @ p["W1"] + p["b1"]
        h = np.tanh(z1)
        out = h @ p["W2"] + p["b2"]
        error = out - y
        losses.append(float((error**2).mean()))
        d2 = 2 * error / error.size
        d1 = (d2 @ p["W2"].T) * (1 - h**2)
        g = {"W1": x.T @ d1, "b1": d1.sum(0), "W2": h.T @ d2, "b2": d2.sum(0)}
        p = {name: p[name] - rate * g[name] for name in p}
    return {"x": x, "y": y, "start": start, "losses": losses, "gradients": g, "parameters": p}


def test_several_iterations_equal_the_same_training_written_in_numpy() -> None:
    hand = by_hand(20, 0.3)
    program = "h = tanh(x @ W1 + b1)\nL = mean_squared_error(h @ W2 + b2, y)"
    parameters = "\n".join(f"{name} = {value.tolist()}" for name, value in hand["start"].items())
    data = f"x = {hand['x'].tolist()}\ny = {hand['y'].tolist()}"
    scenario = scenario_of(program, parameters, data, "[training]\nsteps = 20\nlearning_rate = 0.3")
    recording = bt.record(scenario)
    np.testing.assert_allclose(recording.losses, hand["losses"], rtol=1e-12)
    assert recording.loss == recording.losses[-1]
    for name, want in hand["parameters"].items():
        np.testing.assert_allclose(recording.parameters[name], want, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(recording.gradients[name], hand["gradients"][name], rtol=1e-9, atol=1e-12)


def test_everything_is_of_the_scenarios_precision() -> None:
    for seed, program in enumerate(PROGRAMS):
        for precision, dtype in (("float32", np.float32), ("float64", np.float64)):
            recording = bt.record(program.scenario(precision=precision, training=TRAINING))
            for node in range(len(recording.graph)):
                assert recording.value(1, node).dtype == dtype, f"{seed}: {recording.graph.label(node)}"
            for write in range(recording.plan.backward_steps + 1):
                assert recording.written(1, write).dtype == dtype
            assert {value.dtype for value in recording.parameters.values()} == {np.dtype(dtype)}


# nan and infinity are values.


def test_nan_and_infinity_are_recorded_without_a_warning() -> None:
    program = "a = log(w) + 1 / z\nb = sqrt(w) * exp(big)\nc = big ** big - big ** big\nL = sum(softmax(v)) + a + b + c"
    scenario = scenario_of(program, "w = -1\nz = 0\nbig = 1000\nv = [inf, nan, 1]", more=f"[training]\n{TRAINING}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recording = bt.record(scenario)
        for step in recording:
            if isinstance(step, BackwardStep):
                assert np.shape(step.product) == step.product_shape
                assert (step.local is None, step.contribution is None) == (False, False)
    assert np.isnan(recording.loss)
    assert np.isnan(recording.gradients["w"])
    assert np.isnan(recording.parameters["w"])


def test_an_overflow_is_infinite() -> None:
    recording = bt.record(scenario_of("L = exp(w)", "w = 1000"))
    assert np.isinf(recording.loss)
    assert np.isinf(recording.gradients["w"])


# Read-only.


def test_nothing_that_a_recording_hands_out_can_be_written() -> None:
    for program in PROGRAMS:
        recording = bt.record(program.scenario(training="learning_rate = 0.1"))
        state = recording.state(recording.plan.total)
        handed: list[Any] = [*recording.gradients.values(), *recording.parameters.values(), *recording.values.values()]
        handed += [recording.loss, *recording.losses]
        handed += [array for pair in state.snapshot().values() for array in pair if array is not None]
        for step in recording:
            if isinstance(step, ForwardStep):
                handed += [step.value, *step.operand_values]
            elif isinstance(step, BackwardStep):
                handed += [step.upstream, step.local, step.product, step.contribution, step.grad, *step.read_values]
                handed += [] if step.before is None else [step.before]
            elif isinstance(step, UpdateStep):
                handed += [step.before, step.grad, step.after]
        for array in handed:
            # a scalar is a NumPy number, which cannot be written at all
            assert isinstance(array, np.generic) if np.ndim(array) == 0 else not array.flags.writeable


def test_writing_into_an_array_is_refused() -> None:
    recording = bt.record(scenario_of("L = sum(w * w)", "w = [1, 2]"))
    for array in (recording.gradients["w"], recording.parameters["w"], recording[0].value):  # type: ignore[attr-defined]  # a forward step comes first
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


# What steps say, for any program.


@given(programs, st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_step_says_what_was_executed(program: Program, single: bool) -> None:
    precision = "float32" if single else "float64"
    recording = bt.record(program.scenario(precision=precision, training="steps = 2\nlearning_rate = 0.05"))
    graph = recording.graph
    gradients: dict[int, Array] = {}
    for step in recording:
        if isinstance(step, ForwardStep):
            function = graph.op_of(step.node_index).bind(graph.call_of(step.node_index))
            assert np.array_equal(step.value, function(*step.operand_values))
            assert np.shape(step.value) == step.shape == graph.shapes[step.node_index]
        elif isinstance(step, SeedStep):
            gradients = {graph.loss: step.grad}
            assert step.grad == 1
        elif isinstance(step, BackwardStep):
            assert np.array_equal(step.upstream, gradients[step.node_index])
            assert step.before is gradients.get(step.operand_index) or np.array_equal(
                np.asarray(step.before), gradients[step.operand_index]
            )
            product = step.derivative.apply(step.upstream, *step.read_values)
            product = np.broadcast_to(product, step.product_shape)
            assert np.array_equal(step.product, product)
            assert np.array_equal(step.contribution, unbroadcast(product, graph.shapes[step.operand_index]))
            total = step.contribution if step.before is None else step.before + step.contribution
            np.testing.assert_allclose(step.grad, total, rtol=1e-5 if single else 1e-13)
            assert np.shape(step.grad) == graph.shapes[step.operand_index]
            gradients[step.operand_index] = step.grad
        elif isinstance(step, UpdateStep):
            rate = recording.plan.learning_rate
            np.testing.assert_array_equal(step.after, step.before - rate * step.grad)
            zeros = np.zeros(graph.shapes[step.node_index])
            np.testing.assert_array_equal(step.grad, gradients.get(step.node_index, zeros))


@given(programs)
@settings(max_examples=40, deadline=None)
def test_the_contributions_of_a_node_add_up_to_its_gradient(program: Program) -> None:
    recording = bt.record(program.scenario())
    sums: dict[int, Array] = {}
    counts: dict[int, list[tuple[int, int]]] = {}
    for step in recording:
        if isinstance(step, BackwardStep):
            node = step.operand_index
            sums[node] = sums[node] + step.contribution if node in sums else step.contribution
            counts.setdefault(node, []).append(step.contribution_number)
    for node, total in sums.items():
        np.testing.assert_allclose(recording.gradient(0, node), total, rtol=1e-13, atol=1e-300)
        assert counts[node] == [(k + 1, len(counts[node])) for k in range(len(counts[node]))]


@given(programs, st.data())
@settings(max_examples=40, deadline=None)
def test_a_state_is_the_same_however_it_is_reached(program: Program, data: st.DataObject) -> None:
    scenario = program.scenario(training="steps = 2\nlearning_rate = 0.1")
    whole, piecewise = bt.record(scenario), bt.Recording(scenario)
    positions = data.draw(st.lists(st.integers(0, whole.plan.total), max_size=6))
    for position in positions:
        assert same_states(piecewise.state(position).snapshot(), whole.state(position).snapshot())
    assert len(piecewise) == max(positions, default=0)


@given(programs)
@settings(max_examples=25, deadline=None)
def test_a_state_has_exactly_what_the_steps_before_it_made(program: Program) -> None:
    recording = bt.record(program.scenario(training="steps = 2\nlearning_rate = 0.1"))
    graph = recording.graph
    values = {i: recording.value(0, i) for i in range(graph.leaves)}
    gradients: dict[int, Array] = {}
    for position in range(len(recording) + 1):
        if position:
            step = recording[position - 1]
            if step.kind == "forward" and (position - 1) % recording.plan.period == 0:
                values, gradients = {i: values[i] for i in range(graph.leaves)}, {}
            if isinstance(step, ForwardStep):
                values[step.node_index] = step.value
            elif isinstance(step, SeedStep):
                gradients[step.node_index] = step.grad
            elif isinstance(step, BackwardStep):
                gradients[step.operand_index] = step.grad
            elif isinstance(step, UpdateStep):
                values[step.node_index] = step.after
        state = recording.state(position)
        for node in range(len(graph)):
            assert state.has_value(node) == (node in values)
            if node in values:
                assert np.array_equal(state.value(node), values[node])
            else:
                with pytest.raises(KeyError):
                    state.value(node)
            gradient = state.gradient(node)
            assert (gradient is None) == (node not in gradients)
            assert gradient is None or np.array_equal(gradient, gradients[node])


def test_a_chain_of_a_hundred_thousand_operations_is_run_both_ways() -> None:
    recording = bt.record(scenario_of("y = w\nfor t in range(100000):\n    y = y * k\nL = y", "w = 2\nk = 1"))
    assert recording.loss == 2.0
    assert recording.gradients["w"] == 1.0
    assert recording.gradients["k"] == 2.0 * 100_000
    assert len(recording) == 100_002 + 1 + 200_002
    last = recording[-1]
    assert isinstance(last, BackwardStep)
    assert last.operand == "w"


# Forks: what whatif.py makes its changes in.


def forked_of(position: int) -> tuple[bt.Recording, bt.Recording]:
    """A run of three iterations of eleven steps, executed to its end, and a fork of it at a position."""
    recording = bt.record(scenario_of("a = w * v\nb = sin(a)\nL = b * b", "w = 0.5\nv = 2", more=f"[training]\n{TRAINING}"))
    return recording, recording.forked(position)


def test_a_fork_in_which_nothing_is_changed_does_the_same() -> None:
    total = forked_of(0)[0].plan.total
    for position in range(total + 1):
        recording, fork = forked_of(position)
        assert len(fork) == position
        for at in (*range(position, total + 1), *range(position)):
            assert same_states(fork.state(at).snapshot(), recording.state(at).snapshot())
        assert [repr(step) for step in fork] == [repr(step) for step in recording]
        assert (fork.losses, fork.gradients, fork.parameters) == (recording.losses, recording.gradients, recording.parameters)


def test_a_fork_executes_only_what_comes_after_it() -> None:
    recording, _ = forked_of(0)
    done = count_calls(recording)
    fork = recording.forked(13)
    assert (fork.state(5).recording, fork.state(13).recording) == (recording, fork)
    assert done == []
    fork.advance(16)
    assert done == ["forward 2", "backward 0"]
    assert len(recording) == recording.plan.total


def test_the_steps_up_to_a_fork_are_those_of_the_recording_it_was_made_of() -> None:
    recording, fork = forked_of(13)
    again = fork.forked(20)
    early = fork.forked(4)
    total = recording.plan.total
    assert [fork.owner(step) is recording for step in range(1, total + 1)] == [step <= 13 for step in range(1, total + 1)]
    assert [again.owner(step) for step in (13, 14, 20, 21)] == [recording, fork, fork, again]
    assert [again.keeper(position) for position in (12, 13, 19, 20)] == [recording, fork, fork, again]
    # before the fork there is nothing of it
    assert early.parent is recording
    assert early.fork == 4


def test_a_value_and_a_gradient_are_changed_in_a_fork_alone() -> None:
    recording, fork = forked_of(4)
    graph = recording.graph
    before = [recording.state(at).snapshot() for at in range(recording.plan.total + 1)]
    fork.change_gradient(graph.loss, np.float64(2))  # type: ignore[arg-type]  # a NumPy scalar is an Array here
    fork.change_value(graph.leaf("v"), np.float64(5))  # type: ignore[arg-type]
    assert fork.edited(4) == {(graph.leaf("v"), False)}  # the last change of a fork is the one it is known by
    fork.advance(fork.plan.total)
    assert fork.state(4).gradient(graph.loss) == 2
    assert fork.state(4).value(graph.leaf("v")) == 5
    assert fork.gradient(0, graph.leaf("w")) == pytest.approx(2 * 2 * np.sin(1) * np.cos(1) * 5)
    for at, seen in enumerate(before):
        assert same_states(recording.state(at).snapshot(), seen)
        assert at >= 4 or same_states(fork.state(at).snapshot(), seen)
