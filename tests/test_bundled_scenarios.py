"""The bundled scenarios: each holds what it states, and its recording keeps the debugger's promises."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

import backprop_tui as bt
from backprop_tui.library import entries
from backprop_tui.recording import State
from backprop_tui.scenario import bundled
from backprop_tui.study.check import check

NAMES = [entry.name for entry in bundled()]
#: One for each thing on the notes page.
NOTES = (
    "scalar-sum",
    "matrix",
    "second-layer",
    "first-layer",
    "biases",
    "sigmoid",
    "stored-sigmoid",
    "prefix",
    "batch",
    "square",
)
EXAMPLES = (
    "mazur",
    "mazur-second-step",
    "cs231n-circuit",
    "cs231n-multiply",
    "cs231n-max",
    "cs231n-sigmoid-neuron",
    "cs231n-sigmoid-fused",
    "cs231n-patterns",
    "karpathy-parabola",
    "karpathy-expression",
    "karpathy-expression-step",
    "karpathy-neuron",
    "karpathy-tanh-parts",
    "karpathy-fan-out",
    "karpathy-fan-out-product",
    "karpathy-rounded-bias",
    "karpathy-float32",
    "micrograd-readme",
    "micrograd-sanity",
    "baydin-table",
    "d2l-dot",
    "d2l-accumulate",
    "d2l-detach",
)
#: Digits as they are printed in the source where [expected] has more of them: name → (values, gradients).
PRINTED = {
    "examples/cs231n-sigmoid-neuron": (
        {"p0": "-2.00", "p1": "6.00", "s": "4.00", "d": "1.00", "n": "-1.00", "u": "0.37", "v": "1.37", "f": "0.73"},
        {
            "f": "1.00",
            "v": "-0.53",
            "u": "-0.53",
            "n": "-0.20",
            "d": "0.20",
            "s": "0.20",
            "w0": "-0.20",
            "x0": "0.39",
            "w1": "-0.39",
            "x1": "-0.59",
            "w2": "0.20",
        },
    ),
    "examples/baydin-table": (
        {"v1": "0.693", "v2": "10", "v3": "-0.959", "v4": "10.693", "y": "11.652"},
        {"v4": "1", "v3": "-1", "v1": "1", "v2": "1", "x1": "5.5", "x2": "1.716"},
    ),
}
#: Of a longer run so many positions are looked at, spread over it.
MOST_POSITIONS = 300

each = pytest.mark.parametrize("name", NAMES)


def positions(total: int) -> list[int]:
    """Every position of a short run; of a long one a sample with both ends."""
    return sorted({int(p) for p in np.linspace(0, total, min(total + 1, MOST_POSITIONS))})


def assert_same(one: State, other: State) -> None:
    a, b = one.snapshot(), other.snapshot()
    assert a.keys() == b.keys()
    for node, pair in a.items():
        for mine, theirs in zip(pair, b[node], strict=True):
            if mine is None or theirs is None:
                assert mine is theirs, node
            else:
                np.testing.assert_array_equal(mine, theirs, err_msg=node)


@each
def test_holds(name: str) -> None:
    report = check(bt.load(name))
    assert report.holds, "\n".join(report.failures)


def test_all_there() -> None:
    assert {f"notes/{name}" for name in NOTES} <= set(NAMES)
    assert {f"examples/{name}" for name in EXAMPLES} <= set(NAMES)
    assert len(NAMES) == len(set(NAMES))


@each
def test_says_what_it_is(name: str) -> None:
    scenario = bt.load(name)
    assert scenario.title.strip()
    assert scenario.description.strip()
    assert scenario.source.strip()
    assert scenario.tags
    assert all(note.text.strip() for note in scenario.notes)
    expected = scenario.expected
    assert expected.values or expected.gradients
    if name.startswith("notes/"):
        assert scenario.notes
        assert {note.phase for note in scenario.notes} >= {"forward", "backward"}
        assert expected.values
        assert expected.gradients
        assert scenario.claims
        assert "correct" in {claim.verdict for claim in scenario.claims}
        assert {claim.verdict for claim in scenario.claims} - {"correct"}, "a wrong claim to learn from"


def test_titles_differ() -> None:
    titles = [entry.title for entry in entries()]
    assert len(titles) == len(set(titles))


@each
def test_every_parameter_has_an_expected_gradient_on_the_notes_page(name: str) -> None:
    if name.startswith("notes/"):
        scenario = bt.load(name)
        assert set(scenario.parameters) <= set(scenario.expected.gradients)


def test_the_two_orders_of_the_page() -> None:
    wrong, right = "(yhat - y) @ X @ W1", "(X @ W1).T @ (yhat - y)"
    for name, verdict in (("matrix", "shape"), ("second-layer", "shape"), ("square", "value")):
        claims = {claim.text: claim.verdict for claim in bt.load(f"notes/{name}").claims if claim.gradient == "W2"}
        assert claims[wrong] == verdict
        assert claims[right] == "correct"


def test_sigmoid_has_the_four_factors() -> None:
    recording = bt.record(bt.load("notes/sigmoid"))
    chain = [(s.node, s.operand) for s in recording if isinstance(s, bt.BackwardStep)]
    assert chain[:3] == [("L", "yhat"), ("yhat", "f2"), ("f2", "z2")]
    assert ("z2", "W2") in chain
    second = next(s for s in recording if isinstance(s, bt.BackwardStep) and s.node == "yhat")
    np.testing.assert_array_equal(second.local, np.ones((2, 1)))


def test_mazur_published_error_comes_from_updating_before_use() -> None:
    """Hidden gradients from the updated output weights give the published error, the original ones the true error."""
    scenario = bt.load("examples/mazur")
    recording = bt.record(scenario)
    values, gradients, after = recording.values, recording.gradients, recording.parameters
    x, y = scenario.data["x"], scenario.data["y"]

    def error(w1: np.ndarray) -> float:
        h = 1 / (1 + np.exp(-(x @ w1 + after["b1"])))
        yhat = 1 / (1 + np.exp(-(h @ after["W2"] + after["b2"])))
        return float(np.sum((yhat - y) ** 2) / 2)

    h, delta = values["h"], (values["yhat"] - y) * values["yhat"] * (1 - values["yhat"])
    early = x.T @ (delta @ after["W2"].T * h * (1 - h))
    assert abs(error(scenario.parameters["W1"] - 0.5 * early) - 0.291027924) <= 5e-10
    assert abs(error(scenario.parameters["W1"] - 0.5 * gradients["W1"]) - 0.29102777369359933) <= 1e-14
    second = bt.record(bt.load("examples/mazur-second-step"))
    assert abs(float(second.loss) - 0.29102777369359933) <= 1e-14


@pytest.mark.parametrize("name", PRINTED)
def test_rounds_to_what_is_printed(name: str) -> None:
    recording = bt.record(bt.load(name))
    values, gradients = PRINTED[name]
    for variable, printed in values.items():
        assert f"{float(recording.values[variable]):.{len(printed.partition('.')[2])}f}" == printed, variable
    for variable, printed in gradients.items():
        node = recording.graph.resolve(variable)
        assert node is not None
        gradient = float(recording.gradient(0, node))
        assert f"{gradient:.{len(printed.partition('.')[2])}f}" == printed, variable


@each
def test_a_note_is_shown_somewhere(name: str) -> None:
    """No note of a bundled scenario is at a place and in a phase that the run never comes to."""
    scenario = bt.load(name)
    recording = bt.record(scenario)
    reached: dict[str, set[object]] = defaultdict(set)
    for step in recording:
        if isinstance(step, bt.BackwardStep):
            reached["backward"] |= {step.operand_index, f"line {step.line}"}
        elif isinstance(step, bt.ForwardStep):
            reached["forward"] |= {step.node_index, f"line {step.line}"}
        elif isinstance(step, bt.UpdateStep):
            reached["update"].add(step.node_index)
    for note in scenario.notes:
        place = f"line {note.line}" if note.line is not None else recording.graph.resolve(note.node_name or "")
        places = reached[note.phase] if note.phase else set().union(*reached.values())
        assert place in places, note.text


@each
def test_step_and_step_back_is_nothing(name: str) -> None:
    debugger = bt.Debugger(bt.load(name))
    for position in positions(debugger.total - 1):
        debugger.go_to(position)
        before = debugger.state
        assert debugger.step()
        assert debugger.position == position + 1
        assert debugger.step_back()
        assert debugger.position == position
        assert_same(before, debugger.state)


@each
def test_go_to_is_stepping(name: str) -> None:
    scenario = bt.load(name)
    stepping, back = bt.Debugger(scenario), bt.Debugger(scenario)
    back.end()
    for position in positions(stepping.total):
        while stepping.position < position:
            assert stepping.step()
        directly = bt.Debugger(scenario)
        directly.go_to(position)
        back.go_to(position)
        assert_same(stepping.state, directly.state)
        assert_same(stepping.state, back.state)
        back.end()
    assert not stepping.step()


@each
def test_contributions_add_up_to_the_gradient(name: str) -> None:
    scenario = bt.load(name)
    recording = bt.record(scenario)
    tolerance = 1e-5 if scenario.precision == "float32" else 1e-12
    for iteration in range(recording.plan.iterations):
        sums: dict[int, np.ndarray] = {}
        for step in recording:
            if isinstance(step, bt.BackwardStep) and step.iteration == iteration:
                node = step.operand_index
                sums[node] = np.asarray(step.contribution) + sums.get(node, 0.0)
        assert sums
        for node, total in sums.items():
            gradient = np.asarray(recording.gradient(iteration, node))
            assert gradient.shape == recording.graph.shapes[node]
            np.testing.assert_allclose(total, gradient, rtol=tolerance, atol=tolerance)
