"""The layout of a plan: to which phase, line, call and turn of a loop each step belongs, forward and backward."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, programs

import backprop_tui as bt
from backprop_tui.layout import Call, Layout
from backprop_tui.plan import plan_of

# Forward: 1 inner.z  2 sin  3 b  4 inner#2.z  5 sin (h)   turn 1: 6 inner#3.z  7 sin (h#2)   turn 2: 8, 9 (h#3)   10 L
# then the seed, 11, and backward the same way round: 12 L … 21 inner.z
CALLS = """\
def inner(a):
    z = a * 2
    return sin(z)
def outer(a):
    b = inner(a) + 1
    return inner(b)
h = outer(w)
for t in range(2):
    h = inner(h)
L = h * 3
"""


def scenario_of(program: str = CALLS, parameters: str = "w = 0.5", training: str = "", more: str = "") -> bt.Scenario:
    tables = f"[parameters]\n{parameters}\n" + (f"[training]\n{training}\n" if training else "")
    return bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}'''\n{tables}{more}")


def layout_of(program: str = CALLS, parameters: str = "w = 0.5", training: str = "") -> Layout:
    return Layout(plan_of(scenario_of(program, parameters, training)))


def names(layout: Layout, step: int) -> list[str]:
    """The frames of a step by name, from the program in."""
    return [layout.plan.graph.frames[frame].name for frame in layout.frames(step)]


def test_the_program_that_these_tests_walk_through() -> None:
    layout = layout_of()
    assert layout.plan.total == 21
    assert [names(layout, step)[1:] for step in range(1, 11)] == [
        *(["outer", "outer.inner"], ["outer", "outer.inner"], ["outer"], ["outer", "outer.inner#2"], ["outer", "outer.inner#2"]),
        *(["inner"], ["inner"], ["inner#2"], ["inner#2"], []),
    ]


# Phases


def test_a_phase_begins_and_ends_with_its_first_and_last_step_in_every_iteration() -> None:
    layout = layout_of(training="steps = 2\nlearning_rate = 0.1")
    bounds = {(layout.phase_start(step), layout.phase_end(step)) for step in range(1, layout.plan.total + 1)}
    assert bounds == {(1, 10), (11, 11), (12, 21), (22, 22), (23, 32), (33, 33), (34, 43), (44, 44)}
    assert all(layout.phase_start(step) <= step <= layout.phase_end(step) for step in range(1, 45))


@given(programs, st.sampled_from(["", "steps = 2\nlearning_rate = 0.1"]))
@settings(max_examples=30, deadline=None)
def test_the_phases_of_any_run_lie_side_by_side(program: Program, training: str) -> None:
    layout = Layout(plan_of(program.scenario(training=training)))
    step = 1
    while step <= layout.plan.total:
        start, end = layout.phase_start(step), layout.phase_end(step)
        places = [layout.plan.place(inside) for inside in range(start, end + 1)]
        assert start == step
        assert len({(place.iteration, place.phase) for place in places}) == 1
        assert [place.index for place in places] == list(range(len(places)))
        step = end + 1


# Frames


def test_backward_a_call_is_entered_at_its_end() -> None:
    layout = layout_of()
    assert [names(layout, step)[-1] for step in range(12, 22)] == [
        *("", "inner#2", "inner#2", "inner", "inner"),
        *("outer.inner#2", "outer.inner#2", "outer", "outer.inner", "outer.inner"),
    ]


def test_the_seed_and_the_updates_are_in_no_call_and_in_no_statement() -> None:
    layout = layout_of(training="learning_rate = 0.1")
    for step in (11, 22):
        assert layout.statement(step) is None
        assert (layout.depth(step), layout.frames(step), layout.calls(step)) == (0, [0], [])


def test_the_depth_is_the_number_of_calls_one_is_inside_of() -> None:
    layout = layout_of()
    assert [layout.depth(step) for step in range(1, 11)] == [2, 2, 1, 2, 2, 1, 1, 1, 1, 0]
    assert [layout.depth(step) for step in range(12, 22)] == [0, 1, 1, 1, 1, 2, 2, 1, 2, 2]


def test_at_a_position_one_stands_in_the_calls_that_both_neighbouring_steps_are_in() -> None:
    layout = layout_of()
    #                    start 1  2  3  4  5  6  7  8  9  10 11
    assert [layout.level(position) for position in range(12)] == [0, 2, 1, 1, 2, 0, 1, 0, 1, 0, 0, 0]
    assert [layout.level(position) for position in range(12, 22)] == [0, 1, 0, 1, 0, 2, 1, 1, 2, 0]


@pytest.mark.parametrize(
    ("steps", "first", "last"),
    [
        ((1, 2), 1, 2),
        ((3,), 1, 5),
        ((4, 5), 4, 5),
        ((6, 7), 6, 7),
        ((8, 9), 8, 9),
        ((13, 14), 13, 14),
        ((19,), 17, 21),
        ((20, 21), 20, 21),
    ],
)
def test_a_call_runs_from_its_first_step_to_its_last_with_the_calls_inside_it(
    steps: tuple[int, ...], first: int, last: int
) -> None:
    layout = layout_of()
    for step in steps:
        assert layout.run_of_frame(step) == (first, last)


def test_outside_of_all_calls_the_run_is_the_phase() -> None:
    layout = layout_of()
    assert layout.run_of_frame(10) == (1, 10)
    assert layout.run_of_frame(12) == (12, 21)


@given(programs, st.sampled_from(["", "steps = 2\nlearning_rate = 0.1"]))
@settings(max_examples=40, deadline=None)
def test_the_frames_of_any_program_nest_and_a_call_is_one_piece(program: Program, training: str) -> None:
    layout = Layout(plan_of(program.scenario(training=training)))
    graph, plan = layout.plan.graph, layout.plan
    for step in range(1, plan.total + 1):
        place, chain = plan.place(step), layout.frames(step)
        assert chain[0] == 0
        assert all(graph.frames[inner].parent == outer for outer, inner in pairwise(chain))
        assert layout.depth(step) == len(chain) - 1 == graph.frames[chain[-1]].depth
        if place.phase in ("forward", "backward"):
            assert chain[-1] == graph.frame(plan.node_at(place)).index
            first, last = layout.run_of_frame(step)
            inside = [
                other
                for other in range(layout.phase_start(step), layout.phase_end(step) + 1)
                if layout.frames(other)[: len(chain)] == chain
            ]
            assert inside == list(range(first, last + 1))


# Lines, seen from a depth


def test_seen_from_the_program_a_call_belongs_to_the_line_that_calls_it() -> None:
    layout = layout_of()
    lines = [layout.plan.graph.statements[layout.group(step, 0)[2]].line for step in range(1, 11)]
    assert lines == [7, 7, 7, 7, 7, 9, 9, 9, 9, 10]
    assert len({layout.group(step, 0) for step in range(6, 10)}) == 2  # each turn is a line of its own


def test_seen_from_inside_a_call_its_lines_are_apart() -> None:
    layout = layout_of()
    assert [layout.plan.graph.statements[layout.group(step, 1)[2]].line for step in range(1, 6)] == [5, 5, 5, 6, 6]
    assert [layout.plan.graph.statements[layout.group(step, 2)[2]].line for step in range(1, 6)] == [2, 3, 5, 2, 3]


def test_a_line_is_another_one_in_another_phase_and_in_another_iteration() -> None:
    layout = layout_of(training="steps = 2\nlearning_rate = 0.1")
    assert layout.group(10, 0)[2] == layout.group(12, 0)[2]
    assert len({layout.group(step, 0) for step in (10, 12, 32, 34)}) == 4
    assert len({layout.group(step, 0) for step in (11, 22)}) == 2


# The call stack


def test_the_call_stack_names_the_innermost_call_first_and_where_each_is() -> None:
    layout = layout_of()
    assert [(call.name, call.line) for call in layout.calls(2)] == [("outer.inner", 3), ("outer", 5), ("", 7)]
    assert [(call.name, call.line) for call in layout.calls(20)] == [("outer.inner", 3), ("outer", 5), ("", 7)]
    assert layout.calls(2) == layout.calls(20)
    assert [(call.name, call.line) for call in layout.calls(10)] == [("", 10)]


def test_the_call_stack_says_in_which_turn_of_which_loop_each_call_was_made() -> None:
    layout = layout_of()
    assert [call.loops for call in layout.calls(8)] == [(), (("t", 1, 2, 2),)]
    assert [call.text for call in layout.calls(8)] == ["inner#2, line 2", "the program, line 9, t = 1 (2 of 2)"]
    assert [call.text for call in layout.calls(13)] == ["inner#2, line 3", "the program, line 9, t = 1 (2 of 2)"]


def test_loops_in_loops_and_in_calls_are_all_said() -> None:
    program = """\
