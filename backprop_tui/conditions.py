"""Expressions over a program's names, held to a step: conditions of breakpoints, and watches."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from backprop_tui.errors import CommandError, ProgramError, ShapeError, did_you_mean
from backprop_tui.formula import Formula, parse
from backprop_tui.graph import Graph
from backprop_tui.ops.op import Array, product_shape
from backprop_tui.plan import Phase, Place, Plan
from backprop_tui.recording import Recording
from backprop_tui.scenario.checks import OF_A_STEP
from backprop_tui.steps import BackwardStep, SeedStep, Step, UpdateStep

#: The most characters an expression of a person's may have; Python reads no longer whole number either.
LONGEST = 4000
_NUMBERED = re.compile(r"[\w.]*\w#\d[\w.#]*")


def condition(text: str, graph: Graph) -> Formula:
    """A condition or a watch over the program's names and what a step has. Raises CommandError."""
    return _parsed(text, graph, {*names_of(graph), *OF_A_STEP})


def watched(text: str, graph: Graph) -> Formula:
    """An expression over the program's names. Raises CommandError."""
    return _parsed(text, graph, names_of(graph))


def _parsed(text: str, graph: Graph, known: set[str]) -> Formula:
    known |= {name.removesuffix("2") + "1" for name in graph.by_name if name.endswith("#2")}  # h#1 is the first h
    if len(text) > LONGEST:
        raise CommandError(f"the expression has {len(text):,} characters; at most {LONGEST:,} are read")
    for name in _NUMBERED.findall(text):  # what is no name after it would be passed over as a comment is, and h#9 mean h
        if not {name, re.sub(r"(\.T)+$", "", name)} & known:
            hint = did_you_mean(name, known)
            raise CommandError(f"unknown name '{name}'" + (f"; {hint}" if hint else ""))
    if "#" in _NUMBERED.sub("", text):
        raise CommandError("'#' belongs to a name that is assigned again, as in h#2")
    try:
        formula = parse(text, known)
    except ProgramError as error:
        raise CommandError(error.message + (f"; {error.hint}" if error.hint else "")) from None
    except (RecursionError, MemoryError):
        raise CommandError("the expression is nested too deeply") from None
    for name in formula.gradients:
        nodes_of(graph, name)
    return formula


def names_of(graph: Graph) -> set[str]:
    """Every name that stands for a node; no constants."""
    return {name for name in (*graph.variables, *graph.by_name) if graph.resolve(name) not in graph.constants}


def nodes_of(graph: Graph, name: str) -> list[int]:
    """The nodes of a name: where it is assigned again, all of them. Raises CommandError."""
    found = {graph.resolve(name), graph.by_name.get(name)}
    found |= {node for other, node in graph.by_name.items() if re.fullmatch(re.escape(name) + r"#\d+", other)}
    nodes = sorted(node for node in found if node is not None and node not in graph.constants)
    if not nodes:
        hint = did_you_mean(name, names_of(graph))
        raise CommandError(f"no line, name, phase, op or fact '{name}'" + (f"; {hint}" if hint else ""))
    return nodes


class NotThereError(Exception):
    """An expression asks for something that is not there at this step; the text says what."""


def reader(recording: Recording, number: int) -> tuple[Callable[[str], Array], Callable[[str], Array]]:
    """What names and ``grad(name)`` stand for right after a step; what is not there yet raises.

    A name that is assigned again stands for what was assigned to it last.
    """
    graph, plan = recording.graph, recording.plan
    state = recording.state(number)

    def gradient(name: str) -> Array:
        node = graph.resolve(name)
        found = None if node is None else state.gradient(node)
        if found is None:
            raise NotThereError(f"grad({name})")
        return found

    def value(name: str) -> Array:
        nodes = _assigned(plan, name)
        there = len(nodes)
        if nodes and not state.has_value(nodes[-1]):
            there = bisect_left(nodes, True, key=lambda node: not state.has_value(node))
        if not there:
            raise NotThereError(name)
        return state.value(nodes[there - 1])

    return value, gradient


