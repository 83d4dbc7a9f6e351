"""Any sequence of moves, stops, changes and undos over any program, held to a run computed on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from random_programs import Program, programs
from test_debugger import CALLS, MOVES, SHORT, Model, debugger_of, trainings

import backprop_tui as bt
from backprop_tui import whatif
from backprop_tui.breakpoints import Breakpoint, read
from backprop_tui.conditions import names_of
from backprop_tui.debugger import Debugger
from backprop_tui.errors import CommandError
from backprop_tui.facts import FACTS
from backprop_tui.ops.op import Array, product_shape, unbroadcast
from backprop_tui.plan import PHASES, plan_of
from backprop_tui.recording import Recording, State
from backprop_tui.stops import Stops

numbers = st.integers(0, 10**6)
texts = st.sampled_from(["0.5", "-2", "1e300", "nan", "inf"])


class Made(NamedTuple):
    """A change: after how many steps, of which node (None: the learning rate), of its gradient or its value, and to what."""

    position: int
    node: int | None
    gradient: bool
    entry: tuple[int, ...]
    value: Any


class Seen(NamedTuple):
    """Values and gradients by node, as they stand at a position."""

    values: dict[int, Array]
    gradients: dict[int, Array]


def rerun(scenario: bt.Scenario, changes: list[Made]) -> list[Seen]:
    """What stands at every position of a run in which things are changed on the way: two tables, one step after the other."""
    plan = plan_of(scenario)
    graph, rate = plan.graph, plan.learning_rate
    start = bt.Recording(scenario).state(0)
    values: dict[int, Array] = {i: start.value(i) for i in range(graph.leaves)}
    gradients: dict[int, Array] = {}
    found = []
    for position in range(plan.total + 1):
        if position:
            place = plan.place(position)
            node = plan.node_at(place)
            if place.phase == "forward" and place.index == 0:
                values, gradients = {i: values[i] for i in range(graph.leaves)}, {}
            with np.errstate(all="ignore"):
                if place.phase == "forward":
                    values[node] = graph.op_of(node).bind(graph.call_of(node))(*[values[i] for i in graph.operands_of(node)])
                elif place.phase == "seed":
                    gradients[node] = np.ones_like(values[node])
                elif place.phase == "backward":
                    target = plan.targets[place.index]
                    derivative, call, reads = plan.derivative(place.index)
                    product = derivative.apply(gradients[node], *[values[i] for i in reads])
                    product = np.broadcast_to(product, product_shape(derivative, call, plan.slots[place.index]))
                    given = unbroadcast(product, graph.shapes[target])
                    gradients[target] = gradients[target] + given if target in gradients else given
                else:
                    values[node] = values[node] - rate * gradients.get(node, np.zeros_like(values[node]))
        for change in changes:
            if change.position == position and change.node is None:
                rate = float(change.value)
            elif change.position == position and change.node is not None:
                table = gradients if change.gradient else values
                table[change.node] = np.array(table[change.node])
                with np.errstate(all="ignore"):
                    table[change.node][change.entry] = change.value
        found.append(Seen(dict(values), dict(gradients)))
    return found


def assert_seen(state: State, seen: Seen) -> None:
    """A state has exactly what was seen, and nobody can write to it."""
    for node in range(len(state.recording.graph)):
        assert state.has_value(node) == (node in seen.values)
        pairs = [(state.gradient(node), seen.gradients.get(node))]
        if node in seen.values:
            pairs.append((state.value(node), seen.values[node]))
        for own, wanted in pairs:
            assert (own is None) == (wanted is None)
            if own is None or wanted is None:
                continue
            assert own.shape == wanted.shape
            assert own.dtype == wanted.dtype
            assert np.array_equal(own, wanted, equal_nan=True)
            assert isinstance(own, np.generic) or not own.flags.writeable


# Stops


PLACES: list[Callable[[Debugger, int], str]] = [
    lambda debugger, k: pick(sorted(names_of(debugger.graph)), k),
    lambda debugger, k: f"change {pick(sorted(names_of(debugger.graph)), k)}",
    lambda debugger, k: f"change grad({pick(sorted(names_of(debugger.graph)), k)})",
    lambda debugger, k: f"line {pick(debugger.graph.statements, k).line}",
    lambda debugger, k: f"step {k % debugger.total + 1}",
    lambda debugger, k: f"op {pick(debugger.graph.ops, k).name}",
    lambda debugger, k: pick(PHASES, k),
    lambda debugger, k: f"{pick(PHASES, k)} if sum(value) > 0",
    lambda debugger, k: f"line {pick(debugger.graph.statements, k).line} if norm(contribution) < 0.5",
    lambda debugger, k: f"{pick(sorted(names_of(debugger.graph)), k)} in backward if any(grad > 0)",
    lambda debugger, k: pick(sorted(FACTS), k),
    lambda debugger, k: f"small-gradient {10.0 ** -(k % 5)}",
    lambda debugger, k: f"large-gradient {10.0 ** -(k % 5)}",
]
places = st.tuples(st.sampled_from(PLACES), numbers)


def pick(things: Any, number: int) -> Any:
    return list(things)[number % len(things)]


def stopping(debugger: Debugger, place: tuple[Callable[[Debugger, int], str], int]) -> Breakpoint:
    """A breakpoint of a debugger, not added to it yet."""
    text = place[0](debugger, place[1])
    return read(text, debugger.graph, debugger.total, debugger.stops.next_number())


def all_stops(run: Recording, breakpoints: list[Breakpoint]) -> list[int]:
    """Where breakpoints stop in a recording, found from its start in one go, whatever was asked before."""
    stops, found = Stops(breakpoints), set()
    for _, hits in stops.enabled(run):
        hits.scan(run.plan.total)
        found |= set(hits.steps)
    return sorted(found)


def there_and_back(debugger: Debugger) -> tuple[list[int], list[int]]:
    """Where continue stops from the start on, and reverse-continue from the end on; without the ends of the run."""
    debugger.home()
    forward, backward = [], []
    while debugger.continue_():
        forward.append(debugger.position)
    debugger.end()
    while debugger.reverse_continue():
        backward.append(debugger.position)
    assert forward[-1:] == [debugger.total]
    assert backward[-1:] == [0]
    # the end is the last of the forward ones whether or not something stops there
    return [p for p in forward if p != debugger.total], [p for p in backward if p]


# Any sequence


class Walk(RuleBasedStateMachine):
    """A debugger that is led about, and beside it what every recording of it should hold."""

    @initialize(
        program=programs, training=trainings, precision=st.sampled_from(["float64", "float32"]), detail=st.booleans(), where=numbers
    )
    def begin(self, program: Program, training: str, precision: str, detail: bool, where: int) -> None:
        self.scenario = program.scenario(training=training, precision=precision)
        self.debugger = Debugger(self.scenario)
        self.model = Model(self.debugger)
        self.names = sorted(names_of(self.debugger.graph))
        self.made: dict[Recording, list[Made]] = {self.debugger.run: []}
        self.truths = {self.debugger.run: rerun(self.scenario, [])}
        self.came_from: dict[Recording, Recording] = {}
        self.debugger.detail = detail
        self.debugger.go_to(where % (self.debugger.total + 1))

    def moved(self, name: str) -> None:
        """Moves, and looks whether it answers what it should."""
        before = self.debugger.position, self.debugger.stage
        said = getattr(self.debugger, name)()
        assert said == (before != (self.debugger.position, self.debugger.stage))

    @rule(name=st.sampled_from([name for name in MOVES if name not in ("step", "step_back", "continue_", "reverse_continue")]))
    def move(self, name: str) -> None:
        wanted = MOVES[name](self.model, self.debugger.position)
        self.moved(name)
        assert (name, self.debugger.position, self.debugger.stage) == (name, wanted, None)

    @rule(times=st.integers(1, 12))
    def step_and_back(self, times: int) -> None:
        trail = []
        for _ in range(times):
            trail.append((self.debugger.position, self.debugger.stage, self.debugger.state.position))
            self.moved("step")
            if trail[-1][:2] == (self.debugger.position, self.debugger.stage):
                trail.pop()
        end = self.debugger.position, self.debugger.stage, self.debugger.state.position
        for place in trail[::-1]:
            self.moved("step_back")
            assert (self.debugger.position, self.debugger.stage, self.debugger.state.position) == place
        for _ in trail:
            self.moved("step")
        assert (self.debugger.position, self.debugger.stage, self.debugger.state.position) == end

    @rule(times=st.integers(1, 12))
    def step_back_and_on(self, times: int) -> None:
        trail = []
        for _ in range(times):
            trail.append((self.debugger.position, self.debugger.stage))
            self.moved("step_back")
            if trail[-1] == (self.debugger.position, self.debugger.stage):
                trail.pop()
        for place in trail[::-1]:
            self.moved("step")
            assert (self.debugger.position, self.debugger.stage) == place

    @rule(where=numbers)
    def go_to(self, where: int) -> None:
        self.debugger.go_to(where % (self.debugger.total + 1))
        assert self.debugger.position == where % (self.debugger.total + 1)

    @rule()
    def switch_detail(self) -> None:
        position = self.debugger.position
        self.debugger.detail = not self.debugger.detail
        assert self.debugger.position == position
        assert self.debugger.detail or self.debugger.stage is None

    @rule(place=places)
    def stop_somewhere(self, place: tuple[Callable[[Debugger, int], str], int]) -> None:
        self.debugger.stops.add(stopping(self.debugger, place))

    @rule(which=numbers, away=st.booleans())
    def switch_a_stop(self, which: int, away: bool) -> None:
        stops = self.debugger.stops
        if stops.breakpoints:
            chosen = pick(stops.breakpoints, which)
            if away:
                stops.remove(chosen.number)
            else:
                stops.change(chosen.number, enabled=not chosen.enabled)

    @rule(forward=st.booleans())
    def travel(self, forward: bool) -> None:
        debugger, position = self.debugger, self.debugger.position
        known = all_stops(debugger.run, debugger.stops.breakpoints)
        if forward:
            wanted = next((stop for stop in known if stop > position), debugger.total)
        else:
            wanted = next((stop for stop in known[::-1] if stop < position), 0)
        self.moved("continue_" if forward else "reverse_continue")
        assert debugger.position == wanted
        assert debugger.stage is None
        if wanted != position:
            assert bool(debugger.reason) == (wanted in known)

    @rule(which=numbers, entry=st.lists(numbers, max_size=3), gradient=st.booleans(), text=texts)
    def edit(self, which: int, entry: list[int], gradient: bool, text: str) -> None:
        debugger = self.debugger
        position, old = debugger.position, debugger.run
        name = pick(self.names, which)
        node = debugger.graph.resolve(name)
        assert node is not None
        shape = debugger.graph.shapes[node]
        # negative places too
        index = tuple(k % (2 * size) - size for k, size in zip(entry, shape, strict=False))
        target = (f"grad({name})" if gradient else name) + (f"[{', '.join(map(str, index))}]" if index else "")
        seen = self.truths[old][position]
        if node not in (seen.gradients if gradient else seen.values):
            with pytest.raises(CommandError):
                whatif.apply(debugger, f"{target} = {text}")
            assert debugger.run is old
            return
        whatif.apply(debugger, f"{target} = {text}")
        self.came_to(old, Made(position, node, gradient, index, float(text)))

    @rule(rate=st.sampled_from([0.0, 0.5, -3.0]))
    def change_the_rate(self, rate: float) -> None:
        if self.debugger.plan.update_steps:
            position, old = self.debugger.position, self.debugger.run
            whatif.apply(self.debugger, f"learning_rate = {rate}")
            self.came_to(old, Made(position, None, False, (), rate))

    def came_to(self, old: Recording, made: Made) -> None:
        """Remembers what the recording that a change has just made should hold: what lies ahead of it is not in it."""
        new = self.debugger.run
        assert new not in self.made
        assert self.debugger.position == made.position
        self.made[new] = [*(known for known in self.made[old] if known.position <= made.position), made]
        self.truths[new] = rerun(self.scenario, self.made[new])
        self.came_from[new] = old

    @rule()
    def undo(self) -> None:
        debugger, gone, position = self.debugger, self.debugger.run, self.debugger.position
        if gone not in self.came_from:
            with pytest.raises(CommandError):
                whatif.undo(debugger)
            return
        whatif.undo(debugger)
        assert gone not in debugger.recordings
        before = self.came_from[gone]
        while before not in debugger.recordings:
            before = self.came_from[before]
        assert debugger.run is before
        assert debugger.position == position

    @rule(which=numbers)
    def switch(self, which: int) -> None:
        position = self.debugger.position
        number = which % len(self.debugger.recordings) + 1
        self.debugger.switch(number)
        assert (self.debugger.run_number, self.debugger.position) == (number, position)

    @invariant()
    def what_stands_here_is_what_should(self) -> None:
        debugger = self.debugger
        inside = debugger.stage is not None
        assert debugger.state.position == debugger.position - inside
        assert_seen(debugger.state, self.truths[debugger.run][debugger.position - inside])
        assert debugger.recordings[0].parent is None
        assert debugger.run in debugger.recordings
        step = debugger.current
        assert (step is None) == (debugger.position == 0)
        assert step is None or step.number == debugger.position

    def teardown(self) -> None:
        # every recording, also those that were gone on from or undone, holds what it held, at every position
        for run, seen in getattr(self, "truths", {}).items():
            for position, one in enumerate(seen):
                assert_seen(run.state(position), one)


TestAnySequence = Walk.TestCase
TestAnySequence.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


# One pair of moves at a time


@given(programs, trainings, st.lists(places, max_size=4))
@settings(max_examples=100, deadline=None)
def test_continue_and_reverse_continue_visit_the_same_stops_in_opposite_order(
    program: Program, training: str, stops: list[tuple[Callable[[Debugger, int], str], int]]
) -> None:
    debugger = Debugger(program.scenario(training=training))
    for place in stops:
        debugger.stops.add(stopping(debugger, place))
    forward, backward = there_and_back(debugger)
    assert forward == backward[::-1]
    assert forward == [stop for stop in all_stops(debugger.run, debugger.stops.breakpoints) if stop != debugger.total]


@given(programs, trainings, st.lists(places, min_size=1, max_size=4), numbers, numbers, st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_stops_of_a_change_are_those_of_the_run_before_it_and_its_own_after_it(
    program: Program,
    training: str,
    stops: list[tuple[Callable[[Debugger, int], str], int]],
    where: int,
    which: int,
    looked: bool,
) -> None:
    debugger = Debugger(program.scenario(training=training))
    for place in stops:
        debugger.stops.add(stopping(debugger, place))
    if looked:
        there_and_back(debugger)
    before = all_stops(debugger.run, debugger.stops.breakpoints)
    debugger.go_to(where % (debugger.total + 1))
    position = debugger.position
    leaves = [name for name in debugger.graph.leaf_names if name in names_of(debugger.graph)]
    whatif.apply(debugger, f"{pick(sorted(leaves), which)} = 0.125")
    forward, backward = there_and_back(debugger)
    assert forward == backward[::-1]
    end = min(position, debugger.total - 1)
    assert [stop for stop in forward if stop <= end] == [stop for stop in before if stop <= end]
    debugger.switch(1)
    assert there_and_back(debugger)[0] == [stop for stop in before if stop != debugger.total]


@given(programs, trainings, st.lists(places, max_size=3), st.lists(st.tuples(numbers, st.booleans()), max_size=12))
@settings(max_examples=100, deadline=None)
def test_from_anywhere_continue_goes_to_the_nearest_stop_on_that_side(
    program: Program,
    training: str,
    stops: list[tuple[Callable[[Debugger, int], str], int]],
    asked: list[tuple[int, bool]],
) -> None:
    debugger = Debugger(program.scenario(training=training))
    for place in stops:
        debugger.stops.add(stopping(debugger, place))
    known = all_stops(bt.Recording(debugger.scenario), debugger.stops.breakpoints)
    for where, forward in asked:
        debugger.go_to(where % (debugger.total + 1))
        position = debugger.position
        if forward:
            debugger.continue_()
            assert debugger.position == min((stop for stop in known if stop > position), default=debugger.total)
        else:
            debugger.reverse_continue()
            assert debugger.position == max((stop for stop in known if stop < position), default=0)


def finishing(debugger: Debugger) -> None:
    """From every position, finish and back, and the other way round."""
    model = Model(debugger)
    for start in range(debugger.total):
        debugger.go_to(start)
        debugger.finish()
        end = debugger.position
        # a call that ends inside another one is gone back over by the inner one first
        if model.frames[end] != model.frames[start + 1]:
            continue
        debugger.finish_back()
        first = debugger.position
        assert first <= start
        if start == 0 or model.outside(start + 1, start):
            assert first == start
        if model.frames[first + 1] == model.frames[end]:
            debugger.finish()
            assert debugger.position == end
    for start in range(debugger.total, 0, -1):
        debugger.go_to(start)
        debugger.finish_back()
        first = debugger.position
        if model.frames[first + 1] != model.frames[start]:
            continue
        debugger.finish()
        assert debugger.position >= start
        if start == debugger.total or model.outside(start, start + 1):
            assert debugger.position == start


@given(programs, trainings)
@settings(max_examples=60, deadline=None)
def test_finish_back_goes_to_where_finish_set_off_at_the_beginning_of_a_call(program: Program, training: str) -> None:
    finishing(Debugger(program.scenario(training=training)))


def test_finish_and_back_over_nested_calls_and_loops() -> None:
    loops = "for t in range(2):\n    h = outer(h) * inner(inner(k)) + t\nL = h + L\n"
    finishing(debugger_of(CALLS + loops, training="steps = 2\nlearning_rate = 0.1"))


@given(programs, trainings, numbers)
@settings(max_examples=100, deadline=None)
def test_a_phase_is_left_and_entered_at_the_same_boundary(program: Program, training: str, where: int) -> None:
    debugger = Debugger(program.scenario(training=training))
    model = Model(debugger)
    boundaries = [0, *(p for p in range(1, debugger.total) if model.phases[p] != model.phases[p + 1]), debugger.total]
    debugger.go_to(where % (debugger.total + 1))
    position = debugger.position
    debugger.next_phase()
    after = debugger.position
    debugger.previous_phase()
    if position != debugger.total:
        assert debugger.position == max(p for p in boundaries if p <= position)
        debugger.next_phase()
        assert debugger.position == after


@given(programs, trainings)
@settings(max_examples=60, deadline=None)
def test_inside_every_multiplication_step_back_returns_to_each_stage(program: Program, training: str) -> None:
    debugger = Debugger(program.scenario(training=training))
    debugger.detail = True
    visited = [(debugger.position, debugger.stage)]
    while debugger.step():
        visited.append((debugger.position, debugger.stage))
        # the gradient that is being added to is as it was until the last stage
        assert debugger.state.position == debugger.position - (debugger.stage is not None)
    assert len(set(visited)) == len(visited)
    for place in visited[-2::-1]:
        assert debugger.step_back()
        assert (debugger.position, debugger.stage) == place
    assert not debugger.step_back()


@pytest.mark.parametrize("name", [name for name in SHORT if name not in ("step", "step_back")])
def test_a_larger_move_from_inside_a_multiplication_goes_where_it_goes_from_its_end(name: str) -> None:
    debugger = debugger_of(CALLS, training="steps = 2\nlearning_rate = 0.1")
    model = Model(debugger)
    for position in range(1, debugger.total + 1):
        debugger.detail = True
        debugger.go_to(position - 1)
        debugger.step()
        if debugger.stage is None:
            continue
        assert getattr(debugger, name)()
        assert (debugger.position, debugger.stage) == (MOVES[name](model, position), None)


def test_at_the_last_multiplication_of_a_run_every_move_on_ends_it() -> None:
    for name in ("next", "finish", "next_phase", "continue_", "end"):
        debugger = debugger_of("L = w * w")
        debugger.detail = True
        debugger.go_to(debugger.total - 1)
        debugger.step()
        assert debugger.stage == "upstream"
        assert getattr(debugger, name)()
        assert (debugger.position, debugger.stage) == (debugger.total, None)
        assert not getattr(debugger, name)()
