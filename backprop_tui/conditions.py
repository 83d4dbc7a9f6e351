"""Expressions over a program's names, held to a step: conditions of breakpoints, and watches."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from backprop_tui.errors import CommandError, ProgramError, did_you_mean
from backprop_tui.formula import Formula, parse
from backprop_tui.graph import Graph
from backprop_tui.ops.op import Array
from backprop_tui.recording import Recording, State
from backprop_tui.scenario.checks import OF_A_STEP
from backprop_tui.steps import BackwardStep, SeedStep, Step, UpdateStep


def condition(text: str, graph: Graph) -> Formula:
    """A condition or a watch over the program's names and what a step has. Raises CommandError."""
    return _parsed(text, graph, {*names_of(graph), *OF_A_STEP})


def watched(text: str, graph: Graph) -> Formula:
    """An expression over the program's names. Raises CommandError."""
    return _parsed(text, graph, names_of(graph))


def _parsed(text: str, graph: Graph, known: set[str]) -> Formula:
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


def holds(when: Formula, recording: Recording, step: int) -> bool:
    """Whether a condition holds at a step; not where it asks for what the step does not have. Of an array, any entry."""
    with np.errstate(all="ignore"):
        try:
            values, gradients = reader(recording, step)
            return bool(np.any(when.evaluate(values, gradients)))
        except (NotThereError, ValueError):
            return False


def reader(recording: Recording, number: int) -> tuple[Callable[[str], Array], Callable[[str], Array]]:
    """What names and ``grad(name)`` stand for right after a step; what is not there yet raises."""
    graph = recording.graph
    state = recording.state(number)
    step = recording.step(number) if number else None

    def gradient(name: str) -> Array:
        node = graph.resolve(name)
        found = None if node is None else state.gradient(node)
        if found is None:
            raise NotThereError(f"grad({name})")
        return found

    def value(name: str) -> Array:
        if name in OF_A_STEP and step is not None:
            return _of_step(step, name, state)
        node = graph.resolve(name)
        if node is None or not state.has_value(node):
            raise NotThereError(name)
        return state.value(node)

    return value, gradient


def _of_step(step: Step, name: str, state: State) -> Array:
    """What a step has of its own: ``value`` and ``grad`` are those of what it writes to."""
    if isinstance(step, BackwardStep):
        if name == "value":
            return state.value(step.operand_index)
        found: Array = getattr(step, name)  # grad, upstream, local and contribution are called so
        return found
    if name == "value":
        return state.value(step.node_index)
    if name == "grad" and isinstance(step, (SeedStep, UpdateStep)):
        return step.grad
    raise NotThereError(name)