def _assigned(plan: Plan, name: str) -> list[int]:
    """The nodes that a name stands for in the course of a run, one after the other."""
    known = _ASSIGNED.setdefault(plan, {})
    if name not in known:
        graph = plan.graph
        node = graph.resolve(name)
        if node is None:
            known[name] = []
        elif node in graph.parameters.values():
            known[name] = [node]
        else:
            known[name] = [*(other for other in nodes_of(graph, name) if other < node), node]
    return known[name]


_ASSIGNED: WeakKeyDictionary[Plan, dict[str, list[int]]] = WeakKeyDictionary()


def _of_step(recording: Recording, step: Step, name: str) -> Array:
    """What a step has of its own: ``value`` and ``grad`` are those of what it writes to."""
    if name == "value":
        node = step.operand_index if isinstance(step, BackwardStep) else step.node_index
        return recording.state(step.number).value(node)
    if isinstance(step, BackwardStep) or (name == "grad" and isinstance(step, (SeedStep, UpdateStep))):
        found: Array = getattr(step, name)  # grad, upstream, local and contribution are called so
        return found
    raise NotThereError(name)


# Conditions


def holds(when: Formula, recording: Recording, number: int) -> bool:
    """Whether a condition holds at a step; not where it asks for what the step does not have. Of an array, any entry."""
    step = recording.step(number)

    def value(name: str) -> Array:
        return _of_step(recording, step, name) if name in OF_A_STEP else reader(recording, number)[0](name)

    def gradient(name: str) -> Array:
        return reader(recording, number)[1](name)

    try:
        return bool(np.asarray(when.evaluate(value, gradient)).any())
    except (NotThereError, ShapeError):
        return False


def holding_at(when: Formula, recording: Recording, steps: Sequence[int]) -> list[int]:
    """Those of some executed steps, ascending, at which a condition holds.

    What reads nothing but the step's own numbers is computed for all steps of one number each at once: the same condition,
    held to columns of them.
    """
    plan = recording.plan
    single = _of_numbers(when.spelled, when.names, when.gradients)
    found: list[int] = []
    begin = 0
    while begin < len(steps):
        place = plan.place(steps[begin])
        last = plan.step_of(place.iteration, place.phase, plan.phase_steps(place.phase) - 1)
        part = np.array(steps[begin : (begin := bisect_right(steps, last, begin))], np.int64)
        asked = {*when.names} & OF_A_STEP
        if place.phase == "forward" and (when.gradients or asked - {"value"}):
            continue  # there are no gradients yet
        rest, marks = np.ones(len(part), bool), np.zeros(len(part), bool)
        if single is not None and place.phase in ("forward", "backward") and recording.owner(int(part[0])) is recording:
            indices = part - plan.step_of(place.iteration, place.phase)
            numbers = _single_numbers(plan, place.phase)[indices]
            known = _at_once(single, recording, place, indices[numbers]) if numbers.any() else None
            if known is not None:
                marks[numbers], rest = known, ~numbers
        with np.errstate(all="ignore"):
            marks[rest] = [holds(when, recording, step) for step in part[rest].tolist()]
        found += part[marks].tolist()
    return found


