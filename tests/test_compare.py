"""Comparing two runs: which steps are paired, which differ, by how much, and which is the first."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import EVERY_OP, Program, program_of_op, programs

import backprop_tui as bt
from backprop_tui.export import jsonl
from backprop_tui.scenario import bundled
from backprop_tui.study import differences
from backprop_tui.study.compare import Comparison, compare, comparing
from backprop_tui.study.sides import Run, Side, opened
from backprop_tui.study.traces import NUMBERS, Trace
from backprop_tui.whatif import forked, read

Lines = list[dict[str, Any]]

TWO_LAYERS = """
format = 1
title = "Two layers"
program = '''
h = sigmoid(x @ W1 + b1)
yhat = h @ W2
L = half_squared_error(yhat, y)
'''
[data]
x = [[0.05, 0.10], [1, -1]]
y = [[0.01, 0.99], [2, 3]]
[parameters]
W1 = [[0.15, 0.25], [0.20, 0.30]]
b1 = [0.35, 0.35]
W2 = [[0.40, 0.50], [0.45, 0.55]]
[training]
steps = 2
learning_rate = 0.5
"""
#: Its steps: forward 1 to 5, the seed 6, backward 7 to 13, updates 14 to 16, and again.
PERIOD = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


def scenario_of(program: str, parameters: str = "w = 0.75", more: str = "") -> bt.Scenario:
    return bt.loads(f"format = 1\ntitle = 't'\n{more}\nprogram = '''\n{program}\n'''\n[parameters]\n{parameters}\n")


def run_of(scenario: bt.Scenario | str, name: str = "run") -> Run:
    return Run(bt.Recording(bt.loads(scenario) if isinstance(scenario, str) else scenario), name)


def lines_of(scenario: bt.Scenario | str) -> Lines:
    """The steps of a trace, without the summary."""
    recording = bt.record(bt.loads(scenario) if isinstance(scenario, str) else scenario)
    return [json.loads(line) for line in jsonl.lines(recording)][:-1]


def trace_of(lines: Lines, folder: Path, name: str = "trace.jsonl") -> Trace:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return Trace(path, name)


def told_at(found: Comparison, step: int) -> list[str]:
    """The numbers that differ at a step of a."""
    difference = found.at(step)
    return [] if difference is None else [apart.field for apart in difference.numbers]


def is_same(found: Comparison, steps: int) -> None:
    assert found.same
    assert found.compared == steps
    assert list(found.differing) == list(found.only_b) == []
    assert found.first is None


# The same.


@given(programs)
@settings(max_examples=40, deadline=None)
def test_the_trace_of_any_program_is_the_same_as_its_recording(folder: Path, program: Program) -> None:
    scenario = program.scenario(training="steps = 2\nlearning_rate = 0.1")
    trace, run = trace_of(lines_of(scenario), folder), run_of(scenario)
    for found in (compare(run, trace), compare(trace, run), compare(trace, Trace(folder / "trace.jsonl", "again"))):
        is_same(found, len(run))
        assert found.largest_difference == 0
        assert found.unpaired == (0, 0)
        assert [found.counterpart(step) for step in range(1, len(run) + 1)] == list(range(1, len(run) + 1))


@pytest.mark.parametrize("name", EVERY_OP)
def test_the_trace_of_every_op_is_the_same_as_its_recording(folder: Path, name: str) -> None:
    scenario = program_of_op(name).scenario()
    found = compare(run_of(scenario), trace_of(lines_of(scenario), folder))
    is_same(found, len(found.a))


@pytest.mark.parametrize("name", [entry.name for entry in bundled()])
def test_the_trace_of_every_bundled_scenario_is_the_same_as_its_recording(folder: Path, name: str) -> None:
    scenario = bt.load(name)
    found = compare(run_of(scenario), trace_of(lines_of(scenario), folder))
    is_same(found, len(found.a))
    assert found.largest_difference == 0


@given(programs, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_a_trace_in_another_order_is_the_same(folder: Path, program: Program, random: Any) -> None:
    scenario = program.scenario()
    lines = lines_of(scenario)
    places: dict[tuple[str, ...], float] = {}
    # of lines about the same nodes the order says which is which, so that stays
    lines.sort(key=lambda line: places.setdefault((line["kind"], line["node"], line.get("operand", "")), random.random()))
    is_same(compare(run_of(scenario), trace_of(lines, folder)), len(lines))
    is_same(compare(trace_of(lines, folder), run_of(scenario)), len(lines))


@pytest.mark.parametrize("kept", ["forward", "backward", "update", "seed"])
def test_a_trace_of_one_phase_is_the_same(folder: Path, kept: str) -> None:
    lines = [line for line in lines_of(TWO_LAYERS) if line["kind"] == kept]
    found = compare(run_of(TWO_LAYERS), trace_of(lines, folder))
    is_same(found, len(lines))
    assert found.unpaired == (2 * PERIOD - len(lines), 0)


def test_a_trace_of_the_first_iteration_alone_is_the_same(folder: Path) -> None:
    found = compare(run_of(TWO_LAYERS), trace_of(lines_of(TWO_LAYERS)[:PERIOD], folder))
    is_same(found, PERIOD)
    assert found.counterpart(PERIOD) == PERIOD
    assert found.counterpart(PERIOD + 1) is None


def test_a_trace_need_not_tell_every_value_but_what_it_tells_must_be_right(folder: Path) -> None:
    lines = [line for line in lines_of(TWO_LAYERS) if line["kind"] != "forward" or line["node"] in ("h", "L")]
    found = compare(run_of(TWO_LAYERS), trace_of(lines, folder))
    is_same(found, len(lines))
    lines[1]["value"] += 1
    found = compare(run_of(TWO_LAYERS), trace_of(lines, folder))
    assert list(found.differing) == [5]


def test_a_value_that_only_the_trace_has_is_passed_over(folder: Path) -> None:
    lines = lines_of(TWO_LAYERS)
    lines.insert(4, {"kind": "forward", "node": "accuracy", "value": 1.0})
    found = compare(run_of(TWO_LAYERS), trace_of(lines, folder))
    is_same(found, 2 * PERIOD)
    assert found.unpaired == (0, 1)
    assert found.counterpart_of_b(5) is None
    assert list(differences.lines(found))[-1] == "passed over: 1 step of B that A does not tell"


def test_a_line_needs_only_its_kind_its_nodes_and_a_number(folder: Path) -> None:
    kept = ("kind", "node", "operand")
    lines = [{key: line[key] for key in line if key in (*kept, NUMBERS[line["kind"]][0])} for line in lines_of(TWO_LAYERS)[:PERIOD]]
    is_same(compare(run_of(TWO_LAYERS), trace_of(lines, folder)), PERIOD)


def test_single_precision_is_the_same_as_its_own_decimals(folder: Path) -> None:
    scenario = bt.loads(TWO_LAYERS.replace("title", "precision = 'float32'\ntitle"))
    found = compare(run_of(scenario), trace_of(lines_of(scenario), folder))
    is_same(found, 2 * PERIOD)
    assert found.largest_difference == 0
    double = compare(run_of(scenario), run_of(TWO_LAYERS))
    assert double.same
    assert double.tolerance == 1e-5
    assert 0 < double.largest_difference < 1e-6
    assert not compare(run_of(scenario), run_of(TWO_LAYERS), 0).same


# A number that differs.


def doctor(line: dict[str, Any], field: str, at: int) -> float:
    """Moves an entry of a number of a line by more than any tolerance; answers by how much, 0 where it has no entry."""
    value = np.array(line[field], dtype=np.float64)
    if not value.size:
        return 0.0
    largest = max(
        float(np.abs(np.array(line[key], dtype=np.float64)).max(initial=0))
        for key in NUMBERS[line["kind"]]
        if key in line and key != "local"
    )
    flat = value.reshape(-1)
    before = flat[at % flat.size]
    flat[at % flat.size] += 1 + largest
    line[field] = value.tolist()
    return float(flat[at % flat.size] - before)


@given(programs, st.data())
@settings(max_examples=60, deadline=None)
def test_a_doctored_number_is_found_at_its_step(folder: Path, program: Program, data: Any) -> None:
    scenario = program.scenario(training="steps = 2\nlearning_rate = 0.1")
    lines = lines_of(scenario)
    step = data.draw(st.integers(1, len(lines)))
    field = data.draw(st.sampled_from([name for name in NUMBERS[lines[step - 1]["kind"]] if name != "local"]))
    by = doctor(lines[step - 1], field, data.draw(st.integers(0, 10_000)))
    for found in (compare(run_of(scenario), trace_of(lines, folder)), compare(trace_of(lines, folder), run_of(scenario))):
        if not by:
            assert found.same
            continue
        assert list(found.differing) == [step]
        assert told_at(found, step) == [field]
        assert found.largest_difference == by
        assert found.first is not None
        assert (found.first.a, found.first.b) == (step, step)
        assert (found.first.kind, found.first.node) == (lines[step - 1]["kind"], lines[step - 1]["node"])


def test_the_second_of_two_equal_contributions_is_told_from_the_first(folder: Path) -> None:
    scenario = scenario_of("L = w * w")
    lines = lines_of(scenario)
    lines[3]["contribution"] += 1
    found = compare(run_of(scenario), trace_of(lines, folder))
    assert list(found.differing) == [4]
    assert found.counterpart(4) == 4


def test_everything_behind_a_wrong_value_differs_and_the_first_is_named() -> None:
    other = TWO_LAYERS.replace("W2 = [[0.40", "W2 = [[0.41")
    found = compare(run_of(TWO_LAYERS), run_of(other))
    assert found.first is not None
    assert (found.first.a, found.first.b, found.first.name) == (4, 4, "forward yhat")
    assert not any(found.differs(step) for step in (1, 2, 3, 6, 0, -1, 2 * PERIOD + 1))
    assert all(found.differs(step) for step in found.differing)
    assert list(found.differing) == sorted(found.differing)
    assert found.at(1) is None
    assert found.differences == len(found.differing)


def test_by_how_much_is_told_with_the_entry_that_is_furthest_off(folder: Path) -> None:
    lines = lines_of(TWO_LAYERS)
    lines[2]["value"][1][0] += 0.25
    lines[2]["value"][0][0] -= 0.125
    difference = compare(run_of(TWO_LAYERS), trace_of(lines, folder)).first
    assert difference is not None
    (apart,) = difference.numbers
    assert (apart.field, apart.entry) == ("value", (1, 0))
    assert apart.difference == pytest.approx(0.25, abs=1e-15)
    assert float(apart.b[1, 0] - apart.a[1, 0]) == apart.difference


# What is a difference.


def pair_of_values(folder: Path, one: Any, two: Any, tolerance: float | None = None) -> Comparison:
    traces = [trace_of([{"kind": "forward", "node": "v", "value": v}], folder, n) for n, v in (("one", one), ("two", two))]
    return compare(*traces, tolerance)


@pytest.mark.parametrize(
    ("one", "two", "largest"),
    [
        ("nan", "nan", 0),
        ("inf", "inf", 0),
        (["nan", 1], ["nan", 1], 0),
        ([["-inf", "nan"], [1, 2]], [["-inf", "nan"], [1, 2]], 0),
        (0, -0.0, 0),
        (1, 1 + 1e-10, 1e-10),
        ([1e6, 1], [1e6, 1 + 1e-4], 1e-4),
        ([], [], 0),
        ([], [[]], 0),
        (1e-300, 1e-300, 0),
    ],
)
def test_equal_values_are_the_same(folder: Path, one: Any, two: Any, largest: float) -> None:
    for found in (pair_of_values(folder, one, two), pair_of_values(folder, two, one)):
        assert found.same
        assert found.largest_difference == pytest.approx(largest, rel=1e-3)


@pytest.mark.parametrize(
    ("one", "two", "largest"),
    [
        ("nan", 1, math.inf),
        ("nan", "inf", math.inf),
        ("inf", "-inf", math.inf),
        ("inf", 1e308, math.inf),
        (1e308, -1e308, math.inf),
        (["nan", 1], [1, "nan"], math.inf),
        (1, [1], math.inf),
        ([1, 2], [[1, 2]], math.inf),
        ([1, 2], [1, 2, 3], math.inf),
        (1, 1 + 1e-8, 1e-8),
        (1e-30, 2e-30, 1e-30),
        (0, 1e-30, 1e-30),
        (["inf", 1], ["inf", 1 + 1e-8], 1e-8),
        ([1e6, 1], [1e6, 1.01], 0.01),
    ],
)
def test_other_values_differ(folder: Path, one: Any, two: Any, largest: float) -> None:
    for found in (pair_of_values(folder, one, two), pair_of_values(folder, two, one)):
        assert not found.same
        assert found.largest_difference == pytest.approx(largest, rel=1e-6)


def test_the_tolerance_is_relative_to_the_largest_entry(folder: Path) -> None:
    assert pair_of_values(folder, [200, 1], [200, 3], 0.01).same
    assert not pair_of_values(folder, [200, 1], [200, 3.5], 0.01).same
    assert not pair_of_values(folder, 1, 1 + 2e-16, 0).same
    assert pair_of_values(folder, 1, 1, 0).same


def test_a_sum_that_comes_near_zero_keeps_the_rounding_of_its_terms(folder: Path) -> None:
    line = {"kind": "backward", "node": "L", "operand": "w", "contribution": 1.0, "grad": 1e-17}
    assert compare(trace_of([line], folder, "one"), trace_of([{**line, "grad": 0.0}], folder, "two")).same
    line["contribution"] = 1e-15
    assert not compare(trace_of([line], folder, "one"), trace_of([{**line, "grad": 0.0}], folder, "two")).same
    line = {"kind": "update", "node": "w", "before": [1.0], "grad": [2.0], "after": [1e-17]}
    assert compare(trace_of([line], folder, "one"), trace_of([{**line, "after": [0]}], folder, "two")).same


def local(how: str | None, value: Any) -> dict[str, Any]:
    told = {"text": "1", "value": value} if how is None else {"text": "1", "how": how, "value": value}
    return {"kind": "backward", "node": "L", "operand": "w", "contribution": [2, 2], "local": told}


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (local("elementwise", [1, 1]), local("elementwise", 1), True),
        (local("elementwise", [1, 1]), local(None, [1]), True),
        (local("elementwise", [1, 1]), local("elementwise", 2), False),
        (local("elementwise", 1), local("elementwise", 2), False),
        (local("elementwise", [1, 1]), local("elementwise", [1, 1, 1]), False),
        (local("left", [[1, 1]]), local("left", [[1], [1]]), False),
        (local("left", [[1, 2]]), local("right", [[1], [2]]), True),
        (local("elementwise", 1), local("dense", 5), True),
        (local("dense", [[1, 0], [0, 1]]), local("dense", []), True),
    ],
)
def test_local_derivatives_are_compared_where_both_are_written_out_and_multiplied_in_alike(
    folder: Path, one: dict[str, Any], two: dict[str, Any], same: bool
) -> None:
    found = compare(trace_of([one], folder, "one"), trace_of([two], folder, "two"))
    assert found.same is same
    assert same or told_at(found, 1) == ["local"]


def test_a_jacobian_too_large_to_be_written_out_is_not_compared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = scenario_of("L = sum(softmax(W) ** 2)", "W = { normal = [3, 3] }")
    lines = lines_of(scenario)
    monkeypatch.setattr("backprop_tui.study.sides.MOST_JACOBIAN", 10)
    run = run_of(scenario)
    assert compare(run, trace_of(lines, folder)).same
    assert "local" not in run.facts(next(n for n, line in enumerate(lines, 1) if line.get("op") == "softmax" and "local" in line))


@given(programs)
@settings(max_examples=25, deadline=None)
def test_scalars_are_compared_at_once_as_they_are_in_detail(program: Program) -> None:
    scenario = program.scenario(training="steps = 2\nlearning_rate = 0.1")
    other = program.scenario(training="steps = 2\nlearning_rate = 0.1000000003")
    found = compare(run_of(scenario), run_of(other))
    for step in range(1, len(found.a) + 1):
        numbers = found.numbers(step, step)
        expected = (bool(numbers), max(n.difference for n in numbers), any(n.differs for n in numbers))
        assert found.quick(step, step) == expected
        assert found.differs(step) is expected[2]


# Steps that only one side has.


@pytest.mark.parametrize(("kind", "index"), [("backward", 9), ("update", 14)])
def test_a_multiplication_or_an_update_that_the_trace_lacks_is_a_difference(folder: Path, kind: str, index: int) -> None:
    lines = lines_of(TWO_LAYERS)
    assert lines[index]["kind"] == kind
    missing = lines.pop(index)
    found = compare(run_of(TWO_LAYERS), trace_of(lines, folder))
    assert list(found.differing) == [index + 1]
    assert found.first is not None
    assert (found.first.a, found.first.b, found.first.node) == (index + 1, None, missing["node"])
    assert found.counterpart(index + 1) is None
    assert found.counterpart(index + 2) == index + 1
    turned = compare(trace_of(lines, folder), run_of(TWO_LAYERS))
    assert (list(turned.differing), list(turned.only_b)) == ([], [index + 1])
    assert turned.first is not None
    assert (turned.first.a, turned.first.b) == (None, index + 1)
    assert turned.at_b(index + 1) == turned.first
    assert turned.at_b(index) is None


def test_a_step_that_only_b_has_stands_after_its_neighbour(folder: Path) -> None:
    lines = lines_of(TWO_LAYERS)
    lines.insert(9, {"kind": "backward", "node": "yhat", "operand": "x", "contribution": 1.0})
    before, after = lines[8], lines[10]
    for wrong, expected in (((), (None, 10)), ((before,), (9, 9)), ((after,), (None, 10))):
        changed = [{**line, "contribution": "nan"} if line in wrong else line for line in lines]
        found = compare(run_of(TWO_LAYERS), trace_of(changed, folder))
        assert found.first is not None
        assert (found.first.a, found.first.b) == expected
        assert list(found.only_b) == [10]


def test_two_programs_differ_in_the_steps_that_only_one_of_them_has() -> None:
    plain, deeper = scenario_of("h = w * w\nL = sin(h)"), scenario_of("h = w * w\ng = h + 1\nL = sin(g)")
    found = compare(run_of(plain), run_of(deeper))
    assert found.first is not None
    assert (found.first.a, found.first.b, found.first.node) == (None, 2, "g")
    assert list(found.only_b) == [2, 5, 6]
    assert found.unpaired == (1, 3)
    assert found.compared == 5  # h, L, the seed, both contributions to w


def test_a_run_that_goes_on_for_longer_differs_in_its_first_further_step() -> None:
    longer = TWO_LAYERS.replace("steps = 2", "steps = 3")
    found = compare(run_of(TWO_LAYERS), run_of(longer))
    assert found.first is not None
    assert (found.first.a, found.first.b) == (None, 2 * PERIOD + 1)
    assert found.compared == 2 * PERIOD
    turned = compare(run_of(longer), run_of(TWO_LAYERS)).first
    assert turned is not None
    assert (turned.a, turned.b) == (2 * PERIOD + 1, None)


def test_two_runs_without_a_step_in_common_cannot_be_compared(folder: Path) -> None:
    trace = trace_of([{"kind": "forward", "node": "other", "value": 1}], folder)
    with pytest.raises(bt.CommandError) as caught:
        compare(run_of(TWO_LAYERS), trace)
    assert str(caught.value) == (
        "run and trace.jsonl have no step in common: the one begins with forward x @ W1, the other with forward other"
    )


# What if.


def test_a_fork_differs_from_the_step_after_the_change_on() -> None:
    debugger = bt.Debugger(bt.loads(TWO_LAYERS))
    debugger.go_to(7)
    fork = forked(debugger.run, read("W2[0, 0] = 5", debugger))
    found = compare(Run(debugger.run, "as it is"), Run(fork, "changed"))
    assert found.compared == 2 * PERIOD
    assert found.first is not None
    assert (found.first.a, found.first.name) == (8, "backward yhat → h")
    assert told_at(found, 8) == ["contribution", "grad", "local"]
    assert found.counterpart(5) == 5
    assert [found.differs(step) for step in (7, 8, 9, 10)] == [False, True, False, True]


def test_two_forks_of_a_fork_share_what_they_share() -> None:
    debugger = bt.Debugger(bt.loads(TWO_LAYERS))
    debugger.go_to(3)
    debugger.add_run(forked(debugger.run, read("h[0, 0] = 0", debugger)), "h")
    middle = debugger.run
    sides = []
    for text in ("grad(yhat) = 1", "grad(yhat) = 2"):
        debugger.stand(middle, 8)
        sides.append(Run(forked(middle, read(text, debugger)), text))
    found = compare(*sides)
    assert sides[0].shared(sides[1]) == 8
    assert found.first is not None
    assert found.first.a == 9
    assert compare(Run(debugger.recordings[0], "a"), sides[0]).first.a == 4  # type: ignore[union-attr]  # there is one


@given(programs, st.data())
@settings(max_examples=25, deadline=None)
def test_a_fork_compares_as_its_trace_does(folder: Path, program: Program, data: Any) -> None:
    debugger = bt.Debugger(program.scenario(training="steps = 2\nlearning_rate = 0.1"))
    debugger.go_to(data.draw(st.integers(0, debugger.total - 1)))
    name = data.draw(st.sampled_from(sorted(debugger.graph.parameters)))
    fork = forked(debugger.run, read(f"{name} = 2", debugger))
    fork.advance(fork.plan.total)
    trace = trace_of([json.loads(json.dumps(jsonl.step_object(step, fork))) for step in fork], folder)
    quick, slow = compare(Run(debugger.run, "a"), Run(fork, "b")), compare(Run(debugger.run, "a"), trace)
    assert (quick.differing, quick.compared, quick.largest_difference) == (slow.differing, slow.compared, slow.largest_difference)
    assert all(step > debugger.position for step in quick.differing)
    assert compare(Run(fork, "a"), trace).same


# In parts.


def test_it_is_done_in_parts_that_count_up_and_can_be_left() -> None:
    def loop(w: float) -> Run:
        return run_of(scenario_of("y = w\nfor t in range(6000):\n    y = y * v\nL = y", f"w = {w}\nv = 1.0001"))

    a, b = loop(1.0), loop(1.5)
    parts = comparing(a, b)
    seen = []
    while True:
        try:
            seen.append(next(parts))
        except StopIteration as end:
            found = end.value
            break
    assert len(seen) > 20
    assert seen == sorted(seen)
    assert found.first.a == 1
    left = comparing(a, loop(2.0))
    next(left)
    left.close()


def test_a_run_that_is_only_begun_is_run_to_its_end() -> None:
    begun = bt.Recording(bt.loads(TWO_LAYERS))
    begun.advance(3)
    is_same(compare(Run(begun, "begun"), run_of(TWO_LAYERS)), 2 * PERIOD)
    assert len(begun) == 2 * PERIOD


# What is opened.


def test_a_file_is_a_trace_by_its_ending_or_by_its_first_character(folder: Path) -> None:
    lines = "\n".join(map(json.dumps, lines_of(TWO_LAYERS)))
    for name, text in (("a.jsonl", lines), ("a.txt", lines), ("bom", "\ufeff\n" + lines), ("two.toml", TWO_LAYERS)):
        (folder / name).write_text(text, encoding="utf-8")
    kinds: dict[str, type[Side]] = {"a.jsonl": Trace, "a.txt": Trace, "bom": Trace, "two.toml": Run, "notes/sigmoid": Run}
    for name, kind in kinds.items():
        side = opened(str(folder / name) if (folder / name).exists() else name)
        assert isinstance(side, kind)
        assert not isinstance(side, Trace) or compare(run_of(TWO_LAYERS), side).same


def test_a_file_goes_before_a_bundled_trace_of_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert not compare(opened("pairs/fan-out"), opened("pairs/fan-out.jsonl")).same
    (folder / "pairs").mkdir()
    text = "\n".join(map(json.dumps, lines_of(bt.load("pairs/fan-out"))))
    (folder / "pairs" / "fan-out.jsonl").write_text(text, encoding="utf-8")
    assert compare(opened("pairs/fan-out"), opened("pairs/fan-out.jsonl")).same


@pytest.mark.parametrize("name", ["nowhere.jsonl", "notes/sigmoid.jsonl", "\x00.jsonl", "x" * 5000 + ".jsonl", "\x1b[2J.jsonl"])
def test_a_trace_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(bt.CommandError) as caught:
        opened(name)
    message = str(caught.value)
    assert message.startswith("no file and no bundled trace '")
    assert len(message) < 200
    assert message.isprintable()


# In words, and for programs.


def text_of(found: Comparison) -> str:
    return "\n".join(differences.lines(found))


def test_the_text_names_both_sides_the_first_step_and_by_how_much(folder: Path) -> None:
    lines = lines_of(TWO_LAYERS)
    lines[8]["contribution"][0][1] = 7
    assert text_of(compare(run_of(TWO_LAYERS), trace_of(lines, folder))) == (
        "A  run, 32 steps\n"
        "B  trace.jsonl, 32 steps\n"
        "different: 1 step; 32 pairs of steps compared, tolerance 1e−9, largest difference 8.59343\n"
        "the first that differs: backward yhat → W2\n"
        "  A step 9, B line 9\n"
        "  contribution\n"
        "    A  [[−0.574192, −1.59343], [−0.5724, −1.59475]]\n"
        "    B  [[−0.574192, 7], [−0.5724, −1.59475]]\n"
        "    apart by 8.59343, most at [0, 1]: A −1.59343, B 7"
    )


def test_the_text_says_so_where_they_are_the_same() -> None:
    assert text_of(compare(run_of(TWO_LAYERS, "a"), run_of(TWO_LAYERS, "b"))) == (
        "A  a, 32 steps\nB  b, 32 steps\nthe same: 32 pairs of steps compared, tolerance 1e−9, largest difference 0"
    )


def test_numbers_are_written_with_the_digits_that_tell_them_apart(folder: Path) -> None:
    text = text_of(pair_of_values(folder, [1, 2], [1, 2.00000003]))
    assert "apart by 3e−8, most at [1]: A 2, B 2.00000003" in text
    assert "infinitely far apart at [0]: A nan, B 1" in text_of(pair_of_values(folder, ["nan"], [1]))
    assert "unlike shapes: A 2, B scalar" in text_of(pair_of_values(folder, [1, 2], 1))


def test_the_text_has_no_control_characters_whatever_the_trace_calls_its_nodes(folder: Path) -> None:
    lines = [{"kind": "forward", "node": "\x1b[2J\u202ev\n", "value": v} for v in (1, 2)]
    found = compare(trace_of(lines[:1], folder, "one"), trace_of(lines[1:], folder, "two"))
    assert not found.same
    assert all(line.isprintable() for line in differences.lines(found))


def test_the_object_has_the_two_lines_of_the_trace(folder: Path) -> None:
    lines = lines_of(TWO_LAYERS)
    wrong = [{**line, "step": line["step"] + 100} for line in lines_of(TWO_LAYERS)]
    wrong[3]["value"][0][0] = "nan"
    found = differences.as_object(compare(run_of(TWO_LAYERS), trace_of(wrong, folder)))
    first = {"a": lines[3], "b": wrong[3]}
    assert found == {"same": False, "compared": 32, "largest_difference": "inf", "first": first}
    assert list(found["first"]["b"]) == list(wrong[3])
    same = differences.as_object(compare(run_of(TWO_LAYERS), trace_of(lines, folder)))
    assert same == {"same": True, "compared": 32, "largest_difference": 0.0, "first": {"a": None, "b": None}}


@pytest.mark.parametrize("change", [lambda lines: lines.pop(9), lambda lines: lines.append({**lines[9], "operand": "x"})])
def test_the_object_has_null_for_the_side_without_the_step(folder: Path, change: Callable[[Lines], object]) -> None:
    lines = lines_of(TWO_LAYERS)
    change(lines)
    first = differences.as_object(compare(run_of(TWO_LAYERS), trace_of(lines, folder)))["first"]
    assert (first["a"] is None) != (first["b"] is None)


def test_the_object_is_json_to_the_letter(folder: Path) -> None:
    (folder / "raw").write_text('{"kind": "forward", "node": "v", "value": [NaN, Infinity, -Infinity, 1e999]}', encoding="utf-8")
    other = trace_of([{"kind": "forward", "node": "v", "value": [1, 2, 3, 4]}], folder)
    found = differences.as_object(compare(Trace(folder / "raw", "raw"), other))
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["first"]["a"]["value"] == ["nan", "inf", "-inf", "inf"]
