"""Stops on facts: each at exactly the steps at which its plain definition holds, over fixed programs and over any."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, programs

import backprop_tui as bt
from backprop_tui import facts
from backprop_tui.facts import FACTS, holding
from backprop_tui.ops.op import Array
from backprop_tui.recording import Recording
from backprop_tui.steps import Step


def recorded(
    program: str, parameters: str = "w = 0.5", data: str = "", training: str = "", precision: str = "float64"
) -> Recording:
    tables = f"[data]\n{data}\n[parameters]\n{parameters}\n" + (f"[training]\n{training}\n" if training else "")
    return bt.record(bt.loads(f"format = 1\ntitle = 't'\nprecision = '{precision}'\nprogram = '''\n{program}\n'''\n{tables}"))


def steps_at(recording: Recording, name: str, bound: float | None = None) -> list[int]:
    return holding(FACTS[name], bound, recording, 0, len(recording))


def about(recording: Recording, numbers: list[int]) -> list[str]:
    """Steps as words: the node, and for a backward step the operand."""
    steps = [recording.step(number) for number in numbers]
    return [f"{s.node} → {s.operand}" if isinstance(s, bt.BackwardStep) else f"{s.kind} {s.node}" for s in steps]


# The plain definitions, one step at a time


def unsound(array: Array) -> bool:
    return not np.isfinite(array).all()


def zero(array: Array | None) -> bool:
    return array is not None and np.size(array) > 0 and not np.any(array)


def norm(array: Array | None) -> float:
    """The norm; nan, which is neither below nor above anything, where there is nothing."""
    if array is None or np.size(array) == 0:
        return float("nan")
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(np.asarray(array, np.float64)))


def plainly(name: str, bound: float, recording: Recording) -> list[int]:
    """The steps at which a fact holds, by its definition."""
    found: list[int] = []
    written: Counter[tuple[int, int]] = Counter()
    for step in recording:
        back = step if isinstance(step, bt.BackwardStep) else None
        if back is not None:
            written[back.iteration, back.operand_index] += 1
        if plain(name, bound, step, back, written):
            found.append(step.number)
    return found


def plain(name: str, bound: float, step: Step, back: bt.BackwardStep | None, written: Counter[tuple[int, int]]) -> bool:
    if name == "nan-value":
        value = step.value if isinstance(step, bt.ForwardStep) else step.after if isinstance(step, bt.UpdateStep) else None
        return value is not None and unsound(value)
    if back is None:
        return False
    if name == "fan-out":
        return written[back.iteration, back.operand_index] == 2
    if name == "zero-local":  # what rearranges or copies has no numbers of its own
        return back.how != "rearrange" and bool(back.read_indices) and zero(back.local)
    return {
        "nan-gradient": unsound(back.grad),
        "zero-gradient": zero(back.grad) and not zero(back.before),
        "small-gradient": norm(back.grad) < bound and not norm(back.before) < bound,
        "large-gradient": norm(back.grad) > bound and not norm(back.before) > bound,
        "kink": back.kinks is not None,
    }[name]


ODD = st.sampled_from([0.0, 0.0, 0.0, 1e200, -1e-200, float("nan"), float("inf"), 1.0])
trainings = st.sampled_from(["", "steps = 3\nlearning_rate = 0.5", "steps = 2\nlearning_rate = 1e300"])


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """The run of any program, with some of its numbers made odd: zeros, what overflows, what is none."""
    program: Program = draw(programs)
    scenario = program.scenario(training=draw(trainings), precision=draw(st.sampled_from(["float64", "float32"])))

    def odd(value: Array) -> Array:
        changed = np.array(value)
        kind = draw(st.sampled_from(["as it is", "all", "one"]))
        with np.errstate(all="ignore"):
            if kind == "all":
                changed[...] = draw(ODD)
            elif kind == "one":
                changed.flat[0] = draw(ODD)
        return changed[()]

    tables = {"data": scenario.data, "parameters": scenario.parameters}
    return bt.record(replace(scenario, **{table: {name: odd(v) for name, v in leaves.items()} for table, leaves in tables.items()}))


@pytest.mark.parametrize("name", FACTS)
@given(recording=recordings(), bound=st.sampled_from([1e-30, 1e-3, 0.37, 1.0001, 70.3, 1e30]))
@settings(max_examples=120, deadline=None)
def test_a_fact_holds_exactly_where_its_definition_does(name: str, recording: Recording, bound: float) -> None:
    assert steps_at(recording, name, bound) == plainly(name, bound, recording)


@given(recordings(), st.data())
@settings(max_examples=60, deadline=None)
def test_how_a_run_is_cut_into_stretches_has_no_say(recording: Recording, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(recording)), max_size=6)) | {0, len(recording)})
    most = data.draw(st.sampled_from([1, 3, 1 << 20]))
    with pytest.MonkeyPatch.context() as patch:
        for name, fact in FACTS.items():
            patch.setattr(facts, "MOST_ENTRIES", 1 << 20)
            whole = steps_at(recording, name, 0.37)
            patch.setattr(facts, "MOST_ENTRIES", most)
            parts = [holding(fact, 0.37, recording, a, b) for a, b in pairwise(cuts)]
            assert [step for part in parts for step in part] == whole


# Each on a program small enough to see why


def test_the_first_infinite_value_is_stopped_at_though_nothing_reads_it_later() -> None:
    run = recorded("a = log(w)\nb = where(w > 0, a, 0)\nL = b * w", "w = 0")
    assert about(run, steps_at(run, "nan-value")) == ["forward a"]


def test_an_update_that_leaves_a_parameter_infinite_is_stopped_at() -> None:
    run = recorded("L = w * 1e300", "w = 1", training="learning_rate = 1e300")
    assert about(run, steps_at(run, "nan-value")) == ["update w"]
    assert steps_at(run, "nan-gradient") == []


def test_a_nan_in_one_entry_of_a_gradient_is_enough() -> None:
    run = recorded("h = where(w > 0, log(w), 0)\nL = sum(h)", "w = [1, 0]")
    assert about(run, steps_at(run, "nan-gradient")) == ["log(w) → w"]


def test_a_gradient_becomes_zero_where_a_contribution_cancels_the_ones_before() -> None:
    run = recorded("L = sum(w - w)", "w = [1, 2]")
    assert about(run, steps_at(run, "zero-gradient")) == ["w - w → w"]
    assert steps_at(run, "zero-gradient") == [len(run)]  # at the second of the two, not at the first


def test_a_gradient_with_one_entry_that_is_not_zero_has_not_become_zero() -> None:
    run = recorded("L = sum(relu(w))", "w = [1, -2]")
    assert steps_at(run, "zero-gradient") == []


def test_a_gradient_that_stays_zero_is_stopped_at_once() -> None:
    run = recorded("L = sum(relu(w) + relu(w))", "w = [-1, -2]")
    assert about(run, steps_at(run, "zero-gradient")) == ["relu(w) → w"]


def test_a_norm_is_stopped_at_where_it_crosses_its_bound_and_not_while_it_stays_beyond() -> None:
    # the gradient of w grows by 3 with each use, from 3 to 12
    run = recorded("a = w * 3 + w * 3\nL = a + (w * 3 + w * 3)", "w = 1")
    writes = [step.number for step in run if isinstance(step, bt.BackwardStep) and step.operand == "w"]
    assert [float(run.step(number).grad) for number in writes] == [3, 6, 9, 12]  # type: ignore[attr-defined]
    assert [step for step in steps_at(run, "large-gradient", 7) if step in writes] == [writes[2]]
    assert [step for step in steps_at(run, "large-gradient", 12) if step in writes] == []
    assert [step for step in steps_at(run, "small-gradient", 5) if step in writes] == [writes[0]]


def test_a_norm_that_is_the_bound_is_neither_below_nor_above_it() -> None:
    run = recorded("L = w * 5")
    for name in ("small-gradient", "large-gradient"):
        assert steps_at(run, name, 5) == []


def test_without_a_bound_of_its_own_a_fact_has_its_usual_one() -> None:
    run = recorded("L = w * 1e-7 + v * 2e3", "w = 1\nv = 1")
    assert about(run, steps_at(run, "small-gradient")) == ["w * 1e-7 → w"]
    assert about(run, steps_at(run, "large-gradient")) == ["v * 2e3 → v"]


def test_the_norm_of_a_gradient_in_single_precision_does_not_overflow() -> None:
    run = recorded("L = sum(w * 3e20)", "w = [1, 1]", precision="float32")
    assert steps_at(run, "large-gradient", 1e30) == []
    assert len(steps_at(run, "large-gradient", 1e20)) == 1


def test_a_second_contribution_is_a_fan_out_and_a_third_is_none_more() -> None:
    run = recorded("h = w * 2\nL = sin(h) + cos(h) + tanh(h)")
    assert about(run, steps_at(run, "fan-out")) == ["cos(h) → h"]


def test_the_seed_of_the_loss_is_no_contribution() -> None:
    assert steps_at(recorded("L = w * 2"), "fan-out") == []


def test_a_fan_out_is_one_in_every_iteration() -> None:
    run = recorded("L = w * w", training="steps = 3\nlearning_rate = 0.1")
    assert [run.plan.place(step).iteration for step in steps_at(run, "fan-out")] == [0, 1, 2]


def test_a_dead_relu_is_stopped_at_and_one_that_lives_in_one_entry_is_not() -> None:
    run = recorded("a = relu(w)\nb = relu(v)\nL = sum(a) + sum(b)", "w = [-1, -2]\nv = [-1, 2]")
    assert about(run, steps_at(run, "zero-local")) == ["a → w"]


def test_a_local_derivative_is_zero_whatever_comes_from_above() -> None:
    # from above comes 0 to the relu of v, and ∞ to the one of w: both contributions are 0 · something, or no number
    run = recorded("z = relu(v) * 0\nL = z + sqrt(relu(w))", "w = -1\nv = -1")
    assert about(run, steps_at(run, "zero-local")) == ["relu(w) → w", "z → relu(v)", "relu(v) → v"]
    assert np.isnan(run.gradients["w"])


def test_an_upstream_gradient_of_zero_does_not_make_a_local_derivative_zero() -> None:
    run = recorded("L = sin(w) * zero", data="zero = 0")
    assert about(run, steps_at(run, "zero-local")) == ["L → sin(w)"]
    assert about(run, steps_at(run, "zero-gradient")) == ["L → sin(w)", "sin(w) → w"]


def test_a_softmax_of_one_entry_or_of_one_that_takes_all_has_a_jacobian_of_zeros() -> None:
    run = recorded("L = sum(softmax(a) * 3) + sum(softmax(b) * c) + sum(softmax(c) * b)", "a = [2]\nb = [900, 0]\nc = [1, 0]")
    assert about(run, steps_at(run, "zero-local")) == ["softmax(b) → b", "softmax(a) → a"]


def test_a_convention_is_a_kink_at_every_step_that_uses_one() -> None:
    run = recorded("L = relu(w) + abs(w) + relu(v) + maximum(w, v - 1)", "w = 0\nv = 1")
    assert about(run, steps_at(run, "kink")) == ["maximum(w, v - 1) → w", "maximum(w, v - 1) → v - 1", "abs(w) → w", "relu(w) → w"]


def test_arrays_of_one_entry_and_of_several_shapes_lie_beside_numbers() -> None:
    run = recorded("a = u * v\nb = a * w\nL = sum(log(b))", "u = [0]\nv = [[1]]\nw = 2")
    for name in FACTS:
        assert steps_at(run, name) == plainly(name, FACTS[name].bound or 0.0, run)


def test_an_array_without_entries_is_neither_zero_nor_small() -> None:
    run = recorded("L = w + sum(v[2:2] * u)", "w = 1\nv = [1, 2]\nu = 3")
    empty = [step.number for step in run if isinstance(step, bt.BackwardStep) and np.size(step.grad) == 0]
    assert empty
    for name in FACTS:
        assert steps_at(run, name) == plainly(name, FACTS[name].bound or 0.0, run)
        assert not set(steps_at(run, name)) & set(empty)
    assert "v[2:2] * u → u" not in about(run, steps_at(run, "zero-local"))  # nothing there to be zero


def test_what_a_fact_says_in_words_has_a_place_for_its_bound() -> None:
    for fact in FACTS.values():
        assert ("{bound}" in fact.text) == (fact.bound is not None)