#: Functions of an expression that are of a number what they are of each number of a column.
_BY_ENTRY = frozenset({"abs", "sqrt", "square", "maximum", "minimum", "isnan", "isfinite", "grad"})
#: Functions that make one number of an array: what they make of a number.
_OF_ONE = {
    **dict.fromkeys(("max", "min", "sum", "mean"), "operand"),
    **dict.fromkeys(("any", "all"), "operand != 0"),
    "norm": "sqrt(square(operand))",
}
_SIGNS = (ast.USub, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


@lru_cache(maxsize=64)
def _of_numbers(text: str, names: tuple[str, ...], gradients: tuple[str, ...]) -> Formula | None:
    """An expression that comes to the same where all it reads are numbers, and goes entry by entry; None if there is none.

    Only what is computed to the last bit alike for a number and for a column of them is allowed in it.
    """
    try:
        return parse(ast.unparse(_Numbers().visit(ast.parse(text, mode="eval"))), {*names, *gradients})
    except (LookupError, ProgramError, RecursionError, MemoryError):
        return None


class _Numbers(ast.NodeTransformer):
    """Takes the reductions out of an expression; raises LookupError at what cannot be done entry by entry."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        allowed = (ast.Expression, ast.Name, ast.Load, ast.Constant, ast.UnaryOp, ast.BinOp, ast.Compare, *_SIGNS)
        if not isinstance(node, allowed):
            raise LookupError(ast.dump(node))
        return super().generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) and not node.keywords else ""
        node.args = [self.visit(operand) for operand in node.args]
        if name in _BY_ENTRY:
            return node
        if len(node.args) != 1 or name not in _OF_ONE:
            raise LookupError(ast.dump(node))
        form = ast.parse(_OF_ONE[name], mode="eval").body
        return _Put(node.args[0]).visit(form)  # type: ignore[no-any-return]


class _Put(ast.NodeTransformer):
    """Puts an expression in the place of the name ``operand``."""

    def __init__(self, operand: ast.expr) -> None:
        self.operand = operand

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.operand if node.id == "operand" else node


@lru_cache(maxsize=8)
def _single_numbers(plan: Plan, phase: Phase) -> Array:
    """Which steps of a phase have to do with single numbers only."""
    graph = plan.graph
    scalar = np.array([not shape for shape in graph.shapes], bool)
    if phase == "forward":
        values: Array = scalar[graph.leaves :]
        return values
    marks: Array = scalar[np.array(plan.sources, np.int64)] & scalar[np.array(plan.targets, np.int64)]
    for k in np.flatnonzero(marks).tolist():
        derivative, call, _ = plan.derivative(k)
        alike = derivative.how in ("elementwise", "broadcast")  # places are whole numbers, a full Jacobian is no number
        marks[k] = alike and not any(call.shapes) and not product_shape(derivative, call, plan.slots[k])
    return marks


def _locals(recording: Recording, iteration: int, indices: list[int]) -> list[Array]:
    values, derivative = recording.iteration(iteration).values, recording.plan.derivative
    rules = map(derivative, indices)
    return [rule.value(*[values[i] for i in reads]) for rule, _, reads in rules]


def _values(recording: Recording, place: Place, indices: list[int]) -> list[Array]:
    values, targets, leaves = recording.iteration(place.iteration).values, recording.plan.targets, recording.graph.leaves
    return [values[leaves + k if place.phase == "forward" else targets[k]] for k in indices]


#: What each step of some has of its own, backward steps but for `value`, as `_of_step` says it of one.
_OF_STEPS: dict[str, Callable[[Recording, Place, list[int]], list[Array]]] = {
    "value": _values,
    "grad": lambda run, place, indices: [run.iteration(place.iteration).written[k + 1] for k in indices],
    "upstream": lambda run, place, indices: [run.iteration(place.iteration).written[run.plan.uppers[k]] for k in indices],
    "local": lambda run, place, indices: _locals(run, place.iteration, indices),
    "contribution": lambda run, place, indices: [run.contribution(place.iteration, k) for k in indices],
}


def _at_once(single: Formula, recording: Recording, place: Place, indices: Array) -> Array | None:
    """At which of some steps of a phase, all of single numbers, it holds; None where it takes more than columns to tell."""
    plan, kept = recording.plan, recording.iteration(place.iteration)
    there = np.ones(len(indices), bool)

    def column(arrays: list[Array]) -> Array:
        found = np.array(arrays)
        if found.ndim != 1 or found.dtype != kept.values[-1].dtype:
            raise LookupError  # numbers of several precisions, which a column would make one
        return found

    def value(name: str) -> Array:
        if name in OF_A_STEP:
            return column(_OF_STEPS[name](recording, place, indices.tolist()))
        nodes = _assigned(plan, name)
        if plan.graph.shapes[nodes[-1]] or (place.phase == "forward" and nodes[-1] >= plan.graph.leaves):
            raise LookupError(name)
        return kept.values[nodes[-1]]

    def gradient(name: str) -> Array:
        node = plan.graph.resolve(name)
        if node is None or plan.graph.shapes[node]:
            raise LookupError(name)
        if node == plan.graph.loss:
            return kept.written[0]
        writes = plan.writes_to(node)
        counts = np.searchsorted(writes, indices, side="right")
        there[counts == 0] = False
        return column([kept.written[write + 1] for write in writes[counts - 1].tolist()]) if len(writes) else kept.written[0]

    try:
        with np.errstate(all="ignore"):
            found: Array = np.logical_and(single.evaluate(value, gradient) != 0, there)
            return found
    except (LookupError, ShapeError):
        return None
