"""Graph → the ordered steps of a run, known before anything is computed.

One iteration is ``forward | seed | backward | update``; a run repeats it, so the step at any number is found by
division. The backward pass is linked ahead: each step knows which earlier write holds its upstream gradient, and which
earlier write (if any) its contribution is added to, so executing it needs no look-up and no table of gradients.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np

from backprop_tui.graph import Graph
from backprop_tui.ops.op import (
    Array,
    Call,
    LocalDerivative,
    Shape,
    product_shape,
    summed_axes,
    unchanged,
)
from backprop_tui.scenario import Scenario

Phase = Literal["forward", "seed", "backward", "update"]
PHASES: tuple[Phase, ...] = ("forward", "seed", "backward", "update")

#: In a column of first reads: the step's contribution is its upstream gradient; no forward value is read; many are.
AS_IT_IS, NO_READ, MANY = -1, -2, -3
#: In a column of second reads or operands: there is none; in a column of earlier writes: this is the first.
NONE = -1

Kernel = Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step stands: number in the run (from 1), iteration (from 0), phase, and which of that phase (from 0)."""

    step: int
    iteration: int
    phase: Phase
    index: int


class Plan:
    """The steps of a run over a graph: columns for the executor, and answers about any step before it is executed."""

    def __init__(self, graph: Graph, *, iterations: int = 1, learning_rate: float = 0.0, update: tuple[str, ...] = ()):
        self.graph = graph
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.updated = tuple(graph.parameters[name] for name in update)
        #: Which update step, counted from 0, is a parameter's.
        self.update_of = {node: index for index, node in enumerate(self.updated)}
        self.packs: list[tuple[int, ...]] = []
        #: The rule of each kind of multiplication, by its call and operand, and which operands it reads (−1: the result).
        self._rules: dict[tuple[int, int], tuple[LocalDerivative, tuple[int, ...]]] = {}
        self._link_forward()
        self._link_backward()
        self.forward_steps = len(graph.ops)
        self.backward_steps = len(self.targets)
        self.update_steps = len(self.updated)
        self.period = self.forward_steps + 1 + self.backward_steps + self.update_steps
        self.total = self.period * iterations

    def _link_forward(self) -> None:
        graph = self.graph
        bound: dict[int, Kernel] = {}
        self.functions: list[Kernel] = []
        self.first: array[int] = array("q")
        self.second: array[int] = array("q")
        offsets, operands = graph.first_operand, graph.operands
        for k, op in enumerate(graph.ops):
            call = graph.calls[k]
            function = bound.get(id(call))
            if function is None:
                function = bound[id(call)] = op.bind(call)
            self.functions.append(function)
            start, count = offsets[k], offsets[k + 1] - offsets[k]
            if count > 2:
                self.first.append(MANY)
                self.second.append(len(self.packs))
                self.packs.append(tuple(operands[start : start + count]))
            else:
                self.first.append(operands[start])
                self.second.append(operands[start + 1] if count == 2 else NONE)

    def _link_backward(self) -> None:
        graph = self.graph
        kernels: dict[tuple[int, int], tuple[Kernel | None, tuple[str, ...]]] = {}
        self.pulls: list[Kernel | None] = []
        self.uppers: array[int] = array("q")
        self.reads: array[int] = array("q")
        self.more_reads: array[int] = array("q")
        self.earlier: array[int] = array("q")
        self.sources: array[int] = array("q")
        self.slots: array[int] = array("q")
        self.targets: array[int] = array("q")
        last = array("q", [NONE]) * len(graph)
        last[graph.loss] = 0
        level = array("q", [0]) * len(graph)
        leaves, offsets, operands = graph.leaves, graph.first_operand, graph.operands
        for k, (node, slot, target) in enumerate(graph.backward_pairs(), 1):
            call = graph.calls[node - leaves]
            key = (id(call), slot)
            known = kernels.get(key)
            if known is None:
                known = kernels[key] = _kernel(graph, node, slot)
            pull, names = known
            if pull is None:
                first, second = AS_IT_IS, NONE
            elif not names:
                first, second = NO_READ, NONE
            else:
                start = offsets[node - leaves]
                op = graph.ops[node - leaves]
                found = [node if name == "out" else operands[start + op.operands.index(name)] for name in names]
                if len(found) > 2:
                    first, second = MANY, len(self.packs)
                    self.packs.append(tuple(found))
                else:
                    first, second = found[0], found[1] if len(found) == 2 else NONE
            self.pulls.append(pull)
            self.uppers.append(last[node])
            self.reads.append(first)
            self.more_reads.append(second)
            self.earlier.append(last[target])
            self.sources.append(node)
            self.slots.append(slot)
            self.targets.append(target)
            if last[target] == NONE:
                level[target] = level[node] + 1
            last[target] = k
        self.last_write = last
        #: For each node, how many local derivatives lie between the loss and it, along the way first walked.
        self.level = level

    # Answers about a step

    def place(self, step: int) -> Place:
        """Where the step with this number (from 1) stands."""
        iteration, index = divmod(step - 1, self.period)
        if index < self.forward_steps:
            return Place(step, iteration, "forward", index)
        index -= self.forward_steps
        if index == 0:
            return Place(step, iteration, "seed", 0)
        index -= 1
        if index < self.backward_steps:
            return Place(step, iteration, "backward", index)
        return Place(step, iteration, "update", index - self.backward_steps)

    def step_of(self, iteration: int, phase: Phase, index: int = 0) -> int:
        """The number of the step of an iteration that is the ``index``-th of its phase."""
        before = {
            "forward": 0,
            "seed": self.forward_steps,
            "backward": self.forward_steps + 1,
            "update": self.forward_steps + 1 + self.backward_steps,
        }
        return iteration * self.period + before[phase] + index + 1

    def phase_steps(self, phase: Phase) -> int:
        """How many steps one iteration has in a phase."""
        counts = {
            "forward": self.forward_steps,
            "seed": 1,
            "backward": self.backward_steps,
            "update": self.update_steps,
        }
        return counts[phase]

    def node_at(self, place: Place) -> int:
        """The node a step is about: an application run forward or walked back through, the loss, a parameter."""
        if place.phase == "forward":
            return self.graph.leaves + place.index
        if place.phase == "seed":
            return self.graph.loss
        if place.phase == "backward":
            return self.sources[place.index]
        return self.updated[place.index]

    def derivative(self, index: int) -> tuple[LocalDerivative, Call, tuple[int, ...]]:
        """The local derivative of the ``index``-th backward step, its call, and the nodes whose values it reads."""
        node, slot = self.sources[index], self.slots[index]
        graph = self.graph
        call = graph.calls[node - graph.leaves]
        known = self._rules.get((id(call), slot))
        if known is None:
            op = graph.op_of(node)
            derivative = op.derivative(call, slot)
            assert derivative is not None
            places = tuple(NONE if name == "out" else op.operands.index(name) for name in derivative.reads)
            known = self._rules[id(call), slot] = (derivative, places)
        start = graph.first_operand[node - graph.leaves]
        return known[0], call, tuple([node if place == NONE else graph.operands[start + place] for place in known[1]])

    def summed_axes(self, index: int) -> tuple[int, ...]:
        """The axes over which the ``index``-th backward step sums because its operand was broadcast."""
        derivative, call, _ = self.derivative(index)
        slot = self.slots[index]
        return summed_axes(product_shape(derivative, call, slot), call.shapes[slot])

    @cached_property
    def _writes(self) -> tuple[Array, Array]:
        targets = np.frombuffer(self.targets, dtype=np.int64) if self.targets else np.empty(0, np.int64)
        order = np.argsort(targets, kind="stable")
        bounds = np.searchsorted(targets[order], np.arange(len(self.graph) + 1))
        return order, bounds

    def writes_to(self, node: int) -> Array:
        """The backward steps (as indices into the phase, ascending) that contribute to a node's gradient."""
        order, bounds = self._writes
        return order[bounds[node] : bounds[node + 1]]

    @cached_property
    def _uses(self) -> tuple[Array, Array]:
        operands = np.frombuffer(self.graph.operands, dtype=np.int64) if self.graph.operands else np.empty(0, np.int64)
        first = np.frombuffer(self.graph.first_operand, dtype=np.int64)
        users = np.repeat(np.arange(len(first) - 1), first[1:] - first[:-1]) + self.graph.leaves
        order = np.argsort(operands, kind="stable")
        return users[order], np.searchsorted(operands[order], np.arange(len(self.graph) + 1))

    def uses_of(self, node: int) -> Array:
        """The applications that have a node as an operand, ascending."""
        users, bounds = self._uses
        return users[bounds[node] : bounds[node + 1]]


