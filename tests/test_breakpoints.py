"""Breakpoints: reading them, what they are about, in which phases, and what is wrong with them in one line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, programs

import backprop_tui as bt
from backprop_tui.breakpoints import Breakpoint, candidates, from_scenario, read
from backprop_tui.conditions import names_of, nodes_of
from backprop_tui.errors import CommandError
from backprop_tui.facts import FACTS
from backprop_tui.plan import PHASES
from backprop_tui.recording import Recording
from backprop_tui.steps import Step
from backprop_tui.stops import Hits

LAYERS = """
def layer(a, W):
    z = a * W
    return relu(z)
h = layer(x, W1)

h = layer(h, W2)
for t in range(2):
    h = h * W2 + t
L = (h -
     1) ** 2
"""


def run_of(
    program: str = LAYERS, parameters: str = "W1 = 2\nW2 = 3", data: str = "x = 1", training: str = "", more: str = ""
) -> Recording:
    tables = f"[data]\n{data}\n[parameters]\n{parameters}\n" + (f"[training]\n{training}\n" if training else "")
    return bt.record(bt.loads(f"format = 1\ntitle = 't'\nprogram = '''{program}'''\n{tables}{more}"))


def stop(run: Recording, text: str) -> Breakpoint:
    return read(text, run.graph, run.plan.total, 1)


def hits(run: Recording, text: str | Breakpoint) -> list[int]:
    found = Hits(stop(run, text) if isinstance(text, str) else text, run)
    found.scan(run.plan.total)
    return found.steps


def word(step: Step) -> str:
    """A step in short: f a for an op forward, b a>b for a multiplication, s for the seed, u a for an update."""
    if isinstance(step, bt.BackwardStep):
        return f"b {step.node}>{step.operand}"
    return step.kind[0] if step.kind == "seed" else f"{step.kind[0]} {step.node}"


def words(run: Recording, text: str) -> list[str]:
    return [word(run.step(number)) for number in hits(run, text)]


def test_the_program_that_these_tests_stop_in() -> None:
    assert [word(step) for step in run_of()] == [
        *("f layer.z", "f h", "f layer#2.z", "f h#2", "f h * W2", "f h#3", "f h * W2", "f h#4", "f h - 1", "f L", "s"),
        *("b L>h - 1", "b h - 1>h#4", "b h#4>h * W2", "b h * W2>h#3", "b h * W2>W2", "b h#3>h * W2", "b h * W2>h#2", "b h * W2>W2"),
        *("b h#2>layer#2.z", "b layer#2.z>h", "b layer#2.z>W2", "b h>layer.z", "b layer.z>W1"),
    ]


# Places


def test_a_line_stops_once_in_each_phase_at_the_first_step_of_it() -> None:
    assert words(run_of(), "line 9") == ["f h - 1", "b L>h - 1"]
    assert words(run_of(), "9") == words(run_of(), "line 9")


def test_a_line_in_a_loop_stops_in_every_turn() -> None:
    assert words(run_of(), "line 8") == ["f h * W2", "f h * W2", "b h#4>h * W2", "b h#3>h * W2"]
    assert hits(run_of(), "line 8 in forward") == [5, 7]


def test_a_line_of_a_function_stops_in_every_call() -> None:
    assert words(run_of(), "line 2") == ["f layer.z", "f layer#2.z", "b layer#2.z>h", "b layer.z>W1"]


def test_a_line_that_only_calls_stops_where_its_call_is_entered() -> None:
    run = run_of()
    assert words(run, "line 4") == ["f layer.z", "b h>layer.z"]  # backward a call is entered at its end
    assert words(run, "line 6") == ["f layer#2.z", "b h#2>layer#2.z"]


def test_a_line_that_calls_and_computes_is_one_stop() -> None:
    run = run_of("\ndef f(a):\n    return sin(a)\nL = f(w) * (w + 1) + f(w * 2)\n", "w = 1", "")
    assert hits(run, "line 3") == [1, 8]  # 7 is the seed
    assert words(run, "line 2") == ["f sin(a)", "f sin(a)", "b sin(a)>w * 2", "b sin(a)>w"]


def test_a_line_with_a_condition_stops_at_each_of_its_steps_where_it_holds() -> None:
    run = run_of()
    assert words(run, "line 8 if value > 0") == [
        *("f h * W2", "f h#3", "f h * W2", "f h#4"),
        *("b h#4>h * W2", "b h * W2>h#3", "b h * W2>W2", "b h#3>h * W2", "b h * W2>h#2", "b h * W2>W2"),
    ]
    assert words(run, "line 8 in backward if value == 3") == ["b h * W2>W2", "b h * W2>W2"]
    assert words(run, "line 4 if upstream") == ["b h>layer.z", "b layer.z>W1"]


def test_a_later_line_of_a_statement_is_the_line_it_begins_on() -> None:
    run = run_of("\nL = w * 2 + (\n    w * 3\n)\n", "w = 1", "")
    assert stop(run, "line 2").text == stop(run, "1").text == "line 1"


def test_a_name_stops_wherever_it_is_written_to() -> None:
    run = run_of(training="learning_rate = 0.1")
    assert words(run, "W2") == ["b h * W2>W2", "b h * W2>W2", "b layer#2.z>W2", "u W2"]
    assert words(run, "W2 in update") == ["u W2"]
    assert words(run, "L") == ["f L", "s"]
    assert words(run, "layer#2.z") == ["f layer#2.z", "b h#2>layer#2.z"]


def test_a_name_that_is_assigned_again_is_all_that_it_was() -> None:
    run = run_of()
    assert words(run, "h in forward") == ["f h", "f h#2", "f h#3", "f h#4"]
    assert words(run, "h#3") == ["f h#3", "b h * W2>h#3"]
    assert words(run, "h#1 in forward") == ["f h"]


def test_a_name_that_is_only_the_beginning_of_another_is_another() -> None:
    run = run_of("\nh = w * 2\nh2 = h * 2\nL = h2\n", "w = 1", "")
    assert words(run, "h in forward") == ["f h"]


def test_a_step_is_one_step() -> None:
    assert hits(run_of(), "step 14") == [14]
    assert hits(run_of(training="learning_rate = 0.1\nsteps = 3"), "step 60") == [60]


def test_an_op_stops_at_every_application_forward_and_backward() -> None:
    run = run_of()
    assert words(run, "op relu") == ["f h", "f h#2", "b h#2>layer#2.z", "b h>layer.z"]
    assert words(run, "op relu in backward if local == 1") == ["b h#2>layer#2.z", "b h>layer.z"]
    assert words(run, "op power in forward") == ["f L"]


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_stops_where_it_begins_in_every_iteration(phase: str) -> None:
    run = run_of(training="learning_rate = 0.01\nsteps = 3")
    starts = [run.plan.step_of(i, phase) for i in range(3)]  # type: ignore[arg-type]  # one of the phases
    assert hits(run, phase) == hits(run, f"phase {phase}") == starts


def test_a_phase_with_a_condition_stops_at_each_of_its_steps_where_it_holds() -> None:
    run = run_of()
    assert hits(run, "backward if value") == list(range(12, 25))
    assert hits(run, "forward if value == 0") == []


def test_a_phase_that_the_run_does_not_have_never_stops() -> None:
    assert hits(run_of(), "update") == hits(run_of(), "update if 1 > 0") == []


def test_the_places_of_any_program_are_the_steps_that_are_about_them() -> None:
    run = run_of(training="learning_rate = 0.01\nsteps = 2")
    of_ops = [s for s in run if isinstance(s, (bt.ForwardStep, bt.BackwardStep))]
    for op in {step.op for step in of_ops}:
        assert hits(run, f"op {op}") == [step.number for step in of_ops if step.op == op]


# Every kind over any program, held to its definition


def written(step: Step) -> int:
    return step.operand_index if isinstance(step, bt.BackwardStep) else step.node_index


def on_line(run: Recording, step: Step, line: int) -> int | None:
    """The execution of a statement of a line in which a step is executed, in a call of it or not."""
    if not isinstance(step, (bt.ForwardStep, bt.BackwardStep)):
        return None
    statement = run.graph.statement(step.node_index)
    while statement.line != line:
        if not statement.frame:
            return None
        statement = run.graph.statements[run.graph.frames[statement.frame].statement]
    return statement.index


def of_line(run: Recording, line: int) -> list[int]:
    found, before = [], None
    for step in run:
        here = on_line(run, step, line)
        now = (step.iteration, step.kind, here)
        if here is not None and now != before:
            found.append(step.number)
        before = now
    return found


@given(programs, st.sampled_from(["", "steps = 2\nlearning_rate = 0.1"]))
@settings(max_examples=50, deadline=None)
def test_every_place_of_any_program_is_stopped_at_where_it_should(program: Program, training: str) -> None:
    run = bt.record(program.scenario(training=training))
    graph, steps = run.graph, list(run)
    for line in {statement.line for statement in graph.statements}:
        assert hits(run, f"line {line}") == of_line(run, line)
        inside = [step.number for step in steps if on_line(run, step, line) is not None]
        assert hits(run, f"line {line} if 1 > 0") == inside
        assert hits(run, f"line {line} in backward if 1 > 0") == [n for n in inside if run.step(n).kind == "backward"]
    for name in names_of(graph):
        node = graph.by_name.get(name)
        if node is not None and len(nodes_of(graph, name)) == 1:
            assert hits(run, f"name {name}") == [step.number for step in steps if written(step) == node]
    for parameter, node in graph.parameters.items():
        given_ = [s for s in steps if isinstance(s, bt.BackwardStep) and s.operand_index == node]
        assert hits(run, f"change grad({parameter})") == [
            s.number for s in given_ if s.before is None or not np.array_equal(s.before, s.grad, equal_nan=True)
        ]
        updates = [s for s in steps if isinstance(s, bt.UpdateStep) and s.node_index == node]
        assert hits(run, f"change {parameter}") == [s.number for s in updates if not np.array_equal(s.before, s.after)]


# Changes


def test_a_parameter_that_its_update_leaves_as_it_is_has_not_changed() -> None:
    run = run_of("\nL = relu(w) + v\n", "w = -1\nv = 1", "", "steps = 2\nlearning_rate = 0.5")
    assert words(run, "w in update") == ["u w", "u w"]
    assert words(run, "change w") == []
    assert words(run, "change v") == ["u v", "u v"]


def test_a_gradient_changes_with_its_first_contribution_and_with_each_that_is_not_zero() -> None:
    run = run_of("\nL = relu(w - 9) + sin(w) + w * 2\n", "w = 1", "")
    assert words(run, "w") == ["b w * 2>w", "b sin(w)>w", "b w - 9>w"]
    assert words(run, "change grad(w)") == ["b w * 2>w", "b sin(w)>w"]
    assert words(run, "change grad(w) if contribution < 1") == ["b sin(w)>w"]


def test_a_gradient_that_stays_no_number_has_not_changed() -> None:
    run = run_of("\nL = w * 2 + sqrt(w)\n", "w = -1", "")
    assert words(run, "w") == ["b sqrt(w)>w", "b w * 2>w"]
    assert words(run, "change grad(w)") == ["b sqrt(w)>w"]
    assert np.isnan(run.gradients["w"])


def test_the_gradient_of_the_loss_changes_with_the_seed() -> None:
    assert words(run_of(), "change grad(L)") == ["s"]


def test_a_value_that_is_computed_changes_where_it_is_computed() -> None:
    run = run_of(training="steps = 2\nlearning_rate = 0.001")
    assert words(run, "change L") == ["f L", "f L"]
    assert words(run, "change h in forward") == ["f h", "f h#2", "f h#3", "f h#4"] * 2


# Facts


def test_a_fact_is_read_with_its_bound_or_without() -> None:
    run = run_of()
    assert stop(run, "nan-value").words == "the first nan or inf in a value"
    assert stop(run, "small-gradient").words == "a gradient's norm falls below 1e-06"
    assert stop(run, "large-gradient 12.5").words == "a gradient's norm rises above 12.5"


def test_the_usual_bound_written_out_is_the_same_stop() -> None:
    run = run_of()
    assert stop(run, "small-gradient 0.000001").question == stop(run, "small-gradient").question
    assert stop(run, "small-gradient 2e-6").question != stop(run, "small-gradient").question


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_a_bound_is_written_so_that_it_is_read_again(bound: float) -> None:
    run = run_of()
    given_ = stop(run, f"large-gradient {bound!r}")
    assert given_.bound == bound
    assert stop(run, given_.text) == given_


# Text


PLACES = (
    *(
        "line 2",
        "line 3 in backward",
        "line 8 if norm(grad) > 1",
        "line 8 in forward if value > 1",
        "step 12",
        "step 3 if value > 1",
    ),
    *("op relu", "op relu in backward if max(local) == 0", "phase backward", "phase seed", "phase forward if value > 1"),
    *("W1", "W1 in update", "h#3", "layer#2.z", "W1 if norm(grad) > 1", "change W1", "change W1 in update", "change grad(W1)"),
    *("change grad(W1) if contribution > 0", *FACTS, "small-gradient 1e-09", "large-gradient 123456.789"),
)


@pytest.mark.parametrize("text", PLACES)
def test_a_breakpoint_says_itself_as_it_is_written(text: str) -> None:
    run = run_of()
    first = stop(run, text)
    assert first.text == text
    assert stop(run, first.text).question == first.question


@pytest.mark.parametrize(
    ("text", "written_out"),
    [
        ("  3 ", "line 3"),
        ("update", "phase update"),
        ("phase   backward", "phase backward"),
        ("line 03", "line 3"),
        ("step 007", "step 7"),
        ("8 when grad>0", "line 8 if grad>0"),
        ("line 10", "line 9"),
        ("change grad( W1 )", "change grad(W1)"),
        ("op  relu", "op relu"),
        ("name W1", "W1"),
        ("W1   in   update", "W1 in update"),
    ],
)
def test_a_breakpoint_may_be_written_in_other_ways(text: str, written_out: str) -> None:
    assert stop(run_of(), text).text == written_out


def test_names_that_are_also_words_of_breakpoints_can_be_stopped_at() -> None:
    names = ["update", "seed", "kink", "step", "op", "line", "change", "name", "phase"]
    program = "\n" + "\n".join(f"{name} = w * {k}" for k, name in enumerate(names, 2)) + "\nL = " + " + ".join(names) + "\n"
    run = run_of(program, "w = 1", "")
    for name in names:
        known = stop(run, f"name {name}")
        assert (known.kind, known.target) == ("name", name)
        assert stop(run, known.text) == known
    for name in ("step", "op", "line", "change", "name", "phase"):
        assert stop(run, name).kind == "name"
    assert stop(run, "update").kind == "phase"
    assert stop(run, "kink").kind == "fact"


def test_a_breakpoint_of_a_scenario_file_is_the_same_as_one_that_is_typed() -> None:
    more = """
