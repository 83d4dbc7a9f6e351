"""`check`: it finds what is wrong, says what cannot be checked, and holds where nothing is wrong."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_programs import EVERY_OP, program_of_op, random_program

import backprop_tui as bt
from backprop_tui.ops import CALLABLE, OPS
from backprop_tui.ops.op import Call, LocalDerivative, Op, elementwise
from backprop_tui.study.check import check
from backprop_tui.study.gradient_check import check_gradients


def scenario_of(program: str, parameters: str = "w = 0.75", more: str = "", data: str = "") -> bt.Scenario:
    tables = f"[data]\n{data}\n[parameters]\n{parameters}\n{more}\n"
    return bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n{tables}")


def plant(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    """Replaces an op, for the time of a test, by one with a mistake in it."""
    op = replace(OPS[name], **changes)
    for table in (OPS, CALLABLE):
        if name in table:
            monkeypatch.setitem(table, name, op)


# Nothing is wrong.


@pytest.mark.parametrize("name", EVERY_OP)
def test_every_op_is_found_right(name: str) -> None:
    report = check(program_of_op(name).scenario())
    assert report.failures == ()
    assert report.holds


def test_random_programs_are_found_right() -> None:
    for seed in range(60):
        scenario = random_program(f"check {seed}", 1 + seed % 4).scenario()
        report = check(scenario)
        assert report.failures == (), f"seed {seed}\n{scenario.program}"
        assert report.steps == len(bt.record(scenario))
        assert len(report.gradients.locals) == report.gradients.steps
        entries = sum(np.size(value) for value in scenario.parameters.values())
        assert len(report.gradients.gradients) == entries


def test_the_check_runs_in_double_precision_whatever_the_scenario_has() -> None:
    text = "format = 1\ntitle = 't'\nprecision = 'float32'\nprogram = 'L = sum(exp(w) * w ** 3)'\n[parameters]\nw = [0.1, 3]\n"
    report = check_gradients(bt.loads(text))
    assert report.failures == report.undecided == []
    assert all(abs(f.rule - f.numeric) < 1e-6 * abs(f.rule) for f in report.gradients)


def test_an_intended_stop_is_no_mistake() -> None:
    report = check(scenario_of("a = w * w\nb = stop_gradient(a) * a\nL = b + stop_gradient(b) * w"))
    assert report.failures == ()
    assert report.gradients.undecided == []


def test_a_parameter_that_the_loss_does_not_depend_on_is_right_with_zeros() -> None:
    report = check(scenario_of("a = spare * 2\nL = w * w", "w = 1\nspare = [1, 2]"))
    assert report.holds
    assert [f.rule for f in report.gradients.gradients if "spare" in f.what] == [0.0, 0.0]


def test_a_long_run_is_checked_at_steps_spread_over_it() -> None:
    program = "y = w\nfor t in range(2000):\n    y = y * 0.9999 + v * 0.0001\nL = sum(y)"
    report = check_gradients(scenario_of(program, "w = [1, 2]\nv = 3"))
    assert report.steps > len(report.locals) == 5000
    assert report.failures == []
    assert [f.what for f in report.gradients] == ["gradient of w[0]", "gradient of w[1]", "gradient of v"]


def test_large_arrays_are_checked_along_a_direction() -> None:
    report = check_gradients(scenario_of("L = sum(tanh(W @ x))", "W = { normal = [40, 30] }", data="x = { normal = [30] }"))
    assert [f.what for f in report.gradients] == ["gradient of W along a random direction"]
    assert report.failures == []


# Something is wrong.


def wrong(formula: str, value: Callable[..., Any], **more: Any) -> tuple[Any, ...]:
    return (elementwise(formula, ("out",), value, **more),)


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"derivatives": wrong("out", lambda out: out)}, "local"),
        ({"derivatives": wrong("1 - out", lambda out: 1 - out)}, "local"),
        ({"derivatives": wrong("-(1 - out ** 2)", lambda out: out * out - 1)}, "local"),
        ({"derivatives": wrong("1 - out ** 2", lambda out: (1 - out * out) * 1.001)}, "local"),
        # the array that is shown is right, and what is multiplied in is not
        ({"derivatives": wrong("1 - out ** 2", lambda out: 1 - out * out, pull=lambda u, out: u * out)}, "pull"),
        # and the other way round
        ({"derivatives": wrong("out", lambda out: out, pull=lambda u, out: u * (1 - out * out))}, "shown"),
        # the rule is that of another function than the one computed
        ({"bind": lambda call: np.arctan}, "local"),
    ],
)
def test_a_wrong_local_derivative_is_found(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], how: str) -> None:
    plant(monkeypatch, "tanh", **changes)
    report = check(scenario_of("h = w * w\ny = tanh(h)\nL = y * y"))
    assert not report.holds
    found = [str(f) for f in report.gradients.failures]
    assert found[0].startswith("step 7: ∂(y)/∂(h): ")
    if how in ("pull", "shown"):
        assert "the local derivative that is shown is not the one multiplied in" in found[0]
    else:
        assert "by the rule" in found[0]
    # and through it the gradient, wherever what is multiplied in is wrong
    assert any("gradient of w" in line for line in found) == (how != "shown")
    assert report.failures == tuple(found)


def test_a_wrong_side_of_a_matrix_product_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_left(_call: Call) -> LocalDerivative:
        return LocalDerivative("right", "b", ("b",), lambda b: b)  # not transposed: conforms where b is square

    plant(monkeypatch, "matmul", derivatives=(of_left, OPS["matmul"].derivatives[1]))
    report = check(scenario_of("L = sum(x @ W)", "x = [[1, 2], [3, 4]]\nW = [[1, 5], [-2, 3]]"))
    assert "∂(x @ W)/∂(x)" in str(report.gradients.failures[0])
    assert {f.what.split("[")[0] for f in report.gradients.failures[1:]} == {"gradient of x"}


def test_a_gradient_that_is_not_let_through_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "multiply", derivatives=(OPS["multiply"].derivatives[0], None))
    report = check(scenario_of("L = w * w"))
    assert [f.what for f in report.gradients.failures] == ["gradient of w"]


def test_a_forgotten_sum_over_the_broadcast_axes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_b(call: Call) -> LocalDerivative:
        first = (0,) * (len(call.out) - len(call.shapes[1]))
        positions = np.arange(np.prod(call.out)).reshape(call.out)[first]
        return LocalDerivative("rearrange", "1", (), lambda: positions, pull=lambda u: u[first])

    plant(monkeypatch, "add", derivatives=(OPS["add"].derivatives[0], of_b))
    report = check(scenario_of("L = sum(square(A + b))", "A = [[1, 2], [3, 4]]\nb = [0.5, 0.25]"))
    assert {f.what.split("[")[0] for f in report.gradients.failures} >= {"gradient of b"}


@pytest.mark.parametrize("name", [op.name for op in OPS.values() if op.name in EVERY_OP])
def test_a_sign_turned_in_any_op_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    op = OPS[name]
    if all(derive is None for derive in op.derivatives) and not op.variadic:
        return

    def turned(derivative: LocalDerivative) -> LocalDerivative:
        def pull(upstream: Any, *reads: Any) -> Any:
            return operator.neg(derivative.apply(upstream, *reads))

        return replace(derivative, pull=pull)

    def derive_turned(derive: Callable[[Call], LocalDerivative]) -> Callable[[Call], LocalDerivative]:
        return lambda call: turned(derive(call))

    changes: dict[str, Any] = {"derivatives": tuple(None if derive is None else derive_turned(derive) for derive in op.derivatives)}
    if op.variadic_derivative is not None:
        right = op.variadic_derivative
        changes["variadic_derivative"] = lambda call, operand: turned(right(call, operand))
    plant(monkeypatch, name, **changes)
    assert not check(program_of_op(name).scenario()).holds


# Kinks.


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("L = relu(w - w)", "relu′(0) is taken as 0"),
        ("L = abs(w * 0)", "abs′(0) is taken as 0"),
        ("L = maximum(w, w)", "a tie is shared equally"),
        ("L = max(stack((w, w, 0)))", "a tie is shared equally"),
        ("L = clip(w, w, 3)", "at a bound"),
        ("L = leaky_relu(0 * w)", "slope of the negative side"),
    ],
)
def test_a_kink_is_reported_and_not_failed(program: str, why: str) -> None:
    report = check(scenario_of(program))
    assert report.failures == ()
    undecided = [str(f) for f in report.gradients.undecided]
    assert any(why in line and "not checked" in line for line in undecided)


def test_a_kink_within_the_step_of_the_difference_is_reported_and_not_failed() -> None:
    report = check(scenario_of("L = relu(w)", "w = 1e-9"))
    assert report.failures == ()
    assert [f.what for f in report.gradients.undecided] == ["step 3: ∂(L)/∂(w)", "gradient of w"]


def test_a_step_between_two_values_is_no_kink_of_the_rule() -> None:
    # where jumps at w = 0.75; the rule is right on either side
    report = check(scenario_of("L = where(w > 0.5, w * 2, 7)"))
    assert report.holds
    assert report.gradients.undecided == []


def test_a_mistake_beside_a_kink_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "sin", derivatives=wrong("out", lambda out: out))
    report = check(scenario_of("L = relu(w - w) + sin(w)"))
    assert any("∂(sin(w))/∂(w)" in f.what for f in report.gradients.failures)


def test_what_is_not_finite_is_said_not_to_be_checked() -> None:
    report = check(scenario_of("L = log(w) + exp(v)", "w = -1\nv = 1000"))
    assert report.failures == ()
    assert {f.why for f in report.gradients.undecided} == {
        "not everything in it is finite there",
        "the loss beside it is not finite",
        "it is not finite",
    }


# Expected answers.


def expecting(text: str) -> bt.Scenario:
    return scenario_of("h = w * 2\nL = h * h", "w = 1.5", text)


def test_expected_answers_that_agree_hold() -> None:
    report = check(
        expecting(
            "[training]\nsteps = 2\nlearning_rate = 0.01\n[expected]\nvalues = { L = 7.6176, w = 1.38, h = 2.76 }\n"
            "gradients = { w = 11.04, h = 5.52, L = 1 }\nupdated = { w = 1.2696 }"
        )
    )
    assert report.failures == ()
    assert len(report.expected) == 7


@pytest.mark.parametrize(
    ("expected", "failure"),
    [
        ("values = { L = 9.1 }", "value of L: expected 9.1, computed 9, tolerance 1e-09"),
        ("gradients = { w = 12.5 }", "gradient of w: expected 12.5, computed 12"),
        ("values = { h = nan }", "value of h: expected nan, computed 3"),
        ("values = { h = inf }", "value of h: expected inf, computed 3"),
        ("values = { h = 3.00000001 }", "value of h: expected 3.00000001, computed 3"),
    ],
)
def test_an_expected_answer_that_differs_is_found(expected: str, failure: str) -> None:
    report = check(expecting(f"[expected]\n{expected}"))
    assert not report.holds
    assert [line for line in report.failures if line.startswith(failure)] == list(report.failures)


def test_the_tolerance_is_absolute_and_the_entry_that_is_farthest_off_is_named() -> None:
    scenario = scenario_of(
        "L = sum(w * w)", "w = [[1, 2], [3, 4]]", "[expected]\ntolerance = 0.5\ngradients = { w = [[2, 4], [5, 9]] }"
    )
    (comparison,) = check(scenario).expected
    assert (comparison.place, comparison.error, comparison.holds) == ((1, 0), 1.0, False)
    assert str(comparison) == "gradient of w[1, 0]: expected 5, computed 6, tolerance 0.5"


def test_nan_and_infinity_are_expected_where_they_are_expected() -> None:
    more = "[expected]\nvalues = { a = inf, b = nan }"
    assert check(scenario_of("a = 1 / w\nb = a - a\nL = a + b", "w = 0", more)).failures == ()


# Claims.

NOTES = "h = x @ W1\nyhat = h @ W2\nL = half_squared_error(yhat, y)"
LEAVES = "W1 = [[0.1, 0.2], [0.3, 0.4]]\nW2 = [[0.5], [0.6]]"
DATA = "x = [[1, 2], [3, 4], [5, 6]]\ny = [[1], [2], [3]]"


@pytest.mark.parametrize(
    ("gradient", "formula", "verdict"),
    [
        ("W2", "h.T @ (yhat - y)", "correct"),
        ("W2", "(x @ W1).T @ grad(yhat)", "correct"),
        ("W2", "(yhat - y) @ h", "shape"),
        ("W2", "(yhat - y).T @ h", "shape"),
        ("W2", "h.T @ (y - yhat)", "value"),
        ("W1", "x.T @ (yhat - y) @ W2.T", "correct"),
        ("W1", "x.T @ (yhat - y)", "shape"),
        ("W1", "x.T @ (yhat - y) @ W2.T * 1.0001", "value"),
        ("W1", "0", "shape"),
        ("yhat", "yhat - y", "correct"),
        ("L", "1", "correct"),
        ("h", "grad(yhat) @ W2.T", "correct"),
    ],
)
def test_claims_are_judged(gradient: str, formula: str, verdict: str) -> None:
    claim = f'[[claims]]\ngradient = "{gradient}"\nformula = "{formula}"\nverdict = "{verdict}"'
    report = check(scenario_of(NOTES, LEAVES, claim, DATA))
    assert report.failures == ()
    (judgement,) = report.claims
    assert (judgement.verdict, judgement.as_expected) == (verdict, True)


@pytest.mark.parametrize("said", ["correct", "shape", "value"])
@pytest.mark.parametrize(
    ("formula", "verdict"), [("h.T @ (yhat - y)", "correct"), ("(yhat - y) @ h", "shape"), ("h.T @ yhat", "value")]
)
def test_a_verdict_that_is_not_the_expected_one_fails(formula: str, verdict: str, said: str) -> None:
    claim = f'[[claims]]\ngradient = "W2"\nformula = "{formula}"\nverdict = "{said}"'
    report = check(scenario_of(NOTES, LEAVES, claim, DATA))
    assert report.holds == (said == verdict)
    if said != verdict:
        (failure,) = report.failures
        assert f"said to be '{said}', is '{verdict}'" in failure


def test_a_judgement_says_why() -> None:
    def why(formula: str) -> str:
        claim = f'[[claims]]\ngradient = "W2"\nformula = "{formula}"'
        (judgement,) = check(scenario_of(NOTES, LEAVES, claim, DATA)).claims
        return judgement.why

    assert why("(yhat - y) @ h") == ("matmul cannot multiply 3 × 1 @ 3 × 2: the inner sizes 1 and 3 differ")
    assert why("(yhat - y).T @ h") == "it has the shape (1 × 2), the gradient of W2 has (2 × 1)"
    assert why("h.T @ (y - yhat)").startswith("entry [0, 0] is ")
    assert why("h.T @ (yhat - y)") == "it equals the gradient"


def test_a_claim_is_not_correct_because_the_gradient_is_infinite_somewhere() -> None:
    claim = '[[claims]]\ngradient = "w"\nformula = "w * 7"\nverdict = "value"'
    report = check(scenario_of("L = sum(sqrt(w))", "w = [0, 4]", claim))
    assert report.failures == ()


def test_a_claim_about_nan_is_correct_with_nan_where_the_gradient_has_it() -> None:
    claim = '[[claims]]\ngradient = "w"\nformula = "1 / w * log(w) / log(w)"'
    assert check(scenario_of("L = log(w) * 0 / 0", "w = -1", claim)).claims[0].verdict == "correct"


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("norm()", "norm takes 1 operand, not 0"),
        ("norm(W1, W2)", "norm takes 1 operand, not 2"),
        ("sum(W1, axis=W2)", "'W2' is not a constant"),
        ("W1[x]", "'x' is not a constant"),
        ("sum(W1, axes=0)", "unknown option 'axes'"),
        ("W3", "unknown name 'W3'"),
        ("grad(W3)", "unknown name 'W3'"),
        ("grad(W1 + W2)", "grad(…) takes one name"),
        ("W1 +", "not an expression of the language"),
    ],
)
def test_a_formula_that_cannot_be_computed_is_refused_when_it_is_read(formula: str, message: str) -> None:
    claim = f'[[claims]]\ngradient = "W2"\nformula = "{formula}"'
    with pytest.raises(bt.ScenarioError) as caught:
        scenario_of(NOTES, LEAVES, claim, DATA)
    assert message in str(caught.value)


@pytest.mark.parametrize("formula", ["broadcast_to(W2, (100000, 100000, 2, 1))", "reshape(W2, (1,) )"])
def test_a_claim_is_of_the_wrong_shape_however_large(formula: str) -> None:
    claim = f'[[claims]]\ngradient = "W2"\nformula = "{formula} * 1"\nverdict = "shape"'
    assert check(scenario_of(NOTES, LEAVES, claim, DATA)).claims[0].verdict == "shape"


def test_the_ops_that_were_replaced_are_there_again() -> None:
    tanh: Op = OPS["tanh"]
    assert tanh.derivatives[0] is not None
    assert check(scenario_of("L = tanh(w) * sin(w)")).holds


def test_a_gradient_that_no_parameter_needs_is_computed_to_judge_what_is_said_of_it() -> None:
    more = '[expected]\ngradients = { x = 4, a = 2, w = 6 }\n[[claims]]\ngradient = "a"\nformula = "grad(x) / 2"\n'
    scenario = scenario_of("a = x * 2\nL = a * w", "w = 2", more, "x = 3")
    assert check(scenario).failures == ()
    training = "[training]\nsteps = 2\nlearning_rate = 0.1\n"
    # x is not updated: after the first step w is 2 − 0.1 · 6 = 1.4
    after = training + more.replace("x = 4, a = 2", "x = 2.8, a = 1.4")
    assert check(scenario_of("a = x * 2\nL = a * w", "w = 2", after, "x = 3")).failures == ()