def _kernel(graph: Graph, node: int, slot: int) -> tuple[Kernel | None, tuple[str, ...]]:
    """The contribution of one kind of backward step as a function of the upstream gradient and the values it reads.

    None stands for a contribution that is the upstream gradient as it is.
    """
    call = graph.call_of(node)
    derivative = graph.op_of(node).derivative(call, slot)
    assert derivative is not None
    product, own = product_shape(derivative, call, slot), call.shapes[slot]
    pull = derivative.pull
    reads = derivative.reads
    if pull is unchanged:
        pull, reads = None, ()
    elif pull is None:
        pull = _multiplied(derivative)
    if product == own:
        return pull, reads
    return _summed(pull, len(reads), summed_axes(product, own), own), reads


def _multiplied(derivative: LocalDerivative) -> Kernel:
    value, count = derivative.value, len(derivative.reads)
    plain = derivative.upstream_as is None and derivative.result_as is None
    if plain and derivative.how in ("elementwise", "broadcast"):
        if count == 1:
            return lambda upstream, a: upstream * value(a)
        if count == 2:
            return lambda upstream, a, b: upstream * value(a, b)
    return lambda upstream, *reads: derivative.multiply(upstream, value(*reads))


def _summed(pull: Kernel | None, count: int, axes: tuple[int, ...], own: Shape) -> Kernel:
    add = np.add.reduce
    kept = len(axes) and len(own) and any(size == 1 for size in own)
    if pull is None:
        if kept:
            return lambda upstream: add(upstream, axes).reshape(own)
        return lambda upstream: add(upstream, axes)
    inner = pull
    if count == 1 and not kept:
        return lambda upstream, a: add(inner(upstream, a), axes)
    if kept:
        return lambda upstream, *reads: add(inner(upstream, *reads), axes).reshape(own)
    return lambda upstream, *reads: add(inner(upstream, *reads), axes)


_PLANS: WeakKeyDictionary[Scenario, Plan] = WeakKeyDictionary()


def plan_of(scenario: Scenario) -> Plan:
    """The plan of a scenario, made once."""
    plan = _PLANS.get(scenario)
    if plan is None:
        training = scenario.training
        if training is None:
            plan = Plan(scenario.graph)
        else:
            plan = Plan(
                scenario.graph,
                iterations=training.steps,
                learning_rate=training.learning_rate,
                update=training.update,
            )
        _PLANS[scenario] = plan
    return plan
