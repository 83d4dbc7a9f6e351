"""Debugger → the models of the other panels. Nothing here walks the whole recording."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from backprop_tui.conditions import nodes_of
from backprop_tui.debugger import Debugger
from backprop_tui.format import clean, plain, shape_text
from backprop_tui.graph import Graph
from backprop_tui.ops.op import Array
from backprop_tui.plan import PHASES, Phase, Plan
from backprop_tui.recording import State
from backprop_tui.view.models import (
    HeaderModel,
    NotesModel,
    ProgramModel,
    StepRow,
    StepsModel,
    TimelineModel,
    VariableRow,
    VariablesModel,
)
from backprop_tui.wording import Wording

if TYPE_CHECKING:
    from backprop_tui.beside import Beside

#: Of a program with more variables, those around the step are shown.
MOST_VARIABLES = 100


def header_model(debugger: Debugger, *, playing: bool = False) -> HeaderModel:
    """The line at the top."""
    place = debugger.place
    scenario = debugger.scenario
    return HeaderModel(
        clean(scenario.title),
        clean(scenario.name),
        place.phase if place else None,
        debugger.position,
        debugger.total,
        place.iteration + 1 if place else 1,
        debugger.plan.iterations,
        playing,
        debugger.stage,
        _context(debugger),
    )


def _context(debugger: Debugger) -> str:
    """Which recording one is in, if there are several, which call, and which turns of which loops, in words."""
    place = debugger.place
    count = len(debugger.recordings)
    parts = [f"recording {debugger.run_number} of {count}"] if count > 1 else []
    if place is None or place.phase not in ("forward", "backward"):
        return "".join(parts)
    graph = debugger.graph
    statement = graph.statement(debugger.plan.node_at(place))
    frame = graph.frames[statement.frame]
    parts += [f"in {frame.name}"] if frame.name else []
    parts += [f"{name} = {value} ({turn} of {total})" for name, value, turn, total in statement.loops]
    return clean(", ".join(parts))


def timeline_model(debugger: Debugger) -> TimelineModel:
    """The line at the bottom, of the iteration one is in."""
    plan = debugger.plan
    iteration = debugger.place.iteration if debugger.place else 0
    spans: list[tuple[Phase, int, int]] = []
    for phase in PHASES:
        count = plan.phase_steps(phase)
        if count:
            first = plan.step_of(iteration, phase)
            spans.append((phase, first, first + count - 1))
    return TimelineModel(tuple(spans), debugger.position, iteration * plan.period, (iteration + 1) * plan.period)


@lru_cache(maxsize=4)
def _source_lines(graph: Graph) -> tuple[str, ...]:
    """The lines of the program, clean, as they are drawn: made once a graph."""
    return tuple(clean(text) for text in graph.source.strip("\n").split("\n"))


def program_model(debugger: Debugger) -> ProgramModel:
    """The source, with the sub-expression that is executing marked."""
    graph = debugger.graph
    lines = _source_lines(graph)
    skipped = len(graph.source) - len(graph.source.lstrip("\n"))
    place = debugger.place
    marks: list[tuple[int, int, int]] = []
    calls: list[int] = []
    phase = place.phase if place else None
    if place and place.phase in ("forward", "backward"):
        node = debugger.plan.node_at(place)
        k = node - graph.leaves
        first, start_column = graph.place(graph.starts[k])
        last, end_column = graph.place(graph.ends[k])
        for number in range(first, last + 1):
            index = number - 1 - skipped
            length = len(lines[index]) if 0 <= index < len(lines) else 0
            start = start_column - 1 if number == first else 0
            end = end_column - 1 if number == last else length
            marks.append((number - skipped, start, end))
        frame = graph.frame(node)
        while frame.index:
            statement = graph.statements[frame.statement]
            calls.append(statement.line - skipped)
            frame = graph.frames[statement.frame]
    elif place and place.phase == "seed" and graph.loss >= graph.leaves:
        line = graph.line_of(graph.loss) - skipped
        marks.append((line, 0, len(lines[line - 1])))
    on = {line - skipped for line in _stop_lines(debugger, on=True)}
    off = {line - skipped for line in _stop_lines(debugger, on=False)} - on
    return ProgramModel(lines, tuple(marks), phase, frozenset(on), tuple(calls), frozenset(off))


def _stop_lines(debugger: Debugger, *, on: bool) -> set[int]:
    """The lines of the program that breakpoints are about: their own, or where their name is computed."""
    graph, lines = debugger.graph, set()
    for stop in debugger.stops.breakpoints:
        if stop.enabled != on:
            continue
        if stop.kind == "line":
            lines.add(int(stop.target))
        elif stop.kind in ("name", "value", "gradient"):
            lines.update(graph.line_of(node) for node in nodes_of(graph, stop.target) if node >= graph.leaves)
    return lines


def steps_model(debugger: Debugger, wording: Wording, beside: Beside | None = None) -> StepsModel:
    """The list of steps; a row's text is made when it is drawn."""
    plan = debugger.plan

    def row(number: int) -> StepRow:
        place = plan.place(number)
        return StepRow(number, place.phase, wording.step(plan, place), beside is not None and beside.differs(number))

    return StepsModel(debugger.position, debugger.total, row, beside)