def f(a):
    for k in range(2):
        a = a * 2
    return a + 1
h = w
for i in range(5, 2, -1):
    for j in range(2):
        h = f(h) + j
L = h
"""
    layout = layout_of(program)
    # 1 is h = w; each turn of j is two doublings, + 1, + j
    assert [call.text for call in layout.calls(1 + 4 * 3 + 2)] == [
        "f#4, line 3, k = 1 (2 of 2)",
        "the program, line 8, i = 4 (2 of 3), j = 1 (2 of 2)",
    ]
    assert layout.calls(2)[0] == Call("f", 3, (("k", 0, 1, 2),))


# Notes


NOTES = """
[[notes]]
at = "h"
text = "by name"
[[notes]]
line = 2
text = "by line"
[[notes]]
line = 9
phase = "backward"
text = "a line that only calls"
[[notes]]
at = "L"
text = "the loss"
[[notes]]
at = "w"
phase = "update"
text = "updated"
"""


def test_a_note_belongs_to_the_steps_that_are_about_its_place() -> None:
    scenario = scenario_of(training="learning_rate = 0.1", more=NOTES)
    layout = Layout(plan_of(scenario))
    at = {
        note.text: [step for step in range(1, layout.plan.total + 1) if layout.applies(note, layout.plan.place(step))]
        for note in scenario.notes
    }
    assert at == {
        "by name": [9, 12],  # h as it is in the end: where it is computed, and where its gradient comes
        "by line": [1, 4, 6, 8, 14, 16, 18, 21],
        "a line that only calls": [],
        "the loss": [10, 12],
        "updated": [22],
    }
    assert not any(layout.applies(note, None) for note in scenario.notes)
