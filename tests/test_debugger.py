"""The debugger: the position and the moves, in pairs, over fixed programs and over any."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, programs

import backprop_tui as bt
from backprop_tui.debugger import Debugger
from backprop_tui.errors import CommandError

CALLS = """
def inner(a):
    z = a * w
    return sin(z)
def outer(a):
    b = inner(a) + 1
    return inner(b)
h = outer(w)
k = h * 2
L = k * outer(k)
"""


def debugger_of(program: str, parameters: str = "w = 0.5", training: str = "") -> Debugger:
    tables = f"[parameters]\n{parameters}\n" + (f"[training]\n{training}\n" if training else "")
    return Debugger(bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n{tables}"))


def line(debugger: Debugger, step: int) -> str:
    """A step as a word: f (forward), b (backward), and the name, with the frame it is in."""
    place = debugger.plan.place(step)
    node = debugger.plan.node_at(place)
    if place.phase in ("seed", "update"):
        return place.phase
    frame = debugger.graph.frame(node).name
    return f"{place.phase[0]} {frame}:{debugger.graph.label(node)}"


def landings(debugger: Debugger, move: Callable[[Debugger], bool]) -> list[int]:
    """Every position that a move stops at on its way from here to an end."""
    found = []
    while move(debugger):
        found.append(debugger.position)
    return found


# A program with two calls, one in the other. Its forward steps are
#  1 outer.inner.z   2 outer.inner:sin(z)   3 outer.b   4 outer.inner#2.z   5 h
#  6 k               7 … 11 the same in outer#2         12 L
# then the seed is 13, and the backward steps follow.


def test_the_program_that_these_tests_walk_through() -> None:
    debugger = debugger_of(CALLS)
    assert [line(debugger, step) for step in range(1, 15)] == [
        *("f outer.inner:outer.inner.z", "f outer.inner:sin(z)", "f outer:outer.b", "f outer.inner#2:outer.inner#2.z"),
        *("f outer.inner#2:h", "f :k", "f outer#2.inner:outer#2.inner.z", "f outer#2.inner:sin(z)"),
        *("f outer#2:outer#2.b", "f outer#2.inner#2:outer#2.inner#2.z", "f outer#2.inner#2:sin(z)", "f :L", "seed"),
        "b :L",
    ]


def test_a_debugger_starts_before_everything_and_executes_nothing() -> None:
    debugger = debugger_of(CALLS)
    assert (debugger.position, debugger.place, debugger.current, len(debugger.recording)) == (0, None, None, 0)
    assert debugger.state.position == 0
    assert debugger.total == debugger.plan.total
    assert (debugger.step_back(), debugger.next_back(), debugger.finish_back()) == (False, False, False)
    assert (debugger.previous_phase(), debugger.home(), debugger.restart(), debugger.reverse_continue()) == (False,) * 4
    assert len(debugger.recording) == 0


def test_step_goes_into_calls_and_current_is_the_step_just_executed() -> None:
    debugger = debugger_of(CALLS)
    for position in range(1, debugger.total + 1):
        assert debugger.step()
        assert debugger.position == position == len(debugger.recording)
        assert debugger.current is not None
        assert debugger.current.number == position
        assert debugger.place == debugger.plan.place(position)
    assert not debugger.step()
    assert not debugger.next()
    assert not debugger.finish()
    assert not debugger.next_phase()
    assert not debugger.continue_()
    assert not debugger.end()
    assert landings(debugger, Debugger.step_back) == list(range(debugger.total - 1, -1, -1))


def test_next_goes_over_calls_one_line_at_a_time() -> None:
    debugger = debugger_of(CALLS)
    assert landings(debugger, Debugger.next)[:4] == [5, 6, 12, 13]
    first_backward = debugger.plan.forward_steps + 1
    debugger.go_to(first_backward)
    # the whole of L = k * outer(k), with the call, then k, then h
    stops = [debugger.position, *landings(debugger, Debugger.next)]
    statements = debugger.graph.statements
    lines = [{statements[top(debugger, s)].line for s in range(a + 1, b + 1)} for a, b in pairwise(stops)]
    assert lines == [{10}, {9}, {8}]


def top(debugger: Debugger, step: int) -> int:
    """The statement of the program itself that a step belongs to."""
    node = debugger.plan.node_at(debugger.plan.place(step))
    statement, frame = debugger.graph.statement(node), debugger.graph.frame(node)
    while frame.parent >= 0:
        statement = debugger.graph.statements[frame.statement]
        frame = debugger.graph.frames[frame.parent]
    return statement.index


def test_next_inside_a_call_goes_over_the_lines_of_that_call() -> None:
    debugger = debugger_of(CALLS)
    debugger.go_to(1)
    assert debugger.next()
    assert debugger.position == 2  # return sin(z), in inner
    assert debugger.next()
    assert debugger.position == 3  # the rest of b = inner(a) + 1, in outer
    assert debugger.next()
    assert debugger.position == 5  # return inner(b), over the call
    assert debugger.next()
    assert debugger.position == 6
    debugger.go_to(5)
    assert debugger.next_back()
    assert debugger.position == 0  # at the end of a call one stands outside it


def test_each_turn_of_a_loop_is_a_line_of_its_own() -> None:
    debugger = debugger_of("y = w\nfor t in range(3):\n    y = y * w + t\nL = y")
    assert landings(debugger, Debugger.next)[:5] == [1, 3, 5, 7, 8]


def test_finish_leaves_the_call_or_ends_the_phase() -> None:
    debugger = debugger_of(CALLS)
    stops = []
    for start in (0, 1, 2, 3, 4, 5, 7, 9, 11, 12):
        debugger.go_to(start)
        assert debugger.finish()
        stops.append(debugger.position)
    # out of inner; out of inner; out of outer (it ends inside the other inner); the phase
    assert stops == [2, 2, 5, 5, 5, 12, 8, 11, 12, 13]
    debugger.go_to(13)
    assert debugger.finish()
    assert debugger.position == debugger.total


def test_finish_back_goes_before_the_call_or_before_the_phase() -> None:
    debugger = debugger_of(CALLS)
    stops = []
    for start in (1, 2, 3, 4, 5, 6, 8, 9, 12, 13):
        debugger.go_to(start)
        assert debugger.finish_back()
        stops.append(debugger.position)
    assert stops == [0, 0, 0, 3, 3, 0, 6, 6, 0, 12]


def test_the_phase_moves_stop_at_each_boundary_both_ways() -> None:
    debugger = debugger_of("L = w * w", training="steps = 2\nlearning_rate = 0.1")
    assert landings(debugger, Debugger.next_phase) == [1, 2, 4, 5, 6, 7, 9, 10]
    assert landings(debugger, Debugger.previous_phase) == [9, 7, 6, 5, 4, 2, 1, 0]
    debugger.go_to(3)
    assert debugger.previous_phase()
    assert debugger.position == 2
    debugger.go_to(3)
    assert debugger.next_phase()
    assert debugger.position == 4


def test_a_phase_without_steps_is_passed_over() -> None:
    debugger = Debugger(bt.loads("format = 1\ntitle = 't'\nprogram = 'L = x * x'\n[data]\nx = 2\n"))
    assert landings(debugger, Debugger.next_phase) == [1, 2]
    assert landings(debugger, Debugger.previous_phase) == [1, 0]


def test_home_end_continue_and_restart_go_to_the_ends_and_undo_nothing() -> None:
    debugger = debugger_of(CALLS)
    assert debugger.continue_()
    assert debugger.position == debugger.total
    assert debugger.reverse_continue()
    assert debugger.position == 0
    assert len(debugger.recording) == debugger.total
    assert debugger.end()
    assert debugger.restart()
    assert debugger.end()
    assert debugger.home()
    assert debugger.position == 0


def test_moving_back_executes_nothing() -> None:
    debugger = debugger_of(CALLS)
    debugger.go_to(9)
    for move in (Debugger.step_back, Debugger.next_back, Debugger.finish_back, Debugger.previous_phase, Debugger.home):
        move(debugger)
        assert len(debugger.recording) == 9


def test_run_to_line_goes_forward_to_the_next_step_of_the_line() -> None:
    debugger = debugger_of("a = w * w\nb = sin(a)\nL = a * b")
    stops = [(debugger.run_to_line(3), debugger.position) for _ in range(4)]
    assert stops == [(True, 3), (True, 5), (True, 6), (False, 6)]
    assert not debugger.run_to_line(17)


# Stops.


STOPS = """
[[breakpoints]]
at = "a"
[[breakpoints]]
line = 2
phase = "backward"
[[breakpoints]]
phase = "update"
when = "value < 0"
"""


def stopped(debugger: Debugger, move: Callable[[Debugger], bool]) -> list[tuple[int, str]]:
    """Where a move stops, and by which breakpoints, until it moves no more."""
    found = []
    while move(debugger):
        found.append((debugger.position, re.sub(r"(hit) of \d+", r"\1", debugger.reason)))
    return found


def test_continue_stops_at_the_breakpoints_of_the_scenario_in_both_directions_and_says_why() -> None:
    # 1 a  2 b  3 L  4 seed  5 L → b  6 b → a  7 a → w  8 update, and once more
    debugger = debugger_of("a = w * 3\nb = a * 2\nL = b", training="steps = 2\nlearning_rate = 0.1\n" + STOPS)
    assert debugger.total == 16
    first, second, third = (
        "breakpoint 1, a, {} hit",
        "breakpoint 2, line 2 in backward, {} hit",
        "breakpoint 3, phase update if value < 0, {} hit",
    )
    both = "breakpoint 1, a, {} hit; breakpoint 2, line 2 in backward, {} hit"
    wanted = [
        (1, first.format("1st")),
        (6, both.format("2nd", "1st")),
        (8, third.format("1st")),
        (9, first.format("3rd")),
        (14, both.format("4th", "2nd")),
        (16, third.format("2nd")),
    ]
    assert stopped(debugger, Debugger.continue_) == wanted
    assert second.format("1st") in wanted[1][1]
    assert stopped(debugger, Debugger.reverse_continue) == [*wanted[-2::-1], (0, "")]


def test_continue_ignores_the_stop_one_stands_on() -> None:
    debugger = debugger_of("a = w * 3\nL = a", training="learning_rate = 0.1\n[[breakpoints]]\nat = 'a'\nphase = 'forward'")
    assert debugger.continue_()
    assert debugger.position == 1
    assert debugger.continue_()
    assert (debugger.position, debugger.reason) == (debugger.total, "")
    assert debugger.reverse_continue()
    assert debugger.position == 1
    assert debugger.reverse_continue()
    assert (debugger.position, debugger.reason) == (0, "")


def test_a_stop_that_is_switched_off_is_passed() -> None:
    debugger = debugger_of("a = w * 3\nL = a", training="learning_rate = 0.1\n[[breakpoints]]\nat = 'a'")
    debugger.stops.change(1, enabled=False)
    assert debugger.continue_()
    assert debugger.position == debugger.total
    debugger.stops.change(1, enabled=True)
    assert debugger.reverse_continue()
    assert debugger.position == 4  # where its gradient comes
    debugger.stops.remove(1)
    assert debugger.reverse_continue()
    assert debugger.position == 0


def test_any_other_move_has_no_reason_to_stop() -> None:
    debugger = debugger_of("a = w * 3\nL = a", training="learning_rate = 0.1\n[[breakpoints]]\nat = 'a'")
    for move in (Debugger.step, Debugger.next, Debugger.end, Debugger.step_back, Debugger.home):
        debugger.continue_()
        debugger.go_to(1)
        move(debugger)
        assert debugger.reason == ""


# Going to a place.


def test_go_to_refuses_a_position_that_the_run_does_not_have() -> None:
    debugger = debugger_of(CALLS)
    for position in (-1, debugger.total + 1, 10**30):
        with pytest.raises(CommandError, match=f"it has the steps 1 to {debugger.total}"):
            debugger.go_to(position)
    assert debugger.position == 0
    assert not debugger.go_to(0)
    assert debugger.go_to(debugger.total)


def test_find_takes_a_step_number() -> None:
    debugger = debugger_of(CALLS)
    assert debugger.find("0") == 0
    assert debugger.find(" 7 ") == 7
    assert debugger.find(str(debugger.total)) == debugger.total


@pytest.mark.parametrize("text", ["999", "-1", "9" * 5000, "--3", "²"])
def test_find_refuses_a_number_that_is_no_step_in_one_line(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        debugger_of(CALLS).find(text)
    assert len(str(caught.value)) < 5200
    assert "\n" not in str(caught.value)


def test_find_takes_a_phase_in_the_present_iteration() -> None:
    debugger = debugger_of("L = w * w", training="steps = 2\nlearning_rate = 0.1")
    phases = ("forward", "seed", "backward", "update")
    assert [debugger.find(phase) for phase in phases] == [1, 2, 3, 5]
    debugger.go_to(7)
    assert [debugger.find(phase) for phase in phases] == [6, 7, 8, 10]
    with pytest.raises(CommandError, match="no update steps"):
        debugger_of("L = w * w").find("update")


def test_find_takes_a_name_where_it_is_computed_and_a_leaf_where_its_gradient_is_complete() -> None:
    debugger = debugger_of(CALLS + "spare = unused * 2\nL = k + L\n", "w = 0.5\nunused = 1")
    graph, plan = debugger.graph, debugger.plan
    for name in ("h", "k", "outer.b", "outer#2.inner.z", "L#2"):
        position = debugger.find(name)
        assert plan.node_at(plan.place(position)) == graph.by_name[name]
        assert plan.place(position).phase == "forward"
    assert debugger.find("L") == debugger.find("L#2")
    assert debugger.find("L#1") == 12
    debugger.go_to(debugger.find("w"))
    assert debugger.state.gradient(graph.leaf("w")) == pytest.approx(debugger.recording.gradients["w"])
    debugger.step_back()
    assert debugger.state.gradient(graph.leaf("w")) != pytest.approx(debugger.recording.gradients["w"])
    assert debugger.find("unused") == 0


def test_find_names_the_nearest_name_where_there_is_none() -> None:
    debugger = debugger_of("hidden = w * 2\nL = hidden * pi")
    with pytest.raises(CommandError, match="no step, name or phase 'hiden'; did you mean 'hidden'"):
        debugger.find("hiden")
    with pytest.raises(CommandError, match="did you mean 'backward'"):
        debugger.find("bakward")
    for text in ("pi", "0.5", "", "[bold]"):  # a constant is no name
        with pytest.raises(CommandError):
            debugger_of("L = w * 0.5 * pi").find(text)


# Properties of every run.


class Model:
    """What the moves should do, by brute force from the plan of a run."""

    def __init__(self, debugger: Debugger) -> None:
        plan, graph = debugger.plan, debugger.graph
        self.total = plan.total
        self.phases: list[tuple[int, str]] = [(-1, "")]
        self.frames: list[tuple[int, ...]] = [()]
        self.lines: list[tuple[int, ...]] = [()]
        for step in range(1, plan.total + 1):
            place = plan.place(step)
            self.phases.append((place.iteration, place.phase))
            if place.phase in ("seed", "update"):
                self.frames.append((0,))
                self.lines.append((-step,))
                continue
            statement = graph.statement(plan.node_at(place))
            frames, lines = [statement.frame], [statement.index]
            while frames[0]:
                frame = graph.frames[frames[0]]
                frames.insert(0, frame.parent)
                lines.insert(0, frame.statement)
            self.frames.append(tuple(frames))
            self.lines.append(tuple(lines))

    def level(self, position: int) -> int:
        """How many calls deep both the step before and the step after a position are, in the same calls."""
        if not 0 < position < self.total or self.phases[position] != self.phases[position + 1]:
            return 0
        both = zip(self.frames[position], self.frames[position + 1], strict=False)
        return [one == other for one, other in [*both, (0, 1)]].index(False) - 1

    def line(self, step: int, level: int) -> tuple[object, ...]:
        return self.phases[step], self.lines[step][: level + 1]

    def boundary(self, position: int, level: int) -> bool:
        """Whether a line, seen from a depth of calls, ends at a position."""
        if position in (0, self.total):
            return True
        return self.line(position, level) != self.line(position + 1, level)

    def next(self, position: int) -> int:
        level = self.level(position)
        return next((p for p in range(position + 1, self.total) if self.boundary(p, level)), self.total)

    def next_back(self, position: int) -> int:
        level = self.level(position)
        return next((p for p in range(position - 1, 0, -1) if self.boundary(p, level)), 0)

    def outside(self, step: int, other: int) -> bool:
        """Whether another step is outside the innermost call, or the phase, of a step."""
        own = self.frames[step]
        return self.phases[other] != self.phases[step] or self.frames[other][: len(own)] != own

    def finish(self, position: int) -> int:
        if position == self.total:
            return position
        step = position + 1
        return next((p for p in range(step, self.total) if self.outside(step, p + 1)), self.total)

    def finish_back(self, position: int) -> int:
        return next((p for p in range(position - 1, 0, -1) if self.outside(position, p)), 0)

    def next_phase(self, position: int) -> int:
        return next((p for p in range(position + 1, self.total) if self.phases[p] != self.phases[p + 1]), self.total)

    def previous_phase(self, position: int) -> int:
        return next((p for p in range(position - 1, 0, -1) if self.phases[p] != self.phases[p + 1]), 0)


MOVES: dict[str, Callable[[Model, int], int]] = {
    "step": lambda model, position: min(position + 1, model.total),
    "step_back": lambda model, position: max(position - 1, 0),
    "next": Model.next,
    "next_back": Model.next_back,
    "finish": Model.finish,
    "finish_back": Model.finish_back,
    "next_phase": Model.next_phase,
    "previous_phase": Model.previous_phase,
    "continue_": lambda model, position: model.total,
    "reverse_continue": lambda model, position: 0,
    "home": lambda model, position: 0,
    "end": lambda model, position: model.total,
    "restart": lambda model, position: 0,
}
SHORT = [name for name in MOVES if name not in ("continue_", "end", "home", "restart", "reverse_continue")]
trainings = st.sampled_from(["", "steps = 2\nlearning_rate = 0.1"])


@given(programs, trainings, st.data())
@settings(max_examples=60, deadline=None)
def test_any_sequence_of_moves_lands_where_the_model_says(program: Program, training: str, data: st.DataObject) -> None:
    scenario = program.scenario(training=training)
    debugger = Debugger(scenario)
    model = Model(debugger)
    furthest = 0
    for name in data.draw(st.lists(st.sampled_from([*SHORT * 4, *MOVES]), max_size=30)):
        before = debugger.position
        wanted = MOVES[name](model, before)
        moved = getattr(debugger, name)()
        assert (name, before, debugger.position) == (name, before, wanted)
        assert moved == (wanted != before)
        furthest = max(furthest, wanted)
        assert len(debugger.recording) == furthest


@given(programs, trainings)
@settings(max_examples=30, deadline=None)
def test_every_move_from_every_position_lands_where_the_model_says(program: Program, training: str) -> None:
    debugger = Debugger(program.scenario(training=training))
    model = Model(debugger)
    for position in range(debugger.total + 1):
        for name in SHORT:
            debugger.go_to(position)
            getattr(debugger, name)()
            assert (name, position, debugger.position) == (name, position, MOVES[name](model, position))


def test_every_move_over_nested_calls_and_loops_lands_where_the_model_says() -> None:
    loops = "for t in range(2):\n    h = outer(h) * inner(inner(k)) + t\nL = h + L\n"
    debugger = debugger_of(CALLS + loops, training="steps = 2\nlearning_rate = 0.1")
    model = Model(debugger)
    assert max(map(len, model.frames)) == 3
    for position in range(debugger.total + 1):
        for name in SHORT:
            debugger.go_to(position)
            getattr(debugger, name)()
            assert (name, position, debugger.position) == (name, position, MOVES[name](model, position))


@given(programs, st.data())
@settings(max_examples=60, deadline=None)
def test_step_back_undoes_step(program: Program, data: st.DataObject) -> None:
    debugger = Debugger(program.scenario(training="learning_rate = 0.1"))
    debugger.go_to(data.draw(st.integers(0, debugger.total)))
    position, before = debugger.position, debugger.state.snapshot()
    if debugger.step():
        assert debugger.step_back()
    assert debugger.position == position
    assert_same(debugger.state.snapshot(), before)


def assert_same(one: dict[str, tuple[object, object]], other: dict[str, tuple[object, object]]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        for a, b in zip(one[key], other[key], strict=True):
            assert (a is None) == (b is None)
            assert a is None or b is None or np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)


@given(programs, trainings)
@settings(max_examples=40, deadline=None)
def test_next_back_returns_to_where_next_started_at_the_start_of_a_line(program: Program, training: str) -> None:
    debugger = Debugger(program.scenario(training=training))
    model = Model(debugger)
    for start in range(debugger.total):
        debugger.go_to(start)
        debugger.next()
        # a call that has just been left is gone back over whole: so is its line
        if model.boundary(start, model.level(debugger.position)):
            debugger.next_back()
            assert debugger.position == start
    for start in range(debugger.total, 0, -1):
        debugger.go_to(start)
        debugger.next_back()
        if model.boundary(start, model.level(debugger.position)):
            debugger.next()
            assert debugger.position == start


@given(programs, trainings)
@settings(max_examples=40, deadline=None)
def test_from_line_to_line_and_back_stops_at_the_same_places(program: Program, training: str) -> None:
    debugger = Debugger(program.scenario(training=training))
    forward = [0, *landings(debugger, Debugger.next)]
    backward = [debugger.total, *landings(debugger, Debugger.next_back)]
    assert forward == backward[::-1]
    phases = [0, *landings(debugger, Debugger.next_phase)]
    assert phases == [debugger.total, *landings(debugger, Debugger.previous_phase)][::-1]


@given(programs, trainings, st.data())
@settings(max_examples=40, deadline=None)
def test_go_to_gives_the_same_state_as_stepping(program: Program, training: str, data: st.DataObject) -> None:
    scenario = program.scenario(training=training)
    jumping, stepping = Debugger(scenario), Debugger(scenario)
    position = data.draw(st.integers(0, jumping.total))
    jumping.go_to(data.draw(st.integers(0, jumping.total)))
    jumping.go_to(position)
    while stepping.position < position:
        stepping.step()
    assert_same(jumping.state.snapshot(), stepping.state.snapshot())
    one, other = jumping.current, stepping.current
    assert repr(one) == repr(other)


@given(programs)
@settings(max_examples=30, deadline=None)
def test_every_name_is_found(program: Program) -> None:
    debugger = Debugger(program.scenario())
    graph = debugger.graph
    for name, node in graph.by_name.items():
        if node in graph.constants:
            continue
        position = debugger.find(name)
        if position:
            step = debugger.recording.step(position)
            found = step.node_index if step.kind == "forward" else getattr(step, "operand_index", None)
            assert found == graph.resolve(name)
        else:
            assert debugger.plan.last_write[node] < 1


def test_run_to_a_line_that_only_calls_stops_where_its_call_is_entered() -> None:
    program = "def f(x):\n    z = x * x\n    return sin(z)\nh = w\nfor i in range(2):\n    h = f(h)\nL = h\n"
    debugger = Debugger(bt.loads(f'format = 1\ntitle = \'t\'\nprogram = """\n{program}"""\n[parameters]\nw = 0.5\n'))
    line = 1 + debugger.graph.source.split("\n").index("    h = f(h)")
    places = []
    while debugger.run_to_line(line):
        places.append((debugger.position, debugger.place.phase if debugger.place else ""))
    forward = [position for position, phase in places if phase == "forward"]
    assert len(forward) == 2
    assert {phase for _, phase in places} == {"forward", "backward"}
    for position, _ in places:
        assert debugger.layout.depth(position) == 1
        assert debugger.layout.frames(position) != debugger.layout.frames(position - 1)