def variables_model(debugger: Debugger, wording: Wording, beside: Beside | None = None) -> VariablesModel:
    """The variables in a fixed order: parameters, what the program assigns, data; what this step changed is marked."""
    state = debugger.state
    graph, plan = debugger.graph, debugger.plan
    place = debugger.place
    node = target = -1
    if place is not None and debugger.stage is None:
        if place.phase == "forward":
            node = plan.node_at(place)
        elif place.phase == "seed":
            target = graph.loss
        elif place.phase == "backward":
            target = plan.targets[place.index]
        else:
            node = plan.node_at(place)
    rows = []
    edited = {index: "gradient" if gradient else "value" for index, gradient in debugger.run.edited(debugger.position)}
    for index in _shown(debugger):
        kind = graph.kinds[index] if index < graph.leaves else "computed"
        value = state.value(index) if state.has_value(index) else None
        gradient = state.gradient(index)
        rows.append(
            VariableRow(
                index,
                wording.name(index),
                shape_text(graph.shapes[index]),
                value,
                "" if value is not None else f"in step {plan.step_of(state.iteration, 'forward', index - graph.leaves)}",
                gradient,
                "" if gradient is not None else _no_gradient(plan, state, index),
                index == node,
                index == target,
                kind,
                edited.get(index, ""),
                None if beside is None else _far(beside, debugger, index, value, gradient),
            )
        )
    return VariablesModel(tuple(rows))


def _far(beside: Beside, debugger: Debugger, node: int, value: Array | None, gradient: Array | None) -> tuple[str, str]:
    """How far a variable is from the other run's: ``=`` where it is the same, nothing where there is nothing to compare."""
    position = debugger.position - (debugger.stage is not None)
    far = beside.far(position, debugger.state.iteration, debugger.graph.label(node), value, gradient)
    return _distance(far.value), _distance(far.gradient)


def _distance(far: float | None) -> str:
    return "" if far is None else "=" if far == 0 else plain(far, 4)


def _shown(debugger: Debugger) -> list[int]:
    """Parameters, computed names in the program's order, then data; of very many, a window around the current node."""
    graph = debugger.graph
    parameters, data = graph.named_leaves["parameter"], graph.named_leaves["data"]
    named = graph.named_applications
    if len(parameters) + len(named) + len(data) <= MOST_VARIABLES:
        return [*parameters, *named, *data]
    place = debugger.place
    around = debugger.plan.node_at(place) if place else 0
    center = int(np.searchsorted(named, around))
    start = max(0, min(center - MOST_VARIABLES // 2, len(named) - MOST_VARIABLES))
    window = list(named[start : start + MOST_VARIABLES])
    operands = dict.fromkeys(graph.operands_of(around)) if place and around >= graph.leaves else {}
    near = [i for i in operands if i < graph.leaves and graph.kinds[i] != "constant"]
    return [*near, *window]


def _no_gradient(plan: Plan, state: State, node: int) -> str:
    """In words, when a node's first contribution comes, or that none does."""
    if node == plan.graph.loss:
        return f"in step {plan.step_of(state.iteration, 'seed')}"
    writes = plan.writes_to(node)
    if len(writes):
        return f"in step {plan.step_of(state.iteration, 'backward', int(writes[0]))}"
    if not plan.graph.needs[node]:
        return "gets none"
    return "0: not in the loss"


def notes_model(debugger: Debugger, typed: str = "") -> NotesModel:
    """The notes of this step, what was typed in here, and what the scenario says of itself."""
    scenario = debugger.scenario
    here = tuple(clean(note.text) for note in scenario.notes if debugger.layout.applies(note, debugger.place))
    about = clean(scenario.description, keep_newlines=True)
    return NotesModel(here, about, clean(scenario.source), bool(scenario.notes), clean(typed))