[[breakpoints]]
line = 8
phase = "backward"
when = "norm(grad) > 1"
[[breakpoints]]
at = "W1"
[[breakpoints]]
phase = "seed"
[[breakpoints]]
at = "h"
phase = "forward"
"""
    run = run_of(more=more)
    given_ = [from_scenario(each, number) for number, each in enumerate(run.scenario.breakpoints, 1)]
    texts = ["line 8 in backward if norm(grad) > 1", "W1", "phase seed", "h in forward"]
    assert [each.text for each in given_] == texts
    for number, (each, text) in enumerate(zip(given_, texts, strict=True), 1):
        assert each.number == number
        assert each.question == stop(run, text).question
        assert hits(run, each) == hits(run, text)


# Errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a breakpoint needs a place: a line, a name, a phase, or `step N`, `op NAME`, or a fact"),
        ("if grad > 1", "a breakpoint needs a place"),
        ("0", "the program has no line '0': it has the lines 1 to 10"),
        ("line 11", "the program has no line '11': it has the lines 1 to 10"),
        ("line", "the program has no line ''"),
        ("line x", "the program has no line 'x'"),
        ("99999999999999999999999999", "the program has no line"),
        ("5", "nothing is executed on line 5; the nearest line that is: 4"),
        ("7", "nothing is executed on line 7; the nearest line that is: 6"),
        ("step 0", "the run has no step '0': it has the steps 1 to 24"),
        ("step 25", "the run has no step '25': it has the steps 1 to 24"),
        ("step", "the run has no step ''"),
        ("step -1", "the run has no step '-1'"),
        ("op rleu", "no op 'rleu' in the program; did you mean 'relu'?"),
        ("op softmax", "no op 'softmax' in the program; known: add, multiply, power, relu, subtract"),
        ("W3", "no line, name, phase, op or fact 'W3'; did you mean 'W2'?"),
        ("backwards", "no line, name, phase, op or fact 'backwards'"),
        ("phase backwards", "no phase 'backwards'; did you mean 'backward'?"),
        ("W1 in backwards", "no phase 'backwards'; did you mean 'backward'?"),
        ("step 3 in backward", "'step 3' takes no phase"),
        ("forward in backward", "'forward' takes no phase"),
        ("nan-value in forward", "'nan-value' takes no phase"),
        ("nan-value if grad > 1", "nan-value takes no condition; it is one"),
        ("nan-value 3", "nan-value takes no bound"),
        ("small-gradient x", "'x' is no bound: write a positive number, as in small-gradient 1e-06"),
        ("small-gradient 0", "'0' is no bound"),
        ("small-gradient inf", "'inf' is no bound"),
        ("small-gradient nan", "'nan' is no bound"),
        ("change", "change of what? a name, as in change W1, or a gradient, as in change grad(W1)"),
        ("change grad(W9)", "no line, name, phase, op or fact 'W9'"),
        ("name W9", "no line, name, phase, op or fact 'W9'"),
        ("W1 if", "a condition is wanted after 'if', such as norm(grad) > 1"),
        ("W1 when ", "a condition is wanted after 'when'"),
        ("W1 if gradd > 1", "unknown name 'gradd'; did you mean 'grad'?"),
        ("op", "no line, name, phase, op or fact 'op'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(CommandError) as error:
        stop(run_of(), text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


# What it asks


def test_the_number_and_the_switch_have_no_say_in_what_is_asked() -> None:
    run = run_of()
    one, other = stop(run, "line 8"), Breakpoint(7, "line", "8", enabled=False)
    assert one.question == other.question
    asked = [stop(run, text).question for text in PLACES]
    assert len(set(asked)) == len(asked)


def test_what_a_place_is_about_does_not_depend_on_what_was_executed() -> None:
    executed = run_of()
    fresh = Recording(executed.scenario)
    several: list[Callable[[Recording], list[int]]] = [
        lambda run, text=text: candidates(stop(run, text), run.plan).tolist()  # type: ignore[misc]
        for text in ("line 8", "W2", "op relu", "backward")
    ]
    for each in several:
        assert each(fresh) == each(executed)
    assert len(fresh) == 0
